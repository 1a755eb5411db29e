#!/bin/sh
# What run_cpu.sh, run_gpu.sh, run_ascend.sh and stop_training.sh share: sh launch.sh {CPU|GPU|Ascend|stop} [flags]
#
# The work is done by launch.py, in the caller's folder: relative paths, those inside the configuration too, mean what
# the caller means.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/find_python.sh"
exec "$python" "$root/launch.py" "$@"
