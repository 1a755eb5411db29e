"""The entry of scripts/run_*.sh and scripts/stop_training.sh: `python launch.py {CPU,GPU,Ascend,stop,rank} ...`."""
import os
import sys

from src.common.errors import UsageError, run
from src.launcher.options import DEVICES, script_name


def main() -> int:
    role, *arguments = sys.argv[1:] or [""]
    if role == "rank":  # the wrapper of one rank, started by msrun or the launcher
        from src.launcher.rank_wrapper import run_rank

        return run_rank(arguments[0], arguments[1:])
    if role == "stop":
        from src.launcher.stop import stop

        return stop(arguments)
    if role not in DEVICES:
        raise UsageError(f"{role!r} is not a device or command; see: sh scripts/run_cpu.sh --help")
    from src.inference.evaluation.metrics import METRICS
    from src.launcher.launcher import launch

    outputs = {name: metric.default_output for name, metric in METRICS.items()}
    return launch(role, arguments, root=os.path.dirname(os.path.abspath(__file__)), outputs=outputs)


SCRIPTS = {"stop": "stop_training.sh", **{device: script_name(device) for device in DEVICES}}

if __name__ == "__main__":
    sys.argv[0] = SCRIPTS.get("".join(sys.argv[1:2]), sys.argv[0])  # the name in error messages
    run(main)
