#!/bin/sh
# Run ruff and the tests: sh scripts/test.sh [arguments of pytest]
set -eu

usage() {
    cat <<'HELP'
usage: sh test.sh [arguments of pytest]

Makes .venv with requirements.txt and requirements-dev.txt if need be, runs 'ruff check .', then pytest in the
repository. Without arguments all tests run, in two processes. The folders of tests/ are tiers, selected with -m:

  sh test.sh                 all tests
  sh test.sh -m unit         functions and classes, in the process of the tests
  sh test.sh -m command_line the scripts as a user runs them, each in a process of its own
  sh test.sh -m system       whole trainings
  sh test.sh -m devices      all graphs compiled for Ascend and GPU, which need not be there
  sh test.sh -m "not system" all tiers but one
  sh test.sh -k search       tests whose file, class or name contains 'search'
  sh test.sh tests/unit/test_search.py   one file, in one process (so are all .py files that are named)
  sh test.sh -n 8            eight processes; files are never split
  sh test.sh --durations=20  the slowest tests too

If a process of the tests ends early, as when a test hangs for half an hour, the tests that it had not begun do not run.
  -h, --help                 this text
HELP
}

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
case ${1:-} in
    -h | --help) usage; exit 0 ;;
esac
# A process that has ended is not replaced: pytest-xdist would run its file again, eight times.
parallel='-n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart=0'
for argument in "$@"; do
    case $argument in
        *.py | *.py::*) parallel= ;;
    esac
done
sh "$root/scripts/setup_venv.sh" --dev
cd "$root"
.venv/bin/python -m ruff check .
# shellcheck disable=SC2086  # several words
exec .venv/bin/python -m pytest $parallel "$@"
