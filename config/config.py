"""Every key of the configuration: its type, default, meaning, unit and limits, once, beside the field."""
import re
from dataclasses import dataclass, field, fields
from typing import Any

from src.common.errors import UsageError


def key(default: Any, meaning: str, *, choices: tuple = (), minimum: float | None = None, above: float | None = None,
        maximum: float | None = None, below: float | None = None) -> Any:
    """A field with its documentation and limits: `minimum`/`maximum` are allowed values, `above`/`below` are not."""
    limits = {"choices": choices, "minimum": minimum, "above": above, "maximum": maximum, "below": below}
    return field(default=default, metadata={"meaning": meaning, **limits})


@dataclass(frozen=True)
class DatasetConfig:
    """What is read, and how it is put into batches."""

    epochs: int = key(10, "passes over the training data", minimum=1)
    batch_size: int = key(192, "sentences (or pairs) a batch, on each device and before accumulation; of packed rows, "
                               "as many as hold this number on average", minimum=1)
    accumulate_batches: int = key(1, "batches on each device whose gradients are added up for one optimizer step: a "
                                     "step sees accumulate_batches * devices * batch_size sentences", minimum=1)
    pre_train_dataset: str = key("", "records of sentences to pre-train on: a file, several separated by commas, a "
                                     "glob or a folder; exactly one of this and fine_tune_dataset is set for training")
    fine_tune_dataset: str = key("", "records of pairs to fine-tune on, in the same forms")
    test_dataset: str = key("", "records of pairs (or, for perplexity, sentences) that eval.py answers and scores")
    valid_dataset: str = key("", "records of the kind trained on; their perplexity is measured during training")
    dataset_sink_mode: bool = key(False, "do not wait for the device after each step: losses are read back every "
                                         "dataset_sink_step steps (only with loss_scale_mode static)")
    dataset_sink_step: int = key(100, "steps between two read-backs when dataset_sink_mode is on", minimum=1)
    max_tokens: int = key(0, "if above 0, a batch holds as many rows as fit into this number of padded "
                             "positions of the longer side, and batch_size is not used", minimum=0)
    eval_batch_size: int = key(32, "sentences a batch in search and scoring", minimum=1)
    pack_sentences: bool = key(True, "put several sentences into a row of training and validation batches: the result "
                                     "is the same, one shape is compiled and little is padded; search and scoring "
                                     "keep one a row")
    num_buckets: int = key(4, "padded lengths where sentences are not packed, chosen from the data to pad least; each "
                              "is compiled once", minimum=1)
    language_model: str = key("mass", "what pre-training hides: mass (the paper), loose (the released code, one "
                                      "symbol more), masked (mass without the 80/10/10 rule)",
                              choices=("mass", "loose", "masked"))
    fragment_ratio: float = key(0.0, "share of a sentence that is masked; 0 takes the records' own (--mask_ratio)",
                                minimum=0.0, maximum=1.0)
    attend_to_masks: bool = key(False, "let the network attend to encoder positions that hold <mask>")
    tokenizer: str = key("", "how raw text became the words of the records: nltk, jieba, or none (it came tokenized). "
                             "This and the next three keys are kept beside the checkpoints, so that eval.py can read "
                             "raw text; empty: as beside existed_ckpt, if it says so there",
                         choices=("", "nltk", "jieba", "none"))
    lower_case: bool = key(False, "the words of the records are in lower case")
    digits_to_hash: bool = key(False, "the digits in the records are #, as in Gigaword")
    bpe_codes: str = key("", "BPE codes the words of the records were encoded with (a copy is kept beside the "
                             "checkpoints); empty: the symbols are whole words")


@dataclass(frozen=True)
class ModelConfig:
    """The network and the search."""

    random_seed: int = key(100, "seed of weights, data order, masks and dropout", minimum=0, maximum=2**31 - 1)
    save_graphs: bool = key(False, "let MindSpore write its intermediate graphs into ./graphs")
    seq_length: int = key(64, "longest source or target, in BPE symbols with </s>", minimum=2)
    vocab_size: int = key(45744, "symbols of the vocabulary; 0 takes the size from the records", minimum=0)
    hidden_size: int = key(1024, "width of the network", minimum=4)
    num_hidden_layers: int = key(6, "layers of the encoder, and of the decoder", minimum=1)
    num_attention_heads: int = key(8, "attention heads; they divide hidden_size", minimum=1)
    intermediate_size: int = key(4096, "width inside the feed-forward network", minimum=1)
    hidden_act: str = key("relu", "non-linearity of the feed-forward network", choices=("relu", "gelu"))
    hidden_dropout_prob: float = key(0.2, "dropout on embeddings, feed-forward hidden and residual branches",
                                     minimum=0.0, below=1.0)
    attention_dropout_prob: float = key(0.2, "dropout on attention weights", minimum=0.0, below=1.0)
    max_position_embeddings: int = key(64, "positions there are encodings for, at least seq_length", minimum=2)
    initializer_range: float = key(0.0, "standard deviation of the embeddings at the start; 0 stands for "
                                        "1/sqrt(hidden_size)", minimum=0.0)
    label_smoothing: float = key(0.1, "probability mass moved from the target to the other symbols",
                                 minimum=0.0, below=1.0)
    beam_width: int = key(4, "hypotheses kept by the search", minimum=1)
    length_penalty_weight: float = key(1.0, "exponent of ((5 + length) / 6) that divides a hypothesis' log-probability",
                                       minimum=0.0)
    max_decode_length: int = key(64, "longest answer, in BPE symbols with </s>", minimum=1)
    min_decode_length: int = key(1, "shortest answer, in BPE symbols with </s>", minimum=1)
    n_best: int = key(1, "answers returned for a sentence, best first; with beam search no more than beam_width",
                      minimum=1)
    no_repeat_ngram_size: int = key(0, "no answer holds the same sequence of this many symbols twice; 0 allows it",
                                    minimum=0)
    ban_unk: bool = key(False, "no answer holds <unk>")
    copy_unk: bool = key(False, "where an answer holds <unk>, the source word attended to most is put into its text")
    decode_strategy: str = key("beam", "beam searches the most probable answers, sample draws answers at random",
                               choices=("beam", "sample"))
    temperature: float = key(1.0, "log-probabilities are divided by it before a symbol is drawn: below 1 favours the "
                                  "probable ones", above=0.0)
    top_k: int = key(0, "draw among this many most probable symbols; 0 = all", minimum=0)
    top_p: float = key(1.0, "draw among the fewest most probable symbols whose probabilities sum to this (after "
                            "temperature and top_k)", above=0.0, maximum=1.0)
    sampling_seed: int = key(0, "seed of the draws: the same sentence gets the same answers again, in whatever batch",
                             minimum=0, maximum=2**31 - 1)
    compute_type: str = key("float32", "number format of the matrix products; weights, norms, softmax, loss and "
                                       "optimizer stay in float32. A format the device has no kernels for is refused",
                            choices=("float32", "float16", "bfloat16"))


@dataclass(frozen=True)
class LossScaleConfig:
    """Scaling of the loss against underflow of half-precision gradients."""

    loss_scale_mode: str = key("dynamic", "static keeps init_loss_scale; dynamic divides it when gradients overflow "
                                          "and multiplies it after scale_window good steps",
                               choices=("static", "dynamic"))
    init_loss_scale: float = key(65536.0, "factor on the loss at the start", above=0.0)
    loss_scale_factor: float = key(2.0, "what dynamic scaling divides and multiplies by", above=1.0)
    scale_window: int = key(200, "good steps in a row before dynamic scaling multiplies", minimum=1)


@dataclass(frozen=True)
class LearnRateConfig:
    """The optimizer and its learning rate."""

    optimizer: str = key("adam", "adam (betas 0.9 and 0.98), lamb (the same betas, weight decay 0.01 except on norms "
                                 "and biases) or momentum (0.9)", choices=("adam", "lamb", "momentum"))
    lr: float = key(1e-4, "learning rate at the end of the warm-up", above=0.0)
    lr_scheduler: str = key("poly", "course after the warm-up: poly (polynomial decay in cycles) or isr (inverse "
                                    "square root)", choices=("poly", "isr"))
    poly_lr_scheduler_power: float = key(0.5, "exponent of poly", above=0.0)
    decay_steps: int = key(10000, "steps of one poly cycle", minimum=1)
    decay_start_step: int = key(12000, "step at which isr begins to decay", minimum=0)
    warmup_steps: int = key(4000, "steps in which the rate rises linearly from 0 to lr", minimum=0)
    min_lr: float = key(1e-6, "the rate does not fall below this", minimum=0.0)
    clip_norm: float = key(1.0, "largest global norm of the gradients; 0 does not clip", minimum=0.0)


@dataclass(frozen=True)
class CheckpointOptions:
    """Weights in, weights out."""

    existed_ckpt: str = key("", "weights to start a new run from (step 0, fresh optimizer) or to evaluate: .ckpt, "
                                ".safetensors or averaged .npz; to continue a run, train.py has --resume")
    save_ckpt_steps: int = key(10000, "steps between two checkpoints", minimum=1)
    keep_ckpt_max: int = key(50, "newest checkpoints kept, beside best and latest; with adam or lamb each takes three "
                                 "times the size of the weights (weights and training state)", minimum=1)
    ckpt_prefix: str = key("ckpt", "a checkpoint is <prefix>-<step>.safetensors (weights) and <prefix>-<step>.state.* "
                                   "(what --resume needs besides)")
    ckpt_path: str = key("", "folder of checkpoints and metrics; empty stands for the run folder")


@dataclass(frozen=True)
class TrainingConfig:
    """The loop: device, length, reports."""

    device_target: str = key("CPU", "what to run on", choices=("CPU", "GPU", "Ascend"))
    device_id: int = key(0, "which GPU or Ascend; several processes that msrun has started share out the devices",
                         minimum=0)
    native_kernels: str = key("auto", "C kernels for what the network is made of, compiled by this "
                                      "machine's C compiler at their first use: on the CPU only, faster than "
                                      "MindSpore's operators. auto uses them where it can and says why if not, on "
                                      "stops where it cannot, off uses MindSpore's",
                              choices=("auto", "on", "off"))
    max_steps: int = key(0, "end after this many optimizer steps; 0 leaves it to epochs", minimum=0)
    log_steps: int = key(50, "steps between two lines of the log", minimum=1)
    valid_steps: int = key(0, "steps between two validations, besides those at the end of each epoch", minimum=0)
    valid_rouge_sentences: int = key(0, "pairs of valid_dataset, spread evenly over it, that each validation also "
                                        "answers by search and scores with ROUGE; 0 = none", minimum=0)
    patience: int = key(0, "end after this many validations in a row without a better perplexity; 0 = never",
                        minimum=0)


@dataclass(frozen=True)
class Config:
    """The whole configuration, one field a node."""

    dataset_config: DatasetConfig = field(default_factory=DatasetConfig)
    model_config: ModelConfig = field(default_factory=ModelConfig)
    loss_scale_config: LossScaleConfig = field(default_factory=LossScaleConfig)
    learn_rate_config: LearnRateConfig = field(default_factory=LearnRateConfig)
    checkpoint_options: CheckpointOptions = field(default_factory=CheckpointOptions)
    training_config: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        for node in fields(self):
            for entry in fields(getattr(self, node.name)):
                check_limits(f"{node.name}.{entry.name}", getattr(getattr(self, node.name), entry.name), entry.metadata)
        self._check_relations()
        self._check_search()

    def _check_relations(self) -> None:
        """What must hold between keys; each message names the keys, their values and what is allowed."""
        model, data, rate = self.model_config, self.dataset_config, self.learn_rate_config
        if model.hidden_size % model.num_attention_heads:
            raise UsageError(f"model_config.num_attention_heads is {model.num_attention_heads}: it must divide "
                             f"hidden_size ({model.hidden_size})")
        if model.hidden_size % 2:
            raise UsageError(f"model_config.hidden_size is {model.hidden_size}: it must be even (sines and cosines)")
        for name in ("seq_length", "max_decode_length"):
            if getattr(model, name) > model.max_position_embeddings:
                raise UsageError(f"model_config.{name} is {getattr(model, name)}: it must not exceed "
                                 f"max_position_embeddings ({model.max_position_embeddings})")
        if rate.lr_scheduler == "isr" and rate.warmup_steps == 0:
            raise UsageError("learn_rate_config.warmup_steps is 0: with lr_scheduler isr it must be at least 1 (the "
                             "rate is lr * sqrt(warmup_steps / step))")
        if not re.fullmatch(r"[A-Za-z0-9._-]+", self.checkpoint_options.ckpt_prefix):
            raise UsageError(f"checkpoint_options.ckpt_prefix is {self.checkpoint_options.ckpt_prefix!r}: allowed are "
                             f"letters, digits and . _ -")
        if rate.min_lr > rate.lr:
            raise UsageError(f"learn_rate_config.min_lr is {rate.min_lr}: it must not exceed lr ({rate.lr})")
        if data.max_tokens and data.max_tokens < model.seq_length:
            raise UsageError(f"dataset_config.max_tokens is {data.max_tokens}: a sentence of seq_length "
                             f"({model.seq_length}) must fit, or 0 to count sentences by batch_size")
        if not data.tokenizer and (data.bpe_codes or data.lower_case or data.digits_to_hash):
            raise UsageError("dataset_config.tokenizer is empty, but bpe_codes, lower_case or digits_to_hash say how "
                             "text was processed: set it to nltk, jieba or none")
        if data.dataset_sink_mode and self.loss_scale_config.loss_scale_mode == "dynamic":
            raise UsageError("dataset_config.dataset_sink_mode is true: dynamic loss scaling looks at every step; "
                             "set loss_scale_config.loss_scale_mode to static")

    def _check_search(self) -> None:
        """What must hold between the keys of the search."""
        model = self.model_config
        if model.min_decode_length > model.max_decode_length:
            raise UsageError(f"model_config.min_decode_length is {model.min_decode_length}: it must not exceed "
                             f"max_decode_length ({model.max_decode_length})")
        if model.decode_strategy == "beam" and model.n_best > model.beam_width:
            raise UsageError(f"model_config.n_best is {model.n_best}: a beam of {model.beam_width} finds no more than "
                             f"beam_width answers; raise beam_width, or set decode_strategy to sample")
        if model.decode_strategy == "beam" and 0 < model.vocab_size < model.beam_width:
            raise UsageError(f"model_config.beam_width is {model.beam_width}: it must not exceed the size of the "
                             f"vocabulary ({model.vocab_size})")
        if model.ban_unk and model.copy_unk:
            raise UsageError("model_config.ban_unk and copy_unk are both true: an answer without <unk> has nothing to "
                             "copy; choose one")


def check_limits(name: str, value: Any, limits: Any) -> None:
    """Raise a UsageError that says what is allowed if `value` is outside the limits of its field."""
    if limits["choices"] and value not in limits["choices"]:
        raise UsageError(f"{name} is {value!r}: allowed are {', '.join(map(repr, limits['choices']))}")
    if ((limits["minimum"] is not None and value < limits["minimum"])
            or (limits["above"] is not None and value <= limits["above"])
            or (limits["maximum"] is not None and value > limits["maximum"])
            or (limits["below"] is not None and value >= limits["below"])):
        raise UsageError(f"{name} is {value!r}: allowed is {describe_limits(limits)}")


def describe_limits(limits: Any) -> str:
    """The limits of a field in words, '' if it has none: 'at least 1', 'above 0.0 and below 1.0', ..."""
    if limits["choices"]:
        return " or ".join(str(choice) for choice in limits["choices"])
    words = {"minimum": "at least", "above": "above", "maximum": "at most", "below": "below"}
    return " and ".join(f"{word} {limits[name]}" for name, word in words.items() if limits[name] is not None)
