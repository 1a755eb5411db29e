"""Before any test imports MindSpore: the settings of src/__init__.py, which it and OpenMP read when they are loaded."""
import signal

import src  # noqa: F401


def pytest_configure() -> None:
    """What is ignored here (SIGINT in workers of pytest-xdist, SIGHUP under nohup) the tests' programs would ignore."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
