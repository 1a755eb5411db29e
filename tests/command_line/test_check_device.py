"""The check of a device, on the CPU: what it prints, and that it notices a device that computes wrongly."""
from config.config import Config
from src.training import device_check
from tests.helpers.paths import ROOT
from tests.helpers.scripts import run_script


def test_all_graphs_run() -> None:
    done = run_script("train.py", "--config", ROOT / "config" / "config.json", "--check_device")
    first, *graphs, last = done.stdout.splitlines()
    assert first.startswith("CPU, products in ") and last == "all graphs ran"
    assert len(graphs) >= 11 and all(line.endswith(": ok") for line in graphs)


def test_a_wrong_result_is_noticed(monkeypatch, capsys) -> None:
    monkeypatch.setattr(device_check, "measure_nll", lambda *arguments: (1e9, 10.0))
    assert device_check.check_device(Config()) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "1 of the graphs failed"
    [failed] = [line for line in lines[1:-1] if not line.endswith(": ok")]
    assert failed == ("validation: failed: the negative log-likelihood is wrong: the device compiles the graph but "
                      "does not compute it correctly")
