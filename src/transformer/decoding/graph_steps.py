"""Cached decoding steps as MindSpore graphs, for every device."""
import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, mutable, nn, ops
from mindspore import dtype as mstype

from src.common.errors import MassError
from src.transformer.create_attn_mask import create_attn_mask, mask_to_bias
from src.transformer.decoding.interface import NOT_FINITE, CachedSteps, StepResult, StepSizes
from src.transformer.transformer import Transformer
from src.utils.dictionary import EOS_INDEX


class EncoderKeysValues(nn.Cell):
    """Encodes a batch of sources for the cross-attention of all steps."""

    def __init__(self, transformer: Transformer):
        super().__init__(auto_prefix=False)
        self.transformer = transformer

    def construct(self, source_ids: Tensor, source_positions: Tensor, source_segments: Tensor,
                  source_mask: Tensor) -> tuple[tuple, Tensor]:
        """[batch, source_len] int32 each -> keys and values (see Decoder.encoder_keys_values), and the source bias.

        The source bias masks tokens of the source; see `create_attn_mask`.
        """
        encoder_output = self.transformer.encode(source_ids, source_positions, source_segments, source_mask,
                                                 self.transformer.no_dropout_seed)
        keys_values = self.transformer.decoder.encoder_keys_values(encoder_output, source_ids.shape[0])
        return keys_values, create_attn_mask(source_mask)


class DecoderStep(nn.Cell):
    """One step of the decoder for all hypotheses of a batch; see SelfAttention.step for the caches."""

    def __init__(self, transformer: Transformer, sizes: StepSizes):
        super().__init__(auto_prefix=False)
        attention = transformer.decoder.layers[0].self_attention
        entries = (sizes.batch * attention.num_heads * sizes.max_length, sizes.width * attention.head_size)
        layers = len(transformer.decoder.layers)
        self.transformer = transformer
        self.key_caches, self.value_caches = (
            ParameterTuple([Parameter(Tensor(np.zeros(entries, np.float32)), f"{kind}_cache_{i}", requires_grad=False)
                            for i in range(layers)]) for kind in ("key", "value"))
        self.first_rows = Tensor(np.arange(sizes.batch * attention.num_heads, dtype=np.int32) * sizes.max_length)
        self.shape = (sizes.batch, sizes.width)
        self.candidates = sizes.candidates
        self.slice = ops.Slice()

    def construct(self, last_ids: Tensor, position: Tensor, history: Tensor, encoder_keys_values: tuple,
                  source_bias: Tensor) -> tuple:
        """Return log_probs, ids, eos_log_probs and attention of a StepResult for the whole batch.

        Args:
            last_ids: [batch, width] int32, the newest tokens.
            position: [1, 1] int32, their position.
            history: [batch, width, max_length * width] float32, 1 at the ancestors of each hypothesis and itself.
            encoder_keys_values, source_bias: from EncoderKeysValues.
        """
        batch, width = self.shape
        x = self.transformer.embedding.embed_target(last_ids, ops.broadcast_to(position, last_ids.shape),
                                                    self.transformer.no_dropout_seed)
        history_bias = ops.reshape(mask_to_bias(history), (batch, 1, width, -1))
        rows = self.first_rows + ops.reshape(position, (1,))
        decoder = self.transformer.decoder
        attention = None
        for i in range(len(decoder.layers)):
            x, attention = decoder.layers[i].step(x, history_bias, rows, (self.key_caches[i], self.value_caches[i]),
                                                  encoder_keys_values[i], source_bias, self.transformer.no_dropout_seed)
        log_probs = ops.log_softmax(self.transformer.embedding.logits(decoder.norm(x)), -1)
        best, ids = ops.topk(log_probs, self.candidates)
        eos = self.slice(log_probs, (0, EOS_INDEX), (batch * width, 1))
        shape = (batch, width, self.candidates)
        return (ops.reshape(best, shape), ops.reshape(ids, shape), ops.reshape(eos, self.shape),
                ops.mean(attention, 1))


class GraphSteps(CachedSteps):
    """Cached steps as MindSpore graphs.

    Two graphs are compiled for each source length. Smaller batches are padded to sizes.batch, and finished sentences
    are computed as well.
    """

    def __init__(self, transformer: Transformer, sizes: StepSizes):
        transformer.set_train(False)
        self._sizes = sizes
        self._encode = EncoderKeysValues(transformer).set_train(False)
        self._decode = DecoderStep(transformer, sizes).set_train(False)
        self._encoder_keys_values = self._source_bias = None

    def refresh(self) -> None:
        """Do nothing: the graphs read the weights of the network itself."""

    def start(self, source_ids: np.ndarray, source_positions: np.ndarray, source_segments: np.ndarray,
              source_mask: np.ndarray) -> None:
        """See CachedSteps."""
        missing = self._sizes.batch - len(source_ids)
        arrays = (np.pad(array, ((0, missing), (0, 0)))
                  for array in (source_ids, source_positions, source_segments, source_mask))
        self._encoder_keys_values, self._source_bias = self._encode(*map(Tensor, arrays))

    def step(self, position: int, sentences: np.ndarray, last_ids: np.ndarray, ancestors: np.ndarray) -> StepResult:
        """See StepFunction."""
        batch, width, max_length = self._sizes.batch, self._sizes.width, self._sizes.max_length
        all_ids = np.zeros((batch, width), np.int32)
        all_ids[sentences] = last_ids
        history = np.zeros((batch, width, max_length, width), np.float32)
        history[:, :, position] = np.eye(width)  # finished sentences must attend to something as well
        history[sentences, :, : position + 1] = ancestors[..., None] == np.arange(width)
        outputs = self._decode(Tensor(all_ids), Tensor([[position]], mstype.int32),
                               Tensor(history.reshape(batch, width, -1)), mutable(self._encoder_keys_values),
                               self._source_bias)
        log_probs, ids, eos, attention = (output.asnumpy()[sentences] for output in outputs)
        if np.isnan(eos).any():
            raise MassError(NOT_FINITE)
        return StepResult(log_probs, ids, eos, attention if self._sizes.attention else None)
