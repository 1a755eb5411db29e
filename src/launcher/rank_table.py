"""The rank table of Ascend machines (hccl.json), which assigns ranks to the devices of machines."""
from typing import Any, NamedTuple

from src.common.errors import MassError
from src.common.files import require_file
from src.common.json_files import describe_error, read_json


class RankedDevice(NamedTuple):
    """A device: its rank in the run, and its number on its machine."""

    rank: int
    device_id: int


def read_rank_table(path: str) -> list[list[RankedDevice]]:
    """Return the devices of each machine, sorted by rank; the machines are in the order of the table.

    The format is that of HCCL (`RANK_TABLE_FILE`), version 1.0:

        {"version": "1.0", "server_count": "1", "status": "completed", "server_list": [{"server_id": "10.0.0.1",
         "device": [{"device_id": "0", "device_ip": "192.1.27.6", "rank_id": "0"}, ...]}]}

    Raises:
        MassError: the file is not such a table, a device or rank occurs twice, or ranks are missing.
    """
    try:
        table = read_json(require_file(path, "rank table"))
    except ValueError as error:
        raise _wrong(path, f"not JSON: {describe_error(error)}") from error
    servers = table.get("server_list") if isinstance(table, dict) else None
    if not isinstance(servers, list) or not servers:
        raise _wrong(path, "it has no 'server_list'; create a rank table with Huawei's hccl_tools.py")
    if str(table.get("server_count", len(servers))) != str(len(servers)):
        raise _wrong(path, f"'server_count' is {table['server_count']}, but 'server_list' has {len(servers)} entries")
    if table.get("status", "completed") != "completed":
        raise _wrong(path, f"'status' is {table['status']!r}, not 'completed'")

    machines = [_devices(path, number, server) for number, server in enumerate(servers)]
    ranks = sorted(device.rank for machine in machines for device in machine)
    if ranks != list(range(len(ranks))):
        raise _wrong(path, f"the rank ids are {_listed(ranks)}; they must be 0 to {len(ranks) - 1} without duplicates")
    return machines


def _devices(path: str, number: int, server: Any) -> list[RankedDevice]:
    where = f"server_list[{number}]"
    devices = server.get("device") if isinstance(server, dict) else None
    if not isinstance(devices, list) or not devices:
        raise _wrong(path, f"{where} has no list 'device'")
    found = [RankedDevice(_number(path, f"{where}.device[{i}]", device, "rank_id"),
                          _number(path, f"{where}.device[{i}]", device, "device_id"))
             for i, device in enumerate(devices)]
    ids = sorted(device.device_id for device in found)
    if len(set(ids)) < len(ids):
        raise _wrong(path, f"{where}: the device ids are {_listed(ids)}; they must not have duplicates")
    return sorted(found)


def _number(path: str, where: str, device: Any, key: str) -> int:
    value = device.get(key) if isinstance(device, dict) else None
    if not (str(value).isascii() and str(value).isdecimal()) or isinstance(value, bool) or len(str(value)) > 9:
        raise _wrong(path, f"{where}: '{key}' is {value!r}, not a whole number of 0 or more")
    return int(value)


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def _wrong(path: str, what: str) -> MassError:
    return MassError(f"rank table {path!r}: {what}")
