#!/bin/sh
# From an empty machine to scores: sh scripts/quickstart.sh [--fast] [--python PATH]
#
# Runs the ordinary scripts one after another, and prints each command as it could be typed. All outputs are in
# quickstart_run/ (with --fast: quickstart_run_fast/), except for .venv.
set -eu

usage() {
    cat <<'HELP'
usage: sh quickstart.sh [--fast] [--python PATH]

Makes a corpus from the docstrings on this machine, pre-trains a small MASS model on it, fine-tunes the model for
summarization (and, for comparison, a model from scratch), and scores both on held-out text. A second run skips the
steps that are complete.

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
run=quickstart_run config=config/quickstart.json thinning='' symbols=8000 fine_tune_steps=400
wanted_python=''
while [ $# -gt 0 ]; do
    case $1 in
        --fast) run=quickstart_run_fast config=config/quickstart_fast.json thinning=--fast symbols=2000
            fine_tune_steps=60 ;;
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

cd "$root"
python=.venv/bin/python
codes=$run/subword/all.bpe.codes
vocabulary=$run/subword/all_en.dict.bin
mkdir -p "$run/done"
echo "+ cd '$(printf %s "$root" | sed "s/'/'\\\\''/g")'"

# The state of the run is a checksum of the program, all commands so far and the configurations that they read. A step is
# skipped if its stamp holds the present state; so if a command changes, all later steps are run again.
state=$({ cat requirements.txt; find ./*.py config src quickstart \( -name '*.py' -o -name '*.[ch]' \) | LC_ALL=C sort | xargs cat; } | cksum)

# step NAME OUTPUT COMMAND...: remove OUTPUT (a file or folder) and run the command that makes it, unless it is up to date.
step() {
    name=$1 output=$2
    shift 2
    state=$({ echo "$state" "$@"; case $* in *"$config"*) cat "$config" ;; esac; } | cksum)
    if [ -e "$output" ] && [ "$(cat "$run/done/$name" 2>/dev/null || true)" = "$state" ]; then
        echo "up to date: $name ($output)"
        return
    fi
    rm -rf "$run/done/$name" "$output"
    printf '\n+ %s\n' "$*"
    step_started=$(date +%s)
    "$@" || { code=$?; refuse "step '$name' failed with exit code $code; its message is above" "$code"; }
    [ -e "$output" ] || refuse "step '$name' did not create $output" 1
    echo "$state" >"$run/done/$name"
    echo "($name: $(($(date +%s) - step_started)) s)"
}

# 1. Text: prose for pre-training, and pairs of a description and a summary.
step corpus "$run/corpus" "$python" -m quickstart.docstring_corpus --output_folder "$run/corpus" $thinning

# 2. Tokenization and BPE. Codes and vocabulary are made from the pre-training text only, so held-out text stays unseen.
for part in pretrain pretrain_valid pairs; do
    step "tokens_$part" "$run/tokens/$part" "$python" tokenize_corpus.py \
        --corpus_folder "$run/corpus/$part" --output_folder "$run/tokens/$part"
done
step codes "$codes" sh scripts/learn_subword.sh "$run/tokens/pretrain" --symbols "$symbols" --output "$codes"
step bpe_pretrain "$run/bpe/pretrain" "$python" apply_bpe_encoding.py --codes "$codes" \
    --src_folder "$run/tokens/pretrain" --output_folder "$run/bpe/pretrain" --vocab_path "$vocabulary" --threshold 1
for part in pretrain_valid pairs; do
    step "bpe_$part" "$run/bpe/$part" "$python" apply_bpe_encoding.py --codes "$codes" \
        --src_folder "$run/tokens/$part" --output_folder "$run/bpe/$part"
done

# 3. Data sets. Sentences have up to 64 tokens, descriptions more; seq_length in the configuration must be large enough.
for part in pretrain pretrain_valid; do
    step "records_$part" "$run/records/$part" "$python" news_crawl.py --src_folder "$run/bpe/$part" \
        --existed_vocab "$vocabulary" --max_len 64 --output_folder "$run/records/$part"
done
pairs=$run/records/pairs/gigaword
step records_pairs "$run/records/pairs" "$python" gigaword.py \
    --train_src "$run/bpe/pairs/train.src_tokenized_bpe.txt" --train_ref "$run/bpe/pairs/train.tgt_tokenized_bpe.txt" \
    --valid_src "$run/bpe/pairs/valid.src_tokenized_bpe.txt" --valid_ref "$run/bpe/pairs/valid.tgt_tokenized_bpe.txt" \
    --test_src "$run/bpe/pairs/test.src_tokenized_bpe.txt" --test_ref "$run/bpe/pairs/test.tgt_tokenized_bpe.txt" \
    --existed_vocab "$vocabulary" --max_len 128 --output_folder "$run/records/pairs"

# 4. Training: pre-training, then fine-tuning from the pre-trained weights and from scratch with the same settings.
step pretrain "$run/pretrain" "$python" train.py --config "$config" \
    --set "dataset_config.pre_train_dataset=$run/records/pretrain" \
    --set "dataset_config.valid_dataset=$run/records/pretrain_valid" --set "dataset_config.bpe_codes=$codes" \
    --set "checkpoint_options.ckpt_path=$run/pretrain"
fine_tune() { # fine_tune MODEL [ARGUMENTS]
    model=$1
    shift
    # The configuration is that of pre-training, except for a shorter training with a lower learning rate.
    step "finetune_$model" "$run/finetune_$model" "$python" train.py --config "$config" \
        --set "dataset_config.fine_tune_dataset=${pairs}_train_dataset.tfrecord" \
        --set "dataset_config.valid_dataset=${pairs}_valid_dataset.tfrecord" --set "dataset_config.bpe_codes=$codes" \
        --set "checkpoint_options.ckpt_path=$run/finetune_$model" --set "training_config.max_steps=$fine_tune_steps" \
        --set "learn_rate_config.decay_steps=$fine_tune_steps" --set learn_rate_config.lr=1e-3 \
        --set "training_config.valid_steps=$((fine_tune_steps / 3))" "$@"
}
fine_tune mass --set "checkpoint_options.existed_ckpt=$run/pretrain/best.safetensors"
fine_tune scratch

# 5. Search and scores on the test split.
for model in mass scratch; do
    for metric in rouge ppl; do
        step "score_${model}_$metric" "$run/scores/${model}_$metric" "$python" eval.py --config "$config" \
            --vocab "$vocabulary" --metric "$metric" --output "$run/scores/${model}_$metric/predictions.jsonl" \
            --set "dataset_config.test_dataset=${pairs}_test_dataset.tfrecord" \
            --set "checkpoint_options.existed_ckpt=$run/finetune_$model/best.safetensors"
    done
done
set -- "$python" -m quickstart.report --run_folder "$run"
printf '\n+ %s\n' "$*"
"$@"

ended=$(date +%s)
minutes() { echo "$(($1 / 60)) min $(($1 % 60)) s"; }
echo
echo "To summarize descriptions that you type: $python eval.py --ckpt $run/finetune_mass --interactive"
echo "installation $(minutes $((installed - started))), everything else $(minutes $((ended - installed)))"
