"""The format: a folder that ctranslate2.Translator loads, with a program that ranks by our length penalty."""
from collections.abc import Sequence

from src.common.errors import MassError
from src.export.interface import ExportedModel, ExportFormat, Runtime
from src.export.runner_files import RunnerRuntime, runner_example, runner_notes, write_runner

_PATIENCE = 1.0
"""CTranslate2's search continues until it has found this many times as many predictions as the beam is wide."""


class CTranslate2(ExportFormat):
    """model.bin, config.json, shared_vocabulary.json and generate.py."""

    name, title = "ctranslate2", "CTranslate2"
    packages = ("ctranslate2",)
    quantizations = ("int8", "int8_float32", "int16", "float16")

    def write(self, model: ExportedModel, folder: str) -> None:
        from src.export.ctranslate2.specification import make_specification

        spec = make_specification(model)
        spec.validate()
        spec.optimize(quantization=model.quantize or None)
        spec.save(folder)
        write_runner(model, self.name, folder, patience=_PATIENCE, compute_type=_compute_type(model.quantize))

    def load(self, model: ExportedModel, folder: str) -> Runtime:
        from ctranslate2 import get_supported_compute_types

        wanted, possible = _compute_type(model.quantize), get_supported_compute_types("cpu")
        if wanted not in possible:
            raise MassError(f"--quantize {model.quantize}: CTranslate2 cannot compute in {wanted} on this processor, "
                            f"so the export cannot be verified (possible are {', '.join(sorted(possible))}); "
                            f"--no-verify writes it for another machine")
        return RunnerRuntime(model, folder, exact=False)

    def example(self, folder: str) -> str:
        return runner_example(folder)

    def notes(self, model: ExportedModel) -> Sequence[str]:
        return ["CTranslate2 divides the log-probability of n tokens by n^p instead of ((5 + n) / 6)^w, and stops its "
                "search by other rules. `generate.py` therefore asks it for several predictions without a penalty, and "
                "ranks them by ours; the table below says how many of the best ones are those of `eval.py`. With "
                "`ctranslate2.Translator` itself, give it the subwords of `mass_text.py` with `</s>` at the end.",
                *runner_notes(model)]


def _compute_type(quantize: str) -> str:
    """Return the number format to compute in; matrices that are stored in float16 are computed with in float32."""
    return "float32" if quantize in ("", "float16") else quantize
