"""The format: the encoder and a step of the decoder, which a program in the folder searches with."""
import os
from collections.abc import Sequence

from src.export.interface import ExportedModel, ExportFormat, Runtime
from src.export.runner_files import RunnerRuntime, runner_example, runner_notes, write_runner


class Onnx(ExportFormat):
    """encoder.onnx, decoder.onnx and generate.py."""

    name, title = "onnx", "ONNX Runtime"
    packages, runtime_packages, quantizing_packages = ("onnx",), ("onnxruntime",), ("onnxruntime",)
    quantizations = ("int8",)

    def write(self, model: ExportedModel, folder: str) -> None:
        from src.export.onnx.network import decoder_graph, encoder_graph

        for name, make in (("encoder", encoder_graph), ("decoder", decoder_graph)):
            path = os.path.join(folder, f"{name}.onnx")
            make(model.files.config.model_config, model.weights, model.positions).save(path)
            if model.quantize:
                _quantize(path)
        write_runner(model, self.name, folder)

    def load(self, model: ExportedModel, folder: str) -> Runtime:
        return RunnerRuntime(model, folder, exact=not model.quantize)

    def example(self, folder: str) -> str:
        return runner_example(folder)

    def notes(self, model: ExportedModel) -> Sequence[str]:
        return ["`encoder.onnx` returns keys and values of the cross-attention, which `decoder.onnx`, one step of the "
                "decoder, reads; its caches are inputs and outputs. All sizes of batches and lengths are free.",
                *runner_notes(model)]


def _quantize(path: str) -> None:
    """Replace a model by one with 8-bit matrices; activations are quantized when it runs."""
    import logging

    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().setLevel(logging.ERROR)  # it recommends a pre-processing that these graphs do not need
    full = path + ".float32"
    os.replace(path, full)
    quantize_dynamic(full, path, weight_type=QuantType.QInt8)
    os.remove(full)
