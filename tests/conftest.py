"""Set up the tests: settings before and after MindSpore is loaded, signals, and a marker for each tier."""
import gc
import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

import src  # noqa: F401  (MindSpore and OpenMP read its settings when they are loaded)

TIERS = ("devices", "system", "command_line", "unit")  # the folders of tests/, the slowest files first

settings.register_profile("busy machine", deadline=None)  # an example may take any time
settings.load_profile("busy machine")


def pytest_configure() -> None:
    """Reset ignored signals: programs that the tests start would inherit that they are ignored.

    Workers of pytest-xdist ignore SIGINT, and nohup ignores SIGHUP.
    """
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its tier, which is the name of its folder, and run the slowest tier first.

    The long files at the beginning keep all workers of pytest-xdist busy until the end.
    """
    for item in items:
        item.add_marker(tier_of(item))
    items.sort(key=lambda item: TIERS.index(tier_of(item)))


def pytest_collection_finish() -> None:
    """Exempt the objects of all modules from garbage collection, which MindSpore starts before each compilation."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup() -> None:
    """Undo before each test what MindSpore does when it is imported, and again when it trains.

    It sets OMP_NUM_THREADS to 1 without the knowledge of os.environ, and programs that are started without an
    environment of their own would compute on one thread. Those that a test starts after it has trained need one.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        os.unsetenv("OMP_NUM_THREADS")


def tier_of(item: pytest.Item) -> str:
    """Return the name of the folder of tests/ that holds the test."""
    return item.path.relative_to(Path(__file__).parent).parts[0]
