"""A tiny network and its batches, for the tests of the network, the search and the training step."""
import numpy as np
from mindspore import Tensor, nn

from config.config import ModelConfig
from src.checkpoints.load import network_arrays
from src.common.counter_random import ExampleRandom, random_key
from src.common.ragged import RaggedArray
from src.dataset.batching.batch import Batch, Shape
from src.dataset.batching.collate import pair_collate, sentence_collate
from src.language_model import MassLanguageModel, NoiseChannelLanguageModel
from src.transformer.kernels.build import build_kernels
from src.transformer.operators.c_operators import COperators
from src.transformer.operators.interface import Operators
from src.transformer.operators.mindspore_operators import MindSporeOperators
from src.utils.dictionary import EOS_INDEX, SPECIAL_TOKENS
from tests.helpers.compiler import require_compiler
from tests.helpers.processors import LESSER_PROCESSORS, kernels_of

MODEL = ModelConfig(random_seed=3, seq_length=8, vocab_size=31, hidden_size=16, num_hidden_layers=2,
                    num_attention_heads=2, intermediate_size=24, hidden_dropout_prob=0.3, attention_dropout_prob=0.3,
                    max_position_embeddings=12, label_smoothing=0.1)
SHAPE = Shape(rows=4, source_len=8, target_len=4)  # half the sentence is the fragment
IMPLEMENTATIONS = ("mindspore", "c")  # of the operators, in float32
ROUNDED = "c bfloat16"  # the C kernels with inputs of products rounded to bfloat16


def operators(implementation: str) -> Operators:
    """Return operators for one network; skip the test if it asks for C kernels and the machine has no C compiler.

    Args:
        implementation: one of IMPLEMENTATIONS, ROUNDED, or the name of a lesser processor (in float32).
    """
    if implementation == "mindspore":
        return MindSporeOperators()
    if implementation in LESSER_PROCESSORS:
        return COperators(kernels_of(implementation), "float32")
    require_compiler()
    return COperators(build_kernels().path, "bfloat16" if implementation == ROUNDED else "float32")


def scramble(network: nn.Cell, seed: int = 0) -> None:
    """Give biases and norms values other than 0 and 1, so that one that is missing or misplaced changes the result."""
    generator = np.random.default_rng(seed)
    for parameter in network.get_parameters():
        noise = 0.3 * generator.normal(size=parameter.shape)
        parameter.set_data(Tensor((parameter.asnumpy() + noise * (parameter.ndim == 1)).astype(np.float32)))


def named_arrays(network: nn.Cell) -> dict[str, np.ndarray]:
    """Return the weights by their names in a bare Transformer, also when it is part of another network."""
    return {name.removeprefix("transformer.").removeprefix("loss."): array
            for name, array in network_arrays(network).items()}


def sentences(lengths: list[int], seed: int) -> RaggedArray:
    """Return random sentences of these lengths, </s> included."""
    generator = np.random.default_rng(seed)
    words = [generator.integers(len(SPECIAL_TOKENS), MODEL.vocab_size, length - 1) for length in lengths]
    return RaggedArray.from_sequences([[*sentence, EOS_INDEX] for sentence in words])


def pre_training_batch(seed: int, shape: Shape = SHAPE) -> Batch:
    """Return sentences of several lengths; <mask> is not attended to."""
    lengths = np.linspace(3, shape.source_len, shape.rows).astype(int).tolist()
    collate = sentence_collate(sentences(lengths, seed), MassLanguageModel(MODEL.vocab_size), attend_to_masks=False)
    return collate(np.arange(shape.rows), shape, np.random.default_rng(seed))


def fine_tuning_batch(seed: int, shape: Shape = SHAPE, noise: float = 0.2) -> Batch:
    """Return pairs of several lengths on both sides; <mask>, the noise of the source, is attended to."""
    source = sentences(np.linspace(2, shape.source_len, shape.rows).astype(int).tolist(), seed)
    target = sentences(np.linspace(shape.target_len, 1, shape.rows).astype(int).tolist(), seed + 1)
    collate = pair_collate(source, target, NoiseChannelLanguageModel(noise), attend_to_masks=True)
    return collate(np.arange(shape.rows), shape, np.random.default_rng(seed))


def packed_and_separate(kind: str, seed: int) -> tuple[Batch, np.ndarray, list[Batch]]:
    """Return the same examples twice, several in a row and one in a row, in batches of SHAPE.

    Args:
        kind: "sentences" for pre-training, "pairs" for fine-tuning.

    Returns:
        the packed batch, the numbers of the examples in its rows [rows, places] (-1 for none), and the separate
        batches of SHAPE.rows examples each.
    """
    places = np.array([[0, 1, -1], [2, 3, 4], [5, 6, -1], [7, -1, -1]])
    lengths = [3, 5, 2, 3, 2, 4, 4, 8]
    tokens = sentences(lengths, seed)
    if kind == "sentences":
        collate = sentence_collate(tokens, MassLanguageModel(MODEL.vocab_size), attend_to_masks=False)
    else:
        target = sentences([max(1, length // 2) for length in lengths], seed + 1)
        collate = pair_collate(tokens, target, NoiseChannelLanguageModel(0.3), attend_to_masks=False)
    key = random_key(seed)

    def batch(indices: np.ndarray) -> Batch:
        return collate(indices, SHAPE, ExampleRandom(key, indices[indices >= 0]))

    return batch(places), places, [batch(np.arange(first, first + SHAPE.rows)) for first in range(0, len(lengths), 4)]
