"""The names of weights: ours, and those of transformers.PegasusForConditionalGeneration."""
import re

TABLE, SHARED = "embedding.table", "model.shared.weight"
POSITION_TABLES = tuple(f"model.{side}.embed_positions.weight" for side in ("encoder", "decoder"))
LOGITS_BIAS = "final_logits_bias"
FINGERPRINT_KEY = "mass_vocabulary_fingerprint"
"""The key of config.json that says which vocabulary a model has. transformers keeps it when it saves the model."""

_MODULES = {
    "self_attention": "self_attn", "cross_attention": "encoder_attn", "query": "q_proj", "key": "k_proj",
    "value": "v_proj", "output": "out_proj", "self_attention_norm": "self_attn_layer_norm",
    "cross_attention_norm": "encoder_attn_layer_norm", "feed_forward_norm": "final_layer_norm", "norm": "layer_norm",
    "gamma": "weight", "beta": "bias"}


def pegasus_name(name: str) -> str:
    """Return the name in Pegasus of one of our weights."""
    if name == TABLE:
        return SHARED
    parts = [part for part in name.split(".") if part != "feed_forward"]
    return ".".join(["model", *(_MODULES.get(part, part) for part in parts)])


def is_copy_or_constant(name: str) -> bool:
    """Return whether an array of a Pegasus checkpoint is none of our weights: a copy of the table, or a constant."""
    return name in (*POSITION_TABLES, LOGITS_BIAS) or bool(
        re.fullmatch(r"lm_head\.weight|model\.(encoder|decoder)\.embed_tokens\.weight", name))
