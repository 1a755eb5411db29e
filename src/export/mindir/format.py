"""The format: the encoder and a step of the decoder, which a program in the folder searches with."""
import os
from collections.abc import Sequence
from contextlib import chdir

import numpy as np

from src.export.interface import ExportedModel, ExportFormat, Runtime
from src.export.runner_files import RunnerRuntime, runner_example, runner_notes, write_runner

_SENTENCES = 8
"""The batch size of the exported graphs."""


class MindIr(ExportFormat):
    """encoder.mindir, decoder.mindir and generate.py."""

    name, title = "mindir", "MindSpore (MINDIR)"

    def write(self, model: ExportedModel, folder: str) -> None:
        from mindspore import Tensor, export

        from src.export.mindir.cells import DecoderCell, EncoderCell, Shapes, cache_shape, portable_transformer

        own = model.files.config.model_config
        shapes = Shapes(_SENTENCES, own.seq_length, model.search.beam_width, model.search.max_length)
        transformer = portable_transformer(own, model.weights)
        source_ids = Tensor(np.ones((shapes.batch, shapes.source), np.int32))
        encoder, decoder = EncoderCell(transformer, shapes), DecoderCell(transformer, shapes)
        cache = Tensor(np.zeros(cache_shape(own, shapes), np.float32))
        ids = Tensor(np.ones((shapes.batch, shapes.width), np.int32))
        rows = Tensor(np.arange(shapes.batch * shapes.width, dtype=np.int32))
        inputs = (ids, Tensor(np.zeros(1, np.int32)), rows, cache, cache, *encoder(source_ids))
        with chdir(folder):  # MindSpore refuses paths with spaces and other characters
            export(encoder, source_ids, file_name="encoder", file_format="MINDIR")
            export(decoder, *inputs, file_name="decoder", file_format="MINDIR")
        for name in ("encoder", "decoder"):  # MindSpore writes files that only their owner can read
            os.chmod(os.path.join(folder, f"{name}.mindir"), 0o644)
        write_runner(model, self.name, folder, batch_size=shapes.batch, source_length=shapes.source,
                     cache_shape=cache_shape(own, shapes))

    def load(self, model: ExportedModel, folder: str) -> Runtime:
        return RunnerRuntime(model, folder)

    def example(self, folder: str) -> str:
        return runner_example(folder)

    def notes(self, model: ExportedModel) -> Sequence[str]:
        own = model.files.config.model_config
        return [f"All shapes are fixed, as graphs of fixed shapes are faster: {_SENTENCES} sentences of "
                f"{own.seq_length} tokens, {model.search.beam_width} hypotheses each, {model.search.max_length} tokens "
                f"a prediction. `generate.py` pads what is smaller.",
                "On an Ascend or a GPU, call `mindspore.set_device` before `load()`, or set the environment variable "
                "MASS_DEVICE, for example to `Ascend`. For MindSpore Lite, convert both files with "
                "`converter_lite --fmk=MINDIR --modelFile=encoder.mindir --outputFile=encoder`, and load the results "
                "with `mindspore_lite.Model.build_from_file` in place of `mindspore.load`.",
                *runner_notes(model)]
