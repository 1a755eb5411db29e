"""The number formats of the cached steps in C: what model_config.decode_compute_type means."""
import ctypes
from typing import NamedTuple

from src.common.errors import UsageError
from src.transformer.operators.interface import Operators

NUMBER_FORMATS = ("float32", "bfloat16", "int8")  # in the order of NumberFormat in kernels/number_formats.h


class StepFormats(NamedTuple):
    """The formats of the weights of matrix products, each one of NUMBER_FORMATS.

    With bfloat16, the inputs of a product are rounded to it too, and sums are float32. With int8, the weights of each
    output have a scale, and the inputs of each row a scale and an offset; sums are exact.
    """

    projections: str  # of queries, keys, values and contexts, and fc1 of the feed-forward network
    fc2: str  # of the feed-forward network
    logits: str  # int8: it finds the candidates, whose logits are then computed in float32


def choose_format(decode_compute_type: str, operators: Operators) -> str:
    """Return the number format of the steps of a network with these operators: auto is that of the operators.

    Raises:
        UsageError: the network runs on MindSpore's operators, and so do its steps; they have no format of their own.
    """
    if decode_compute_type == "auto":
        return operators.compute_type
    if not operators.kernel_library:
        raise UsageError(f"model_config.decode_compute_type is {decode_compute_type}: only the C kernels of the CPU "
                         f"have a number format for the search alone; set it to 'auto'")
    return decode_compute_type


def step_formats(number_format: str, chooses_early: bool, library: ctypes.CDLL) -> StepFormats:
    """Return the formats of all weights.

    With int8, the projections are bfloat16. Rounding the inputs of fc1 to 8 bits as well changed 7.9% of the
    predictions of a Gigaword model, instead of 4.5%.

    Args:
        number_format: one of NUMBER_FORMATS.
        chooses_early: whether the output layer finds the candidates without storing all logits. Then their logits are
            computed again in float32; stored ones are used as they are, so that 8 bits would not do.
        library: the compiled kernels.
    """
    if number_format == "float32":
        return StepFormats("float32", "float32", "float32")
    projections = number_format
    if number_format == "int8":
        projections = "bfloat16" if library.has_bfloat16_products() else "float32"
    return StepFormats(projections, number_format, "int8" if chooses_early else projections)
