"""The encoder-decoder Transformer with one embedding table."""
import numpy as np
from mindspore import Tensor, nn, ops

from config.config import ModelConfig
from src.transformer.create_attn_mask import create_attn_mask, create_causal_mask
from src.transformer.decoder import Decoder
from src.transformer.embedding import Embedding
from src.transformer.encoder import Encoder
from src.transformer.positional_embedding import PositionalEmbedding


class Transformer(nn.Cell):
    """Pre-norm Transformer (Vaswani et al., 2017) as MASS uses it; sizes from `model_config`.

    All weights follow from `random_seed` alone. Their names are the contract of checkpoints:
    a test holds the list.
    """

    def __init__(self, model: ModelConfig):
        super().__init__()
        seeds = np.random.SeedSequence(model.random_seed).generate_state(3).tolist()
        self.embedding = Embedding(model.vocab_size, model.hidden_size, model.initializer_range, seeds[0])
        self.positions = PositionalEmbedding(model.max_position_embeddings, model.hidden_size)
        self.dropout = nn.Dropout(p=model.hidden_dropout_prob)
        self.encoder = Encoder(model, seeds[1])
        self.decoder = Decoder(model, seeds[2])

    def embed(self, ids: Tensor, positions: Tensor) -> Tensor:
        """[batch, length] ids at [batch or 1, length] positions -> [batch * length, hidden_size]."""
        x = self.dropout(self.positions(self.embedding(ids), positions))
        return ops.reshape(x, (-1, x.shape[-1]))

    def encode(self, source_ids: Tensor, source_mask: Tensor) -> Tensor:
        """[batch, source_len] ids and mask (1: attended to) -> [batch * source_len, hidden_size]."""
        positions = Tensor(np.arange(source_ids.shape[1], dtype=np.int32)[None])
        return self.encoder(self.embed(source_ids, positions), create_attn_mask(source_mask))

    def construct(self, source_ids: Tensor, source_mask: Tensor, decoder_input_ids: Tensor,
                  decoder_positions: Tensor, decoder_mask: Tensor) -> Tensor:
        """Teacher forcing: decoder states [batch * target_len, hidden_size], before the output projection.

        Args:
            source_ids, source_mask: [batch, source_len] int32; the mask is 0 where not attended to.
            decoder_input_ids, decoder_positions, decoder_mask: [batch, target_len] int32. Positions are given
                because the decoder of pre-training receives a fragment from the middle of a sentence.
        """
        memory = self.encode(source_ids, source_mask)
        return self.decoder(self.embed(decoder_input_ids, decoder_positions), create_causal_mask(decoder_mask),
                            memory, create_attn_mask(source_mask))
