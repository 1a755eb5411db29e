#!/bin/sh
# Train or infer on the CPU; for the flags: sh run_cpu.sh --help
exec sh "$(dirname -- "$0")/launch.sh" CPU "$@"
