"""Averaging checkpoints: which ones are selected, what their mean is, and what is refused."""
import json
import math
import os
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.checkpoints.average import average_weights, best, find_candidates, newest
from src.checkpoints.find import find_checkpoint
from src.common.errors import MassError, UsageError
from src.text.text_processing import TextProcessing
from src.utils.dictionary import Dictionary
from src.utils.load_weights import load_weights, save_weights
from tests.helpers.scripts import run_script

VOCABULARY = {"file": "v.bin", "size": 9, "fingerprint": "ab" * 32}


def arrays(seed, **shapes):
    generator = np.random.default_rng(seed)
    return {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def make_run(folder, perplexities, prefix="ckpt"):
    """Write a run folder with a checkpoint for each step, and its perplexity in metrics.jsonl if it is not None."""
    folder.mkdir(exist_ok=True)
    entries = [{"event": "train", "step": 1, "nll": 1.0, "ppl": 2.0, "seconds": 0.5}]
    for step, ppl in perplexities.items():
        save_weights(str(folder / f"{prefix}-{step}.safetensors"), arrays(step, a=(3, 4), b=(5,)),
                     {"step": step, "vocabulary": VOCABULARY})
        if ppl is not None:
            entries.append({"event": "valid", "step": step, "nll": math.log(ppl), "ppl": ppl, "seconds": step})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return str(folder)


def steps(candidates):
    return [candidate.step for candidate in candidates]


class TestChoice:
    def test_all_of_a_run_by_their_steps(self, tmp_path):
        folder = make_run(tmp_path, {1000: 8.0, 300: None, 20: 9.5})
        for other in ("best.safetensors", "latest.safetensors", "model.npz", "ckpt-1000.state.safetensors",
                      "ckpt-1000.state.json", "ckpt-1000.safetensors.tmp", "loss_curve.png"):
            (tmp_path / other).write_bytes(b"")
        found = find_candidates(folder)
        assert [os.path.basename(candidate.path) for candidate in found] == [
            "ckpt-20.safetensors", "ckpt-300.safetensors", "ckpt-1000.safetensors"]
        assert [candidate.score for candidate in found] == [-math.log(9.5), None, -math.log(8.0)]

    def test_without_metrics(self, tmp_path):
        folder = make_run(tmp_path, {1: None, 2: None})
        (tmp_path / "metrics.jsonl").unlink()
        candidates = find_candidates(folder)
        assert steps(newest(candidates, 1)) == [2]
        with pytest.raises(MassError, match="asked for 1, but there are only 0 checkpoints with a validation"):
            best(candidates, 1)

    @given(st.dictionaries(st.integers(0, 99), st.none() | st.floats(1, 1e9), min_size=1, max_size=12), st.data())
    def test_newest_and_best(self, perplexities, data):
        from src.checkpoints.average import Candidate

        candidates = [Candidate(f"ckpt-{step}.npz", step, "perplexity", None if ppl is None else -math.log(ppl))
                      for step, ppl in sorted(perplexities.items())]
        count = data.draw(st.integers(1, len(candidates)))
        assert steps(newest(candidates, count)) == sorted(perplexities)[-count:]
        validated = sum(ppl is not None for ppl in perplexities.values())
        if count > validated:
            with pytest.raises(MassError, match=f"only {validated} "):
                best(candidates, count)
            return
        chosen = best(candidates, count)
        assert len(set(steps(chosen))) == count
        left = [ppl for step, ppl in perplexities.items() if step not in steps(chosen) and ppl is not None]
        assert max(perplexities[step] for step in steps(chosen)) <= min(left, default=np.inf) * (1 + 1e-12)

    @pytest.mark.parametrize(("metric", "expected"), [("perplexity", [2, 1]), ("rouge-1", [4, 2]), ("rouge-l", [1, 4])])
    def test_the_best_by_the_metric_of_the_run(self, tmp_path, metric, expected):
        folder = make_run(tmp_path, dict.fromkeys([1, 2, 3, 4]))
        entries = [{"step": 1, "nll": 2.0, "rouge-1": 10.0, "rouge-l": 9.5}, {"step": 2, "nll": 1.0, "rouge-1": 12.0,
                    "rouge-l": 8.0}, {"step": 4, "nll": 3.0, "rouge-1": 15.0, "rouge-l": 9.0}]
        (tmp_path / "metrics.jsonl").write_text(
            "".join(json.dumps({"event": "valid", "seconds": 1, "ppl": 1.0, **entry}) + "\n" for entry in entries))
        (tmp_path / "config.json").write_text(json.dumps(
            {"training_config": {"best_metric": metric, "valid_rouge_sentences": 10}}))
        chosen = best(find_candidates(folder), 2)
        assert steps(chosen) == expected
        with pytest.raises(MassError, match="only 3 checkpoints with a validation"):
            best(find_candidates(folder), 4)
        shown = {"perplexity": "validation perplexity 2.72", "rouge-1": "validation ROUGE-1 15.00",
                 "rouge-l": "validation ROUGE-L 9.50"}
        assert str(chosen[0]).endswith(f"({shown[metric]})")

    def test_a_perplexity_that_is_not_finite_is_never_best(self, tmp_path):
        folder = make_run(tmp_path, {1: 5.0, 2: None})
        with open(tmp_path / "metrics.jsonl", "a") as stream:
            stream.write(json.dumps({"event": "valid", "step": 2, "nll": None, "ppl": None, "seconds": 3}) + "\n")
        assert [candidate.score for candidate in find_candidates(folder)] == [-math.log(5.0), None]

    @pytest.mark.parametrize("count", [0, -1])
    def test_none(self, tmp_path, count):
        for choose in (newest, best):
            with pytest.raises(UsageError, match="at least 1"):
                choose(find_candidates(make_run(tmp_path, {1: 2.0})), count)

    def test_several_runs_in_one_folder(self, tmp_path):
        make_run(tmp_path, {1: None}, prefix="small")
        with pytest.raises(MassError, match="more than one run.*ckpt-5.*input_files|more than one run.*small-1"):
            find_candidates(make_run(tmp_path, {5: None}))

    def test_one_step_in_two_files(self, tmp_path):
        folder = make_run(tmp_path, {1: None, 2: None})
        save_weights(str(tmp_path / "ckpt-2.npz"), arrays(2, a=(3, 4), b=(5,)), {})
        with pytest.raises(MassError, match=r"ckpt-2\.npz"):
            find_candidates(folder)

    def test_an_empty_folder(self, tmp_path):
        with pytest.raises(MassError, match="holds no checkpoint"):
            find_candidates(str(tmp_path))


class TestMean:
    def test_is_that_of_what_was_read(self, tmp_path):
        paths = [candidate.path for candidate in find_candidates(make_run(tmp_path, dict.fromkeys(range(4))))]
        output = str(tmp_path / "mean" / "model.npz")
        average_weights(paths, output)
        mean = load_weights(output)
        for name in ("a", "b"):
            expected = np.mean([load_weights(path).arrays[name].astype(np.float64) for path in paths], axis=0)
            assert np.array_equal(mean.arrays[name], expected.astype(np.float32))
        assert mean.metadata["averaged"] == [f"ckpt-{step}.safetensors" for step in range(4)]
        assert mean.metadata["step"] == [0, 1, 2, 3]
        vocabulary = mean.metadata["vocabulary"]
        assert vocabulary["fingerprint"] == "ab" * 32
        assert vocabulary["file"] == "v.bin"

    def test_its_folder_is_a_model(self, tmp_path):
        """Names in files are never followed out of their folder, so what describes the model is copied."""
        paths = [candidate.path for candidate in find_candidates(make_run(tmp_path, dict.fromkeys(range(2))))]
        Dictionary.from_counts({"a": 3}).persistence(str(tmp_path / "v.bin"))
        TextProcessing("none", lower_case=True).save(str(tmp_path))
        mean = tmp_path / "mean"
        average_weights(paths, str(mean / "model.npz"))
        assert (mean / "v.bin").read_bytes() == (tmp_path / "v.bin").read_bytes()
        assert TextProcessing.load(str(mean)) == TextProcessing("none", lower_case=True)
        average_weights(paths, str(mean / "again.npz"))
        for name, write in (("v.bin", lambda: (mean / "v.bin").write_bytes(b"other")),
                            ("text.json", lambda: TextProcessing("none").save(str(mean)))):
            kept = (mean / name).read_bytes()
            write()
            with pytest.raises(MassError, match=f"{name}.*another model"):
                average_weights(paths, str(mean / "third.npz"))
            (mean / name).write_bytes(kept)
        assert not (mean / "third.npz").exists()

    def test_is_summed_in_float64(self, tmp_path):
        """In float32 the sum of 2^24 and ones is 2^24; in float16 it would overflow."""
        for dtype, big, ones in ((np.float32, 2.0**24, 8), (np.float16, 60000.0, 7)):
            values = [big] + [1.0] * ones
            paths = [str(tmp_path / f"{i}.npz") for i in range(len(values))]
            for path, value in zip(paths, values, strict=True):
                save_weights(path, {"a": np.array([value], dtype)}, {})
            average_weights(paths, str(tmp_path / "mean.npz"))
            found = load_weights(str(tmp_path / "mean.npz")).arrays["a"]
            assert found.dtype == dtype and found[0] == dtype((big + ones) / (ones + 1))

    def test_formats_may_differ(self, tmp_path):
        paths = [str(tmp_path / "one.npz"), str(tmp_path / "two.safetensors")]
        for seed, path in enumerate(paths):
            save_weights(path, arrays(seed, a=(2,)), {})
        average_weights(paths, str(tmp_path / "mean.npz"))
        expected = (arrays(0, a=(2,))["a"].astype(np.float64) + arrays(1, a=(2,))["a"]) / 2
        np.testing.assert_array_equal(load_weights(str(tmp_path / "mean.npz")).arrays["a"],
                                      expected.astype(np.float32))

    def test_memory_does_not_grow_with_the_number_of_files(self, tmp_path):
        size = 2**20
        paths = [str(tmp_path / f"ckpt-{step}.safetensors") for step in range(8)]
        for step, path in enumerate(paths):
            save_weights(path, arrays(step, **{f"layer{i}": (size // 8,) for i in range(8)}), {})

        def peak(count):
            tracemalloc.start()
            average_weights(paths[:count], str(tmp_path / "mean.npz"))
            try:
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

        peak(2)  # what is imported at the first call
        two, eight = peak(2), peak(8)
        assert eight < 1.05 * two
        assert eight < 8 * size + 2 * 4 * size  # the sums, and a file twice: as bytes and as arrays


class TestRefusal:
    @pytest.mark.parametrize(("other", "metadata", "message"), [
        (arrays(1, a=(3, 4)), {}, "lacks b"),
        (arrays(1, a=(3, 4), b=(5,), c=(1,)), {}, "lacks c"),
        (arrays(1, a=(3, 4), b=(6,)), {}, r"\[5\].*\[6\]"),
        (arrays(1, a=(3, 4), b=(5,)), {"vocabulary": {**VOCABULARY, "fingerprint": "cd" * 32}}, "different vocab"),
        (arrays(1, a=(3, 4), b=(5,)), {"config": {"model_config": {"num_attention_heads": 4}}}, "heads is 2 .* 4 "),
        (arrays(1, a=(3, 4), b=(5,)), {"config": {"model_config": {"hidden_act": "gelu"}}}, "hidden_act"),
        ({"a": np.full((3, 4), np.nan), "b": np.ones(5)}, {}, "two.npz.*not finite"),
    ])
    def test_what_does_not_belong_together(self, tmp_path, other, metadata, message):
        paths = [str(tmp_path / name) for name in ("one.npz", "two.npz")]
        model = {"num_attention_heads": 2, "hidden_act": "relu"}
        save_weights(paths[0], arrays(0, a=(3, 4), b=(5,)),
                     {"vocabulary": VOCABULARY, "config": {"model_config": model}})
        save_weights(paths[1], other, metadata)
        with pytest.raises(MassError, match=message):
            average_weights(paths, str(tmp_path / "mean.npz"))
        assert not (tmp_path / "mean.npz").exists()

    def test_a_file_given_twice_or_as_output_too(self, tmp_path):
        paths = [candidate.path for candidate in find_candidates(make_run(tmp_path, {1: None, 2: None}))]
        with pytest.raises(UsageError, match="twice"):
            average_weights([*paths, os.path.relpath(paths[0])], str(tmp_path / "mean.npz"))
        average_weights(paths, str(tmp_path / "mean.npz"))
        before = (tmp_path / "mean.npz").read_bytes()
        with pytest.raises(UsageError, match="one of the checkpoints"):
            average_weights([paths[0], str(tmp_path / "mean.npz")], str(tmp_path / "mean.npz"))
        assert (tmp_path / "mean.npz").read_bytes() == before

    def test_hard_links_of_one_checkpoint(self, tmp_path):
        folder = make_run(tmp_path, {1: None, 2: None})
        os.link(tmp_path / "ckpt-2.safetensors", tmp_path / "latest.safetensors")
        paths = [os.path.join(folder, name) for name in ("ckpt-1.safetensors", "ckpt-2.safetensors",
                                                         "latest.safetensors")]
        with pytest.raises(UsageError, match="twice: .*ckpt-2.safetensors' and .*latest.safetensors' are one file"):
            average_weights(paths, str(tmp_path / "mean.npz"))
        assert not (tmp_path / "mean.npz").exists()

    def test_an_optimizer_state(self, tmp_path):
        make_run(tmp_path, {1: None})
        save_weights(str(tmp_path / "ckpt-1.state.safetensors"), arrays(7, a=(3, 4), b=(5,)), {})
        with pytest.raises(UsageError, match="is the optimizer state .*: give .*ckpt-1.safetensors'"):
            average_weights([str(tmp_path / "ckpt-1.state.safetensors")], str(tmp_path / "mean.npz"))
        with pytest.raises(UsageError, match="is the optimizer state"):
            find_checkpoint(str(tmp_path / "ckpt-1.state.safetensors"))
        assert not (tmp_path / "mean.npz").exists()


@pytest.mark.parametrize(("choice", "chosen"), [
    ((), {10: 9.25, 20: 7.5, 30: 8.125, 40: None}), (("--newest", 2), {30: 8.125, 40: None}),
    (("--best", 2), {20: 7.5, 30: 8.125})])
def test_command_line_says_what_it_took(tmp_path, choice, chosen):
    folder = make_run(tmp_path / "run", {10: 9.25, 20: 7.5, 30: 8.125, 40: None})
    done = run_script("weights_average.py", "--input_folder", folder, *choice, "--output_file", tmp_path / "model.npz")
    title, *lines = done.stdout.splitlines()
    assert title.endswith(f"mean of {len(chosen)} checkpoints:")
    assert lines == [f"  {folder}/ckpt-{step}.safetensors ("
                     + ("not validated)" if ppl is None else f"validation perplexity {ppl:.2f})")
                     for step, ppl in chosen.items()]
    expected = np.mean([arrays(step, a=(3, 4))["a"].astype(np.float64) for step in chosen], axis=0)
    np.testing.assert_allclose(load_weights(str(tmp_path / "model.npz")).arrays["a"], expected, rtol=1e-6)


def test_command_line_errors(tmp_path):
    folder = make_run(tmp_path / "run", {1: 2.0, 2: None})
    file = os.path.join(folder, "ckpt-1.safetensors")
    output = tmp_path / "model.npz"
    (tmp_path / "old.npz").touch()
    for code, message, arguments in (
            (1, "does not exist", ("--input_folder", tmp_path / "none", "--output_file", output)),
            (1, "asked for 3", ("--input_folder", folder, "--newest", "3", "--output_file", output)),
            (1, "only 1", ("--input_folder", folder, "--best", "2", "--output_file", output)),
            (2, "at least 1", ("--input_folder", folder, "--best", "0", "--output_file", output)),
            (2, "not allowed with", ("--input_folder", folder, "--best", "1", "--newest=1", "--output_file", output)),
            (2, "with --input_folder", ("--input_files", file, "--newest", "1", "--output_file", output)),
            (2, "exists: give --overwrite", ("--input_folder", folder, "--output_file", tmp_path / "old.npz")),
            (2, ".npz", ("--input_folder", folder, "--output_file", tmp_path / "model.ckpt")),
            (2, "required", ("--output_file", output))):
        assert message in run_script("weights_average.py", *arguments, code=code).stderr, arguments
    assert not output.exists()
