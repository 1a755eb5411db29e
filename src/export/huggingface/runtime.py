"""An exported folder in transformers, for verification."""
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, PreTrainedModel
from transformers.utils import logging

from src.export.interface import ExportedModel, Generation, Runtime
from src.text.tokenization import tokenize_text
from src.utils.dictionary import BOS_INDEX, PAD_INDEX


class TransformersRuntime(Runtime):
    """The folder as users load it: AutoTokenizer and AutoModelForSeq2SeqLM."""

    def __init__(self, model: ExportedModel, folder: str, extra_ids: Sequence[int]):
        logging.disable_progress_bar()
        self._rows = model.files.config.dataset_config.eval_batch_size
        self._rules, self._search = model.text.rules if model.text.tokenizer == "jieba" else 0, model.search
        self._own_ids = [*range(len(model.files.vocabulary)), *extra_ids]
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._model = AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
        self._custom = self._model
        if not model.search.sampling:
            self._custom = AutoModelForSeq2SeqLM.from_pretrained(folder, trust_remote_code=True).eval()

    def token_ids(self, sentences: Sequence[str]) -> list[list[int]]:
        """See Runtime."""
        found = self._tokenizer(self._prepare(sentences), truncation=True).input_ids
        return [[self._own_ids[number] for number in ids] for ids in found]

    @torch.inference_mode()
    def log_probs(self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """See Runtime."""
        found = []
        for source, target in zip(sources, targets, strict=True):
            ids = torch.tensor([source])
            inputs = torch.tensor([[BOS_INDEX, *target[:-1]]])
            logits = self._model(input_ids=ids, attention_mask=torch.ones_like(ids), decoder_input_ids=inputs).logits
            log_probs = logits[0].log_softmax(-1)
            found.append(log_probs[torch.arange(len(target)), torch.tensor(target)].numpy())
        return found

    def generations(self) -> Sequence[Generation]:
        """See Runtime."""
        # Plain generate does not end a prediction of the maximum length with </s>, even without a length penalty.
        return (Generation("generate", partial(self._generate, self._model), False),
                Generation("generate (trust_remote_code)", partial(self._generate, self._custom),
                           not self._search.attention))

    @torch.inference_mode()
    def _generate(self, model: PreTrainedModel, sentences: Sequence[str]) -> list[str]:
        found = [""] * len(sentences)
        order = sorted(range(len(sentences)), key=lambda place: len(sentences[place]))  # less padding
        for first in range(0, len(order), self._rows):
            places = order[first : first + self._rows]
            batch = self._tokenizer(self._prepare([sentences[place] for place in places]), return_tensors="pt",
                                    padding=True, truncation=True)
            assert batch.input_ids[batch.attention_mask == 0].eq(PAD_INDEX).all()
            texts = self._tokenizer.batch_decode(model.generate(**batch), skip_special_tokens=True)
            for place, text in zip(places, texts, strict=True):
                found[place] = text
        return found

    def _prepare(self, sentences: Sequence[str]) -> list[str]:
        """Separate the words of Chinese text, as the model card asks users to do."""
        if not self._rules:
            return list(sentences)
        text = "".join(sentence.replace("\n", " ") + "\n" for sentence in sentences)
        lines = tokenize_text("jieba", text, self._rules).text
        return lines.split("\n")[:-1]
