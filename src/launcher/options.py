"""The flags of run_cpu.sh, run_gpu.sh and run_ascend.sh."""
import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from src.common.arguments import CommandLineParser, whole_number
from src.common.errors import UsageError

DEVICES = ("CPU", "GPU", "Ascend")
DEVICES_PER_MACHINE = 16  # of an Atlas A3
DEFAULT_PORT = 8118
"""The default port of runs on several machines, which must use the same port; it is also msrun's default."""

_EPILOG = """\
Arguments after -- are passed to train.py or eval.py, for example: -- --set learn_rate_config.lr=5e-5
A run on several devices uses the devices I, I+1, ... I+N-1, where I is the value of -i. They are counted among the
devices in CUDA_VISIBLE_DEVICES or ASCEND_RT_VISIBLE_DEVICES if that is set. On the CPU, N processes share the cores.
The script runs $PYTHON if that is set, else the Python of the repository's .venv, else the python on the PATH."""


@dataclass(frozen=True)
class Options:
    """The checked flags. Files are not checked here."""

    device: str
    task: str
    config: str
    device_num: int
    device_id: int
    vocab: str | None
    metric: str
    output: str | None  # None: `default_output` in the run folder
    default_output: str
    resume: str | None  # None: a new run; "": resume from the newest checkpoint; else the path of a checkpoint
    hccl_json: str | None
    nodes: int
    node_rank: int
    master_host: str
    master_port: int | None  # None: a free port; for runs on one machine
    run_folder: str | None
    background: bool
    dry_run: bool
    program_arguments: tuple[str, ...]  # passed to train.py or eval.py

    @property
    def ranks(self) -> int:
        """The number of processes of the run on all machines."""
        return self.nodes * self.device_num


def script_name(device: str) -> str:
    """Return the name of the script that starts a run on `device`."""
    return f"run_{device.lower()}.sh"


def parse(device: str, arguments: Sequence[str], outputs: Mapping[str, str]) -> Options:
    """Parse the flags of `run_<device>.sh`. Errors that argparse detects exit the program with code 2.

    Args:
        outputs: the name of the output file of each metric; the first metric is the default.

    Raises:
        UsageError: the flags contradict each other.
    """
    arguments = list(arguments)
    split = arguments.index("--") if "--" in arguments else len(arguments)
    given = vars(_parser(device, outputs).parse_args(arguments[:split]))
    master, node_rank, metric = given.pop("master"), given.pop("node_rank"), given.pop("metric")
    if given["task"] == "t" and (given["vocab"] or metric or given["output"]):
        raise UsageError("-v, -m and -o are flags of inference (-t i)")
    metric = metric or next(iter(outputs))
    host, port = master or ("127.0.0.1", None)
    options = Options(device=device, **{"hccl_json": None, **given}, metric=metric,
                      default_output=outputs[metric], node_rank=node_rank or 0, master_host=host, master_port=port,
                      program_arguments=tuple(arguments[split + 1:]))
    _check(options, node_rank_given=node_rank is not None, master_given=master is not None)
    return options


def _check(options: Options, node_rank_given: bool, master_given: bool) -> None:
    """Raise a UsageError for flags that contradict each other."""
    if options.task == "i":
        if options.vocab is None:
            raise UsageError("inference requires the vocabulary: -v FILE")
        if options.resume is not None:
            raise UsageError("-r/--resume is a flag of training (-t t)")
        if options.ranks > 1 or options.hccl_json:
            raise UsageError("inference (-t i) runs on one device and writes its predictions in order to one file. "
                             "To use several devices, split the test set and start one run per device (-i)")
    if options.device != "CPU" and options.device_id + options.device_num > DEVICES_PER_MACHINE:
        raise UsageError(f"-i {options.device_id} -n {options.device_num}: the devices would be {options.device_id} to "
                         f"{options.device_id + options.device_num - 1}; allowed are 0 to {DEVICES_PER_MACHINE - 1}")
    if options.hccl_json:
        if options.device_id:
            raise UsageError("-i and -j exclude each other: the rank table names the devices")
        if master_given:
            raise UsageError("--master and -j exclude each other: the rank table names the machines")
    if options.nodes == 1 and (node_rank_given or master_given):
        raise UsageError("--node_rank and --master are flags of runs on several machines (--nodes N)")
    if options.nodes > 1:
        if not node_rank_given:
            raise UsageError(f"--nodes {options.nodes} requires --node_rank; allowed are 0 to {options.nodes - 1}")
        if not (master_given or options.hccl_json):
            raise UsageError("--nodes requires --master HOST[:PORT], the address of the machine with node rank 0")
    if options.node_rank >= options.nodes:
        raise UsageError(f"--node_rank is {options.node_rank}; with --nodes {options.nodes} allowed are 0 to "
                         f"{options.nodes - 1}")


def _parser(device: str, outputs: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = CommandLineParser(
        prog=f"sh {script_name(device)}", allow_abbrev=False, epilog=_EPILOG,
        description=f"Train in ./train_mass_*/, or infer and score in ./infer_mass_*/, on {device} devices.")
    parser.add_argument("-t", "--task", required=True, choices=("t", "i"), help="t: train; i: infer and score")
    parser.add_argument("-c", "--config", required=True, metavar="FILE", help="the configuration (config/config.json)")
    parser.add_argument("-n", "--device_num", type=whole_number(1, DEVICES_PER_MACHINE), default=1, metavar="N",
                        help=f"number of devices per machine, 1 to {DEVICES_PER_MACHINE}; each has one process")
    parser.add_argument("-i", "--device_id", type=whole_number(0, DEVICES_PER_MACHINE - 1), default=0, metavar="I",
                        help=f"the (first) device, 0 to {DEVICES_PER_MACHINE - 1}; ignored on the CPU")
    parser.add_argument("-r", "--resume", type=str, nargs="?", const="", metavar="CHECKPOINT",
                        help="resume the run in the run folder from its newest checkpoint, or from CHECKPOINT")
    parser.add_argument("-b", "--background", action="store_true",
                        help="run in the background; print how to follow the log and how to stop the run")
    parser.add_argument("--dry_run", action="store_true", help="print the commands without running them")
    parser.add_argument("--run_folder", metavar="DIR",
                        help="the run folder (default: ./train_mass_cpu, ./train_mass_gpu0, ./train_mass_gpu0-3, ...)")
    parser.add_argument("-v", "--vocab", metavar="FILE", help="the vocabulary (inference only; required)")
    parser.add_argument("-m", "--metric", choices=tuple(outputs),
                        help=f"the metric (inference only; default: {next(iter(outputs))})")
    parser.add_argument("-o", "--output", metavar="FILE",
                        help=f"the output file (inference only; default: "
                             f"{' or '.join(dict.fromkeys(outputs.values()))} in the run folder)")
    if device == "Ascend":
        parser.add_argument("-j", "--hccl_json", metavar="FILE",
                            help="start one process per device of this rank table, without msrun")
    parser.add_argument("--nodes", type=whole_number(1, 1024), default=1, metavar="N",
                        help="number of machines, each with -n devices")
    parser.add_argument("--node_rank", type=whole_number(0, 1023), metavar="R",
                        help="number of this machine, from 0 (required if there are several machines)")
    parser.add_argument("--master", type=_address, metavar="HOST[:PORT]",
                        help=f"the machine with node rank 0 (required if there are several machines; default port: "
                             f"{DEFAULT_PORT})")
    return parser


def _address(text: str) -> tuple[str, int]:
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::([0-9]{1,5}))?", text)
    if match is None or not 1024 <= (port := int(match[2] or DEFAULT_PORT)) <= 65535:
        raise argparse.ArgumentTypeError(f"'{text}' is not allowed; give HOST or HOST:PORT with a port of 1024 to "
                                         f"65535, an IPv6 address in brackets")
    return match[1], port
