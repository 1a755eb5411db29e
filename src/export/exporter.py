"""The export of a model: load, write, verify, describe; the folder appears under its name when all is done."""
import dataclasses

from src.checkpoints.find import ModelFiles
from src.checkpoints.load import network_arrays
from src.common.errors import MassError
from src.common.files import atomic_folder
from src.export.card import write_card
from src.export.folder import write_shared_files
from src.export.interface import ExportedModel, ExportFormat
from src.export.options import ExportOptions
from src.export.registry import FORMATS
from src.export.verification import Verification, draw_sentences, verify
from src.inference.model import load_model
from src.inference.raw_text import read_text
from src.text.text_processing import TextProcessing
from src.transformer.decoding.options import SearchOptions


def export_model(files: ModelFiles, text: TextProcessing, options: ExportOptions) -> Verification | None:
    """Export a model and return the result of its verification; call `options.check` first.

    Raises:
        MassError: a package is missing, the format cannot hold the model, or the verification failed; nothing is
            written then.
    """
    target = FORMATS[options.format]
    model = load_for_export(files, text, target, options.quantize)
    target.require_expressible(model)
    sentences = read_text(options.sentences, "strict") if options.sentences else draw_sentences(files.vocabulary)
    with atomic_folder(options.output) as folder:
        write_shared_files(model, target.name, folder)
        target.write(model, folder)
        verification = verify(model, target.load(model, folder), sentences) if options.verify else None
        _require_passed(verification, target, options)
        write_card(model, target, options.output, folder, verification)
    return verification


def load_for_export(files: ModelFiles, text: TextProcessing, target: ExportFormat,
                    quantize: str = "") -> ExportedModel:
    """Load a network. Whatever compute_type it was trained with, it computes in float32, as exported models do."""
    config = files.config
    model_config = dataclasses.replace(config.model_config, compute_type="float32", decode_compute_type="float32")
    in_float32 = dataclasses.replace(files, config=dataclasses.replace(config, model_config=model_config))
    network = load_model(in_float32).network
    # Copies: asnumpy returns the memory of the network, and whoever changes the weights of the export must not change
    # the network that the export is compared with.
    positions = network.transformer.embedding.positions.encodings.asnumpy().copy()
    weights = {name: array.copy() for name, array in network_arrays(network).items()}
    search = SearchOptions.from_config(model_config)
    if not target.samples:
        search = dataclasses.replace(search, sampling=None)
    return ExportedModel(files, text, network, weights, positions, search, quantize)


def _require_passed(verification: Verification | None, target: ExportFormat, options: ExportOptions) -> None:
    """Raise a MassError with the table if a check failed."""
    if verification and verification.failed:
        table = "\n".join(verification.lines())
        raise MassError(f"the model in {target.title} does not compute what eval.py does: "
                        f"{', '.join(verification.failed)}; {options.output!r} was not written (--no-verify writes it "
                        f"anyway)\n{table}")
