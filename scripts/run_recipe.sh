#!/bin/sh
# From a folder of text to trained models, scores and a report; for the flags: sh run_recipe.sh --help
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/find_python.sh"
PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} exec "$python" -P -m recipes "$@"
