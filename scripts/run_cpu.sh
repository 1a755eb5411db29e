#!/bin/sh
# Train or infer on the CPU; the flags: sh run_cpu.sh --help
exec sh "$(dirname -- "$0")/launch.sh" CPU "$@"
