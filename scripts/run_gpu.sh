#!/bin/sh
# Train or infer on one or more GPUs; for the flags: sh run_gpu.sh --help
exec sh "$(dirname -- "$0")/launch.sh" GPU "$@"
