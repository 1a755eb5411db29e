#!/bin/sh
# Learn BPE codes from a folder of tokenized text with subword-nmt.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)

usage() {
    cat <<HELP
usage: sh learn_subword.sh SRC_FOLDER [--symbols 46000] [--output FILE] [--processes N]
                           [--errors strict|replace] [--overwrite] [--quiet]

Learns BPE codes from all *.txt files of SRC_FOLDER (tokenized UTF-8 text). Special symbols such as <unk> are
not learnt from. The same text gives the same codes.

  --symbols N    number of merges to learn (default 46000); fewer are learnt when no pair occurs twice any more
  --output FILE  where the codes go (default $root/vocab/all.bpe.codes);
                 a file there is replaced when all has gone well, and not before
  --processes N  number of processes that count words (default: all cores); the codes are the same for any number
  --errors MODE  undecodable bytes: strict (default) stops with file and line, replace reads them as U+FFFD
  --overwrite    learn anew; otherwise codes that were learnt with these flags from this very text stay as they are
  --quiet        no progress
  -h, --help     this text

The Python is \$PYTHON if that is set, else the one of the repository's .venv, else python3.
HELP
}

refuse() { # refuse MESSAGE [EXIT CODE]
    echo "learn_subword.sh: error: $1" >&2
    exit "${2:-1}"
}

folder='' symbols=46000 output=$root/vocab/all.bpe.codes processes='' errors=strict overwrite='' quiet=''
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --symbols=*) symbols=${1#*=} ;;
        --output=*) output=${1#*=} ;;
        --processes=*) processes=${1#*=} ;;
        --errors=*) errors=${1#*=} ;;
        --overwrite) overwrite=--overwrite ;;
        --quiet) quiet=--quiet ;;
        --symbols | --output | --processes | --errors)
            [ $# -ge 2 ] || refuse "$1 needs a value" 2
            flag=${1#--} value=$2
            shift
            case $flag in
                symbols) symbols=$value ;;
                output) output=$value ;;
                processes) processes=$value ;;
                errors) errors=$value ;;
            esac ;;
        -*) refuse "unknown flag '$1'; see sh learn_subword.sh --help" 2 ;;
        *) [ -z "$folder" ] || refuse "one SRC_FOLDER at a time: '$folder', then '$1'" 2; folder=$1 ;;
    esac
    shift
done
[ -n "$folder" ] || refuse "SRC_FOLDER is missing (see sh learn_subword.sh --help)" 2
[ -n "$output" ] || refuse "--output is empty" 2
case $symbols in
    '' | 0* | *[!0-9]*) refuse "--symbols is '$symbols'; give a whole number from 1" 2 ;;
esac
case $processes in
    0* | *[!0-9]*) refuse "--processes is '$processes'; give a whole number from 1" 2 ;;
esac
case $errors in
    strict | replace) ;;
    *) refuse "--errors is '$errors'; give strict or replace" 2 ;;
esac

python=${PYTHON:-$root/.venv/bin/python}
[ -n "${PYTHON:-}" ] || [ -x "$python" ] || python=python3
"$python" -c 'import importlib.util, sys; sys.exit(not importlib.util.find_spec("subword_nmt"))' ||
    refuse "$python has no subword-nmt; make one ready with: sh '$root/scripts/setup_venv.sh'"

mkdir -p -- "$(dirname -- "$output")" 2>/dev/null || refuse "output folder '$(dirname -- "$output")' cannot be made"

if [ -n "$quiet" ] || ! [ -t 2 ]; then
    export TQDM_DISABLE=1 # no progress bar of subword-nmt
fi
PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH
exec "$python" -m src.text.learn_codes "$folder" "$output" --symbols "$symbols" --errors "$errors" \
    ${processes:+--processes "$processes"} $overwrite $quiet
