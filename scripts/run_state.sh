#!/bin/sh
# Sourced by launch.sh and stop_training.sh: is there a live training in a run folder?

# live_pid FOLDER: print the process id in FOLDER/pid if that process lives and is the run of FOLDER (an absolute
# path). The command line is compared because a number left by a killed run may belong to a stranger by now.
live_pid() {
    pid=$(cat "$1/pid" 2>/dev/null) && [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null || return 1
    if [ -r "/proc/$pid/cmdline" ]; then
        command_line=$(tr '\0' ' ' <"/proc/$pid/cmdline")
    else
        command_line="$(ps -o args= -p "$pid") "
    fi
    case $command_line in
        *"--run_folder $1 "*) echo "$pid" ;;
        *) return 1 ;;
    esac
}
