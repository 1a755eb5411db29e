"""Generation settings in transformers, and a module of the exported folder that reproduces our length penalty.

transformers divides the log-probability of a hypothesis of n tokens by n^p, we by ((5 + n) / 6)^w. Both grow alike near
n = m if p = w m / (5 + m), so generation_config.json has this p for a typical length m. `custom_generate/generate.py`,
which transformers uses instead of its own search if it is loaded with `trust_remote_code=True`, is exact.
"""
from typing import Any

from src.transformer.decoding.constraints import NEVER_PREDICTED
from src.transformer.decoding.options import SearchOptions
from src.utils.dictionary import BOS_INDEX, EOS_INDEX, PAD_INDEX, UNK_INDEX

_TYPICAL_LENGTH = 10  # tokens of a prediction, such as a headline


def length_penalty(search: SearchOptions) -> float:
    """Return the exponent p of transformers that is nearest to our penalty at a typical length."""
    length = min(_TYPICAL_LENGTH, search.max_length)
    return round(search.length_penalty_weight * length / (5 + length), 4)


def generation_settings(search: SearchOptions) -> dict[str, Any]:
    """Return the content of generation_config.json."""
    settings: dict[str, Any] = {
        "bos_token_id": BOS_INDEX, "pad_token_id": PAD_INDEX, "eos_token_id": EOS_INDEX,
        "decoder_start_token_id": BOS_INDEX, "max_length": search.max_length + 1,  # with the start token
        "suppress_tokens": [*NEVER_PREDICTED, *[UNK_INDEX] * search.ban_unk]}
    if search.min_length > 1:
        settings["min_length"] = search.min_length
    if search.no_repeat_ngram_size:
        settings["no_repeat_ngram_size"] = search.no_repeat_ngram_size
    if search.sampling:
        return {**settings, "do_sample": True, "num_beams": 1, "temperature": search.sampling.temperature,
                "top_k": search.sampling.top_k, "top_p": search.sampling.top_p}
    return {**settings, "do_sample": False, "num_beams": search.beam_width, "early_stopping": "never",
            "length_penalty": length_penalty(search)}


def custom_generate(search: SearchOptions) -> str:
    """Return the content of custom_generate/generate.py."""
    return _MODULE.replace("LENGTH_PENALTY_WEIGHT", repr(float(search.length_penalty_weight)))


_MODULE = '''# Part of MASS on MindSpore, under the Apache License 2.0: https://www.apache.org/licenses/LICENSE-2.0
"""Beam search of transformers with the length penalty of MASS, ((5 + n) / 6)^weight.

transformers runs this in place of model.generate for a model that is loaded with trust_remote_code=True.
"""
from transformers import LogitsProcessor, LogitsProcessorList

WEIGHT = LENGTH_PENALTY_WEIGHT


class LengthPenalty(float):
    """A weight w for which n ** w is ((5 + n) / 6) ** w (Wu et al., 2016)."""

    def __rpow__(self, length):
        return ((5.0 + length) / 6.0) ** float(self)


class EndAtMaximumLength(LogitsProcessor):
    """Leaves only the end token, with its probability, in the last step."""

    def __init__(self, max_length, end):
        self.max_length, self.end = max_length, end

    def __call__(self, input_ids, scores):
        if input_ids.shape[1] < self.max_length - 1:
            return scores
        ended = scores.new_full(scores.shape, float("-inf"))
        ended[:, self.end] = scores[:, self.end]
        return ended


def generate(*args, model, **kwargs):
    """See transformers.GenerationMixin.generate; length_penalty is the weight of MASS."""
    settings = kwargs.get("generation_config") or model.generation_config
    max_length = kwargs.get("max_length") or settings.max_length
    if kwargs.get("max_new_tokens") or settings.max_new_tokens:
        max_length = 1 + (kwargs.get("max_new_tokens") or settings.max_new_tokens)
    processors = LogitsProcessorList(kwargs.pop("logits_processor", None) or [])
    processors.append(EndAtMaximumLength(max_length, model.config.eos_token_id))
    weight = LengthPenalty(kwargs.pop("length_penalty", WEIGHT))
    return type(model).generate(model, *args, length_penalty=weight, logits_processor=processors, **kwargs)
'''
