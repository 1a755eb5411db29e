"""The programs in exported folders that process text and search, without the networks of the runtimes."""
import ast
import dataclasses
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from src.common.errors import MassError
from src.export.folder import write_shared_files
from src.export.interface import ExportedModel
from src.export.runner_files import load_program, write_runner
from src.inference.raw_text import TextInput
from src.text.spelling import SPELLING_HELP
from src.text.text_processing import TextProcessing
from src.transformer.beam_search import beam_search
from src.transformer.decoding.options import SearchOptions
from tests.helpers.exporting import SENTENCES, make_export_model, text_of
from tests.helpers.paths import ROOT
from tests.helpers.toy_language import VOCAB, ToyLanguage, ToyStep

RUNTIMES = {"onnxruntime", "ctranslate2", "mindspore", "numpy", "jieba"}
PIECES = st.sampled_from([
    "the", "cat", "'", '"', "''", "``", ".", "...", ",", " ", "  ", "-", "--", "can", "not", "'s", "<unk>", "UNK", "@@",
    "(", ")", "[", "$", "5", "1,5", ":", "é", "\u0301", "½", "猫", "\t", "İ", "«", "”", "gonna", "'t", "'tis", "?", "!",
    "%", "ⓐ", "\u200d", "<s>", "`", "n't", "ſ", "ı", "more'n", "d'ye", "–"])


def program_files():
    return sorted((ROOT / "src" / "export" / "runner").rglob("[!_]*.py"))


@pytest.mark.parametrize("path", program_files(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_programs_import_nothing_but_their_runtime(path):
    names = {path.stem for path in program_files()}
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.split(".")[0])
    assert not imported - names - RUNTIMES - set(sys.stdlib_module_names)


class Folder:
    """An exported folder without a network, and the text processing that it must reproduce."""

    def __init__(self, folder, **processing):
        self.files = make_export_model(folder / "run")
        own = text_of(self.files)
        self.text = dataclasses.replace(own, **processing)
        exported = folder / "exported"
        exported.mkdir()
        model = ExportedModel(self.files, self.text, None, {}, None, SearchOptions(max_length=10))
        write_shared_files(model, "onnx", str(exported))
        write_runner(model, "onnx", str(exported))
        (exported / "generate.py").write_text("from mass_text import Text\nfrom mass_search import beam_search\n")
        program = load_program(str(exported))
        self.program, self.beam_search = program.Text(str(exported)), program.beam_search

    def require_equal_text(self, tokens):
        assert self.program.text(tokens) == self.text.to_text(tokens), repr(tokens)

    def require_equal(self, sentences):
        encoded = TextInput(self.files, self.text).read(sentences, "sentences")
        for number, sentence in enumerate(sentences):
            subwords = self.program.subwords(sentence)
            assert self.program.ids(subwords) == encoded.ids[number].tolist(), repr(sentence)
            tokens = encoded.processed.subwords[number].split()
            self.require_equal_text(tokens)


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    return Folder(tmp_path_factory.mktemp("usual"))


@pytest.mark.parametrize("processing", [
    {}, *({**dict.fromkeys(SPELLING_HELP, False), **one} for one in ({}, *({name: True} for name in SPELLING_HELP))),
    {"codes": ""},
    {"tokenizer": "jieba"}, {"tokenizer": "none"}])
def test_text_is_processed_as_by_eval(tmp_path, processing):
    sentences = [*SENTENCES, "", "我爱北京天安门,UNK 2024年。", "x" * 3000]
    if processing.get("tokenizer") == "none":
        sentences = [sentence for sentence in sentences if "\t" not in sentence]  # such text is tokenized already
    Folder(tmp_path, **processing).require_equal(sentences)


def test_the_old_version_of_codes_is_applied(tmp_path):
    codes = tmp_path / "old"
    codes.write_text("t h\nth e\nthe </w>\nc a\nd o\n", encoding="utf-8")
    Folder(tmp_path, codes=str(codes)).require_equal(["the cat", "them dogs </w> a", "do"])


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(st.lists(PIECES, max_size=12).map("".join))
@example("'\'\"\"\"")
@example(". ' .")
@example("::::::::::a")
@example("gımme \u2018'ſ \u00bd't")
def test_any_text_is_processed_as_by_eval(usual, sentence):
    usual.require_equal([sentence])


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(["<unk>", "<unk>@@", "@@", "the", "ca@@", "t", "'", "''", "``", ".", "'s", "n't", ")",
                                 "-lrb-", "-rrb-",
                                 "#", ",", '"']), max_size=12))
@example(["ca@@", "<unk>", "the"])
@example([",", "''", "''", "''", "''"])
@example(["t", "'s", "'s", "'s", "the"])
@example(["the", "ca@@", "@@@", "@"])
def test_any_tokens_become_the_text_that_eval_writes(usual, tokens):
    usual.require_equal_text(tokens)


def test_the_tokenizer_must_be_known(usual):
    from src.export.text_rules import PYTHON, text_rules

    with pytest.raises(MassError, match="cannot be exported"):
        text_rules(TextProcessing("moses"), PYTHON)


class ToyNetwork:
    """Toy languages as the network of the program's search."""

    def __init__(self, languages):
        self.languages = languages

    def start(self, sources):
        self.prefixes = [[()] * 8 for _ in sources]
        self.kept = list(range(len(sources)))

    def step(self, ids, parents, position):
        log_probs = np.empty((*ids.shape, VOCAB), np.float32)
        prefixes = []
        for row, sentence in enumerate(self.kept):
            prefixes.append([(self.prefixes[row][parents[row, place]] + (int(ids[row, place]),)) if position else ()
                             for place in range(ids.shape[1])])
            for place, prefix in enumerate(prefixes[-1]):
                log_probs[row, place] = self.languages[sentence].next(prefix)
        self.prefixes = prefixes
        return log_probs, None

    def keep(self, rows):
        self.kept = [self.kept[row] for row in rows]
        self.prefixes = [self.prefixes[row] for row in rows]


@pytest.mark.parametrize("options", [
    SearchOptions(max_length=8), SearchOptions(max_length=8, beam_width=1, length_penalty_weight=0),
    SearchOptions(max_length=1), SearchOptions(max_length=7, beam_width=2, min_length=4, no_repeat_ngram_size=2),
    SearchOptions(max_length=8, beam_width=3, length_penalty_weight=3, ban_unk=True, no_repeat_ngram_size=1)])
def test_the_search_finds_what_ours_finds(usual, options):
    languages = [ToyLanguage(seed, eos_bonus=seed % 3 - 1) for seed in range(40)]
    found = beam_search(ToyStep(languages), len(languages), options)
    content = {"beam_width": options.beam_width, "max_length": options.max_length, "min_length": options.min_length,
               "length_penalty": options.length_penalty_weight, "ban_unk": options.ban_unk, "copy_unk": False,
               "no_repeat_ngram_size": options.no_repeat_ngram_size}
    theirs = usual.beam_search(ToyNetwork(languages), [[5, 2]] * len(languages), content)
    assert [one and tuple(one.ids) for one in theirs] == [best[0].ids if best else None for best in found]
    assert [one.score for one in theirs if one] == pytest.approx([best[0].score for best in found if best], abs=1e-5)
