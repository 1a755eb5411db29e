"""Before any test imports MindSpore: the settings of src/__init__.py, which it and OpenMP read when they are loaded."""
import signal

import src  # noqa: F401


def pytest_configure() -> None:
    """Workers of pytest-xdist ignore SIGINT, and so would what their tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
