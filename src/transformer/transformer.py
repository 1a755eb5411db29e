"""The encoder-decoder Transformer with one embedding table."""
import numpy as np
from mindspore import Tensor, nn
from mindspore import dtype as mstype

from config.config import ModelConfig
from src.transformer.decoder import Decoder
from src.transformer.embedding import Embedding
from src.transformer.encoder import Encoder
from src.transformer.operators.interface import Operators


class Transformer(nn.Cell):
    """The pre-norm Transformer (Vaswani et al., 2017) that MASS uses; its sizes are those of `model_config`.

    `random_seed` alone determines the initial weights. Checkpoints hold the weights by their names, which must not
    change: a test holds the list.

    Attributes:
        no_dropout_seed: [2] int32, the argument `dropout_seed` in evaluation, where nothing is dropped out.
    """

    def __init__(self, model: ModelConfig, operators: Operators):
        super().__init__()
        init_seeds = np.random.SeedSequence(model.random_seed).generate_state(3).tolist()
        self.model, self.operators = model, operators
        self.no_dropout_seed = Tensor([0, 0], mstype.int32)
        self.embedding = Embedding(model, operators, init_seeds[0])
        self.encoder = Encoder(model, operators, init_seeds[1])
        self.decoder = Decoder(model, operators, init_seeds[2])

    def construct(self, source_ids: Tensor, source_positions: Tensor, source_segments: Tensor, source_mask: Tensor,
                  decoder_input_ids: Tensor, decoder_positions: Tensor, decoder_segments: Tensor,
                  dropout_seed: Tensor) -> Tensor:
        """Return the decoder states of given targets (teacher forcing), before the output projection.

        A row holds one or several sentences. Segments number the sentences of a row from 1, and 0 is padding: the
        decoder's tokens of segment s attend to the source's tokens of segment s and to no others.

        Args:
            source_ids, source_positions, source_segments, source_mask: [batch, source_len] int32; the mask is 0 where
                a token is not attended to.
            decoder_input_ids, decoder_positions, decoder_segments: [batch, target_len] int32. In pre-training the
                target is a fragment from the middle of a sentence, and its positions are those in the sentence.
            dropout_seed: [2] int32, another one for each training step.

        Returns:
            [batch * target_len, hidden_size].
        """
        encoder_output = self.encode(source_ids, source_positions, source_segments, source_mask, dropout_seed)
        embedded = self.embedding.embed_target(decoder_input_ids, decoder_positions, dropout_seed)
        return self.decoder(embedded, decoder_segments, encoder_output, mask_segments(source_segments, source_mask),
                            dropout_seed)

    def encode(self, source_ids: Tensor, positions: Tensor, segments: Tensor, mask: Tensor,
               dropout_seed: Tensor) -> Tensor:
        """Return the encoder output: [batch, source_len] int32 each -> [batch * source_len, hidden_size]."""
        embedded = self.embedding.embed_source(source_ids, positions, dropout_seed)
        return self.encoder(embedded, segments, mask_segments(segments, mask), dropout_seed)


def mask_segments(segments: Tensor, mask: Tensor) -> Tensor:
    """Return the segments of attention keys: s where attended to, -s where masked, 0 at padding."""
    return segments * (2 * mask - 1)
