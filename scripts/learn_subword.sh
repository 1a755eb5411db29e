#!/bin/sh
# Learn BPE codes from a folder of tokenized text with subword-nmt.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)

usage() {
    cat <<TEXT
usage: sh learn_subword.sh SRC_FOLDER [--symbols 46000] [--output FILE]

Learns BPE codes from all *.txt files of SRC_FOLDER (tokenized UTF-8 text).

  --symbols N    number of merges to learn (default 46000); fewer are learnt when no pair occurs twice
  --output FILE  where the codes go (default $root/vocab/all.bpe.codes); replaced on success only
  -h, --help     show this text
TEXT
}

usage_error() {
    echo "learn_subword.sh: error: $1 (see: sh learn_subword.sh --help)" >&2
    exit 2
}

folder=
symbols=46000
output=$root/vocab/all.bpe.codes
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --symbols | --output)
            [ $# -gt 1 ] && [ -n "$2" ] || usage_error "$1 needs a value"
            if [ "$1" = --symbols ]; then symbols=$2; else output=$2; fi
            shift 2 ;;
        -*) usage_error "unknown option $1" ;;
        *)
            [ -z "$folder" ] || usage_error "one folder at a time, not also $1"
            [ -n "$1" ] || usage_error "SRC_FOLDER is empty"
            folder=$1
            shift ;;
    esac
done
[ -n "$folder" ] || usage_error "SRC_FOLDER is missing"
case $symbols in
    '' | 0* | *[!0-9]*) usage_error "--symbols $symbols: give a whole number of 1 or more" ;;
esac

fail() {
    echo "learn_subword.sh: error: $1" >&2
    exit 1
}

python=python3
[ ! -x "$root/.venv/bin/python" ] || python=$root/.venv/bin/python
"$python" -c 'import subword_nmt' 2>/dev/null ||
    fail "$python has no package subword-nmt; install it: $python -m pip install -r $root/requirements.txt"

# Everything is made in a folder beside the output and moved into place as the last step.
[ ! -d "$output" ] || fail "--output $output is a folder"
target=$(dirname -- "$output")
mkdir -p -- "$target" 2>/dev/null || fail "output folder $target cannot be made"
scratch=$(mktemp -d "$target/.partial-XXXXXX" 2>/dev/null) || fail "output folder $target is not writable"
trap 'rm -rf -- "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} "$python" -m src.text.word_counts "$folder" "$scratch/words"
[ -t 2 ] || export TQDM_DISABLE=1
"$python" -c 'from subword_nmt.subword_nmt import main; main()' learn-bpe --dict-input --symbols "$symbols" \
    <"$scratch/words" >"$scratch/codes" || fail "subword-nmt failed"
merges=$(($(wc -l <"$scratch/codes") - 1)) # the first line is the version
[ "$merges" -ge 1 ] || fail "no pair of letters occurs twice in $folder: nothing to learn"
mv -f -- "$scratch/codes" "$output"
echo "$output: $merges merges learnt from $(($(wc -l <"$scratch/words"))) distinct words"
