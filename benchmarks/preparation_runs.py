"""The commands that benchmarks/data_preparation.py measures, and their dependencies."""
import os
import shutil
import sys
from typing import NamedTuple

from measure_process import Measurement, measure

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STEPS = ("tokenize", "learn", "bpe", "records", "mindrecord")
OTHERS = ("subword-nmt", "plain")
SUBWORD_NMT = "from subword_nmt.subword_nmt import main; main()"


class Run(NamedTuple):
    """A measured command."""

    step: str  # one of STEPS, or another program
    processes: int
    lines: int


class Preparation:
    """The commands of all runs, and the paths of their outputs in the folder `work`."""

    def __init__(self, work: str, text: str, lines: int, symbols: int, threshold: int):
        self.work, self.lines, self.sample_lines = work, lines, max(lines // 10, 1)
        self._text, self._symbols, self._threshold = text, symbols, threshold
        self.codes = os.path.join(work, f"{lines}_lines_{symbols}_symbols.codes")

    def output(self, run: Run) -> str:
        """Return the folder or file that a run creates."""
        return os.path.join(self.work, f"{run.lines}_lines", f"{run.processes}_processes", run.step)

    def raw_folder(self, lines: int) -> str:
        return os.path.join(self.work, f"{lines}_lines", "raw")

    def make_raw_text(self) -> str:
        """Enlarge the text unless this has been done; return a description of the growth of distinct words."""
        path, note = os.path.join(self.raw_folder(self.lines), "news.txt"), os.path.join(self.work, f"{self.lines}.txt")
        if not os.path.exists(note):
            script = os.path.join(REPOSITORY, "benchmarks", "enlarge_text.py")
            made = measure([sys.executable, script, "--text", self._text, "--lines", str(self.lines), "--output", path])
            with open(note, "w", encoding="utf-8") as stream:
                stream.write(made.output)
        sample = os.path.join(self.raw_folder(self.sample_lines), "news.txt")
        os.makedirs(os.path.dirname(sample), exist_ok=True)
        with open(path, "rb") as source, open(sample, "wb") as stream:
            for _ in range(self.sample_lines):
                stream.write(source.readline())
        with open(note, encoding="utf-8") as stream:
            return stream.read()

    def measure(self, run: Run) -> Measurement:
        """Run a command from scratch and measure it; missing outputs of earlier steps are created first."""
        for needed in self._needs(run):
            if not os.path.exists(self.output(needed) + ".done"):
                self.measure(needed)
        output = self.output(run)
        shutil.rmtree(output, ignore_errors=True)
        os.makedirs(output)
        measured = measure(self._command(run, output), run.processes if run.step == "learn" else None)
        with open(output + ".done", "w", encoding="utf-8"):
            pass
        if run.step == "learn" and run.lines == self.lines and not os.path.exists(self.codes):
            shutil.copyfile(os.path.join(output, "codes"), self.codes)
        return measured

    def _needs(self, run: Run) -> list[Run]:
        if run.step == "tokenize":
            return []
        tokens = Run("tokenize", run.processes, run.lines)
        learned = [] if os.path.exists(self.codes) else [Run("learn", 2, self.lines)]
        return {"learn": [tokens], "bpe": [*learned, tokens], "records": [Run("bpe", run.processes, run.lines)],
                "mindrecord": [Run("bpe", run.processes, run.lines)],
                "subword-nmt": [*learned, tokens], "plain": learned}[run.step]

    def _command(self, run: Run, output: str) -> list[str]:
        def script(name: str, *arguments: object) -> list[str]:
            return [sys.executable, os.path.join(REPOSITORY, name), *map(str, arguments)]

        raw = self.raw_folder(run.lines)
        tokens, encoded = (self.output(run._replace(step=step)) for step in ("tokenize", "bpe"))
        match run.step:
            case "tokenize":
                return script("tokenize_corpus.py", "--corpus_folder", raw, "--output_folder", output,
                              "--pool_size", run.processes)
            case "learn":
                learn = os.path.join(REPOSITORY, "scripts", "learn_subword.sh")
                return ["env", f"PYTHON={sys.executable}", "sh", learn, tokens, "--symbols", str(self._symbols),
                        "--output", os.path.join(output, "codes")]
            case "bpe":
                return script("apply_bpe_encoding.py", "--codes", self.codes, "--src_folder", tokens,
                              "--output_folder", output, "--processes", run.processes, "--threshold", self._threshold,
                              "--vocab_path", os.path.join(output, "vocabulary.dict.bin"))
            case "records" | "mindrecord":
                kind = "tfrecord" if run.step == "records" else "mindrecord"
                return script("news_crawl.py", "--src_folder", encoded, "--output_folder", output, "--format", kind,
                              "--processes", run.processes, "--existed_vocab",
                              os.path.join(encoded, "vocabulary.dict.bin"))
            case "subword-nmt":
                return [sys.executable, "-c", SUBWORD_NMT, "apply-bpe", "--codes", self.codes, "--input",
                        os.path.join(tokens, "news_tokenized.txt"), "--output", os.path.join(output, "bpe.txt")]
            case "plain":
                return script("benchmarks/plain_preparation.py", os.path.join(raw, "news.txt"), self.codes,
                              os.path.join(output, "bpe.txt"))
        raise ValueError(run.step)
