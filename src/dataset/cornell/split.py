"""Splits the pairs of the published corpus into training, validation and test set, and writes them as text."""
import bisect
import hashlib
import json
import math
import os
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import accumulate

from src.common.errors import MassError, UsageError
from src.common.files import atomic_outputs
from src.common.finished_outputs import FinishedOutputs
from src.dataset.cornell.corpus import CONVERSATIONS_FILE, LINES_FILE, CorpusCounts, read_pairs

SPLIT_SHARES = {"train": 0.8, "valid": 0.1, "test": 0.1}
SUMMARY_FILE = "split.json"
_FORMAT = 1  # to be increased when the same corpus yields different text


@dataclass(frozen=True)
class SplitPlan:
    """How the pairs are split, and the names of the files of each split."""

    prefixes: Mapping[str, str]  # split -> prefix of its files, <prefix>.src.txt and <prefix>.tgt.txt
    shares: Mapping[str, float]  # split -> its share of the pairs, approximate because films are not divided
    seed: int = 0  # another seed assigns other films to the splits

    def __post_init__(self):
        """Check the prefixes.

        Raises:
            UsageError: two splits have the same prefix, or one has none.
        """
        used = [self.prefixes[split] for split in self.splits]
        if not all(used) or len(set(used)) < len(used):
            given = ", ".join(f"--{split}_prefix {self.prefixes[split]!r}" for split in self.splits)
            raise UsageError(f"the {len(used)} parts of the published corpus need {len(used)} different prefixes, not "
                             f"{given}")

    @property
    def splits(self) -> list[str]:
        """The names of the splits that get films."""
        return [split for split, share in self.shares.items() if share > 0]


@dataclass(frozen=True)
class SplitSummary:
    """How the corpus was split: the content of `split.json` beside the text."""

    films: dict[str, list[str]]  # split -> its films, in the order of the corpus
    pairs: dict[str, int]  # split -> pairs written
    empty: int  # pairs that were left out because a side is empty
    corpus: CorpusCounts
    shares: dict[str, float]
    seed: int

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> "SplitSummary":
        """Return the summary that was stored as JSON."""
        return cls(**{**content, "corpus": CorpusCounts(**content["corpus"])})

    def __str__(self) -> str:
        films, read = {split: len(found) for split, found in self.films.items()}, self.corpus
        left_out = f"{self.empty:,} pairs with an empty side"
        if read.between_films:
            left_out += f", {read.between_films:,} pairs with sides from two films"
        return "\n".join((
            f"{sum(films.values()):,} films, {read.conversations:,} conversations, {read.utterances:,} utterances",
            f"  {'split':8}{'films':>8}{'pairs':>10}",
            *(f"  {split:8}{films[split]:>8,}{count:>10,}" for split, count in self.pairs.items()),
            f"  left out    {left_out}",
            f"  encoding    {read.lines - read.latin1_lines:,} lines of UTF-8, {read.latin1_lines:,} of ISO-8859-1",
            f"  characters  {read.repaired:,} of Windows-1252 repaired, {read.lost:,} lost by an earlier tool (U+FFFD)",
        ))


def parse_shares(text: str) -> dict[str, float]:
    """Return the shares of train, valid and test given as "0.8,0.1,0.1".

    Raises:
        UsageError: these are not three shares that add up to 1.
    """
    try:
        shares = [float(share) for share in text.split(",")]
    except ValueError:
        shares = []
    good = len(shares) == len(SPLIT_SHARES) and all(0 <= share <= 1 for share in shares)
    if not good or not math.isclose(sum(shares), 1, abs_tol=1e-6):
        raise UsageError(f"--split {text}: give the shares of {', '.join(SPLIT_SHARES)}, which add up to 1, such as "
                         f"{','.join(map(str, SPLIT_SHARES.values()))}")
    return dict(zip(SPLIT_SHARES, shares, strict=True))


def split_of_films(pairs: Mapping[str, int], shares: Mapping[str, float], seed: int = 0) -> dict[str, str]:
    """Assign films to splits.

    The films are ordered by a hash, and each split gets the next films until its share is reached. The result is the
    same on every machine, and the end of each split is at most half a film away from the exact share of the pairs.

    Args:
        pairs: film -> its number of pairs; the order does not matter.
        shares: split -> its share of all pairs; they add up to 1.
        seed: another seed orders the films differently.

    Returns:
        film -> split
    """
    drawn = sorted(pairs, key=lambda film: hashlib.sha256(f"{seed}:{film}".encode()).digest())
    splits = [split for split, share in shares.items() if share > 0]
    ends = [end * sum(pairs.values()) for end in accumulate(shares[split] for split in splits)]
    found, before = {}, 0
    for film in drawn:
        middle = before + pairs[film] / 2
        before += pairs[film]
        found[film] = splits[min(bisect.bisect_right(ends, middle), len(splits) - 1)]  # the last may be rounded down
    return found


def split_corpus(folder: str, output_folder: str, plan: SplitPlan, overwrite: bool) -> tuple[SplitSummary, bool]:
    """Write the pairs of the corpus in `folder` as text to `output_folder`, with a summary beside them.

    Pairs with an empty side are left out. Text that an earlier run finished is left as it is.

    Returns:
        The summary, and whether an earlier run had finished the text.

    Raises:
        MassError: a file is missing or bad (see `read_pairs`), or a split gets no pair.
    """
    inputs = [os.path.join(folder, name) for name in (LINES_FILE, CONVERSATIONS_FILE)]
    settings = {"step": "split", "format": _FORMAT, **asdict(plan)}
    task = FinishedOutputs(output_folder, overwrite).task(SUMMARY_FILE, inputs, settings)
    if task.summary is not None:
        return SplitSummary.from_json(task.summary), True
    with atomic_outputs(output_folder) as scratch:
        summary = _write_text(folder, scratch, plan)
        with open(os.path.join(scratch, SUMMARY_FILE), "w", encoding="utf-8") as stream:
            json.dump(asdict(summary), stream, indent=1)
        names = os.listdir(scratch)
    task.finish([os.path.join(output_folder, name) for name in names], asdict(summary))
    return summary, False


def _write_text(folder: str, output_folder: str, plan: SplitPlan) -> SplitSummary:
    counts = CorpusCounts()
    found = list(read_pairs(folder, counts))
    kept = [pair for pair in found if pair.utterance and pair.response]
    pairs_of_films = Counter(pair.film for pair in kept)
    if not kept:
        raise MassError(f"{os.path.join(folder, CONVERSATIONS_FILE)}: no conversation of two or more utterances "
                        f"with text")
    split_of = split_of_films(pairs_of_films, plan.shares, plan.seed)
    films = {split: [film for film in pairs_of_films if split_of[film] == split] for split in plan.splits}
    if missing := [split for split in plan.splits if not films[split]]:
        raise MassError(f"{folder}: no film is left for {' and '.join(missing)}: there are {len(pairs_of_films):,} "
                        f"films with pairs; choose another --split (with a share of 0 there is no such set)")
    with ExitStack() as stack:
        files = {}
        for split in plan.splits:
            for side in ("src", "tgt"):
                path = os.path.join(output_folder, f"{plan.prefixes[split]}.{side}.txt")
                files[split, side] = stack.enter_context(open(path, "w", encoding="utf-8", newline="\n"))
        for film, utterance, response in kept:
            files[split_of[film], "src"].write(utterance + "\n")
            files[split_of[film], "tgt"].write(response + "\n")
    pairs = {split: sum(pairs_of_films[film] for film in films[split]) for split in plan.splits}
    return SplitSummary(films, pairs, len(found) - len(kept), counts, dict(plan.shares), plan.seed)
