"""The choice between the implementations of the cached steps."""
from src.transformer.decoding.c_steps import CSteps
from src.transformer.decoding.graph_steps import GraphSteps
from src.transformer.decoding.interface import CachedSteps, StepSizes
from src.transformer.decoding.number_formats import choose_format
from src.transformer.transformer import Transformer


def make_steps(transformer: Transformer, sizes: StepSizes) -> CachedSteps:
    """Return the steps that go with the network's operators: in C for C kernels, else MindSpore graphs.

    Raises:
        UsageError: model_config.decode_compute_type is not possible with these operators.
    """
    number_format = choose_format(transformer.model.decode_compute_type, transformer.operators)
    if transformer.operators.kernel_library:
        return CSteps(transformer.operators.kernel_library, transformer, sizes, number_format)
    return GraphSteps(transformer, sizes)
