#!/bin/sh
# Learn BPE codes from a folder of tokenized text; for the flags: sh learn_subword.sh --help
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/find_python.sh"
exec "$python" "$root/learn_subword.py" "$@"
