"""A process that predicts the same sentences again and again, with eval.py's search or with an exported model.

    python benchmarks/engines/exported_model.py (eval | generate | custom | program) FOLDER SENTENCES

It prints a line when the model is loaded. For each line on stdin it predicts all sentences and prints a JSON object on
a line of its own: the seconds, and in the first round the predictions.
"""
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

MARK = "result: "
"""Begins the lines that are meant for the benchmark; runtimes print as well."""
_ROWS = 32  # of a batch in transformers

Predict = Callable[[list[str]], list[str]]


def load_eval(folder: str) -> Predict:
    """eval.py's search with a run folder."""
    from src.checkpoints.find import find_model
    from src.inference.model import load_model
    from src.inference.raw_text import TextInput
    from src.inference.text_generator import TextGenerator, best_texts
    from src.text.text_processing import TextProcessing

    files = find_model(checkpoint=folder)
    text = TextProcessing.load(folder)
    generator = TextGenerator(load_model(files), text, files.config.dataset_config.eval_batch_size, True)
    return lambda sentences: best_texts(generator.generate(TextInput(files, text).read(sentences, "sentences")))


def load_transformers(folder: str, own_code: bool) -> Predict:
    """The folder of --format huggingface, as its card says; sentences of similar length share a batch."""
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForSeq2SeqLM.from_pretrained(folder, trust_remote_code=own_code).eval()

    def predict(sentences: list[str]) -> list[str]:
        found = [""] * len(sentences)
        order = sorted(range(len(sentences)), key=lambda place: len(sentences[place]))
        for first in range(0, len(order), _ROWS):
            places = order[first : first + _ROWS]
            batch = tokenizer([sentences[place] for place in places], return_tensors="pt", padding=True,
                              truncation=True)
            with torch.inference_mode():
                texts = tokenizer.batch_decode(model.generate(**batch), skip_special_tokens=True)
            for place, text in zip(places, texts, strict=True):
                found[place] = text
        return found

    return predict


def load_program(folder: str) -> Predict:
    """generate.py of an exported folder."""
    sys.path.insert(0, folder)
    return __import__("generate").load().predict


def main() -> None:
    kind, folder, path = sys.argv[1:]
    loaders: dict[str, Callable[[], Predict]] = {
        "eval": lambda: load_eval(folder), "generate": lambda: load_transformers(folder, False),
        "custom": lambda: load_transformers(folder, True), "program": lambda: load_program(folder)}
    with open(path, encoding="utf-8") as stream:
        sentences = stream.read().removesuffix("\n").split("\n")
    predict = loaders[kind]()
    print(MARK + "{}", flush=True)
    for number, _ in enumerate(sys.stdin):
        start = time.perf_counter()
        predictions = predict(sentences)
        seconds = time.perf_counter() - start
        print(MARK + json.dumps({"seconds": seconds, "predictions": [] if number else predictions}), flush=True)


if __name__ == "__main__":
    # Replaces this folder, whose modules must not hide packages of the same names.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    main()
