#!/bin/sh
# Stop a run that run_cpu.sh, run_gpu.sh or run_ascend.sh has started; for the flags: sh stop_training.sh --help
exec sh "$(dirname -- "$0")/launch.sh" stop "$@"
