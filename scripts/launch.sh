#!/bin/sh
# Called by run_cpu.sh, run_gpu.sh, run_ascend.sh and stop_training.sh: sh launch.sh {CPU|GPU|Ascend|stop} [flags]
#
# launch.py runs in the folder of the caller, so that relative paths, also in the configuration, refer to that folder.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/find_python.sh"
exec "$python" "$root/launch.py" "$@"
