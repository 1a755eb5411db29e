#!/bin/sh
# Train or infer on one or more Ascend processors; for the flags: sh run_ascend.sh --help
exec sh "$(dirname -- "$0")/launch.sh" Ascend "$@"
