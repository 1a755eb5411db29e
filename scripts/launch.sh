#!/bin/sh
# What run_cpu.sh, run_gpu.sh and run_ascend.sh share: sh launch.sh {CPU|GPU|Ascend} [flags]
#
# Runs train.py or eval.py in the caller's folder, so that relative paths, those inside the configuration too,
# mean what the caller means. The output is shown and kept in the run folder's log.txt; the exit code is Python's.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
device=$1
shift
script=run_$(printf %s "$device" | tr '[:upper:]' '[:lower:]').sh

usage() {
    cat <<HELP
usage: sh $script -t {t,i} -c CONFIG [flags] [-- arguments of train.py or eval.py]

  -t, --task {t,i}     t: train, in ./train_mass_*/   i: infer and score, in ./infer_mass_*/
  -c, --config FILE    the configuration, for example config/config.json
  -n, --device_num N   number of devices (default 1; more are not supported yet)
  -i, --device_id N    which device, 0 to 7 (default 0)
  -v, --vocab FILE     the vocabulary (inference; needed there)
  -m, --metric NAME    rouge or ppl (inference; default rouge)
  -o, --output FILE    where the answers go (inference; default predictions.jsonl, or perplexity.jsonl, in the run folder)
HELP
    [ "$device" != Ascend ] || cat <<HELP
  -j, --hccl_json FILE the rank table (needed with more than one device)
HELP
    cat <<HELP
  -h, --help           this text

What follows -- is handed on, for example: -- --set learn_rate_config.lr=5e-5
The Python is \$PYTHON if that is set, else the one of the repository's .venv, else python on the PATH.
HELP
}

refuse() { # refuse MESSAGE [EXIT CODE]: a usage error unless another code is given
    echo "$script: error: $1" >&2
    exit "${2:-2}"
}

need_file() { # need_file FLAG FILE
    [ -f "$2" ] || refuse "$1: there is no file '$2' in $(pwd)" 1
}

task='' config='' device_num=1 device_id=0 vocab='' metric='' output='' hccl_json=''
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --) shift; break ;;
        --*=*) flag=${1%%=*} value=${1#*=} ;;
        -*) [ $# -ge 2 ] || refuse "unknown flag, or flag without a value: '$1' (see sh $script --help)"
            flag=$1 value=$2; shift ;;
        *) refuse "'$1' is not a flag (see sh $script --help)" ;;
    esac
    shift
    case $flag in
        -t | --task) task=$value ;;
        -c | --config) config=$value ;;
        -n | --device_num) device_num=$value ;;
        -i | --device_id) device_id=$value ;;
        -v | --vocab) vocab=$value ;;
        -m | --metric) metric=$value ;;
        -o | --output) output=$value ;;
        -j | --hccl_json)
            [ "$device" = Ascend ] || refuse "$flag is for run_ascend.sh only"
            hccl_json=$value ;;
        *) refuse "unknown flag '$flag'; allowed are -t -c -n -i -v -m -o and -h (see sh $script --help)" ;;
    esac
done

case $task in
    t) [ -z "$vocab$metric$output" ] || refuse "-v, -m and -o belong to inference (-t i)" ;;
    i) [ -n "$vocab" ] || refuse "inference needs the vocabulary: -v FILE" ;;
    *) refuse "-t/--task is '$task'; allowed are t (train) and i (infer)" ;;
esac
case $device_num in
    [1-8]) ;;
    *) refuse "-n/--device_num is '$device_num'; allowed are 1 to 8" ;;
esac
[ "$device_num" = 1 ] || refuse "-n/--device_num is $device_num, but several devices are not supported yet; use -n 1"
case $device_id in
    [0-7]) ;;
    *) refuse "-i/--device_id is '$device_id'; allowed are 0 to 7" ;;
esac
case $metric in
    '' | rouge | ppl) ;;
    *) refuse "-m/--metric is '$metric'; allowed are rouge and ppl" ;;
esac
[ -n "$config" ] || refuse "a configuration is needed: -c FILE"
need_file -c/--config "$config"
[ -z "$vocab" ] || need_file -v/--vocab "$vocab"
[ -z "$hccl_json" ] || need_file -j/--hccl_json "$hccl_json"

case $device in
    CPU) name=cpu ;;
    GPU) name=gpu$device_id ;;
    Ascend) name=ascend$device_id ;;
esac
case $task in
    t)
        folder=$(pwd -P)/train_mass_$name
        set -- "$root/train.py" --config "$config" --run_folder "$folder" "$@" ;;
    i)
        folder=$(pwd -P)/infer_mass_$name
        [ "$metric" = ppl ] && answers=perplexity.jsonl || answers=predictions.jsonl
        set -- "$root/eval.py" --config "$config" --vocab "$vocab" --metric "${metric:-rouge}" \
            --output "${output:-$folder/$answers}" "$@" ;;
esac
set -- "$@" --set "training_config.device_target=$device" --set "training_config.device_id=$device_id"

python=${PYTHON:-$root/.venv/bin/python}
[ -n "${PYTHON:-}" ] || [ -x "$python" ] || python=$(command -v python || command -v python3) ||
    refuse "no Python found; make one ready with: sh '$root/scripts/setup_venv.sh'" 1
"$python" -c 'import importlib.util, sys; sys.exit(not importlib.util.find_spec("mindspore"))' ||
    refuse "$python has no mindspore; make one ready with: sh '$root/scripts/setup_venv.sh'" 1

mkdir -p "$folder" || refuse "$folder cannot be made" 1
if [ "$task" = t ]; then
    . "$root/scripts/run_state.sh"
    ! pid=$(live_pid "$folder") || refuse "process $pid is training in $folder;
  wait for it, or stop it: sh '$root/scripts/stop_training.sh' '$folder'" 1
fi

# The program writes into a named pipe, from which tee shows it and appends it to the log: unlike in
# 'python | tee', its exit code and its process id are known here. tee outlives a closed terminal, for the log.
log=$folder/log.txt
pipe=$folder/.log.pipe
rm -f "$pipe"
mkfifo "$pipe"
(trap '' HUP INT PIPE && exec tee -a "$log" <"$pipe") &
tee_pid=$!
{
    echo "== $(date '+%Y-%m-%d %H:%M:%S') in $(pwd): $python $*"
    export PYTHONUNBUFFERED=1
    exec "$python" "$@"
} >"$pipe" 2>&1 &
pid=$!
[ "$task" = i ] || echo "$pid" >"$folder/pid"
# A shell's background process does not hear Ctrl-C; pass it and its like on, then wait for the end.
trap 'kill -s TERM "$pid" 2>/dev/null || true' HUP INT TERM
code=0
while :; do
    wait "$pid" && code=0 || code=$?
    kill -0 "$pid" 2>/dev/null || break
done
wait "$tee_pid" || true
rm -f "$pipe" "$folder/pid"
[ "$code" = 0 ] || echo "$script: ${1##*/} ended with exit code $code; the log is $log" >&2
exit "$code"
