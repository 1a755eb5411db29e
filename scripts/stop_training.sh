#!/bin/sh
# Stop one run that run_cpu.sh, run_gpu.sh or run_ascend.sh started; how: sh stop_training.sh --help
exec sh "$(dirname -- "$0")/launch.sh" stop "$@"
