"""Raw text through one tiny model: predictions, scores, reports, conversations."""
import base64
import json
import re
import types

import numpy as np
import pytest

from src.common.errors import UsageError
from src.common.ragged import RaggedArray
from src.inference.evaluation.attention_plot import attention_picture
from src.inference.evaluation.evaluate import evaluate
from src.inference.evaluation.metrics import METRICS
from src.inference.evaluation.metrics.rouge import Rouge
from src.inference.evaluation.model_outputs import score_targets, search_predictions
from src.inference.evaluation.options import EvaluationOptions
from src.inference.evaluation.signature import search_signature
from src.inference.examples import examples_of_text, text_of_ids
from src.inference.interactive import Conversation
from src.inference.model import load_model
from src.inference.output import SUBJECT, check_metrics, write_metrics
from src.inference.predictions import prediction_tokens
from src.inference.raw_text import TextInput, pairs_of_text
from src.inference.text_flags import find_text
from src.inference.text_generator import TextGenerator, best_texts
from src.text.text_processing import ProcessedLines
from src.transformer.decoding.hypotheses import Hypothesis
from src.transformer.decoding.options import Sampling, SearchOptions
from src.utils.byte_pair_encoding import join_subwords
from src.utils.dictionary import Dictionary
from src.utils.ppl_score import count_words_and_eos
from tests.helpers.tiny_model import TEXT, make_model_folder

LINES = ["The cat sat on the mat.", "", "Who let 12 dogs out?", "  ", "A dog ate the cat's food!", "The mat"]
OWN = (0, 1)  # the lines of TEXT whose target is the model's own prediction


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """A model that is loaded once, and a generator whose graphs are compiled once."""
    folder = tmp_path_factory.mktemp("model")
    files = make_model_folder(folder)
    text, model = find_text(files, {}), load_model(files)
    return types.SimpleNamespace(folder=folder, files=files, text=text, model=model,
                                 generator=TextGenerator(model, text, rows=4))


def predictions_for(bench, lines):
    return bench.generator.generate(TextInput(bench.files, bench.text).read(lines, "these lines"))


@pytest.fixture(scope="module")
def together(bench):
    return predictions_for(bench, LINES)


def test_prediction_i_is_for_line_i(bench, together):
    assert [bool(ranked) for ranked in together] == [True, False, True, False, True, True]
    texts = best_texts(together)
    assert texts[1] == texts[3] == "" and all(texts[i] for i in (0, 2, 4, 5))
    assert not any("@@" in text for text in texts)
    for index, line in enumerate(LINES):
        ((*alone,),) = predictions_for(bench, [line])
        assert [prediction.text for prediction in alone] == [prediction.text for prediction in together[index]]
        np.testing.assert_allclose([prediction.score for prediction in alone],
                                   [prediction.score for prediction in together[index]], atol=1e-4)


def test_a_reply_depends_on_the_turns_before_it(bench):
    def start(turns):
        return Conversation(TextInput(bench.files, bench.text), bench.generator, turns)

    first, second = "The cat sat.", "Who let it out?"
    one, two = start(1), start(3)
    replies = one.reply(first)
    assert two.reply(first) == replies
    (alone,) = predictions_for(bench, [second])
    (joined,) = predictions_for(bench, [" ".join([first, replies[0].text, second])])
    assert one.reply(second) == alone and two.reply(second) == joined and joined != alone
    two.restart()
    assert two.reply(second) == alone
    assert two.reply(" ") == [] and one.reply(first) == replies


def test_turns_that_do_not_fit_are_dropped(bench, capsys):
    long = "The cat the cat the cat"
    conversation = Conversation(TextInput(bench.files, bench.text), bench.generator, turns=9)
    for _ in range(4):
        conversation.reply(long)
    assert conversation.history[-2] == long and len(conversation.history) < 8
    assert TextInput(bench.files, bench.text).fits(" ".join(conversation.history[:-1]))
    assert not capsys.readouterr().err


@pytest.fixture(scope="module")
def evaluated(bench):
    """The metrics from evaluate(), and the attention in its reports; two targets are its predictions."""
    source = TextInput(bench.files, bench.text).read(TEXT, "the text")
    own_ids = search_predictions(bench.model, examples_of_text(bench.files, (), *source)).token_ids
    target = TextInput(bench.files, bench.text).read(["-", "-", "The new mat.", "Dogs <b>eat</b> | 3 €"], "targets")
    ids = RaggedArray.from_sequences([*(own_ids[line] for line in OWN), target.ids[2], target.ids[3]])
    words = [*(text_of_ids(ids[line], bench.files.vocabulary) for line in OWN), *target.processed.words[2:]]
    examples = examples_of_text(bench.files, ("source", "target"), *source, ProcessedLines(words, words), ids)
    results, seen = {}, []

    def draw(weights, source, target):
        seen.append((weights, source, target))
        return attention_picture(weights, source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("src.inference.evaluation.report.attention_picture", draw)
        for name, ending in (("rouge", "html"), ("ppl", "md")):
            options = EvaluationOptions(str(bench.folder / f"{name}.jsonl"), METRICS[name](), confidence=True,
                                        report=str(bench.folder / f"{name}.{ending}"))
            options.check()
            results[name] = evaluate(bench.files, examples, options)
    return {**results, "attention": seen}


def written(bench, metric):
    return [json.loads(line) for line in (bench.folder / f"{metric}.jsonl").read_text().splitlines()]


def test_the_search_and_teacher_forcing_agree(bench, evaluated):
    """The search assigns a prediction the log-probability that teacher forcing assigns the same target."""
    for line in OWN:
        found, given = written(bench, "rouge")[line], written(bench, "ppl")[line]
        assert found["prediction"] == given["target"]
        assert found["log_prob"] == pytest.approx(given["log_prob"], abs=1e-4)


def test_rouge_of_text_is_on_its_own_words(bench, evaluated):
    metrics = evaluated["rouge"]
    entries = written(bench, "rouge")
    assert [entry["source"] for entry in entries] == bench.text.encode(TEXT).words
    assert entries[3]["target"].endswith("# €")  # a reference keeps words that the vocabulary lacks
    low, high = metrics["rouge_interval"]["rouge-1"]
    assert 0 <= low <= metrics["rouge"]["rouge-1"] <= high <= 100 and low < high
    assert "bootstrap" in metrics["signature"] and "no 1-gram twice" in metrics["signature"]
    assert metrics["checkpoint_step"] == 7 and metrics["sentences"] == 4
    both = json.loads((bench.folder / "metrics.json").read_text())
    assert both["rouge"] == metrics["rouge"] and both["ppl"] == evaluated["ppl"]["ppl"]


def test_perplexity_of_text(bench, evaluated):
    metrics = evaluated["ppl"]
    entries = written(bench, "ppl")
    nll, tokens = -sum(entry["log_prob"] for entry in entries), sum(entry["target_tokens"] for entry in entries)
    assert metrics["ppl"]["subword"] == pytest.approx(np.exp(nll / tokens))
    low, high = metrics["ppl_interval"]["subword"]
    assert low < metrics["ppl"]["subword"] < high
    words = sum(len(entry["target"].split()) + 1 for entry in entries)
    assert metrics["target_words"] == words and metrics["ppl"]["word"] == pytest.approx(np.exp(nll / words))


def test_words_of_truncated_targets_are_those_that_are_scored(bench, tmp_path, capsys):
    """Perplexity per word divides by the words of the kept tokens, the last of which may be a part of a word."""
    targets = ["the cat " * 50, "cat", "x " * 38 + "dogs dogs dogs"]
    for name, lines in (("in", ["The cat"] * 3), ("out", targets)):
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    examples = pairs_of_text(bench.files, bench.text, str(tmp_path / "in"), str(tmp_path / "out"), False, "strict")
    messages = capsys.readouterr().err
    assert "truncated 2 of 3 lines" in messages and "Scores are affected: log-probabilities and perp" in messages
    entries = score_targets(bench.model, examples).entries
    kept = [join_subwords(line.split()[:39]) for line in bench.text.encode(targets).subwords]
    assert [entry["target_words"] for entry in entries] == [len(line.split()) + 1 for line in kept]
    assert [entry["target_tokens"] for entry in entries] == [40, 2, 40] and entries[2]["target_words"] < 42
    assert entries[0]["target"] == targets[0].strip()
    scores = METRICS["ppl"]().measure(entries)
    assert scores.scores["word"] >= scores.scores["subword"]
    sums = scores.scores_from_sums(scores.terms.sum(axis=0)[None])[0]
    np.testing.assert_allclose(sums, list(scores.scores.values()))


def test_an_empty_source_has_an_empty_prediction_in_every_path(bench, together):
    source = TextInput(bench.files, bench.text).read(LINES, "these lines")
    examples = examples_of_text(bench.files, (), *source, *source)
    entries = search_predictions(bench.model, examples).entries
    assert [bool(entry["prediction"]) for entry in entries] == [bool(ranked) for ranked in together]
    assert entries[1]["log_prob"] == entries[3]["score"] == 0


def test_the_html_report_is_one_complete_file(bench, evaluated):
    page = (bench.folder / "rouge.html").read_text()
    assert f"{evaluated['rouge']['rouge']['rouge-l']:.2f}" in page
    assert "&lt; b &gt;" in page and "<b>" not in page  # text is text
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(pictures) == 3 and all(base64.b64decode(data).startswith(b"\x89PNG") for data in pictures)
    assert not re.search(r'(src|href)="(?!data:)', page)
    for title in ("Scores", "Lengths in words", "Best predictions", "Attention"):
        assert f"<h2>{title}" in page


def test_the_markdown_report_has_its_pictures_beside_it(bench, evaluated):
    page = (bench.folder / "ppl.md").read_text()
    pictures = re.findall(r"!\[[^\]]*\]\(<([^>]+)>\)", page)
    assert len(pictures) == 3 and all((bench.folder / name).read_bytes().startswith(b"\x89PNG") for name in pictures)
    assert r"\<b\>eat" in page.replace(" ", "") and r"\|" in page
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert all(row.replace(r"\|", "").endswith(" |") for row in rows)


def test_attention_sums_to_one_without_the_padding(evaluated):
    assert len(evaluated["attention"]) == 6
    for weights, source, target in evaluated["attention"]:
        assert weights.shape == (len(target), len(source)) and target[-1] == source[-1] == "</s>"
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)  # nothing is left for the padding


def test_unknown_tokens_are_replaced_by_the_word_with_the_largest_attention():
    vocabulary = Dictionary.from_counts({"the": 2, "c@@": 1})
    the = vocabulary.index["the"]
    attention = np.zeros((4, 6))
    attention[[0, 1, 2, 3], [0, 2, 5, 1]] = 1.0  # the third attends most to </s>, and next to the first word
    attention[2, 0] = 0.5
    hypothesis = Hypothesis((the, vocabulary.unk_index, vocabulary.unk_index, vocabulary.eos_index), -1.0, -1.0,
                            attention)
    source = ["the", "Zür@@", "i@@", "ch", "lake"]
    assert prediction_tokens(hypothesis, source, vocabulary) == ["the", "Zürich", "the"]
    assert prediction_tokens(hypothesis, None, vocabulary) == ["the", "<unk>", "<unk>"]
    assert prediction_tokens(hypothesis, [], vocabulary) == ["the", "<unk>", "<unk>"]
    inside = Hypothesis((vocabulary.index["c@@"], vocabulary.unk_index, the, vocabulary.eos_index), -1.0, -1.0,
                        attention[[0, 1, 0, 3]])
    assert prediction_tokens(inside, source, vocabulary) == ["Zürich", "the"]  # the whole word, without `c@@`


def test_other_scores_are_not_replaced(tmp_path):
    output, scores = str(tmp_path / "predictions.jsonl"), tmp_path / "metrics.json"
    subject = {**dict.fromkeys(SUBJECT, "this"), "signature": "beam 4"}
    check_metrics(output, subject, overwrite=False)  # no file yet
    write_metrics(output, {**subject, "rouge": 1.0})
    check_metrics(output, subject, overwrite=False)  # the same scores
    check_metrics(output, dict.fromkeys(SUBJECT, "this"), overwrite=False)  # a metric without a signature
    for other in ({**subject, "checkpoint": "that"}, {**subject, "signature": "beam 5"}):
        check_metrics(output, other, overwrite=True)
        with pytest.raises(UsageError, match="other scores"):
            check_metrics(output, other, overwrite=False)
    scores.write_text("mine")
    with pytest.raises(UsageError, match="not the scores of this version of eval.py"):
        check_metrics(output, subject, overwrite=False)


def test_words_of_a_text_are_counted_with_its_end():
    assert [count_words_and_eos(text) for text in ("the cat", "", "a\u00a0b c")] == [3, 1, 3]


def test_the_signature_names_everything_that_changes_predictions():
    vocabulary = Dictionary()
    searches = [SearchOptions(9), SearchOptions(8), SearchOptions(9, beam_width=1), SearchOptions(9, min_length=3),
                SearchOptions(9, length_penalty_weight=0.0), SearchOptions(9, no_repeat_ngram_size=3),
                SearchOptions(9, ban_unk=True), SearchOptions(9, attention=True),
                SearchOptions(9, sampling=Sampling(top_k=5)), SearchOptions(9, sampling=Sampling(top_p=0.5))]
    signatures = {search_signature(Rouge(), search, "auto", vocabulary, False) for search in searches}
    signatures |= {search_signature(Rouge(), searches[0], name, vocabulary, False) for name in ("int8", "float32")}
    assert len(signatures) == len(searches) + 2
