"""The choice between the implementations of the operators, and of their number format."""
from typing import NamedTuple

from config.config import Config
from src.common.errors import MassError, UsageError
from src.transformer.kernels.build import Kernels, build_kernels
from src.transformer.operators.accelerator_operators import AcceleratorOperators
from src.transformer.operators.c_operators import COperators
from src.transformer.operators.interface import Operators
from src.transformer.operators.mindspore_operators import MindSporeOperators
from src.transformer.operators.number_format import NumberFormat, choose_number_format

_KERNEL_FORMATS = ("auto", "float32", "bfloat16")


class Choice(NamedTuple):
    """The chosen operators, a description of the choice for the user, with its reason, and the number format."""

    operators: Operators
    reason: str
    number_format: NumberFormat


class _Implementation(NamedTuple):
    kernels: Kernels | None  # None: MindSpore's operators
    reason: str


def operators_of(config: Config) -> Choice:
    """Return the operators that the configuration chooses; see choose_operators."""
    training = config.training_config
    return choose_operators(training.device_target, training.native_kernels, config.model_config.compute_type,
                            training.flash_attention, config.loss_scale_config.loss_scale_mode)


def choose_operators(device_target: str, native_kernels: str, compute_type: str = "float32",
                     flash_attention: bool = False, loss_scale_mode: str = "dynamic") -> Choice:
    """Return C kernels where the configuration asks for them or allows them, else MindSpore's operators, composed for
    the CPU or for accelerators.

    Args:
        device_target, native_kernels: of training_config; the latter is "auto", "on" or "off".
        compute_type: of model_config.
        flash_attention: of training_config.
        loss_scale_mode: of loss_scale_config.

    Raises:
        UsageError: native_kernels is "on" for another device than the CPU or with the type float16, or flash_attention
            is true for another device than Ascend or with the type float32.
        MassError: native_kernels is "on" and the kernels cannot be compiled. With "auto", MindSpore's operators are
            chosen in this case.
    """
    kernels, reason = _choose_implementation(device_target, native_kernels, compute_type)
    library = kernels.path if kernels else ""
    number_format = choose_number_format(compute_type, device_target, library, loss_scale_mode)
    if flash_attention and (device_target != "Ascend" or number_format.compute_type == "float32"):
        raise UsageError(f"training_config.flash_attention is true: only Ascend has it, for products in float16 or "
                         f"bfloat16, but this is {device_target} with {number_format.compute_type}; set it to false")
    operators: Operators
    if library:
        operators = COperators(library, number_format.compute_type)
    elif device_target == "CPU":
        operators = MindSporeOperators(number_format.compute_type)
    else:
        operators = AcceleratorOperators(number_format.compute_type, flash_attention)
    return Choice(operators, reason + ", flash attention" * flash_attention, number_format)


def _choose_implementation(device_target: str, native_kernels: str, compute_type: str) -> _Implementation:
    if native_kernels == "off":
        return _Implementation(None, "MindSpore's operators (native_kernels is off)")
    if device_target != "CPU" or compute_type not in _KERNEL_FORMATS:
        if native_kernels == "on":
            raise UsageError(f"training_config.native_kernels is 'on': the kernels are for float32 and bfloat16 on the "
                             f"CPU, not for {compute_type} on {device_target}; set it to 'auto'")
        return _Implementation(None, "MindSpore's operators")
    try:
        kernels = build_kernels()
    except (MassError, OSError) as error:
        if native_kernels == "on":
            raise MassError(f"training_config.native_kernels is 'on': {error}; install a C compiler, or set it to "
                            f"'auto' to train with MindSpore's own, slower operators") from error
        return _Implementation(None, f"MindSpore's operators, which are slower ({error})")
    threads = f"{kernels.threads} thread{'s' if kernels.threads > 1 else ''}"
    note = f" ({kernels.note})" if kernels.note else ""
    return _Implementation(kernels, f"C kernels, {threads}, {kernels.path}{note}")
