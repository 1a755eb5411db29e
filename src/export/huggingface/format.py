"""The format: a folder that transformers loads with AutoTokenizer and AutoModelForSeq2SeqLM."""
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from src.common.json_files import write_json
from src.export.huggingface.generation import custom_generate, generation_settings, length_penalty
from src.export.huggingface.names import (
    FINGERPRINT_KEY,
    LOGITS_BIAS,
    POSITION_TABLES,
    SHARED,
    TABLE,
    pegasus_name,
)
from src.export.huggingface.tokenizer import PieceTable, write_tokenizer
from src.export.interface import ExportedModel, ExportFormat, Runtime
from src.utils.dictionary import BOS_INDEX, EOS_INDEX, PAD_INDEX

MASKED_LOGIT = -1e9
"""The bias of logits of tokens that the vocabulary does not have."""

_PENALTY_NOTE = """transformers divides the log-probability of n tokens by n^p instead of ((5 + n) / 6)^w, so `generate`
uses p = {:g}, which is close to w = {:g}; the table below says how many predictions are equal to those of `eval.py`.
With `trust_remote_code=True` in `AutoModelForSeq2SeqLM.from_pretrained`, `generate` runs `custom_generate/generate.py`
of this folder, which computes w exactly."""


class HuggingFace(ExportFormat):
    """Weights as PegasusForConditionalGeneration, with our position encodings in both of its position tables."""

    name, title = "huggingface", "Hugging Face transformers"
    packages, runtime_packages = ("tokenizers",), ("torch", "transformers")
    samples = True

    def require_expressible(self, model: ExportedModel) -> None:
        """Raise a MassError if the BPE codes or the tokenizer have no form in tokenizer.json."""
        PieceTable(model.text, model.files.vocabulary)

    def write(self, model: ExportedModel, folder: str) -> None:
        from safetensors.numpy import save

        pieces = PieceTable(model.text, model.files.vocabulary)
        arrays = pegasus_weights(model, pieces.extra_ids)
        with open(os.path.join(folder, "model.safetensors"), "wb") as stream:  # save_file makes files private
            stream.write(save(arrays, metadata={"format": "pt"}))
        write_json(os.path.join(folder, "config.json"), pegasus_config(model, len(arrays[SHARED])))
        write_json(os.path.join(folder, "generation_config.json"), generation_settings(model.search))
        write_tokenizer(model.text, model.files.vocabulary, pieces, model.files.config.model_config.seq_length, folder)
        if model.search.sampling is None:
            os.mkdir(os.path.join(folder, "custom_generate"))
            path = os.path.join(folder, "custom_generate", "generate.py")
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(custom_generate(model.search))

    def load(self, model: ExportedModel, folder: str) -> Runtime:
        from src.export.huggingface.runtime import TransformersRuntime

        return TransformersRuntime(model, folder, PieceTable(model.text, model.files.vocabulary).extra_ids)

    def example(self, folder: str) -> str:
        return f'''```python
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{folder}")
model = AutoModelForSeq2SeqLM.from_pretrained("{folder}")
batch = tokenizer(["The text that the prediction is for ."], return_tensors="pt", padding=True, truncation=True)
print(tokenizer.batch_decode(model.generate(**batch), skip_special_tokens=True))
```'''

    def notes(self, model: ExportedModel) -> Sequence[str]:
        notes = []
        if model.search.sampling is None and model.search.length_penalty_weight:
            notes.append(_PENALTY_NOTE.format(length_penalty(model.search), model.search.length_penalty_weight))
        if model.text.tokenizer == "jieba":
            notes.append("The text must be separated into words first, as `tokenize_corpus.py --tokenizer jieba` does "
                         "it: `tokenizer.json` cannot hold jieba.")
        if model.search.attention:
            notes.append("`eval.py` replaced predicted `<unk>` by source words (copy_unk); transformers cannot, and "
                         "prints `<unk>`.")
        return notes


def pegasus_weights(model: ExportedModel, extra_ids: Sequence[int]) -> dict[str, np.ndarray]:
    """Return the arrays of model.safetensors.

    Args:
        extra_ids: for each row to add to the embedding table, the row that it is a copy of.
    """
    arrays = {pegasus_name(name): array for name, array in model.weights.items()}
    table = model.weights[TABLE]
    arrays[SHARED] = np.concatenate([table, table[np.asarray(extra_ids, np.int64)]])
    for name in POSITION_TABLES:
        arrays[name] = model.positions.copy()
    bias = np.zeros((1, len(arrays[SHARED])), np.float32)
    bias[:, len(table):] = MASKED_LOGIT
    arrays[LOGITS_BIAS] = bias
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def pegasus_config(model: ExportedModel, vocab_size: int) -> dict[str, Any]:
    """Return the content of config.json."""
    own = model.files.config.model_config
    sides = {f"{side}_{key}": value for side in ("encoder", "decoder") for key, value in (
        ("layers", own.num_hidden_layers), ("attention_heads", own.num_attention_heads),
        ("ffn_dim", own.intermediate_size))}
    return {"architectures": ["PegasusForConditionalGeneration"], "model_type": "pegasus", "dtype": "float32",
            "is_encoder_decoder": True, "vocab_size": vocab_size, "d_model": own.hidden_size, **sides,
            "max_position_embeddings": own.max_position_embeddings, "activation_function": own.hidden_act,
            "dropout": own.hidden_dropout_prob, "attention_dropout": own.attention_dropout_prob,
            "activation_dropout": own.hidden_dropout_prob, "scale_embedding": True, "tie_word_embeddings": True,
            "bos_token_id": BOS_INDEX, "pad_token_id": PAD_INDEX, "eos_token_id": EOS_INDEX,
            "decoder_start_token_id": BOS_INDEX, "forced_eos_token_id": None,
            FINGERPRINT_KEY: model.files.vocabulary.fingerprint}
