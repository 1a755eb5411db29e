#!/bin/sh
# Create .venv in the repository and install requirements.txt into it, unless this has been done already.
# The other scripts call it: sh scripts/setup_venv.sh [--python PATH] [--dev]
set -eu

usage() {
    cat <<'HELP'
usage: sh setup_venv.sh [--python PATH] [--dev]

Creates the virtual environment .venv in the repository and installs requirements.txt into it.

  --python PATH  the Python to create it with (3.11 or 3.12; default: the first
                 suitable one of python3.11, python3.12, python3 and python)
  --dev          install requirements-dev.txt too
  -h, --help     show this help
HELP
}

refuse() {
    echo "setup_venv.sh: error: $1" >&2
    exit "${2:-1}"
}

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
venv=$root/.venv
wanted=
dev=
while [ $# -gt 0 ]; do
    case $1 in
        --python) [ $# -ge 2 ] || refuse "--python requires the path of a Python" 2; wanted=$2; shift ;;
        --python=*) wanted=${1#--python=} ;;
        --dev) dev=yes ;;
        -h | --help) usage; exit 0 ;;
        *) refuse "unknown argument '$1'; allowed are --python PATH, --dev and --help" 2 ;;
    esac
    shift
done

# Print why the Python $1 cannot be used; print nothing if it can.
why_not() {
    version=$("$1" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || {
        echo "$1: not found, or it cannot be started"
        return
    }
    case $version in
        3.11 | 3.12) ;;
        *) echo "$1 is Python $version; the pinned packages, such as mindspore 2.10.0, require 3.11 or 3.12"; return ;;
    esac
    "$1" -I -c 'import venv, ensurepip' 2>/dev/null ||
        echo "$1 (Python $version) cannot create virtual environments; on Debian or Ubuntu: apt-get install python$version-venv"
}

# Set $python to a suitable Python, or stop with the reasons why no candidate is suitable.
find_python() {
    reasons=
    if [ -n "$wanted" ]; then set -- "$wanted"; else set -- python3.11 python3.12 python3 python; fi
    for python in "$@"; do
        reason=$(why_not "$python")
        [ -n "$reason" ] || return 0
        reasons="$reasons
  $reason"
    done
    refuse "Python 3.11 or 3.12 with the module venv is required:$reasons
Install one, or give its path with --python PATH."
}

# install FILE: install a requirements file, unless a marker in .venv shows that its present version, and that of the
# files that it includes (-r FILE), is installed. The program imports a small part of the packages, and to compile all
# of them takes as long as to unpack them: Python compiles what is imported. With PYTHONDONTWRITEBYTECODE it would do so
# at every start, as it would for users who may not write into .venv; pip compiles everything then.
install() {
    marker=$venv/.installed-$1
    state="$root $(sed -n 's/^-r *//p' "$root/$1" | (cd "$root" && xargs cat "$1") | cksum)"
    [ "$(cat "$marker" 2>/dev/null || true)" != "$state" ] || return 0
    echo "installing $1 into $venv (mindspore and its dependencies take about 3 GB and some minutes)"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        ${compile:+"$compile"} -r "$root/$1" ||
        refuse "pip could not install $root/$1 (its message is above)"
    printf '%s\n' "$state" >"$marker"
}

# Set up $venv. An environment of this script that was moved or is incomplete is created again; one that this script has
# not created is used if it is suitable, and otherwise left alone.
made_for=$(cat "$venv/.made-for" 2>/dev/null || true)
reason=$(why_not "$venv/bin/python")
if [ -n "$reason" ] || [ "${made_for:-$root}" != "$root" ]; then
    [ ! -e "$venv" ] || [ -n "$made_for" ] || refuse "$reason
  and $venv was not created by this script: remove it, or replace it by a suitable virtual environment"
    find_python
    echo "creating $venv with $("$python" --version) ($(command -v "$python"))"
    rm -rf "$venv"
    mkdir "$venv"
    printf '%s\n' "$root" >"$venv/.made-for"
    "$python" -m venv "$venv" || refuse "$python could not create $venv (its message is above)"
elif [ -n "$wanted" ]; then
    reason=$(why_not "$wanted")
    [ -z "$reason" ] || refuse "$reason"
    [ "$("$wanted" --version)" = "$("$venv/bin/python" --version)" ] ||
        refuse "$venv was created with $("$venv/bin/python" --version); remove it to create it with $("$wanted" --version)"
fi
compile=
[ -n "${PYTHONDONTWRITEBYTECODE:-}" ] || compile=--no-compile
install requirements.txt
[ -z "$dev" ] || install requirements-dev.txt
