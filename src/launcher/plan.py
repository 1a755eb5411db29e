"""The plan of a run: its folder, its processes and their environment. Nothing is started here."""
import os
import shlex
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from src.common.errors import MassError, UsageError
from src.common.files import require_file
from src.common.parallel import available_cores
from src.launcher.options import DEFAULT_PORT, Options
from src.launcher.rank_table import RankedDevice, read_rank_table

VISIBLE_DEVICES = {"GPU": "CUDA_VISIBLE_DEVICES", "Ascend": "ASCEND_RT_VISIBLE_DEVICES"}
CLUSTER_TIMEOUT = 600  # seconds; the default of msrun, which is also set for the workers


@dataclass(frozen=True)
class Command:
    """One process: its arguments, and the variables that are added to the environment of the caller."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    log: str  # its output is appended to this file

    def as_shell(self) -> str:
        """Return the command as shell input."""
        settings = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        return " ".join(["env", *settings, shlex.join(self.arguments)])


@dataclass(frozen=True)
class Plan:
    """The part of a run on this machine."""

    folder: str  # the run folder, which is the same on all machines
    own_folder: str  # the folder of this machine with log.txt, pid and ranks/
    ranks: tuple[int, ...]  # the ranks of this machine; empty: a single process without ranks
    world_size: int
    commands: tuple[Command, ...]
    inherited: tuple[tuple[str, Mapping[str, str]], ...]  # (process, environment) for the variables that msrun sets

    @property
    def log(self) -> str:
        """The file with the output of the process, or of the first rank of this machine."""
        return os.path.join(self.own_folder, "log.txt")

    @property
    def ranks_folder(self) -> str:
        return os.path.join(self.own_folder, "ranks")

    def as_shell(self) -> Iterator[str]:
        """Yield the lines of --dry_run: a shell script with the commands that the launcher would run."""
        yield f"# run folder: {self.folder}"
        yield f"# log: {self.log}"
        if self.ranks:
            yield f"# logs of the ranks: {self.ranks_folder}/rank_*.log"
        yield f"cd {shlex.quote(os.getcwd())}"
        background = " &" if len(self.commands) > 1 else ""
        for command in self.commands:
            yield command.as_shell() + background
        if background:
            yield "wait"
        if self.inherited:
            yield "# msrun sets, on top of that:"
        for process, environment in self.inherited:
            yield f"#   {process}: " + " ".join(f"{name}={value}" for name, value in environment.items())


def make_plan(options: Options, root: str) -> Plan:
    """Make the plan of the run that `options` describe; `root` is the folder of the repository.

    Raises:
        MassError: a file is missing, or the rank table or the visible devices do not match the options.
    """
    require_file(options.config, "-c/--config")
    if options.vocab:
        require_file(options.vocab, "-v/--vocab")
    machines = read_rank_table(options.hccl_json) if options.hccl_json else None
    devices = _table_devices(options, machines) if machines else []
    numbers = [device.device_id for device in devices] or \
        list(range(options.device_id, options.device_id + options.device_num))
    folder = os.path.realpath(options.run_folder or f"{'train' if options.task == 't' else 'infer'}_mass_"
                              f"{options.device.lower()}{_device_suffix(options.device, numbers)}")
    own_folder = folder if options.node_rank == 0 else os.path.join(folder, f"node_{options.node_rank}")
    program = _program(options, folder, root)
    first = options.node_rank * options.device_num
    ranks, commands, inherited = tuple(range(first, first + options.device_num)), (), ()
    wrapper = [os.path.join(root, "launch.py"), "rank", os.path.join(own_folder, "ranks"), *program]
    if machines:
        ranks = tuple(device.rank for device in devices)
        world_size = sum(map(len, machines))
        commands = tuple(_table_command(options, wrapper, device, world_size, own_folder) for device in devices)
    elif options.ranks > 1:
        world_size = options.ranks
        port = options.master_port or (free_port() if options.nodes == 1 else DEFAULT_PORT)
        commands = (_msrun_command(options, wrapper, port, own_folder),)
        inherited = tuple(_msrun_environments(options, port, ranks))
    else:
        ranks, world_size = (), 1
        if options.device != "CPU":
            program += ["--set", f"training_config.device_id={options.device_id}"]
        log = os.path.join(own_folder, "log.txt")
        commands = (Command((sys.executable, *program), {"PYTHONUNBUFFERED": "1"}, log),)
    return Plan(folder, own_folder, ranks, world_size, commands, inherited)


def free_port() -> int:
    """Return a port of this machine that is not in use, so that several runs can use different ports."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _device_suffix(device: str, numbers: list[int]) -> str:
    """Return the suffix of the run folder for these devices: `3` for device 3, `0-3` for devices 0 to 3."""
    if device == "CPU":
        return ""
    return str(numbers[0]) if len(numbers) == 1 else f"{min(numbers)}-{max(numbers)}"


def _program(options: Options, folder: str, root: str) -> list[str]:
    """Return train.py or eval.py with its arguments."""
    if options.task == "t":
        arguments = [os.path.join(root, "train.py"), "--config", options.config, "--run_folder", folder]
        if options.resume is not None:
            arguments += ["--resume", *([options.resume] if options.resume else [])]
    else:
        arguments = [os.path.join(root, "eval.py"), "--config", options.config, "--vocab", options.vocab,
                     "--metric", options.metric,
                     "--output", options.output or os.path.join(folder, options.default_output)]
    return [*arguments, *options.program_arguments, "--set", f"training_config.device_target={options.device}"]


def _msrun_command(options: Options, wrapper: list[str], port: int, own_folder: str) -> Command:
    """Return the command of msrun, which starts a scheduler on the first machine and one process per rank."""
    python_folder = os.path.dirname(sys.executable)
    environment = {"PATH": os.pathsep.join([python_folder, os.environ.get("PATH", os.defpath)])}  # msrun calls `python`
    if options.device in VISIBLE_DEVICES:
        name = VISIBLE_DEVICES[options.device]
        environment[name] = ",".join(_visible_devices(options, name))
    if options.device == "CPU" and not os.environ.get("OMP_NUM_THREADS"):
        # msrun imports MindSpore, which sets this to 1 where it is not set, and the ranks would inherit that.
        environment["OMP_NUM_THREADS"] = str(max(1, available_cores() // options.device_num))
    environment["PYTHONUNBUFFERED"] = "1"
    logs = os.path.join(own_folder, "ranks", "msrun")
    arguments = [
        os.path.join(python_folder, "msrun"), f"--worker_num={options.ranks}",
        f"--local_worker_num={options.device_num}", f"--master_addr={options.master_host}", f"--master_port={port}",
        f"--node_rank={options.node_rank}", f"--log_dir={logs}", "--join=True",
        f"--cluster_time_out={CLUSTER_TIMEOUT}",
        f"--tail_worker_log={options.ranks}",  # a rank that does not exist: the rank wrappers write the logs
        *wrapper,
    ]
    return Command(tuple(arguments), environment, os.path.join(logs, "msrun.log"))


def _msrun_environments(options: Options, port: int, ranks: tuple[int, ...]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the variables that msrun sets for its processes (mindspore/parallel/cluster/process_entity/_api.py)."""
    host = _address(options.master_host.strip("[]"))
    common = {"MS_WORKER_NUM": str(options.ranks), "MS_SCHED_HOST": host, "MS_SCHED_PORT": str(port),
              "MS_TOPO_TIMEOUT": str(CLUSTER_TIMEOUT), "RANK_SIZE": str(options.ranks)}
    if options.node_rank == 0:
        yield "scheduler", {**common, "MS_ROLE": "MS_SCHED", "RANK_ID": "0"}
    for device, rank in enumerate(ranks):
        yield f"rank {rank}", {**common, "MS_ROLE": "MS_WORKER", "MS_NODE_ID": str(rank), "RANK_ID": str(rank),
                               "DEVICE_ID": str(device)}


def _address(host: str) -> str:
    """Return the address of a host, which msrun looks up; the name itself where it is not known here."""
    try:
        return str(socket.getaddrinfo(host, None, socket.AF_UNSPEC, socket.SOCK_STREAM)[0][4][0])
    except OSError:
        return host


def _visible_devices(options: Options, name: str) -> list[str]:
    """Return the devices of the run among those visible to the caller; local rank i uses the i-th of them."""
    first, last = options.device_id, options.device_id + options.device_num
    allowed = os.environ.get(name, "").replace(" ", "")
    chosen = (allowed.split(",") if allowed else [str(number) for number in range(last)])[first:last]
    if len(chosen) < options.device_num:
        raise UsageError(f"-n {options.device_num} -i {first} requires the devices {first} to {last - 1} of those in "
                         f"{name}, which has {len(allowed.split(','))}: {allowed}")
    return chosen


def _table_devices(options: Options, machines: list[list[RankedDevice]]) -> list[RankedDevice]:
    """Return the devices of this machine in the rank table, after checking their number."""
    path = options.hccl_json
    if len(machines) != options.nodes:
        raise MassError(f"rank table {path!r} has {len(machines)} machines, but --nodes is {options.nodes}")
    for number, machine in enumerate(machines):
        if len(machine) != options.device_num:
            raise MassError(f"rank table {path!r}: server_list[{number}] has {len(machine)} devices, but -n is "
                            f"{options.device_num}; the numbers must be equal")
    return machines[options.node_rank]


def _table_command(options: Options, wrapper: list[str], device: RankedDevice, world_size: int,
                   own_folder: str) -> Command:
    """Return the command of one process of a run by rank table; HCCL reads these four variables."""
    environment = {"RANK_TABLE_FILE": os.path.realpath(options.hccl_json), "RANK_SIZE": str(world_size),
                   "RANK_ID": str(device.rank), "DEVICE_ID": str(device.device_id), "PYTHONUNBUFFERED": "1"}
    log = os.path.join(own_folder, "ranks", f"rank_{device.rank}.log")
    return Command((sys.executable, *wrapper), environment, log)
