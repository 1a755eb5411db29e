"""One large batch in parts: accumulated one after the other, or on several ranks started by msrun."""
import json
import os
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest
from mindspore import Parameter, Tensor

from src.checkpoints.compatibility import VocabularyUse, with_vocabulary_of
from src.checkpoints.load import load_into
from src.dataset.records.record_set import load_records
from src.runtime.distributed import MAX_MESSAGE, Ranks, plan_messages
from src.training.validation import RougeSample
from src.utils.load_weights import load_weights
from tests.helpers.paths import ROOT
from tests.helpers.tiny_training import Workbench, events_of, training_config, training_nodes, write_pairs

# Not Adam: it makes steps of full size from gradients that are nothing but rounding, as those of the keys' biases are.
SETTINGS = {"training_config": {"max_steps": 6, "valid_steps": 3}, "checkpoint_options": {"save_ckpt_steps": 6},
            "learn_rate_config": {"optimizer": "momentum", "lr": 0.3, "warmup_steps": 2}}
# An untrained network must generate some words, or its ROUGE is 0.
LONG_PREDICTIONS = {"model_config": {"min_decode_length": 6}}


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    return write_pairs(folder, "train", 21), write_pairs(folder, "valid", 7, seed=1)


@pytest.fixture(scope="module")
def whole(records, tmp_path_factory):
    """The folder of a run with batches of 8 pairs."""
    folder = tmp_path_factory.mktemp("whole")
    Workbench(*records, **SETTINGS).run(folder, dataset_config={"batch_size": 8})
    return folder


@pytest.fixture(scope="module")
def two_ranks(records, tmp_path_factory):
    """The folder of a run of two processes with batches of 4 pairs each, and the logs of both."""
    place = tmp_path_factory.mktemp("ranks")
    nodes = training_nodes(*records, **SETTINGS, **LONG_PREDICTIONS)
    nodes["training_config"]["valid_rouge_sentences"] = 5  # an odd number: one rank has more of them
    (place / "config.json").write_text(json.dumps(nodes))
    # The folder of this Python first on the path: msrun calls plain `python`.
    command = [os.path.join(os.path.dirname(sys.executable), "msrun"), "--worker_num=2", "--local_worker_num=2",
               "--join=True", f"--master_port={free_port()}", f"--log_dir={place / 'logs'}",
               os.path.join(ROOT, "train.py"), "--config", "config.json", "--run_folder", "run"]
    path = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
    environment = {**os.environ, "PATH": path, "MS_NODE_TIMEOUT": "600"}  # a machine may be busy, or asleep
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
    logs = {log.name: log.read_text() for log in (place / "logs").iterdir()}
    assert done.returncode == 0, (done.stdout, done.stderr, logs)
    return place / "run", logs


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def assert_same_run(one, other):
    """Compare losses, validations and weights up to float32 rounding."""
    events, others = events_of(one), events_of(other)
    kinds, other_kinds = ([(event["event"], event["step"]) for event in each] for each in (events, others))
    assert kinds == other_kinds
    for event, its_like in zip(events, others, strict=True):
        for name in {"loss", "nll", "lr"} & event.keys():
            assert event[name] == pytest.approx(its_like[name], rel=2e-5), (event["event"], event["step"], name)
    arrays, like = (load_weights(str(folder / "latest.safetensors")).arrays for folder in (one, other))
    for name, array in arrays.items():
        np.testing.assert_allclose(array, like[name], rtol=1e-4, atol=2e-6, err_msg=name)


def test_accumulation_gives_the_large_batch(records, whole, tmp_path):
    Workbench(*records, **SETTINGS).run(tmp_path, dataset_config={"batch_size": 4, "accumulate_batches": 2})
    assert_same_run(tmp_path, whole)


def test_two_ranks_give_the_large_batch(two_ranks, whole):
    assert_same_run(two_ranks[0], whole)


def test_rouge_of_two_ranks_is_that_of_one(two_ranks, records):
    folder, _ = two_ranks
    valid = load_records(records[1])
    bench = Workbench(*records, **SETTINGS)
    sample = {"training_config": {"valid_rouge_sentences": 5}, **LONG_PREDICTIONS}
    config = with_vocabulary_of(training_config(*records, **sample), valid)
    load_into(bench.network, str(folder / "latest.safetensors"), config.model_config, VocabularyUse.of_records(valid))
    [*_, last] = [event for event in events_of(folder) if event["event"] == "valid"]
    assert last["step"] == 6
    scores = RougeSample(bench.network, valid, config, Ranks()).measure()
    assert RougeSample(bench.network, valid, config, Ranks()).measure(lambda: True) is None
    assert bench.network.training
    assert scores["rouge-1"] > 0
    for name, score in scores.items():
        assert last[name] == pytest.approx(score), name


def test_only_the_main_rank_reports_and_writes(two_ranks):
    folder, logs = two_ranks
    assert "step 6/6: loss" in logs["worker_0.log"] and "done after 6 steps" in logs["worker_0.log"]
    assert "step" not in logs["worker_1.log"] and "done" not in logs["worker_1.log"]
    assert "ckpt-6.state.json" in os.listdir(folder)
    assert json.loads((folder / "ckpt-6.state.json").read_text())["data"]["batches_per_step"] == 2


# -- communication between ranks, with threads in place of processes -------------------------------------------------


def on_ranks(world_size, work):
    """Return the results of `work(ranks)` on all ranks, in their order."""
    vectors, results = [None] * world_size, [None] * world_size
    barrier = threading.Barrier(world_size)

    def run(rank):
        def all_reduce(vector):
            vectors[rank] = vector.copy()
            barrier.wait(timeout=60)
            total = np.sum(vectors, axis=0, dtype=np.float32)
            barrier.wait(timeout=60)
            return total

        results[rank] = work(Ranks(rank, world_size, all_reduce))

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(world_size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_sums_are_exact_though_the_messages_are_float32(world_size):
    own = [[2**40 + rank, 0.1 * (rank + 1), -1e-30, 3.0] for rank in range(world_size)]
    results = on_ranks(world_size, lambda ranks: ranks.sum(own[ranks.rank]))
    assert all(result == results[0] for result in results)
    assert results[0] == pytest.approx(np.sum(own, axis=0).tolist(), rel=1e-13)
    assert results[0][0] == sum(values[0] for values in own)


def test_a_sum_with_nan_is_nan():
    results = on_ranks(2, lambda ranks: ranks.sum([float("nan") if ranks.main else 1.0, 2.0]))
    assert all(np.isnan(result[0]) and result[1] == 4.0 for result in results)


@pytest.mark.parametrize("data", [b"", b"\0", bytes(range(256)) * 5])
def test_the_main_rank_broadcasts_data(data):
    assert on_ranks(3, lambda ranks: ranks.broadcast(data if ranks.main else b"something else")) == [data] * 3


def test_parameters_are_copied_from_the_main_rank():
    def work(ranks):
        values = [np.full((2, 3), 0.1 + ranks.rank, np.float32), np.float32(7 - ranks.rank), np.array([9], np.int32)]
        values[1] = np.float32("nan") if ranks.rank == 1 else values[1]  # whatever stood there before
        parameters = [Parameter(Tensor(value), name=f"p{i}") for i, value in enumerate(values)]
        ranks.broadcast_parameters(parameters)
        return [parameter.asnumpy() for parameter in parameters]

    main, *others = on_ranks(3, work)
    for other in others:
        assert all(np.array_equal(a, b) and a.shape == b.shape and a.dtype == b.dtype
                   for a, b in zip(main, other, strict=True))
    assert (main[0] == np.float32(0.1)).all()


def test_messages_hold_all_parameters_without_gaps():
    sizes = [3, 5, MAX_MESSAGE - 8, 1, 2 * MAX_MESSAGE, 4, 4]
    messages = plan_messages(sizes)
    assert [number for message in messages for number, _, _ in message] == list(range(len(sizes)))
    for message in messages:
        assert [start for _, start, _ in message] == np.cumsum([0, *(size for _, _, size in message[:-1])]).tolist()
        assert len(message) == 1 or sum(size for _, _, size in message) <= MAX_MESSAGE
    assert [len(message) for message in messages] == [3, 1, 1, 2]
