"""The C kernels on processors with shorter vectors: the same results, computed in registers."""
import re
import shutil
import subprocess

import numpy as np
import pytest

from config.config import Config
from src.runtime.device import set_up_device
from tests.helpers.processors import LESSER_PROCESSORS, kernels_of
from tests.unit.test_operators import ATTENTIONS, CASES

NAMES = ["matmul 130x33x7", "layer_norm 33x130", "relu 33x130", "loss", *(f"attention, {name}" for name in ATTENTIONS)]
# Functions whose vectors are sums of float32 products, and the largest number of instructions in each that may store a
# vector on the stack. Vectors wider than a register took a thousand.
IN_REGISTERS = ("next_float32", "small_matmul")
MOST_STORES = 8


@pytest.fixture(scope="module", autouse=True)
def device():
    set_up_device(Config())


@pytest.mark.parametrize("name", NAMES)
def test_results_and_dropout_do_not_depend_on_the_processor(name):
    case = CASES[name]
    result, gradients = case.run(case.cell("c").set_train(True))
    for processor in LESSER_PROCESSORS:
        found, found_gradients = case.run(case.cell(processor).set_train(True))
        np.testing.assert_allclose(found, result, atol=1e-5 * (1.0 + np.abs(result).max()), err_msg=processor)
        for gradient, expected in zip(found_gradients, gradients, strict=True):
            np.testing.assert_allclose(gradient, expected, atol=2e-5 * (1.0 + np.abs(expected).max()),
                                       err_msg=processor)


@pytest.mark.parametrize("processor", LESSER_PROCESSORS)
@pytest.mark.parametrize("function", IN_REGISTERS)
def test_the_sums_of_products_stay_in_registers(processor, function):
    """A compiler keeps vectors that are wider than a register in memory, which made attention ten times as slow."""
    if not shutil.which("objdump"):
        pytest.skip("objdump is needed")
    listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", kernels_of(processor)], capture_output=True,
                             text=True, check=True).stdout
    bodies = [body for body in listing.split("\n\n") if re.match(rf"\w+ <{function}[.\w]*>:", body)]
    assert bodies, f"{function} is not in the library under its own name"
    for body in bodies:
        stores = re.findall(r"mov\w+ +%[xyz]mm\d+,-?(?:0x\w+)?\(%r[sb]p\)", body)
        assert len(stores) <= MOST_STORES, f"{function} stores {len(stores)} vectors on the stack"
