"""Run a script in a process that the server forks: python client.py FOLDER SCRIPT [ARGUMENTS]."""
import json
import os
import resource
import signal
import socket
import sys

MODULES = ("mindspore", "matplotlib.pyplot", "nltk", "scipy.stats", "tensorboardX")
"""What the server imports; tensorboardX imports PyTorch."""
STREAMS = (0, 1, 2)
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # from the client to the script; SIGKILL ends both

STARTING_WITH = ("PYTHON", "LC_", "LANG", "LD_", "MS_", "GLOG_", "OMP_", "MKL_", "KMP_", "RANK_", "DEVICE_", "CUDA_",
                 "ASCEND_", "HOME", "XDG_", "MPL")
"""The beginnings of the names of variables that are read when Python or a library starts."""
ANY = ("PYTHON", "PYTHONPATH", "PYTHONUNBUFFERED")  # variables with such names that may differ


def circumstances() -> list:
    """Return what a forked process has from the server and not from its client, except its open files."""
    variables = sorted([name, value] for name, value in os.environ.items()
                       if name.startswith(STARTING_WITH) and name not in ANY)
    limits = [list(resource.getrlimit(getattr(resource, name))) for name in dir(resource) if name.startswith("RLIMIT_")]
    mask = os.umask(0o022)
    os.umask(mask)
    return [variables, limits, mask]


def like_the_server(usual: list) -> bool:
    """Return whether a process that the server forks would be like a new one that this process starts."""
    ignored = [number for number in FORWARDED if signal.getsignal(number) is signal.SIG_IGN]
    opened = set(map(int, os.listdir("/proc/self/fd")))
    packages = {module.partition(".")[0] for module in MODULES}
    replaced = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) for package in packages
                if os.path.exists(f"{folder}/{package}") or os.path.exists(f"{folder}/{package}.py")]
    return circumstances() == usual and not ignored and not replaced and opened - {max(opened)} == set(STREAMS)


def main(folder: str, *arguments: str) -> int:
    """Run the script and return its exit code, which is negative if a signal ended it."""
    with open(f"{folder}/usual.json") as stream:
        python, usual = json.load(stream)
    safe_path = arguments[:1] == ("-P",)
    program = arguments[safe_path:]
    is_script = program and (not program[0].startswith("-") or program[0] == "-m" and len(program) > 1)
    if not is_script or not like_the_server(usual):
        os.execv(python, [python, *arguments])
    request = json.dumps({"program": program, "safe_path": safe_path, "folder": os.getcwd(),
                          "environment": dict(os.environ)}).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"{folder}/socket")
        socket.send_fds(connection, [len(request).to_bytes(8, "little")], STREAMS)
        connection.sendall(request)
        script = _receive(connection)
        for number in FORWARDED:
            signal.signal(number, lambda number, _: os.kill(script, number))
        return _receive(connection)


def _receive(connection: socket.socket) -> int:
    """Return a number that the server sends: the process of the script, and later the code with which it ended."""
    number = connection.recv(4)
    if not number:
        raise ConnectionError
    return int.from_bytes(number, "little", signed=True)


if __name__ == "__main__":
    try:
        code = main(*sys.argv[1:])
    except ConnectionError:
        sys.exit("the server of tests/helpers/preloaded has ended before the script")
    if code < 0:
        if -code in FORWARDED:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)
