"""news_crawl.py, gigaword.py and cornell_dialog.py run by a user from another folder."""
import os
import subprocess
import time
from itertools import takewhile

import numpy as np
import psutil
import pytest

from src.dataset.records.record_set import load_records
from src.utils.dictionary import Dictionary
from tests.helpers.scripts import output_of, run_script, start_script

WORDS = ["the", "a", "cat", "dog", "sat", "ran", "on", "mat", "road", "small", "big"]


def lines(count, words=7):
    return [" ".join(WORDS[(number * 3 + place) % len(WORDS)] for place in range(1 + number % words))
            for number in range(count)]


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else ("\n".join(text) + "\n").encode())


@pytest.fixture
def place(tmp_path):
    """A folder with a vocabulary `v.bin`, and encoded text for each of the three scripts."""
    Dictionary.from_counts(dict.fromkeys(WORDS, 300)).persistence(str(tmp_path / "v.bin"))
    write(tmp_path / "news" / "one_bpe.txt", lines(30))
    write(tmp_path / "news" / "two_bpe.txt", lines(10))
    for split, count in (("train", 30), ("test", 10), ("valid", 5)):
        for side in ("src", "tgt"):
            write(tmp_path / "pairs" / f"{split}.{side}_bpe.txt", lines(count) if side == "src" else lines(count)[::-1])
    return tmp_path


def table_of(printed, title):
    """Return the counts in the table below a title: name -> number as printed."""
    below = printed[printed.index(title + "\n") :].splitlines()[1:]
    rows = takewhile(lambda line: line.startswith("  ") and line.endswith("%"), below)
    return {name.strip(): number for name, number in (line.rsplit(maxsplit=2)[:2] for line in rows)}


def files_of(folder):
    return sorted(os.listdir(folder)) if folder.exists() else []


class TestNewsCrawl:
    ARGUMENTS = ("--src_folder", "news", "--existed_vocab", "v.bin", "--output_folder", "out")

    @pytest.mark.parametrize("processes", [1, 2])
    def test_one_data_set_a_file(self, place, processes):
        printed = output_of("news_crawl.py", *self.ARGUMENTS, "--max_len", 6, "--mask_ratio", 0.3, "--suffix", "short",
                            "--processes", processes, cwd=place)
        assert table_of(printed, "out/one_bpe_short.tfrecord") == {
            "lines read": "30", "kept": "22", "dropped, too long": "8"}
        assert "2 data sets: 40 lines read, 30 kept, " in printed
        fingerprint = Dictionary.load_from_persisted_dict(str(place / "v.bin")).fingerprint
        assert files_of(place / "out") == [
            ".finished", "one_bpe_short.tfrecord", "one_bpe_short.tfrecord.index", "one_bpe_short.tfrecord.json",
            "two_bpe_short.tfrecord", "two_bpe_short.tfrecord.index", "two_bpe_short.tfrecord.json",
            f"vocabulary-{fingerprint[:12]}.dict.bin",
        ]
        records = load_records(str(place / "out"))
        assert (records.info.split, records.info.masking) == ("pretrain", {"fragment_ratio": 0.3})
        assert len(records) == 30 and records.info.longest == {"tokens": 6}

    def test_both_formats_hold_the_same(self, place):
        run_script("news_crawl.py", *self.ARGUMENTS, cwd=place)
        run_script("news_crawl.py", *self.ARGUMENTS, "--format", "mindrecord", cwd=place)
        first, second = (load_records(str(place / "out" / f"*.{name}")) for name in ("tfrecord", "mindrecord"))
        assert (first.columns["tokens"].values == second.columns["tokens"].values).all()
        assert (first.columns["tokens"].lengths == second.columns["tokens"].lengths).all()
        assert len(first) == len(second) == 40

    def test_a_new_vocabulary(self, place):
        write(place / "dicts" / "1.dict", ["the 5", "cat 3"])
        write(place / "dicts" / "2.dict", ["cat 4", "a 1"])
        printed = output_of("news_crawl.py", "--src_folder", "news", "--dict_folder", "dicts",
                            "--output_folder", "out", cwd=place)
        assert "new vocabulary of 8 tokens" in printed
        assert "warning: out/one_bpe.tfrecord: 7" in printed and "other BPE codes" in printed
        vocabulary = Dictionary.load_from_persisted_dict(str(place / "out" / "vocabulary.dict.bin"))
        assert vocabulary.tokens[5:] == ["cat", "the", "a"]
        assert load_records(str(place / "out")).info.vocabulary["fingerprint"] == vocabulary.fingerprint

    def test_a_vocabulary_widened(self, place):
        write(place / "dicts" / "1.dict", ["bird 5"])
        for word, replaces in (("dog", False), ("bird", True), ("bird", False)):
            write(place / "dicts" / "1.dict", [f"{word} 5"])
            printed = output_of("news_crawl.py", *self.ARGUMENTS, "--dict_folder", "dicts", cwd=place)
            assert ("it replaces a different vocabulary" in printed) == replaces
        vocabulary = Dictionary.load_from_persisted_dict(str(place / "out" / "vocabulary.dict.bin"))
        assert sorted(vocabulary.tokens[5:]) == sorted([*WORDS, "bird"])

    @pytest.mark.parametrize("changes, code, complaint", [
        (("--src_folder", "nowhere"), 1, "source folder 'nowhere' does not exist"),
        (("--src_folder", "v.bin"), 1, "is a file; give a folder"),
        (("--src_folder", "pictures"), 1, "holds no file named *.txt"),
        (("--existed_vocab", "nowhere"), 1, "vocabulary 'nowhere' does not exist"),
        (("--existed_vocab", "news/one_bpe.txt"), 1, "not a vocabulary"),
        (("--existed_vocab", "pickle.bin"), 1, "pickle"),
        (("--existed_vocab", ""), 2, "argument --existed_vocab: the value is empty"),
        (("--dict_folder", "nowhere"), 1, "dictionary folder 'nowhere' does not exist"),
        (("--dict_folder", "news"), 1, "holds no file named *.dict"),
        (("--dict_folder", "dicts"), 1, "bad.dict, line 2: 'cat many' is not 'word frequency'"),
        (("--suffix", "a/b"), 2, "'a/b' must be a part of a file name"),
        (("--dict_folder", "hollow"), 1, "there is no word in hollow/a.dict"),
        (("--dict_folder", "good", "--mask_ratio", "2"), 2, "--mask_ratio 2.0"),
        (("--dict_folder", "good", "--src_folder", "nowhere"), 1, "source folder 'nowhere' does not exist"),
        (("--mask_ratio", "0"), 2, "--mask_ratio 0.0: it must be above 0"),
        (("--mask_ratio", "1.5"), 2, "--mask_ratio 1.5"),
        (("--mask_ratio", "half"), 2, "is not a number"),
        (("--max_len", "1"), 2, "--max_len 1: it must be at least 2"),
        (("--processes", "0"), 2, "--processes 0"),
        (("--min_len", "0"), 2, "--min_len 0: it must be from 1"),
        (("--shards", "0"), 2, "--shards 0"),
        (("--format", "csv"), 2, "invalid choice: 'csv'"),
        (("--output_folder", "v.bin"), 2, "output folder 'v.bin' is a file"),
        (("--output_folder", "v.bin/out"), 1, "cannot be created"),
    ])
    def test_bad_input(self, place, changes, code, complaint):
        write(place / "pictures" / "x.png", b"")
        write(place / "dicts" / "bad.dict", ["the 5", "cat many"])
        write(place / "hollow" / "a.dict", b"")
        write(place / "good" / "a.dict", ["the 5"])
        write(place / "pickle.bin", b"\x80\x04N.")
        assert complaint in output_of("news_crawl.py", *self.ARGUMENTS, *changes, code=code, cwd=place)
        assert files_of(place / "out") == []

    @pytest.mark.parametrize("content, complaint", [
        (b"", "bad.txt"), (b"\n\n", "bad.tfrecord: nothing to write: of 2 lines read none was kept (dropped: empty 2"),
        (b"the cat\nthe \xff cat\n", "bad.txt, line 2: not UTF-8"),
    ])
    @pytest.mark.parametrize("processes", [1, 2])
    def test_a_bad_file_among_good_ones(self, place, processes, content, complaint):
        write(place / "news" / "bad.txt", content)
        printed = output_of("news_crawl.py", *self.ARGUMENTS, "--processes", processes, code=1, cwd=place)
        assert complaint.replace("bad.txt", "bad") in printed.replace("bad.txt", "bad")
        left = files_of(place / "out")
        assert not [name for name in left if "bad" in name or "partial" in name]

    def test_the_same_bytes_for_any_number_of_processes(self, place):
        write(place / "news" / "large.txt", lines(60_000))
        for processes in (1, 3):
            run_script("news_crawl.py", *self.ARGUMENTS, "--output_folder", f"out{processes}", "--shards", 3,
                       "--processes", processes, cwd=place)
        assert files_of(place / "out1") == files_of(place / "out3")
        names = [name for name in files_of(place / "out1") if name.endswith(".tfrecord")]
        assert len(names) == 9
        for name in names:
            assert (place / "out1" / name).read_bytes() == (place / "out3" / name).read_bytes()

    def test_a_second_run_makes_only_what_changed(self, place):
        run_script("news_crawl.py", *self.ARGUMENTS, cwd=place)
        stamps = {name: os.stat(place / "out" / f"{name}_bpe.tfrecord").st_mtime_ns for name in ("one", "two")}
        write(place / "news" / "two_bpe.txt", lines(12))
        printed = output_of("news_crawl.py", *self.ARGUMENTS, cwd=place)
        assert "out/one_bpe.tfrecord: unchanged, skipped\n" in printed
        assert "2 data sets: 42 lines read" in printed
        changed = {name: os.stat(place / "out" / f"{name}_bpe.tfrecord").st_mtime_ns != stamps[name]
                   for name in ("one", "two")}
        assert changed == {"one": False, "two": True}
        for more in (("--overwrite",), ("--max_len", 7), ("--mask_ratio", 0.3), ("--shards", 2)):
            assert "unchanged" not in output_of("news_crawl.py", *self.ARGUMENTS, *more, cwd=place)
        assert output_of("news_crawl.py", *self.ARGUMENTS, "--shards", 2, cwd=place).count("unchanged, skipped") == 2

    def test_killed_while_it_writes(self, place):
        write(place / "news" / "large.txt", lines(200_000))
        process = start_script("news_crawl.py", *self.ARGUMENTS, cwd=place, stdout=subprocess.DEVNULL)
        for _ in range(6000):
            if list(place.glob("out/.partial-*/*")):
                break
            time.sleep(0.01)
        process.kill()
        process.wait()
        assert not (place / "out" / "large.tfrecord.json").exists()
        run_script("news_crawl.py", *self.ARGUMENTS, cwd=place)
        assert not list(place.glob("out/.partial-*"))
        assert len(load_records(str(place / "out"))) == 200_040

    def test_a_worker_that_is_killed(self, place):
        write(place / "news" / "large.txt", lines(400_000))
        process = start_script("news_crawl.py", *self.ARGUMENTS, cwd=place, stderr=subprocess.STDOUT)
        for _ in range(6000):
            if workers := psutil.Process(process.pid).children():
                workers[0].kill()
                break
            time.sleep(0.01)
        printed, _ = process.communicate(timeout=120)
        assert process.returncode == 1 and "a worker process died" in printed and "Traceback" not in printed
        assert [name for name in files_of(place / "out") if "large" in name or "partial" in name] == []

    def test_undecodable_bytes(self, place):
        write(place / "news" / "one_bpe.txt", b"the cat\nthe \xff cat\n")
        printed = output_of("news_crawl.py", *self.ARGUMENTS, "--errors", "replace", cwd=place)
        assert table_of(printed, "out/one_bpe.tfrecord")["undecodable bytes, tokens"] == "1"
        assert "warning: out/one_bpe.tfrecord: 1 lines held undecodable bytes" in printed
        assert load_records(str(place / "out" / "one_bpe.tfrecord")).info.damaged == {"tokens": 1}

    def test_much_text_becomes_many_mindrecord_files(self, place):
        write(place / "news" / "one_bpe.txt", ["", *["the " * 1000] * 1100, "small cat", "big dog"])
        run_script("news_crawl.py", *self.ARGUMENTS, "--format", "mindrecord", cwd=place)
        assert [name for name in files_of(place / "out") if name.endswith(".mindrecord")] == [
            "one_bpe-00000-of-00002.mindrecord", "one_bpe-00001-of-00002.mindrecord", "two_bpe.mindrecord"]
        assert load_records(str(place / "out" / "one_bpe.mindrecord")).info.kept == 2

    def test_quiet(self, place):
        printed = output_of("news_crawl.py", *self.ARGUMENTS, "--quiet", cwd=place)
        assert printed.splitlines() == ["2 data sets: 40 lines read, 40 kept, 189 tokens"]

    def test_inspection(self, place):
        run_script("news_crawl.py", *self.ARGUMENTS, "--shards", 2, cwd=place)
        for spec in ("out/one_bpe.tfrecord", "out"):
            printed = output_of("news_crawl.py", "--inspect", spec, "--count", 3, cwd=place)
            texts = [line.split(maxsplit=1)[1] for line in printed.splitlines() if line.startswith("  text")]
            assert texts == lines(3) and printed.count("encoder input") == 3
        assert "<mask>" in printed

    @pytest.mark.parametrize("flags, code, complaint", [
        (("--inspect",), 2, "expected one argument"), (("--inspect", "nowhere"), 1, "'nowhere' does not exist"),
        (("--inspect", "v.bin"), 1, "name ends with"), (("--inspect", "v.bin", "--count", "0"), 2, "--count 0"),
    ])
    def test_inspection_of_nothing(self, place, flags, code, complaint):
        assert complaint in output_of("news_crawl.py", *flags, code=code, cwd=place)


class TestGigaword:
    ARGUMENTS = ("--train_src", "pairs/train.src_bpe.txt", "--train_ref", "pairs/train.tgt_bpe.txt",
                 "--test_src", "pairs/test.src_bpe.txt", "--test_ref", "pairs/test.tgt_bpe.txt",
                 "--existed_vocab", "v.bin", "--output_folder", "out")

    @pytest.mark.parametrize("record_format", ["tfrecord", "mindrecord"])
    def test_data_sets(self, place, record_format):
        printed = output_of("gigaword.py", *self.ARGUMENTS, "--valid_src", "pairs/valid.src_bpe.txt", "--valid_ref",
                            "pairs/valid.tgt_bpe.txt", "--max_len", 6, "--noise_prob", 0.2, "--format",
                            record_format, cwd=place)
        sets = {split: load_records(str(place / "out" / f"gigaword_{split}_dataset.{record_format}"))
                for split in ("train", "valid", "test")}
        assert {split: records.info.masking["noise_prob"] for split, records in sets.items()} == {
            "train": 0.2, "valid": 0.0, "test": 0.0}
        assert {split: records.info.split for split, records in sets.items()} == {name: name for name in sets}
        assert sum(sets["train"].info.dropped.values()) == 30 - len(sets["train"]) > 0
        test = sets["test"].info
        assert test.kept == test.lines_read == 10 and test.flawed["source truncated"] == 2
        table = table_of(printed, f"out/gigaword_test_dataset.{record_format}")
        assert (table["kept, source truncated"], table["kept, target truncated"]) == ("2", "2")
        assert "2 targets were truncated to max_len 6" in printed

    def test_an_evaluation_set_with_empty_lines_keeps_its_lines(self, place):
        write(place / "pairs" / "test.tgt_bpe.txt", ["the cat", "", *lines(8)])
        printed = output_of("gigaword.py", *self.ARGUMENTS, cwd=place)
        assert "warning: out/gigaword_test_dataset.tfrecord: 1 pairs have an empty target" in printed
        records = load_records(str(place / "out" / "gigaword_test_dataset.tfrecord"))
        assert len(records) == 10 and records.columns["target"][1].tolist() == [2]

    @pytest.mark.parametrize("processes", [1, 2])
    def test_pairs_of_large_dirty_files(self, place, processes):
        """Line i of one side stays with line i of the other, whatever the lines contain and wherever parts end."""
        words = {"src": "the cat\u2028 \x85\x0b", "tgt": "dog \x1c\x0c\r mat"}
        for side, end in (("src", "\r\n"), ("tgt", "\n")):
            filler = {number: " ".join([words[side]] * (number * 7 % 23)) for number in range(300)}
            filler[10 if side == "src" else 20] = "on " * 400_000
            text = end.join(f"n{number} {filler[number % 300] if number < 300 else words[side]}"
                            for number in range(20_000))
            write(place / "pairs" / f"test.{side}_bpe.txt", ("\ufeff" * (side == "src") + text).encode())
        Dictionary((f"n{number}", 1) for number in range(20_000)).persistence(str(place / "v.bin"))
        run_script("gigaword.py", *self.ARGUMENTS, "--processes", processes, "--shards", 2, cwd=place)
        records = load_records(str(place / "out" / "gigaword_test_dataset.tfrecord"))
        for side in ("source", "target"):
            assert records.columns[side].padded(np.arange(20_000), 64)[:, 0].tolist() == list(range(5, 20_005))

    def test_inspection(self, place):
        run_script("gigaword.py", *self.ARGUMENTS, cwd=place)
        printed = output_of("gigaword.py", "--inspect", "out/gigaword_train_dataset.tfrecord", "--count", 1, cwd=place)
        assert f"source         {lines(30)[0]}\n" in printed and f"target         {lines(30)[-1]}\n" in printed

    @pytest.mark.parametrize("changes, code, complaint", [
        (("--train_src", "nowhere"), 1, "'nowhere' does not exist"),
        (("--train_src", "pairs"), 1, "'pairs' is a folder"),
        (("--test_ref", "pairs/valid.tgt_bpe.txt"), 1,
         "source 'pairs/test.src_bpe.txt' has 10 lines and target 'pairs/valid.tgt_bpe.txt' has 5"),
        (("--test_ref", "latin1.txt"), 1, "latin1.txt, line 1: not UTF-8"),
        (("--test_ref", "pairs/test.src_bpe.txt"), 2, "same file"),
        (("--valid_src", "pairs/valid.src_bpe.txt"), 2, "give both --valid_src and --valid_ref"),
        (("--noise_prob", "-0.1"), 2, "--noise_prob -0.1: it must be from 0 to 1"),
        (("--max_len", "0"), 2, "--max_len 0"),
        (("--existed_vocab", "latin1.txt"), 1, "not a vocabulary"),
        (("--format", "json"), 2, "invalid choice: 'json'"),
        (("--train_src", "empty.txt", "--train_ref", "none.txt"), 1, "of 0 lines read none was kept"),
    ])
    def test_bad_input(self, place, changes, code, complaint):
        write(place / "latin1.txt", "é\n".encode("iso-8859-1") * 10)
        write(place / "empty.txt", b"")
        write(place / "none.txt", b"")
        assert complaint in output_of("gigaword.py", *self.ARGUMENTS, *changes, code=code, cwd=place)
        assert files_of(place / "out") == []


class TestCornellDialog:
    ARGUMENTS = ("--src_folder", "pairs", "--existed_vocab", "v.bin", "--output_folder", "out")

    @pytest.mark.parametrize("record_format", ["tfrecord", "mindrecord"])
    def test_prepared_text(self, place, record_format):
        run_script("cornell_dialog.py", *self.ARGUMENTS, "--format", record_format, cwd=place)
        for split, count in (("train", 30), ("valid", 5), ("test", 10)):
            records = load_records(str(place / "out" / f"cornell_{split}_dataset.{record_format}"))
            assert len(records) == count and records.info.split == split
            text = (place / "pairs" / f"{split}.src_bpe.txt").read_text().splitlines()
            vocabulary = Dictionary.load_from_persisted_dict(records.vocabulary_path)
            assert [" ".join(vocabulary.decode(row)) for row in records.columns["source"]] == text

    def test_several_pairs_of_files_a_split(self, place):
        for side in ("src", "tgt"):
            write(place / "pairs" / f"train2.{side}.txt", lines(3))
        run_script("cornell_dialog.py", *self.ARGUMENTS, cwd=place)
        assert len(load_records(str(place / "out" / "cornell_train_dataset.tfrecord"))) == 33

    def test_prefixes(self, place):
        printed = output_of("cornell_dialog.py", *self.ARGUMENTS, "--train_prefix", "valid", "--valid_prefix", "",
                            "--noise_prob", 1, cwd=place)
        assert "cornell_valid" not in printed
        records = load_records(str(place / "out" / "cornell_train_dataset.tfrecord"))
        assert len(records) == 5 and records.info.masking == {"noise_prob": 1.0}

    @pytest.mark.parametrize("changes, code, complaint", [
        (("--src_folder", "nowhere"), 1, "'nowhere' does not exist"),
        (("--src_folder", "news"), 1, "source folder (--train_prefix train) 'news' holds no file named train*src*.txt"),
        (("--test_prefix", "dev"), 1, "holds no file named dev*src*.txt"),
        (("--src_folder", "lone_source"), 1, "'lone_source/test.src.txt' has no partner: there is no"),
        (("--src_folder", "lone_target"), 1, "'lone_target/test.tgt.txt' has no partner: there is no"),
        (("--src_folder", "uneven"), 1, "has 3 lines and target 'uneven/valid.tgt.txt' has 4"),
        (("--test_prefix", "train"), 2, "belongs to train and to test"),
        (("--existed_vocab", ""), 2, "argument --existed_vocab: the value is empty"),
        (("--noise_prob", "2"), 2, "--noise_prob 2.0"),
    ])
    def test_bad_input(self, place, changes, code, complaint):
        for folder in ("lone_source", "lone_target", "uneven"):
            for name in ("train.src", "train.tgt", "valid.src", "valid.tgt", "test.src", "test.tgt"):
                write(place / folder / f"{name}.txt", lines(3))
        (place / "lone_source" / "test.tgt.txt").unlink()
        (place / "lone_target" / "test.src.txt").rename(place / "lone_target" / "test1.src.txt")
        write(place / "lone_target" / "test1.tgt.txt", lines(3))
        write(place / "uneven" / "valid.tgt.txt", lines(4))
        assert complaint in output_of("cornell_dialog.py", *self.ARGUMENTS, *changes, code=code, cwd=place)
        assert not [path for path in place.glob("out/**/*") if path.is_file()]


@pytest.mark.parametrize("script", ["news_crawl.py", "gigaword.py", "cornell_dialog.py"])
class TestEveryScript:
    def test_help(self, tmp_path, script):
        assert "--output_folder" in output_of(script, "--help", cwd=tmp_path)

    def test_missing_flags(self, tmp_path, script):
        assert "required" in output_of(script, code=2, cwd=tmp_path)
