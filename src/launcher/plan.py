"""What a run consists of: its folder, its processes, their environment. Nothing is started here."""
import os
import shlex
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from src.common.errors import MassError, UsageError
from src.common.files import require_file
from src.launcher.options import DEFAULT_PORT, Options
from src.launcher.rank_table import RankedDevice, read_rank_table

VISIBLE_DEVICES = {"GPU": "CUDA_VISIBLE_DEVICES", "Ascend": "ASCEND_RT_VISIBLE_DEVICES"}
CLUSTER_TIMEOUT = 600  # seconds; msrun's default, named because the workers are told it too


@dataclass(frozen=True)
class Command:
    """One process to start: its arguments, and what is set on top of the caller's environment."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    log: str  # what it prints is appended to this file

    def as_shell(self) -> str:
        """The command as it could be typed."""
        settings = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        return " ".join(["env", *settings, shlex.join(self.arguments)])


@dataclass(frozen=True)
class Plan:
    """All of a run on this machine."""

    folder: str  # the run folder, which all machines name alike
    own_folder: str  # where this machine's launcher keeps log.txt, pid and ranks/
    ranks: tuple[int, ...]  # those of this machine; none: one process without ranks
    world_size: int
    commands: tuple[Command, ...]
    inherited: tuple[tuple[str, Mapping[str, str]], ...]  # what msrun adds: (process, environment)

    @property
    def log(self) -> str:
        """The file that keeps what is shown: the output of the process, or of this machine's first rank."""
        return os.path.join(self.own_folder, "log.txt")

    @property
    def ranks_folder(self) -> str:
        return os.path.join(self.own_folder, "ranks")

    def as_shell(self) -> Iterator[str]:
        """The lines of --dry_run: a shell script that does what the launcher would start."""
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
    """The processes that `options` ask for; `root` is the repository.

    Raises:
        MassError: a file is missing, or the rank table or the visible devices do not fit what was asked for.
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
    keeper = [os.path.join(root, "launch.py"), "rank", os.path.join(own_folder, "ranks"), *program]
    if machines:
        ranks = tuple(device.rank for device in devices)
        world_size = sum(map(len, machines))
        commands = tuple(_table_command(options, keeper, device, world_size, own_folder) for device in devices)
    elif options.ranks > 1:
        world_size = options.ranks
        port = options.master_port or (free_port() if options.nodes == 1 else DEFAULT_PORT)
        commands = (_msrun_command(options, keeper, port, own_folder),)
        inherited = tuple(_msrun_environments(options, port, ranks))
    else:
        ranks, world_size = (), 1
        if options.device != "CPU":
            program += ["--set", f"training_config.device_id={options.device_id}"]
        log = os.path.join(own_folder, "log.txt")
        commands = (Command((sys.executable, *program), {"PYTHONUNBUFFERED": "1"}, log),)
    return Plan(folder, own_folder, ranks, world_size, commands, inherited)


def free_port() -> int:
    """A port of this machine that nobody listens on now, so that two runs do not meet."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _device_suffix(device: str, numbers: list[int]) -> str:
    """What tells the run folders of one machine apart: `3` for device 3, `0-3` for devices 0 to 3."""
    if device == "CPU":
        return ""
    return str(numbers[0]) if len(numbers) == 1 else f"{min(numbers)}-{max(numbers)}"


def _program(options: Options, folder: str, root: str) -> list[str]:
    """train.py or eval.py with its arguments."""
    if options.task == "t":
        arguments = [os.path.join(root, "train.py"), "--config", options.config, "--run_folder", folder]
        if options.resume is not None:
            arguments += ["--resume", *([options.resume] if options.resume else [])]
    else:
        arguments = [os.path.join(root, "eval.py"), "--config", options.config, "--vocab", options.vocab,
                     "--metric", options.metric,
                     "--output", options.output or os.path.join(folder, options.default_output)]
    return [*arguments, *options.handed_on, "--set", f"training_config.device_target={options.device}"]


def _msrun_command(options: Options, keeper: list[str], port: int, own_folder: str) -> Command:
    """MindSpore's launcher: it starts a scheduler on the first machine, and one process per rank on each."""
    python_folder = os.path.dirname(sys.executable)
    environment = {"PATH": os.pathsep.join([python_folder, os.environ.get("PATH", os.defpath)])}  # msrun calls `python`
    if options.device in VISIBLE_DEVICES:
        name = VISIBLE_DEVICES[options.device]
        environment[name] = ",".join(_visible_devices(options, name))
    environment["PYTHONUNBUFFERED"] = "1"
    logs = os.path.join(own_folder, "ranks", "msrun")
    arguments = [
        os.path.join(python_folder, "msrun"), f"--worker_num={options.ranks}",
        f"--local_worker_num={options.device_num}", f"--master_addr={options.master_host}", f"--master_port={port}",
        f"--node_rank={options.node_rank}", f"--log_dir={logs}", "--join=True",
        f"--cluster_time_out={CLUSTER_TIMEOUT}",
        f"--tail_worker_log={options.ranks}",  # of no rank: the ranks' keepers write their logs
        *keeper,
    ]
    return Command(tuple(arguments), environment, os.path.join(logs, "msrun.log"))


def _msrun_environments(options: Options, port: int, ranks: tuple[int, ...]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """What msrun sets for the processes it starts (mindspore/parallel/cluster/process_entity/_api.py)."""
    host = options.master_host.strip("[]")
    common = {"MS_WORKER_NUM": str(options.ranks), "MS_SCHED_HOST": host, "MS_SCHED_PORT": str(port),
              "MS_TOPO_TIMEOUT": str(CLUSTER_TIMEOUT), "RANK_SIZE": str(options.ranks)}
    if options.node_rank == 0:
        yield "scheduler", {**common, "MS_ROLE": "MS_SCHED", "RANK_ID": "0"}
    for device, rank in enumerate(ranks):
        yield f"rank {rank}", {**common, "MS_ROLE": "MS_WORKER", "MS_NODE_ID": str(rank), "RANK_ID": str(rank),
                               "DEVICE_ID": str(device)}


def _visible_devices(options: Options, name: str) -> list[str]:
    """The devices of the run, out of those the caller allows; the process of local rank i sees the i-th as device i."""
    first, last = options.device_id, options.device_id + options.device_num
    allowed = os.environ.get(name, "").replace(" ", "")
    chosen = (allowed.split(",") if allowed else [str(number) for number in range(last)])[first:last]
    if len(chosen) < options.device_num:
        raise UsageError(f"-n {options.device_num} -i {first} needs devices {first} to {last - 1} of those that {name} "
                         f"names, but it names {len(allowed.split(','))}: {allowed}")
    return chosen


def _table_devices(options: Options, machines: list[list[RankedDevice]]) -> list[RankedDevice]:
    """This machine's devices of the rank table, which must be as many as was asked for."""
    path = options.hccl_json
    if len(machines) != options.nodes:
        raise MassError(f"rank table {path!r} has {len(machines)} machines, but --nodes is {options.nodes}")
    for number, machine in enumerate(machines):
        if len(machine) != options.device_num:
            raise MassError(f"rank table {path!r}: server_list[{number}] has {len(machine)} devices, but -n is "
                            f"{options.device_num}; they must agree")
    return machines[options.node_rank]


def _table_command(options: Options, keeper: list[str], device: RankedDevice, world_size: int,
                   own_folder: str) -> Command:
    """One process of the rank-table road, which HCCL knows by these four variables."""
    environment = {"RANK_TABLE_FILE": os.path.realpath(options.hccl_json), "RANK_SIZE": str(world_size),
                   "RANK_ID": str(device.rank), "DEVICE_ID": str(device.device_id), "PYTHONUNBUFFERED": "1"}
    log = os.path.join(own_folder, "ranks", f"rank_{device.rank}.log")
    return Command((sys.executable, *keeper), environment, log)
