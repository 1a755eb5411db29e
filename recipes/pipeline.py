"""The commands of a recipe, in their order: from text to trained models and their predictions and scores."""
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from config.loading import paths_of_settings
from recipes import reuse
from recipes.recipe import Recipe
from recipes.results import PREDICTIONS_FILE
from recipes.run_layout import (
    BPE,
    CODES,
    FINETUNE,
    PAGE_FILE,
    PAIRS,
    PRETRAIN,
    PRETRAIN_VALID,
    PRETRAINED,
    RECORDS,
    REUSE,
    REUSE_START,
    SPEED,
    START,
    SUBWORD,
    TEXT,
    TOKENIZED,
    TOKENS,
    TUNING,
    VOCABULARY,
    finetuned,
    scores_folder,
)
from recipes.schedule import PROBE_SETTINGS, PlannedTraining, load_planned, shorten
from recipes.steps import Step, Steps
from recipes.text_layout import SIDES, SPLITS, TextFolders, input_files
from recipes.tuning import best_value, values_to_try
from src.checkpoints.files import BEST, LATEST

METRICS = ("rouge", "ppl")
_BY_STEPS = "dataset_config.epochs=1000000"  # the lengths of all trainings are given in steps


@dataclass(frozen=True)
class Options:
    """What a user chooses of a recipe."""

    run_folder: str
    folders: TextFolders = field(default_factory=TextFolders)
    pretrained: str | None = None  # run folder whose codes, vocabulary and pre-trained weights are used
    continues: bool = False  # pre-training goes on from the weights of `pretrained`, which replace it otherwise
    minutes: float | None = None  # the time for all trainings together; None: as long as the configurations say
    seeds: Sequence[int] = ()  # of the fine-tunings; empty: that of the configuration
    pretrain_settings: Sequence[str] = ()  # node.key=value
    finetune_settings: Sequence[str] = ()


class Pipeline:
    """Runs the steps of a recipe."""

    def __init__(self, recipe: Recipe, options: Options, steps: Steps):
        self.recipe, self.options, self.steps = recipe, options, steps
        self.pairs = self._in(RECORDS, PAIRS, "gigaword")  # prefix of the data sets of pairs
        self.codes, self.vocabulary = self._in(CODES), self._in(VOCABULARY)
        self.makes_codes = options.pretrained is None
        self.pretrains = self.makes_codes or options.continues
        self.finetune_settings = [*recipe.finetune_settings, *options.finetune_settings]

    def run(self) -> dict[str, list[str]]:
        """Run everything; return the names of the fine-tuned models, `mass` and `scratch`, one for each seed."""
        self._make_text()
        if not self.makes_codes:
            self._take_over()
        self._encode()
        self._make_records()
        pretrain, finetune = self._lengths()
        if self.pretrains:
            self._pretrain(self._in(PRETRAIN), [*self.options.pretrain_settings, *pretrain], PRETRAIN)
        models: dict[str, list[str]] = {"mass": [], "scratch": []}
        for seed in self.options.seeds or [None]:
            for start, names in models.items():
                names.append(start if seed is None else f"{start}_seed{seed}")
                self._finetune(names[-1], start == "mass", seed, finetune)
        for names in models.values():
            search = self.tune(names[0])
            for name in names:
                for metric in METRICS:
                    self._score(name, metric, search)
        return models

    # -- the data ----------------------------------------------------------------------------------------------------

    def _make_text(self) -> None:
        text, folders = self._in(TEXT), self.options.folders
        if self.recipe.text_command:
            self._step("text", text, [], *self.recipe.text_command, "--output_folder", text)
            return
        flags = {"--data": folders.pairs, "--sentences": folders.sentences, "--train_pairs": folders.train_pairs}
        given = [word for flag, value in flags.items() if value is not None for word in (flag, str(value))]
        self._step("text", text, input_files(folders), "-m", "recipes.arrange", self.recipe.name, *given,
                   "--output_folder", text)

    def _take_over(self) -> None:
        """Copy codes, vocabulary and weights from the run folder that has pre-trained."""
        earlier, continues = self.options.pretrained, self.options.continues
        self._step(REUSE_START if continues else REUSE, self._in(START if continues else PRETRAIN),
                   [os.path.join(earlier, name) for name in reuse.REQUIRED], "-m", "recipes.reuse", "--subword",
                   os.path.join(earlier, SUBWORD), "--pretrain", os.path.join(earlier, PRETRAIN),
                   "--output_folder", self._in(), *["--to_continue"] * continues, others=[self._in(SUBWORD)])

    def _encode(self) -> None:
        """Tokenize and encode. Codes and vocabulary are made from the pre-training text only: held-out text stays
        unseen."""
        tokens = {part: self._tokens(part) for part in (PRETRAIN, PRETRAIN_VALID) if self.pretrains}
        tokens[PAIRS] = (self._in(TEXT, PAIRS) if self.recipe.pairs_are_tokenized
                         else self._tokenize(PAIRS, self._in(TOKENS, PAIRS)))
        if self.makes_codes:
            self._step("codes", self.codes, [tokens[PRETRAIN]], "learn_subword.py", tokens[PRETRAIN], "--symbols",
                       str(self.recipe.merges), "--output", self.codes)
        for part, folder in tokens.items():
            words = ["apply_bpe_encoding.py", "--codes", self.codes, "--src_folder", folder, "--output_folder",
                     self._in(BPE, part)]
            makes_vocabulary = part == PRETRAIN and self.makes_codes
            if makes_vocabulary:
                words += ["--vocab_path", self.vocabulary, "--threshold", str(self.recipe.threshold)]
            self._step(f"bpe_{part}", self._in(BPE, part), [self.codes, folder], *words,
                       others=[self.vocabulary] if makes_vocabulary else [])

    def _tokens(self, part: str) -> str:
        """Make the tokens of a part of the pre-training text and return their folder."""
        tokens = self._in(TOKENS, part)
        if not self.recipe.gigaword_style:
            return self._tokenize(part, tokens)
        folders = [self._in(TEXT, TOKENIZED, part)]
        if self.options.folders.sentences is not None:
            folders.append(self._tokenize(part, self._in(TOKENS, f"{part}_cased")))
        self._step(f"style_{part}", tokens, folders, "-m", "recipes.gigaword_style", "--src_folder", ",".join(folders),
                   "--output_folder", tokens)
        return tokens

    def _tokenize(self, part: str, output: str) -> str:
        text = self._in(TEXT, part)
        self._step(f"tokens_{part}", output, [text], "tokenize_corpus.py", "--corpus_folder", text, "--output_folder",
                   output)
        return output

    def _make_records(self) -> None:
        for part in (PRETRAIN, PRETRAIN_VALID) if self.pretrains else ():
            text, records = self._in(BPE, part), self._in(RECORDS, part)
            self._step(f"records_{part}", records, [text, self.vocabulary], "news_crawl.py", "--src_folder", text,
                       "--existed_vocab", self.vocabulary, "--max_len", str(self.recipe.sentence_max_len),
                       "--output_folder", records)
        suffix = "_bpe.txt" if self.recipe.pairs_are_tokenized else "_tokenized_bpe.txt"
        files = {f"--{split}_{flag}": self._in(BPE, PAIRS, f"{split}.{side}{suffix}")
                 for split in SPLITS for side, flag in zip(SIDES, ("src", "ref"), strict=True)}
        self._step("records_pairs", self._in(RECORDS, PAIRS), [*files.values(), self.vocabulary], "gigaword.py",
                   *(word for flag in files.items() for word in flag), "--existed_vocab", self.vocabulary, "--max_len",
                   str(self.recipe.pair_max_len), "--output_folder", self._in(RECORDS, PAIRS))

    # -- training ----------------------------------------------------------------------------------------------------

    def _lengths(self) -> tuple[list[str], list[str]]:
        """Return the settings of pre-training and of fine-tuning that make them fit into the time, if one is given."""
        if self.options.minutes is None:
            return [], []
        probes = self._in(SPEED, PRETRAIN), self._in(SPEED, FINETUNE)
        if self.pretrains:
            self._pretrain(probes[0], [*self.options.pretrain_settings, *PROBE_SETTINGS], "speed_pretrain",
                           resume=False)
        self._finetune_into(probes[1], "speed_finetune", PROBE_SETTINGS)
        if self.steps.dry_run:
            return ["training_config.max_steps=..."], ["training_config.max_steps=..."]
        recipe, runs = self.recipe, 2 * max(1, len(self.options.seeds))
        trainings = [PlannedTraining(load_planned(recipe.finetune_config, self.finetune_settings), probes[1], runs)]
        if self.pretrains:
            planned = load_planned(recipe.pretrain_config, self.options.pretrain_settings)
            trainings.append(PlannedTraining(planned, probes[0], 1))
        finetune, *pretrain = shorten(trainings, self.options.minutes)
        return (pretrain[0] if pretrain else []), finetune

    def _pretrain(self, output: str, settings: Sequence[str], step: str, resume: bool = True) -> None:
        data = [f"dataset_config.pre_train_dataset={self._in(RECORDS, PRETRAIN)}",
                f"dataset_config.valid_dataset={self._in(RECORDS, PRETRAIN_VALID)}"]
        if self.options.continues:
            data += [f"checkpoint_options.existed_ckpt={self._in(START, BEST)}",
                     f"model_config.random_seed={reuse.next_seed(self.options.pretrained)}"]
        self._train(step, output, self.recipe.pretrain_config, [*data, *settings], resume)

    def _finetune(self, name: str, from_pretrained: bool, seed: int | None, settings: Sequence[str]) -> None:
        more = [f"checkpoint_options.existed_ckpt={self._in(PRETRAINED)}"] * from_pretrained
        if seed is not None:
            more.append(f"model_config.random_seed={seed}")
        self._finetune_into(self._in(finetuned(name)), finetuned(name), [*settings, *more], resume=True)

    def _finetune_into(self, output: str, step: str, settings: Sequence[str], resume: bool = False) -> None:
        data = (f"dataset_config.fine_tune_dataset={self.pairs}_train_dataset.tfrecord",
                f"dataset_config.valid_dataset={self.pairs}_valid_dataset.tfrecord")
        self._train(step, output, self.recipe.finetune_config, [*data, *self.finetune_settings, *settings], resume)

    def _train(self, step: str, output: str, config: str, settings: Sequence[str], resume: bool) -> None:
        read = (_BY_STEPS, *settings, f"dataset_config.bpe_codes={self.codes}")
        words = _flags_of([*read, f"checkpoint_options.ckpt_path={output}"])
        self._step(step, output, [config, *paths_of_settings(read)], "train.py", "--config", config, *words,
                   *(["--resume"] * resume), resumable=resume)

    # -- search and scores -------------------------------------------------------------------------------------------

    def tune(self, name: str) -> list[str]:
        """Return the settings of the search that are best on the validation pairs, chosen one after the other."""
        model = load_planned(self.recipe.finetune_config, self.finetune_settings).model_config
        chosen: list[str] = []
        best_output = ""  # of the settings chosen so far
        for key, values in self.recipe.search_values.items():
            usual, *_ = tried = values_to_try(key, model, values)
            outputs = {usual: best_output} if best_output else {}
            for value in tried:
                if value not in outputs:
                    outputs[value] = self._in(TUNING, f"{name}_{key}_{value:g}")
                    self._evaluate(f"tune_{name}_{key}_{value:g}", name, "rouge", "valid", outputs[value],
                                   [*chosen, f"model_config.{key}={value!r}"])
            best = usual if self.steps.dry_run else best_value(name, key, outputs)
            best_output = outputs[best]
            chosen.append(f"model_config.{key}=" + ("..." if self.steps.dry_run else repr(best)))
        return chosen

    def _score(self, name: str, metric: str, search: Sequence[str]) -> None:
        output = self._in(scores_folder(name, metric))
        more = ["--confidence"]
        if metric == "rouge" and name.startswith("mass"):
            more += ["--report", os.path.join(output, PAGE_FILE)]
        self._evaluate(f"score_{name}_{metric}", name, metric, "test", output, search, more)

    def _evaluate(self, step: str, name: str, metric: str, split: str, output: str, search: Sequence[str],
                  more: Sequence[str] = ()) -> None:
        test_set, model = f"{self.pairs}_{split}_dataset.tfrecord", self._in(finetuned(name))
        settings = [f"dataset_config.test_dataset={test_set}", *search]
        inputs = [test_set, *(os.path.join(model, weights) for weights in (BEST, LATEST))]
        self._step(step, output, inputs, "eval.py", "--ckpt", model, "--metric", metric, *more, "--output",
                   os.path.join(output, PREDICTIONS_FILE), *_flags_of(settings))

    # ----------------------------------------------------------------------------------------------------------------

    def _in(self, *names: str) -> str:
        return os.path.join(self.options.run_folder, *names)

    def _step(self, name: str, output: str, inputs: Sequence[str], *words: str, resumable: bool = False,
              others: Sequence[str] = ()) -> None:
        self.steps.run(Step(name, (os.path.relpath(sys.executable), *words), output, inputs, resumable, others))


def _flags_of(settings: Sequence[str]) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]
