"""benchmarks/export_speed.py: a tiny model in one format beside eval.py."""
import subprocess
import sys

import pytest

from benchmarks.export_speed import table
from tests.helpers.exporting import SENTENCES, make_export_model
from tests.helpers.paths import ROOT


def test_speeds_are_medians_and_ratios_of_rounds():
    seconds = {"eval.py": [1.0, 2.0, 3.0], "onnx": [4.0, 4.0, 4.0]}
    predictions = {"eval.py": ["a", "b"], "onnx": ["a", "c"]}
    assert table(seconds, predictions, {"onnx": 1.25})[2:] == [
        "| eval.py | 2 of 2 | 1.0 | 1.00 (1.00 to 1.00) |  |", "| onnx | 1 of 2 | 0.5 | 0.50 (0.25 to 0.75) | 1.2 |"]


def test_the_benchmark_runs(tmp_path):
    pytest.importorskip("onnxruntime", reason="requirements-export.txt is not installed")
    make_export_model(tmp_path / "run")
    sentences = tmp_path / "sentences.txt"
    sentences.write_text("\n".join(SENTENCES) + "\n", encoding="utf-8")
    done = subprocess.run([sys.executable, str(ROOT / "benchmarks" / "export_speed.py"), "--ckpt",
                           str(tmp_path / "run"), "--sentences", str(sentences), "--engines", "onnx", "--rounds", "1"],
                          capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert f"| onnx | {len(SENTENCES)} of {len(SENTENCES)} | " in done.stdout
