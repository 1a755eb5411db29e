"""The signature of a score: everything but model and data that it depends on."""
from src.inference.evaluation.bootstrap import SAMPLES
from src.inference.evaluation.metrics.metric import Metric
from src.transformer.decoding.options import SearchOptions
from src.utils.dictionary import Dictionary


def search_signature(metric: Metric, search: SearchOptions, compute_type: str, vocabulary: Dictionary,
                     confidence: bool) -> str:
    """Return the signature of a metric of predictions.

    eval.py compares it with the signature in an existing metrics.json, so a change of its wording makes earlier scores
    appear to be different.

    Args:
        compute_type: the number format of the search as the configuration has it; `auto` is not named.
    """
    parts = [metric.signature()]
    if search.sampling:
        parts.append("sampling: " + ", ".join(f"{name} {value:g}" for name, value in search.sampling._asdict().items()))
        if search.n_best > 1:
            parts += [f"best of {search.n_best}", f"length penalty {search.length_penalty_weight:g}"]
    else:
        parts += [f"beam {search.beam_width}", f"length penalty {search.length_penalty_weight:g}"]
    parts += [f"at least {search.min_length} tokens"] * (search.min_length > 1)
    parts.append(f"at most {search.max_length} tokens")
    parts += [f"no {search.no_repeat_ngram_size}-gram twice"] * (search.no_repeat_ngram_size > 0)
    parts += ["no <unk>"] * search.ban_unk + ["<unk> copied from the source"] * search.attention
    parts += [f"search in {compute_type}"] * (compute_type != "auto")
    parts.append(f"vocabulary {vocabulary.fingerprint[:12]}")
    parts += [f"95% intervals from {SAMPLES} bootstrap samples"] * confidence
    return ", ".join(parts)
