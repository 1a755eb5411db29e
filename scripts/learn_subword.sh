#!/bin/sh
# Learn BPE codes from a folder of tokenized text with subword-nmt.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)

usage() {
    cat <<HELP
usage: sh learn_subword.sh SRC_FOLDER [--symbols 46000] [--output FILE] [--processes N] [--errors strict|replace]
                           [--quiet]

Learns BPE codes from all *.txt files of SRC_FOLDER (tokenized UTF-8 text). Special symbols such as <unk> are
not learnt from. The same text gives the same codes.

  --symbols N    number of merges to learn (default 46000); fewer are learnt when no pair occurs twice any more
  --output FILE  where the codes go (default $root/vocab/all.bpe.codes);
                 a file there is replaced when all has gone well, and not before
  --processes N  number of processes that count words (default: all cores); the codes are the same for any number
  --errors MODE  undecodable bytes: strict (default) stops with file and line, replace reads them as U+FFFD
  --quiet        no progress
  -h, --help     this text

The Python is \$PYTHON if that is set, else the one of the repository's .venv, else python3.
HELP
}

refuse() { # refuse MESSAGE [EXIT CODE]
    echo "learn_subword.sh: error: $1" >&2
    exit "${2:-1}"
}

folder='' symbols=46000 output=$root/vocab/all.bpe.codes processes='' errors=strict quiet=''
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --symbols=*) symbols=${1#*=} ;;
        --output=*) output=${1#*=} ;;
        --processes=*) processes=${1#*=} ;;
        --errors=*) errors=${1#*=} ;;
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

# Everything is made in a folder beside the output and moved into place as the last step. The name of that folder is
# as in src/utils/files.py, so that a later run removes what a killed one leaves.
[ ! -d "$output" ] || refuse "--output '$output' is a folder"
target=$(dirname -- "$output")
mkdir -p -- "$target" 2>/dev/null || refuse "output folder '$target' cannot be made"
scratch=$(mktemp -d "$target/.partial-$(uname -n)-$$-XXXXXX" 2>/dev/null) ||
    refuse "output folder '$target' is not writable"
trap 'rm -rf -- "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH
"$python" -c 'import sys; from src.utils.files import remove_dead_scratch; remove_dead_scratch(sys.argv[1])' "$target"
"$python" -m src.text.word_counts "$folder" "$scratch/words" --errors "$errors" $quiet \
    ${processes:+--processes "$processes"}
if [ -n "$quiet" ] || ! [ -t 2 ]; then
    export TQDM_DISABLE=1 # no progress bar of subword-nmt
fi
[ -n "$quiet" ] || [ -t 2 ] || echo "learning $symbols merges from $(($(wc -l <"$scratch/words"))) distinct words" >&2
"$python" -c 'from subword_nmt.subword_nmt import main; main()' learn-bpe --dict-input --symbols "$symbols" \
    <"$scratch/words" >"$scratch/codes" || refuse "subword-nmt failed"
merges=$(($(wc -l <"$scratch/codes") - 1)) # the first line is the version
[ "$merges" -ge 1 ] || refuse "no pair of letters occurs twice in '$folder': nothing to learn"
mv -f -- "$scratch/codes" "$output"
echo "$output: $merges merges learnt from $(($(wc -l <"$scratch/words"))) distinct words"
