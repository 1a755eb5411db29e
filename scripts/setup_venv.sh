#!/bin/sh
# Make .venv in the repository and install requirements.txt into it; does nothing if that is done.
# The other scripts call it: sh scripts/setup_venv.sh [--python PATH] [--dev]
set -eu

usage() {
    cat <<'HELP'
usage: sh setup_venv.sh [--python PATH] [--dev]

Makes the virtual environment .venv in the repository and installs requirements.txt into it.

  --python PATH  the Python to make it with (3.11 or 3.12; default: the first of
                 python3.11, python3.12, python3 and python that will do)
  --dev          install requirements-dev.txt too
  -h, --help     this text
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
        --python) [ $# -ge 2 ] || refuse "--python needs the path of a Python" 2; wanted=$2; shift ;;
        --python=*) wanted=${1#--python=} ;;
        --dev) dev=yes ;;
        -h | --help) usage; exit 0 ;;
        *) refuse "unknown argument '$1'; allowed are --python PATH, --dev and --help" 2 ;;
    esac
    shift
done

# Print why the Python $1 will not do; print nothing if it will.
why_not() {
    version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || {
        echo "$1: not found, or it does not start"
        return
    }
    case $version in
        3.11 | 3.12) ;;
        *) echo "$1 is Python $version; the pinned packages (mindspore 2.10.0 among them) need 3.11 or 3.12"; return ;;
    esac
    "$1" -c 'import venv, ensurepip' 2>/dev/null ||
        echo "$1 (Python $version) cannot make virtual environments; on Debian or Ubuntu: apt-get install python$version-venv"
}

# Set $python to a Python that will do, or stop and say of every candidate why not.
find_python() {
    reasons=
    if [ -n "$wanted" ]; then set -- "$wanted"; else set -- python3.11 python3.12 python3 python; fi
    for python in "$@"; do
        reason=$(why_not "$python")
        [ -n "$reason" ] || return 0
        reasons="$reasons
  $reason"
    done
    refuse "Python 3.11 or 3.12 with the module venv is needed:$reasons
Install one, or name it with --python PATH."
}

# install FILE: unless the marker in .venv says that this file, as it is now, was installed at this place.
install() {
    marker=$venv/.installed-$1
    state="$root $(cksum <"$root/$1")"
    [ "$(cat "$marker" 2>/dev/null || true)" != "$state" ] || return 0
    echo "installing $1 into $venv (mindspore and what it needs take about 3 GB and some minutes)"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$root/$1" ||
        refuse "pip could not install $root/$1 (its message is above)"
    printf '%s\n' "$state" >"$marker"
}

# Set up $venv. One that we made and that was moved, or left half-made, is made anew; another's is used or refused.
made_for=$(cat "$venv/.made-for" 2>/dev/null || true)
reason=$(why_not "$venv/bin/python")
if [ -n "$reason" ] || [ "${made_for:-$root}" != "$root" ]; then
    [ ! -e "$venv" ] || [ -n "$made_for" ] || refuse "$reason
  and $venv was not made by this script: remove it, or make it a virtual environment that will do"
    find_python
    echo "making $venv with $("$python" --version) ($(command -v "$python"))"
    rm -rf "$venv"
    mkdir "$venv"
    printf '%s\n' "$root" >"$venv/.made-for"
    "$python" -m venv "$venv" || refuse "$python could not make $venv (its message is above)"
elif [ -n "$wanted" ]; then
    reason=$(why_not "$wanted")
    [ -z "$reason" ] || refuse "$reason"
    [ "$("$wanted" --version)" = "$("$venv/bin/python" --version)" ] ||
        refuse "$venv was made with $("$venv/bin/python" --version); remove it to make it anew with $("$wanted" --version)"
fi
install requirements.txt
[ -z "$dev" ] || install requirements-dev.txt
