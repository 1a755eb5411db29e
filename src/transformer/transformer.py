"""The encoder-decoder Transformer with one embedding table."""
import numpy as np
from mindspore import Tensor, nn
from mindspore import dtype as mstype

from config.config import ModelConfig
from src.transformer.decoder import Decoder
from src.transformer.embedding import Embedding
from src.transformer.encoder import Encoder
from src.transformer.operators.interface import Operators

NO_SEED = Tensor([0, 0], mstype.int32)  # where nothing is dropped out, no seed is looked at


class Transformer(nn.Cell):
    """Pre-norm Transformer (Vaswani et al., 2017) as MASS uses it; sizes from `model_config`.

    All weights follow from `random_seed` alone. Their names are the contract of checkpoints:
    a test holds the list.
    """

    def __init__(self, model: ModelConfig, operators: Operators):
        super().__init__()
        seeds = np.random.SeedSequence(model.random_seed).generate_state(3).tolist()
        self.model, self.operators = model, operators
        self.embedding = Embedding(model, operators, seeds[0])
        self.encoder = Encoder(model, operators, seeds[1])
        self.decoder = Decoder(model, operators, seeds[2])

    def encode(self, source_ids: Tensor, positions: Tensor, segments: Tensor, mask: Tensor, seed: Tensor) -> Tensor:
        """All [batch, source_len] int32 -> [batch * source_len, hidden_size]; see `construct`."""
        embedded = self.embedding.source(source_ids, positions, seed)
        return self.encoder(embedded, segments, visible_segments(segments, mask), seed)

    def construct(self, source_ids: Tensor, source_positions: Tensor, source_segments: Tensor, source_mask: Tensor,
                  decoder_input_ids: Tensor, decoder_positions: Tensor, decoder_segments: Tensor,
                  seed: Tensor) -> Tensor:
        """Teacher forcing: decoder states [batch * target_len, hidden_size], before the output projection.

        A row holds one or several sentences. Segments number them, 0 is padding: sentence s of the source goes with
        sentence s of the target, and no other.

        Args:
            source_ids, source_positions, source_segments, source_mask: [batch, source_len] int32; the mask is 0 where
                not attended to.
            decoder_input_ids, decoder_positions, decoder_segments: [batch, target_len] int32. The decoder of
                pre-training receives a fragment from the middle of a sentence.
            seed: [2] int32, of this step's dropout.
        """
        memory = self.encode(source_ids, source_positions, source_segments, source_mask, seed)
        embedded = self.embedding(decoder_input_ids, decoder_positions, seed)
        return self.decoder(embedded, decoder_segments, memory, visible_segments(source_segments, source_mask), seed)


def visible_segments(segments: Tensor, mask: Tensor) -> Tensor:
    """Segments as attention takes them for its keys: s where visible, -s where hidden, 0 at padding."""
    return segments * (2 * mask - 1)
