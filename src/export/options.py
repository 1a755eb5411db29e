"""The request to export a model, checked before any work is done."""
import os
from dataclasses import dataclass

from src.common.errors import UsageError
from src.export.folder import EXPORT_FILE


@dataclass(frozen=True)
class ExportOptions:
    """Where and how a model is exported."""

    format: str
    output: str
    quantize: str = ""
    verify: bool = True
    sentences: str = ""  # a file of raw sentences for the verification; empty: drawn from the vocabulary
    overwrite: bool = False

    def check(self) -> None:
        """Raise a UsageError if the output exists and must not be replaced, or other runtimes cannot open it."""
        try:
            os.path.abspath(self.output).encode()
        except UnicodeEncodeError as error:
            raise UsageError(f"--output {self.output!r}: other runtimes read paths that are UTF-8 only; choose another "
                             f"folder") from error
        if os.path.exists(self.output) and not os.path.isdir(self.output):
            raise UsageError(f"--output {self.output!r} is a file; give a folder")
        if os.path.isdir(self.output) and os.listdir(self.output):
            if not os.path.isfile(os.path.join(self.output, EXPORT_FILE)):
                raise UsageError(f"--output {self.output!r} is not empty and holds no exported model: choose another "
                                 f"folder")
            if not self.overwrite:
                raise UsageError(f"--output {self.output!r} holds an exported model: give --overwrite to replace it, "
                                 f"or choose another name")
