"""A reference implementation of the network in float64 numpy, written from the formulas alone.

It is plain on purpose: it computes one sentence and one attention head at a time, and a masked key has a score of
-infinity, not a large negative one.
"""
import numpy as np

EPSILON = 1e-5  # of the layer norm

Weights = dict[str, np.ndarray]  # by the names of the network's parameters


def log_probs(weights: Weights, num_heads: int, source_ids: np.ndarray, source_positions: np.ndarray,
              source_segments: np.ndarray, source_mask: np.ndarray, decoder_input_ids: np.ndarray,
              decoder_positions: np.ndarray, decoder_segments: np.ndarray) -> np.ndarray:
    """Return the log-probabilities [batch, target_len, vocab_size] of the next token with teacher forcing.

    Each sentence of a row is taken out and computed alone. The result is nan at padding, and for a sentence whose whole
    source is masked, which is undefined.
    """
    weights = {name: np.asarray(array, np.float64) for name, array in weights.items()}
    result = np.full((*decoder_input_ids.shape, len(weights["embedding.table"])), np.nan)
    for row, numbers in enumerate(decoder_segments):
        for number in set(numbers[numbers > 0].tolist()):
            source, target = source_segments[row] == number, numbers == number
            with np.errstate(invalid="ignore"):
                result[row, target] = _sentence(weights, num_heads, source_ids[row, source],
                                                source_positions[row, source], source_mask[row, source] != 0,
                                                decoder_input_ids[row, target], decoder_positions[row, target])
    return result


def smoothed_losses(log_p: np.ndarray, labels: np.ndarray, smoothing: float, pad: int = 0) -> np.ndarray:
    """Return the losses [count] of the labels that are not padding: the cross-entropy with the smoothed distribution.

    `log_p` is [..., vocab_size], `labels` [...]. The target has probability 1 - smoothing; the other tokens share the
    rest.
    """
    vocab_size = log_p.shape[-1]
    one_hot = np.eye(vocab_size)[labels[labels != pad]]
    smoothed = (1.0 - smoothing) * one_hot + smoothing / (vocab_size - 1) * (1.0 - one_hot)
    return -(smoothed * log_p[labels != pad]).sum(-1)


def _sentence(weights: Weights, num_heads: int, source_ids: np.ndarray, source_positions: np.ndarray,
              mask: np.ndarray, input_ids: np.ndarray, positions: np.ndarray) -> np.ndarray:
    source_mask = np.broadcast_to(mask, (len(source_ids), len(source_ids)))
    x = _embed(weights, source_ids, source_positions)
    for layer in _layers(weights, "encoder."):
        h = _norm(_part(layer, "self_attention_norm."), x)
        x = x + _attention(_part(layer, "self_attention."), num_heads, h, h, source_mask)
        x = x + _feed_forward(layer, x)
    encoder_output = _norm(_part(weights, "encoder.norm."), x)

    causal = np.tril(np.ones((len(input_ids), len(input_ids)), bool))
    cross_mask = np.broadcast_to(mask, (len(input_ids), len(source_ids)))
    y = _embed(weights, input_ids, positions)
    for layer in _layers(weights, "decoder."):
        h = _norm(_part(layer, "self_attention_norm."), y)
        y = y + _attention(_part(layer, "self_attention."), num_heads, h, h, causal)
        h = _norm(_part(layer, "cross_attention_norm."), y)
        y = y + _attention(_part(layer, "cross_attention."), num_heads, h, encoder_output, cross_mask)
        y = y + _feed_forward(layer, y)
    logits = _norm(_part(weights, "decoder.norm."), y) @ weights["embedding.table"].T
    return np.log(_softmax(logits))


def _embed(weights: Weights, ids: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return scaled embeddings plus sinusoids [length, hidden], sines in the first half and cosines in the second."""
    table = weights["embedding.table"]
    half = table.shape[1] // 2
    angles = np.outer(positions, [10000.0 ** (-i / (half - 1)) for i in range(half)])
    return table[ids] * np.sqrt(table.shape[1]) + np.hstack([np.sin(angles), np.cos(angles)])


def _attention(layer: Weights, num_heads: int, x: np.ndarray, source: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Attend from x [query_len, hidden] to source [key_len, hidden] where mask [query_len, key_len] is true."""
    queries, keys, values = (_dense(layer, name, of) for name, of in (("query", x), ("key", source), ("value", source)))
    heads = []
    for columns in np.split(np.arange(x.shape[1]), num_heads):
        scores = queries[:, columns] @ keys[:, columns].T / np.sqrt(len(columns))
        heads.append(_softmax(np.where(mask, scores, -np.inf)) @ values[:, columns])
    return _dense(layer, "output", np.hstack(heads))


def _feed_forward(layer: Weights, x: np.ndarray) -> np.ndarray:
    h = _norm(_part(layer, "feed_forward_norm."), x)
    return _dense(layer, "feed_forward.fc2", np.maximum(_dense(layer, "feed_forward.fc1", h), 0.0))


def _dense(layer: Weights, name: str, x: np.ndarray) -> np.ndarray:
    return x @ layer[f"{name}.weight"].T + layer[f"{name}.bias"]


def _norm(layer: Weights, x: np.ndarray) -> np.ndarray:
    standardized = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + EPSILON)
    return standardized * layer["gamma"] + layer["beta"]


def _softmax(x: np.ndarray) -> np.ndarray:
    exponentials = np.exp(x - x.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def _part(weights: Weights, prefix: str) -> Weights:
    return {name.removeprefix(prefix): array for name, array in weights.items() if name.startswith(prefix)}


def _layers(weights: Weights, side: str) -> list[Weights]:
    count = 1 + max(int(name.split(".")[2]) for name in weights if name.startswith(side + "layers."))
    return [_part(weights, f"{side}layers.{i}.") for i in range(count)]
