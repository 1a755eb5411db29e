"""The C kernels on processors with shorter vectors: the same results, computed in registers."""
import re
import shutil
import subprocess

import numpy as np
import pytest

from config.config import Config
from src.common.native_library import find_compiler
from src.runtime.device import set_up_device
from tests.helpers.processors import LESSER_PROCESSORS, THIS_PROCESSOR, kernels_of
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


def disassembled(library: str) -> list[str]:
    """Return the functions of a library in assembly language, each one beginning with its name.

    The test is skipped without the GNU tools, whose notation it reads, and with which the functions keep their names.
    """
    if (not shutil.which("objdump") or "GNU objdump" not in printed("objdump", "--version")
            or "Free Software Foundation" not in printed(*find_compiler(), "--version")):
        pytest.skip("GNU objdump and gcc are needed")
    listing = printed("objdump", "-d", "--no-show-raw-insn", library)
    return re.findall(r"^\w+ <(.*?)\n\n", listing + "\n\n", re.MULTILINE | re.DOTALL)


def printed(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("processor", [THIS_PROCESSOR, *LESSER_PROCESSORS])
@pytest.mark.parametrize("function", IN_REGISTERS)
def test_the_sums_of_float32_products_stay_in_registers(processor, function):
    """A compiler keeps vectors that are wider than a register in memory, which made attention ten times as slow."""
    bodies = [body for body in disassembled(kernels_of(processor))
              if re.match(rf"{function}[.\w]*>:", body) and ".cold>:" not in body]  # without what never happens
    assert bodies, f"{function} is not in the library under its own name"
    for body in bodies:
        assert re.search(r"%[xyz]mm\d+", body)
        stores = re.findall(r"mov\w+\s+%[xyz]mm\d+,\s*-?(?:0x)?[0-9a-f]*\(%rsp[,)]", body)
        assert len(stores) <= MOST_STORES, f"{function} stores {len(stores)} vectors on the stack"
