#!/bin/sh
# Stop one training that run_cpu.sh, run_gpu.sh or run_ascend.sh started: sh stop_training.sh [FOLDER]
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/run_state.sh"
patience=60 # seconds a training may take to end after it was asked to

usage() {
    cat <<HELP
usage: sh stop_training.sh [FOLDER]

Stops the training whose run folder (train_mass_*) is FOLDER, and no other process.
Without FOLDER: the one live training among ./train_mass_*.
HELP
}

refuse() { # refuse MESSAGE [EXIT CODE]
    echo "stop_training.sh: error: $1" >&2
    exit "${2:-1}"
}

case ${1:-} in
    -h | --help) usage; exit 0 ;;
    -*) refuse "unknown flag '$1' (see sh stop_training.sh --help)" 2 ;;
esac
[ $# -le 1 ] || refuse "give one folder, not $#" 2

if [ $# = 1 ]; then
    folder=$(CDPATH='' cd -- "$1" 2>/dev/null && pwd -P) || refuse "there is no folder '$1' in $(pwd)"
    live_pid "$folder" >/dev/null || refuse "no training runs in $folder"
else
    folder='' live=''
    for candidate in "$(pwd -P)"/train_mass_*; do
        live_pid "$candidate" >/dev/null || continue
        folder=$candidate
        live="$live
  $candidate"
    done
    [ -n "$live" ] || refuse "no training runs in $(pwd)/train_mass_*; give its folder"
    [ "$live" = "
  $folder" ] || refuse "several trainings run; name one of them:$live" 2
fi

pid=$(live_pid "$folder") || refuse "the training in $folder ended meanwhile"
echo "stopping process $pid, the training in $folder"
kill -s TERM "$pid" 2>/dev/null || true
waited=0
while live_pid "$folder" >/dev/null; do
    [ "$waited" -lt "$patience" ] || refuse "it still runs after $patience seconds; kill it with: kill -9 $pid"
    sleep 1
    waited=$((waited + 1))
done
echo "stopped"
