#!/bin/sh
# Run ruff and the tests: sh scripts/test.sh [arguments of pytest]
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
case ${1:-} in
    -h | --help)
        echo "usage: sh test.sh [arguments of pytest]"
        echo "Makes .venv with requirements.txt and requirements-dev.txt if need be, runs 'ruff check .', then pytest."
        exit 0 ;;
esac
sh "$root/scripts/setup_venv.sh" --dev
cd "$root"
.venv/bin/python -m ruff check .
if [ $# -gt 0 ]; then
    exec .venv/bin/python -m pytest -q "$@"
fi
exec .venv/bin/python -m pytest -q -n 2 --dist loadfile
