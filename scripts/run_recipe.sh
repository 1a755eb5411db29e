#!/bin/sh
# From a folder of text to trained models, scores and a report; for the flags: sh run_recipe.sh --help
set -eu

here=$(pwd)
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/find_python.sh"
case $python in
    /*) ;;
    */*) python=$here/$python ;;
esac
PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} exec "$python" -P -m recipes "$@"
