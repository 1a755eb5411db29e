#!/bin/sh
# Sourced by the other scripts, with $root set to the repository: sets $python to the Python that runs its programs.
python=${PYTHON:-$root/.venv/bin/python}
[ -n "${PYTHON:-}" ] || [ -x "$python" ] || python=$(command -v python || command -v python3) || python=''
"${python:-false}" -P -c 'import sys, numpy; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    echo "${0##*/}: error: ${python:-python} is not a Python 3.11 or later with requirements.txt;
  set one up with: sh '$root/scripts/setup_venv.sh'" >&2
    exit 1
}
