"""The threads of the search (src/transformer/kernels/team.h): complete loops in order, whatever the system runs."""
import subprocess
import time

import pytest

from benchmarks.engines.neighbours import busy_neighbours
from src.common.native_library import find_compiler
from tests.helpers.compiler import require_compiler
from tests.helpers.paths import ROOT
from tests.helpers.scripts import run_python

KERNELS = ROOT / "src" / "transformer" / "kernels"
LIMIT = 120.0  # seconds for what takes two on an idle machine; a deadlock takes forever


@pytest.fixture(scope="module")
def check(tmp_path_factory):
    require_compiler()
    program = tmp_path_factory.mktemp("team") / "team_check"
    subprocess.run([*find_compiler(), "-std=gnu11", "-O2", "-I", KERNELS, "-o", program,
                    ROOT / "tests" / "helpers" / "team_check.c", KERNELS / "team.c", KERNELS / "workers.c", "-lpthread",
                    "-ldl"], check=True)
    return program


@pytest.mark.parametrize("neighbours", [0, 2])
@pytest.mark.parametrize(("case", "threads", "programs"), [
    ("plain", 1, 50), ("plain", 2, 1000), ("plain", 8, 500), ("slow", 3, 30), ("absent", 4, 200), ("fork", 3, 60),
    ("callers", 3, 200)])
def test_every_item_of_every_loop_is_done_once_and_in_order(check, case, threads, programs, neighbours):
    with busy_neighbours(neighbours):
        done = subprocess.run([check, case, str(threads), str(programs)], capture_output=True, text=True, timeout=LIMIT)
    assert (done.returncode, done.stdout) == (0, "")


DIGEST_OF_SEARCH = """
import src, dataclasses, hashlib, numpy as np
from config.config import Config
from src.runtime.device import set_up_device
from src.transformer.decoding.c_steps import CSteps
from src.transformer.decoding.interface import StepSizes
from src.transformer.kernels.build import build_kernels
from src.transformer.transformer import Transformer
from tests.helpers.tiny_network import MODEL, operators, scramble
from tests.unit.test_c_steps import UNEVEN, decode_random, some_sources
set_up_device(Config())
network = Transformer(dataclasses.replace(UNEVEN, vocab_size=1003), operators("mindspore"))
scramble(network)
digest = hashlib.sha256()
cases = [(*size, name) for size in ((1, 1), (1, 4), (7, 3)) for name in ("float32", "bfloat16", "int8")]
for batch, width, name in cases:
    steps = CSteps(build_kernels().path, network, StepSizes(batch, width, 4, 6, attention=True), name)
    for _, result in decode_random(steps, some_sources(batch, 9, seed=1), width, seed=2):
        for array in result:
            digest.update(array.tobytes())
print(build_kernels().threads, digest.hexdigest())
"""


def test_predictions_do_not_depend_on_the_number_of_threads_or_on_neighbours():
    require_compiler()
    found = {}
    for threads, neighbours in ((1, 0), (2, 0), (3, 1), (8, 2)):
        start = time.monotonic()
        with busy_neighbours(neighbours):
            used, digest = run_python(DIGEST_OF_SEARCH, environment={"OMP_NUM_THREADS": str(threads)}).stdout.split()
        assert int(used) == threads and time.monotonic() - start < LIMIT
        found[threads] = digest
    assert len(set(found.values())) == 1, found
