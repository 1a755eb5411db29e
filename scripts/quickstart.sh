#!/bin/sh
# From an empty machine to scores: sh scripts/quickstart.sh [--fast] [--python PATH]
#
# Makes .venv and runs the recipe of the quick start. All outputs are in quickstart_run/ (with --fast:
# quickstart_run_fast/), except for .venv.
set -eu

usage() {
    cat <<'HELP'
usage: sh quickstart.sh [--fast] [--python PATH]

Makes a corpus from the docstrings on this machine, pre-trains a small MASS model on it, fine-tunes the model for
summarization (and, for comparison, a model from scratch), and scores both on held-out text. It prints every command
before it runs it. A second run skips the steps that are complete.

  --fast         smoke test with a small corpus and few steps, in quickstart_run_fast/
  --python PATH  the Python (3.11 or 3.12) to create .venv with, if it does not exist yet
  -h, --help     show this help
HELP
}

refuse() { # refuse MESSAGE EXIT_CODE
    echo "quickstart.sh: error: $1" >&2
    exit "$2"
}

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
suffix='' wanted_python=''
while [ $# -gt 0 ]; do
    case $1 in
        --fast) suffix=_fast ;;
        --python) [ $# -ge 2 ] || refuse "--python requires the path of a Python" 2; wanted_python=$2; shift ;;
        --python=*) wanted_python=${1#--python=} ;;
        -h | --help) usage; exit 0 ;;
        *) refuse "unknown argument '$1'; allowed are --fast, --python PATH and --help" 2 ;;
    esac
    shift
done

started=$(date +%s)
sh "$root/scripts/setup_venv.sh" ${wanted_python:+--python "$wanted_python"}
installed=$(date +%s)
PYTHON=$root/.venv/bin/python sh "$root/scripts/run_recipe.sh" "quickstart$suffix" \
    --run_folder "$root/quickstart_run$suffix"
ended=$(date +%s)
minutes() { echo "$(($1 / 60)) min $(($1 % 60)) s"; }
echo "installation $(minutes $((installed - started))), everything else $(minutes $((ended - installed)))"
