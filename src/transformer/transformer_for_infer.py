"""The network as the search runs it: the encoder once, then cached single steps for all hypotheses of a batch."""
from typing import NamedTuple

import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, mutable, nn, ops
from mindspore import dtype as mstype

from src.transformer.create_attn_mask import create_attn_mask, visible_to_bias
from src.transformer.transformer import NO_SEED, Transformer
from src.utils.dictionary import BOS_INDEX, EOS_INDEX, MASK_INDEX, PAD_INDEX

NEVER_ANSWERED = (PAD_INDEX, BOS_INDEX, MASK_INDEX)


class StepResult(NamedTuple):
    """The most probable next symbols of each hypothesis; log-probabilities are natural logarithms.

    Symbols that no answer holds (<pad>, <s>, <mask>) have -inf.
    """

    log_probs: np.ndarray  # [batch, beam_width, candidates] float32
    ids: np.ndarray  # [batch, beam_width, candidates] int32
    eos_log_probs: np.ndarray  # [batch, beam_width] float32, of </s>, be it among the candidates or not


class EncodeOnce(nn.Cell):
    """A batch of sources -> each decoder layer's keys and values of them, and the bias that hides padding."""

    def __init__(self, transformer: Transformer):
        super().__init__(auto_prefix=False)
        self.transformer = transformer

    def construct(self, source_ids: Tensor, source_positions: Tensor, source_segments: Tensor,
                  source_mask: Tensor) -> tuple[tuple, Tensor]:
        memory = self.transformer.encode(source_ids, source_positions, source_segments, source_mask, NO_SEED)
        layers = self.transformer.decoder.memory_keys_values(memory, source_ids.shape[0])
        return layers, create_attn_mask(source_mask)


class DecodeStep(nn.Cell):
    """One symbol further for all hypotheses; see SelfAttention.step for the caches."""

    def __init__(self, transformer: Transformer, batch: int, beam_width: int, max_length: int, candidates: int):
        super().__init__(auto_prefix=False)
        layer = transformer.decoder.layers[0].attention
        entry = (batch * layer.num_heads * max_length, beam_width * layer.head_size)
        count = len(transformer.decoder.layers)
        self.transformer = transformer
        self.key_caches, self.value_caches = (
            ParameterTuple([Parameter(ops.zeros(entry, mstype.float32), name=f"{kind}_cache_{i}", requires_grad=False)
                            for i in range(count)]) for kind in ("key", "value"))
        self.first_rows = Tensor(np.arange(batch * layer.num_heads, dtype=np.int32) * max_length)
        self.shape = (batch, beam_width)
        self.candidates = candidates

    def construct(self, last_ids: Tensor, step: Tensor, history: Tensor, memory: tuple, memory_bias: Tensor) -> tuple:
        """last_ids [batch, beam_width] int32 at position `step` ([1, 1] int32).

        `history` [batch, beam_width, max_length * beam_width] is 1 at each hypothesis' ancestors and itself.
        """
        batch, beam_width = self.shape
        x = self.transformer.embedding(last_ids, ops.broadcast_to(step, last_ids.shape), NO_SEED)
        history_bias = ops.reshape(visible_to_bias(history), (batch, 1, beam_width, -1))
        rows = self.first_rows + ops.reshape(step, (1,))
        decoder = self.transformer.decoder
        for i in range(len(decoder.layers)):
            x = decoder.layers[i].step(x, history_bias, rows, (self.key_caches[i], self.value_caches[i]), memory[i],
                                       memory_bias, NO_SEED)
        log_probs = ops.log_softmax(self.transformer.embedding.logits(decoder.norm(x)), -1)
        best, ids = ops.topk(log_probs, self.candidates)
        eos = ops.slice(log_probs, (0, EOS_INDEX), (batch * beam_width, 1))
        shape = (batch, beam_width, self.candidates)
        return ops.reshape(best, shape), ops.reshape(ids, shape), ops.reshape(eos, self.shape)


class TransformerForInfer:
    """Encodes a batch, then answers the search step by step.

    Args:
        transformer: the network with its weights.
        batch: sentences a batch, the same for every call.
        beam_width: hypotheses a sentence.
        max_length: steps at most.
    """

    def __init__(self, transformer: Transformer, batch: int, beam_width: int, max_length: int):
        transformer.set_train(False)
        # As many as a search ranks, 2 * beam_width, although some of the most probable may be no answers.
        candidates = min(2 * beam_width + len(NEVER_ANSWERED), transformer.embedding.table.shape[0])
        self.batch, self.beam_width, self.max_length = batch, beam_width, max_length
        self._encode = EncodeOnce(transformer).set_train(False)
        self._decode = DecodeStep(transformer, batch, beam_width, max_length, candidates).set_train(False)
        self._memory = self._memory_bias = None

    def start(self, source_ids: np.ndarray, source_positions: np.ndarray, source_segments: np.ndarray,
              source_mask: np.ndarray) -> None:
        """Encode a batch [batch, source_len], one sentence a row; the steps that follow are about it."""
        arrays = (source_ids, source_positions, source_segments, source_mask)
        self._memory, self._memory_bias = self._encode(*map(Tensor, arrays))

    def step(self, step: int, last_ids: np.ndarray, ancestors: np.ndarray) -> StepResult:
        """Next symbols after `last_ids` [batch, beam_width] int32, which are the symbols at position `step`.

        `ancestors` [batch, beam_width, step + 1] names, for each hypothesis and past position, the beam in which the
        symbol at that position was given to `step`; its last entry is the hypothesis itself.
        """
        history = np.zeros((self.batch, self.beam_width, self.max_length, self.beam_width), np.float32)
        history[:, :, : step + 1] = ancestors[..., None] == np.arange(self.beam_width)
        best, ids, eos = self._decode(Tensor(last_ids), Tensor([[step]], mstype.int32),
                                      Tensor(history.reshape(self.batch, self.beam_width, -1)),
                                      mutable(self._memory), self._memory_bias)
        ids = ids.asnumpy()
        log_probs = np.where(np.isin(ids, NEVER_ANSWERED), -np.inf, best.asnumpy())
        return StepResult(log_probs, ids, eos.asnumpy())
