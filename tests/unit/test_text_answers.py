"""Raw text through one tiny model: answers, scores, reports, conversation."""
import base64
import json
import re
import types

import numpy as np
import pytest

from src.common.errors import UsageError
from src.common.ragged import RaggedArray
from src.inference.evaluation.attention_plot import attention_picture
from src.inference.evaluation.evaluate import EvaluationOptions, count_words, evaluate, signature
from src.inference.examples import text_examples, text_of
from src.inference.generation import generate
from src.inference.interactive import Conversation
from src.inference.model import load_model
from src.inference.output import SUBJECT, check_metrics, write_metrics
from src.inference.predictions import answer_symbols
from src.inference.raw_text import TextFlags, TextInput, find_text
from src.inference.text_generator import Answerer, best_texts
from src.text.text_processing import ProcessedLines
from src.transformer.decoding.hypotheses import Hypothesis
from src.transformer.decoding.options import Sampling, SearchOptions
from src.utils.dictionary import Dictionary
from tests.helpers.tiny_model import TEXT, make_model_folder

LINES = ["The cat sat on the mat.", "", "Who let 12 dogs out?", "  ", "A dog ate the cat's food!", "The mat"]
OWN = (0, 1)  # the lines of TEXT whose target is the model's answer


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """The model, loaded once, and an answerer whose graphs are compiled once."""
    folder = tmp_path_factory.mktemp("model")
    files = make_model_folder(folder)
    text, model = find_text(files, TextFlags()), load_model(files)
    return types.SimpleNamespace(folder=folder, files=files, text=text, model=model,
                                 answerer=Answerer(model, text, rows=4))


def answers_to(bench, lines):
    return bench.answerer.answer(TextInput(bench.files, bench.text).read(lines, "these lines"))


@pytest.fixture(scope="module")
def together(bench):
    return answers_to(bench, LINES)


def test_line_i_answers_line_i(bench, together):
    assert [bool(found) for found in together] == [True, False, True, False, True, True]
    texts = best_texts(together)
    assert texts[1] == texts[3] == "" and all(texts[i] for i in (0, 2, 4, 5))
    assert not any("@@" in text for text in texts)
    for index, line in enumerate(LINES):
        ((*alone,),) = answers_to(bench, [line])
        assert [answer.text for answer in alone] == [answer.text for answer in together[index]]
        np.testing.assert_allclose([answer.score for answer in alone],
                                   [answer.score for answer in together[index]], atol=1e-4)


def test_a_turn_is_answered_with_those_before_it(bench):
    def begin(turns):
        return Conversation(TextInput(bench.files, bench.text), bench.answerer, turns)

    first, second = "The cat sat.", "Who let it out?"
    one, two = begin(1), begin(3)
    said = one.answer(first)
    assert two.answer(first) == said
    (alone,), (joined,) = answers_to(bench, [second]), answers_to(bench, [" ".join([first, said[0].text, second])])
    assert one.answer(second) == alone and two.answer(second) == joined and joined != alone
    two.begin_anew()
    assert two.answer(second) == alone
    assert two.answer(" ") == [] and one.answer(first) == said


def test_turns_that_do_not_fit_are_left_out(bench, capsys):
    long = "The cat the cat the cat"
    conversation = Conversation(TextInput(bench.files, bench.text), bench.answerer, turns=9)
    for _ in range(4):
        conversation.answer(long)
    assert TextInput(bench.files, bench.text).fits(" ".join(conversation._said[:-1]))
    assert not capsys.readouterr().err


@pytest.fixture(scope="module")
def evaluated(bench):
    """What evaluate() makes for each metric, and the attention it pictures; two targets are the model's answers."""
    source = TextInput(bench.files, bench.text).read(TEXT, "the text")
    found = generate(bench.answerer._infer, text_examples(bench.files, (), *source).batches(
        bench.files.config, bench.answerer._shapes), quiet=True)
    vocabulary = bench.files.vocabulary
    target = TextInput(bench.files, bench.text).read(["-", "-", "The new mat.", "Dogs <b>eat</b> | 3 €"], "answers")
    ids = RaggedArray.from_sequences([*(found[line][0].ids for line in OWN), target.ids[2], target.ids[3]])
    words = [*(text_of(ids[line], vocabulary) for line in OWN), *target.processed.words[2:]]
    examples = text_examples(bench.files, ("source", "target"), *source, ProcessedLines(words, words), ids)
    results, seen = {}, []

    def draw(weights, source, target):
        seen.append((weights, source, target))
        return attention_picture(weights, source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("src.inference.evaluation.report.attention_picture", draw)
        for metric, ending in (("rouge", "html"), ("ppl", "md")):
            options = EvaluationOptions(str(bench.folder / f"{metric}.jsonl"), metric, confidence=True,
                                        report=str(bench.folder / f"{metric}.{ending}"))
            options.check()
            results[metric] = evaluate(bench.files, examples, options)
    return {**results, "attention": seen}


def written(bench, metric):
    return [json.loads(line) for line in (bench.folder / f"{metric}.jsonl").read_text().splitlines()]


def test_the_score_of_an_answer_is_the_score_of_that_target(bench, evaluated):
    """What the search says of its answers, teacher forcing says too."""
    for line in OWN:
        answer, given = written(bench, "rouge")[line], written(bench, "ppl")[line]
        assert answer["prediction"] == given["target"]
        assert answer["log_prob"] == pytest.approx(given["log_prob"], abs=1e-4)


def test_rouge_of_text_is_of_words_as_they_were(bench, evaluated):
    metrics = evaluated["rouge"]
    answers = written(bench, "rouge")
    assert [answer["source"] for answer in answers] == bench.text.encode(TEXT).words
    assert answers[3]["target"].endswith("# €")  # a reference keeps what the vocabulary lacks
    low, high = metrics["rouge_interval"]["rouge-1"]
    assert 0 <= low <= metrics["rouge"]["rouge-1"] <= high <= 100 and low < high
    assert "bootstrap" in metrics["signature"] and "no 1-gram twice" in metrics["signature"]
    assert metrics["checkpoint_step"] == 7 and metrics["sentences"] == 4
    both = json.loads((bench.folder / "metrics.json").read_text())
    assert both["rouge"] == metrics["rouge"] and both["ppl"] == evaluated["ppl"]["ppl"]


def test_perplexity_of_text(bench, evaluated):
    metrics = evaluated["ppl"]
    answers = written(bench, "ppl")
    nll, symbols = -sum(answer["log_prob"] for answer in answers), sum(answer["symbols"] for answer in answers)
    assert metrics["ppl"]["subword"] == pytest.approx(np.exp(nll / symbols))
    low, high = metrics["ppl_interval"]["subword"]
    assert low < metrics["ppl"]["subword"] < high
    words = sum(len(answer["target"].split()) + 1 for answer in answers)
    assert metrics["target_words"] == words and metrics["ppl"]["word"] == pytest.approx(np.exp(nll / words))


def test_the_html_report_is_one_file_that_shows_all(bench, evaluated):
    page = (bench.folder / "rouge.html").read_text()
    assert f"{evaluated['rouge']['rouge']['rouge-l']:.2f}" in page
    assert "&lt; b &gt;" in page and "<b>" not in page  # text is text
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(pictures) == 3 and all(base64.b64decode(data).startswith(b"\x89PNG") for data in pictures)
    assert not re.search(r'(src|href)="(?!data:)', page)
    for title in ("Scores", "Lengths in words", "Best answers", "Attention"):
        assert f"<h2>{title}" in page


def test_the_markdown_report_has_its_pictures_beside_it(bench, evaluated):
    page = (bench.folder / "ppl.md").read_text()
    pictures = re.findall(r"!\[[^\]]*\]\(<([^>]+)>\)", page)
    assert len(pictures) == 3 and all((bench.folder / name).read_bytes().startswith(b"\x89PNG") for name in pictures)
    assert r"\<b\>eat" in page.replace(" ", "") and r"\|" in page
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert all(row.replace(r"\|", "").endswith(" |") for row in rows)


def test_attention_sums_to_one_and_sees_no_padding(evaluated):
    assert len(evaluated["attention"]) == 6
    for weights, source, target in evaluated["attention"]:
        assert weights.shape == (len(target), len(source)) and target[-1] == source[-1] == "</s>"
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)  # nothing is left for the padding


def test_unknown_symbols_are_copied_from_where_the_answer_looked():
    vocabulary = Dictionary.from_counts({"the": 2, "c@@": 1})
    the = vocabulary.index["the"]
    attention = np.zeros((4, 6))
    attention[[0, 1, 2, 3], [0, 2, 5, 1]] = 1.0  # the third looks at </s> most, and next at the first word
    attention[2, 0] = 0.5
    hypothesis = Hypothesis((the, vocabulary.unk_index, vocabulary.unk_index, vocabulary.eos_index), -1.0, -1.0,
                            attention)
    source = ["the", "Zür@@", "i@@", "ch", "lake"]
    assert answer_symbols(hypothesis, source, vocabulary) == ["the", "Zürich", "the"]
    assert answer_symbols(hypothesis, None, vocabulary) == ["the", "<unk>", "<unk>"]
    assert answer_symbols(hypothesis, [], vocabulary) == ["the", "<unk>", "<unk>"]


def test_other_scores_are_not_replaced(tmp_path):
    output, scores = str(tmp_path / "answers.jsonl"), tmp_path / "metrics.json"
    subject = {**dict.fromkeys(SUBJECT, "this"), "signature": "beam 4"}
    check_metrics(output, subject, overwrite=False)  # there are none
    write_metrics(output, {**subject, "rouge": 1.0})
    check_metrics(output, subject, overwrite=False)  # of the same
    check_metrics(output, dict.fromkeys(SUBJECT, "this"), overwrite=False)  # perplexity, which has no signature
    for other in ({**subject, "checkpoint": "that"}, {**subject, "signature": "beam 5"}):
        check_metrics(output, other, overwrite=True)
        with pytest.raises(UsageError, match="other scores"):
            check_metrics(output, other, overwrite=False)
    scores.write_text("mine")
    with pytest.raises(UsageError, match="no scores of eval.py"):
        check_metrics(output, subject, overwrite=False)


def test_words_of_a_text():
    assert [count_words(text) for text in ("the cat", "", "a\u00a0b c")] == [3, 1, 3]


def test_the_signature_names_what_changes_the_answers():
    vocabulary, plain = Dictionary(), EvaluationOptions("o.jsonl")
    searches = [SearchOptions(9), SearchOptions(8), SearchOptions(9, beam_width=1), SearchOptions(9, min_length=3),
                SearchOptions(9, length_penalty_weight=0.0), SearchOptions(9, no_repeat_ngram_size=3),
                SearchOptions(9, ban_unk=True), SearchOptions(9, attention=True),
                SearchOptions(9, sampling=Sampling(top_k=5)), SearchOptions(9, sampling=Sampling(top_p=0.5))]
    assert len({signature(search, vocabulary, plain) for search in searches}) == len(searches)
