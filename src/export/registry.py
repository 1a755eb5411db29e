"""The formats that models can be exported to; a new one is a module beside this and an entry here."""
from src.export.ctranslate2.format import CTranslate2
from src.export.huggingface.format import HuggingFace
from src.export.interface import ExportFormat
from src.export.mindir.format import MindIr
from src.export.onnx.format import Onnx

FORMATS: dict[str, ExportFormat] = {entry.name: entry for entry in (HuggingFace(), CTranslate2(), Onnx(), MindIr())}

QUANTIZATIONS = tuple(dict.fromkeys(name for entry in FORMATS.values() for name in entry.quantizations))
"""The quantizations of all formats."""
