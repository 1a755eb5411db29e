"""Cached single steps as MindSpore graphs, for every device. See c_steps.py for the other form."""
import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, mutable, nn, ops
from mindspore import dtype as mstype

from src.common.errors import MassError
from src.transformer.create_attn_mask import create_attn_mask, mask_to_bias
from src.transformer.decoding.step import NOT_FINITE, StepResult
from src.transformer.transformer import NO_DROPOUT_SEED, Transformer
from src.utils.dictionary import EOS_INDEX


class EncodeOnce(nn.Cell):
    """A batch of sources -> each decoder layer's keys and values of them, and the bias that hides padding."""

    def __init__(self, transformer: Transformer):
        super().__init__(auto_prefix=False)
        self.transformer = transformer

    def construct(self, source_ids: Tensor, source_positions: Tensor, source_segments: Tensor,
                  source_mask: Tensor) -> tuple[tuple, Tensor]:
        memory = self.transformer.encode(source_ids, source_positions, source_segments, source_mask, NO_DROPOUT_SEED)
        layers = self.transformer.decoder.encoder_keys_values(memory, source_ids.shape[0])
        return layers, create_attn_mask(source_mask)


class DecodeStep(nn.Cell):
    """One symbol further for all hypotheses; see SelfAttention.step for the caches."""

    def __init__(self, transformer: Transformer, batch: int, width: int, max_length: int, candidates: int):
        super().__init__(auto_prefix=False)
        layer = transformer.decoder.layers[0].self_attention
        entry = (batch * layer.num_heads * max_length, width * layer.head_size)
        count = len(transformer.decoder.layers)
        self.transformer = transformer
        self.key_caches, self.value_caches = (
            ParameterTuple([Parameter(ops.zeros(entry, mstype.float32), name=f"{kind}_cache_{i}", requires_grad=False)
                            for i in range(count)]) for kind in ("key", "value"))
        self.first_rows = Tensor(np.arange(batch * layer.num_heads, dtype=np.int32) * max_length)
        self.shape = (batch, width)
        self.candidates = candidates

    def construct(self, last_ids: Tensor, step: Tensor, history: Tensor, memory: tuple, memory_bias: Tensor) -> tuple:
        """last_ids [batch, width] int32 at position `step` ([1, 1] int32).

        `history` [batch, width, max_length * width] is 1 at each hypothesis' ancestors and itself.
        """
        batch, width = self.shape
        x = self.transformer.embedding.embed_target(last_ids, ops.broadcast_to(step, last_ids.shape), NO_DROPOUT_SEED)
        history_bias = ops.reshape(mask_to_bias(history), (batch, 1, width, -1))
        rows = self.first_rows + ops.reshape(step, (1,))
        decoder = self.transformer.decoder
        attention = None
        for i in range(len(decoder.layers)):
            x, attention = decoder.layers[i].step(x, history_bias, rows, (self.key_caches[i], self.value_caches[i]),
                                                  memory[i], memory_bias, NO_DROPOUT_SEED)
        log_probs = ops.log_softmax(self.transformer.embedding.logits(decoder.norm(x)), -1)
        best, ids = ops.topk(log_probs, self.candidates)
        eos = ops.slice(log_probs, (0, EOS_INDEX), (batch * width, 1))
        shape = (batch, width, self.candidates)
        return (ops.reshape(best, shape), ops.reshape(ids, shape), ops.reshape(eos, self.shape),
                ops.mean(attention, 1))


class GraphSteps:
    """Encodes a batch, then answers the search step by step. Two graphs are compiled for each source length.

    Args:
        batch: sentences a batch; smaller batches are filled up, and sentences that are done still cost their share.
        candidates: most probable symbols returned for each hypothesis.
        attention: whether steps return it.
    """

    def __init__(self, transformer: Transformer, batch: int, width: int, max_length: int, candidates: int,
                 attention: bool):
        transformer.set_train(False)
        self._batch, self._width, self._max_length, self._attention = batch, width, max_length, attention
        self._encode = EncodeOnce(transformer).set_train(False)
        self._decode = DecodeStep(transformer, batch, width, max_length, candidates).set_train(False)
        self._memory = self._memory_bias = None

    def refresh(self) -> None:
        """Nothing to do: the graphs read the network's own weights."""

    def start(self, source_ids: np.ndarray, source_positions: np.ndarray, source_segments: np.ndarray,
              source_mask: np.ndarray) -> None:
        """See TransformerForInfer."""
        missing = self._batch - len(source_ids)
        arrays = (np.pad(array, ((0, missing), (0, 0)))
                  for array in (source_ids, source_positions, source_segments, source_mask))
        self._memory, self._memory_bias = self._encode(*map(Tensor, arrays))

    def step(self, position: int, sentences: np.ndarray, last_ids: np.ndarray, ancestors: np.ndarray) -> StepResult:
        """See Step."""
        batch, width = self._batch, self._width
        all_ids = np.zeros((batch, width), np.int32)
        all_ids[sentences] = last_ids
        history = np.zeros((batch, width, self._max_length, width), np.float32)
        history[:, :, position] = np.eye(width)  # those that are done, too, look at something
        history[sentences, :, : position + 1] = ancestors[..., None] == np.arange(width)
        outputs = self._decode(Tensor(all_ids), Tensor([[position]], mstype.int32),
                               Tensor(history.reshape(batch, width, -1)), mutable(self._memory), self._memory_bias)
        log_probs, ids, eos, attention = (output.asnumpy()[sentences] for output in outputs)
        if np.isnan(eos).any():
            raise MassError(NOT_FINITE)
        return StepResult(log_probs, ids, eos, attention if self._attention else None)
