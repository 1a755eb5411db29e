"""Every key of the configuration: its type, default, meaning, unit and limits, stated once, beside the field."""
import re
from dataclasses import dataclass, field, fields
from typing import Any

from src.common.errors import UsageError

FIXED, MAY_CHANGE = "fixed", "may change"
"""What may happen to a key when a run is resumed."""

MAX_COUNT = 1_000_000_000
"""The largest value of a whole number that has no limit of its own."""


def key(default: Any, meaning: str, *, choices: tuple = (), minimum: float | None = None, above: float | None = None,
        maximum: float | None = None, below: float | None = None, resume: str = FIXED, path: bool = False) -> Any:
    """A configuration field with its documentation and limits.

    Args:
        default: the value where a configuration file does not set the key.
        meaning: one or more sentences for the reference page, without a final period.
        choices: the allowed values; empty allows all values of the type.
        minimum, maximum: the smallest and the largest allowed value.
        above, below: limits that are not allowed themselves.
        resume: whether the key MAY_CHANGE between a run and its continuation with --resume, or is FIXED.
        path: whether the value is a path, or several; `~` is expanded at the beginning of each.
    """
    if type(default) is int and maximum is None:
        maximum = MAX_COUNT
    limits = {"choices": choices, "minimum": minimum, "above": above, "maximum": maximum, "below": below}
    return field(default=default, metadata={"meaning": meaning, "resume": resume, "path": path, **limits})


@dataclass(frozen=True)
class DatasetConfig:
    """The data sets and how their examples are put into batches."""

    epochs: int = key(10, "number of passes over the training data", minimum=1, resume=MAY_CHANGE)
    batch_size: int = key(192, "sentences (or pairs) per batch on each device, before accumulation. With "
                               "pack_sentences it is the average: a batch has the number of rows that hold batch_size "
                               "sentences on average", minimum=1, maximum=1_000_000)
    accumulate_batches: int = key(1, "number of batches on each device whose gradients are accumulated for one "
                                     "optimizer step: a step uses accumulate_batches * devices * batch_size sentences. "
                                     "On resuming, its product with the number of devices must stay the same",
                                  minimum=1, maximum=4096, resume=MAY_CHANGE)
    pre_train_dataset: str = key("", "records of sentences to pre-train on: a file, several files separated by commas, "
                                     "a glob or a folder. Training needs exactly one of pre_train_dataset and "
                                     "fine_tune_dataset. On resuming, the files may have moved, but must hold the same "
                                     "data", path=True, resume=MAY_CHANGE)
    fine_tune_dataset: str = key("", "records of pairs to fine-tune on, in the same forms",
                                 path=True, resume=MAY_CHANGE)
    test_dataset: str = key("", "records that eval.py evaluates on: pairs, or for perplexity also sentences", path=True,
                            resume=MAY_CHANGE)
    valid_dataset: str = key("", "validation records, of the same kind as the training records; their perplexity is "
                                 "measured during training", path=True, resume=MAY_CHANGE)
    dataset_sink_mode: bool = key(False, "do not wait for the device after each step; losses are read back every "
                                         "dataset_sink_step steps. Requires loss_scale_mode static", resume=MAY_CHANGE)
    dataset_sink_step: int = key(100, "number of steps between two read-backs if dataset_sink_mode is on", minimum=1,
                                 resume=MAY_CHANGE)
    max_tokens: int = key(0, "if above 0, the size of a batch: it has as many rows as fit into this number of padded "
                             "positions of the longer side, and batch_size is not used", minimum=0, maximum=10_000_000)
    eval_batch_size: int = key(32, "sentences per batch in search and scoring",
                               minimum=1, maximum=100_000, resume=MAY_CHANGE)
    pack_sentences: bool = key(True, "put several sentences into each row of training and validation batches. The "
                                     "result is the same, but only one shape is compiled and there is little padding. "
                                     "Search and scoring always use one sentence per row")
    num_buckets: int = key(4, "number of padded lengths if sentences are not packed; they are chosen to minimize "
                              "padding, and each is compiled once. Scoring uses at most 1 + examples / 512 of "
                              "them", minimum=1, maximum=64)
    language_model: str = key("mass", "pre-training objective: mass (the paper's), loose (the released code's, which "
                                      "predicts one token more), masked (mass without the 80/10/10 rule)",
                              choices=("mass", "loose", "masked"))
    fragment_ratio: float = key(0.0, "share of a sentence that is masked; 0 uses the ratio stored in the records "
                                     "(--mask_ratio)", minimum=0.0, maximum=1.0)
    attend_to_masks: bool = key(False, "let the network attend to encoder positions that hold <mask>")
    tokenizer: str = key("", "tokenizer that made the words of the records: nltk, jieba, or none if the text was "
                             "tokenized before. It is stored beside the checkpoints together with the next four keys, "
                             "so that eval.py can process raw text. If empty, the description beside existed_ckpt is "
                             "used, if there is one", choices=("", "nltk", "jieba", "none"), resume=MAY_CHANGE)
    lower_case: bool = key(False, "whether the words of the records are in lower case", resume=MAY_CHANGE)
    digits_to_hash: bool = key(False, "whether the digits in the records are replaced by #, as in Gigaword",
                               resume=MAY_CHANGE)
    brackets_to_names: bool = key(False, "whether the brackets in the records are spelled -lrb-, -rrb- and so on, as "
                                         "in Gigaword", resume=MAY_CHANGE)
    bpe_codes: str = key("", "file of the BPE codes that the records were encoded with; a copy is stored beside the "
                             "checkpoints. If empty, the tokens are whole words", path=True, resume=MAY_CHANGE)


@dataclass(frozen=True)
class ModelConfig:
    """The network and the search."""

    random_seed: int = key(100, "seed of the initial weights, the order of the data, the masks and dropout", minimum=0,
                           maximum=2**31 - 1)
    save_graphs: bool = key(False, "let MindSpore write its intermediate graphs into ./graphs", resume=MAY_CHANGE)
    seq_length: int = key(64, "maximum length of a source or a target, in tokens including </s>",
                          minimum=2, maximum=100_000)
    vocab_size: int = key(45744, "number of tokens in the vocabulary; 0 uses the size stored in the records",
                          minimum=0, maximum=10_000_000)
    hidden_size: int = key(1024, "width of the network", minimum=4, maximum=100_000)
    num_hidden_layers: int = key(6, "number of layers in the encoder, and in the decoder", minimum=1, maximum=1024)
    num_attention_heads: int = key(8, "number of attention heads; it must divide hidden_size", minimum=1, maximum=1024)
    intermediate_size: int = key(4096, "width of the hidden layer of the feed-forward networks",
                                 minimum=1, maximum=1_000_000)
    hidden_act: str = key("relu", "activation function of the feed-forward networks", choices=("relu", "gelu"))
    hidden_dropout_prob: float = key(0.2, "dropout probability on embeddings, feed-forward hidden layers and residual "
                                          "branches", minimum=0.0, below=1.0)
    attention_dropout_prob: float = key(0.2, "dropout probability on attention weights", minimum=0.0, below=1.0)
    max_position_embeddings: int = key(64, "number of positions that have an encoding; at least seq_length",
                                       minimum=2, maximum=100_000)
    position_encoding: str = key("tensor2tensor", "wavelengths of the sinusoidal position encodings of hidden size d: "
                                                  "tensor2tensor is 10000^(i / (d/2 - 1)), as in MASS; pegasus is "
                                                  "10000^(2i / d), for models that import_weights.py has made of "
                                                  "Pegasus", choices=("tensor2tensor", "pegasus"))
    initializer_range: float = key(0.0, "standard deviation of the initial embeddings; 0 uses 1/sqrt(hidden_size)",
                                   minimum=0.0)
    label_smoothing: float = key(0.1, "probability mass that is moved from the target token to the other tokens",
                                 minimum=0.0, below=1.0)
    beam_width: int = key(4, "number of hypotheses that beam search keeps", minimum=1, maximum=1024, resume=MAY_CHANGE)
    length_penalty_weight: float = key(1.0, "exponent a of the length penalty: the log-probability of a hypothesis is "
                                            "divided by ((5 + length) / 6)^a", minimum=0.0, maximum=100.0,
                                       resume=MAY_CHANGE)
    max_decode_length: int = key(64, "maximum length of a prediction, in tokens including </s>",
                                 minimum=1, maximum=100_000,
                                 resume=MAY_CHANGE)
    min_decode_length: int = key(1, "minimum length of a prediction, in tokens including </s>",
                                 minimum=1, maximum=100_000,
                                 resume=MAY_CHANGE)
    n_best: int = key(1, "number of predictions per sentence, best first; beam search returns at most beam_width",
                      minimum=1, maximum=1024, resume=MAY_CHANGE)
    no_repeat_ngram_size: int = key(0, "no n-gram of this many tokens occurs twice in a prediction; 0 sets no limit",
                                    minimum=0, maximum=1024, resume=MAY_CHANGE)
    ban_unk: bool = key(False, "never predict <unk>", resume=MAY_CHANGE)
    copy_unk: bool = key(False, "replace each predicted <unk> by the source word with the largest attention weight",
                         resume=MAY_CHANGE)
    decode_strategy: str = key("beam", "beam searches for the most probable predictions, sample draws predictions at "
                                       "random", choices=("beam", "sample"), resume=MAY_CHANGE)
    temperature: float = key(1.0, "sampling divides the log-probabilities by this number before it draws a token; "
                                  "below 1 it favours probable tokens", minimum=0.001, resume=MAY_CHANGE)
    top_k: int = key(0, "sampling draws among this number of most probable tokens; 0 = among all",
                     minimum=0, maximum=10_000_000,
                     resume=MAY_CHANGE)
    top_p: float = key(1.0, "sampling draws among the fewest most probable tokens whose probabilities add up to this "
                            "number, after temperature and top_k (nucleus sampling)", above=0.0, maximum=1.0,
                       resume=MAY_CHANGE)
    sampling_seed: int = key(0, "seed of sampling; the predictions for a sentence depend on it and on the sentence, "
                                "not on the rest of the batch", minimum=0, maximum=2**31 - 1, resume=MAY_CHANGE)
    decode_compute_type: str = key("auto", "number format of the matrix products of the search, if it runs in the C "
                                           "kernels: auto is that of compute_type. bfloat16 and int8 are faster, and "
                                           "change a few predictions in a hundred; see docs/inference.md",
                                   choices=("auto", "float32", "bfloat16", "int8"), resume=MAY_CHANGE)
    compute_type: str = key("auto", "number format of the inputs of matrix products; weights, sums, norms, softmax, "
                                    "loss and optimizer stay in float32. auto is bfloat16 on a CPU that has "
                                    "instructions for it (AVX512-BF16, AMX-BF16) and the C kernels, float32 on other "
                                    "CPUs, bfloat16 on Ascend, and on a GPU float16 with loss_scale_mode dynamic, "
                                    "float32 with static; the start of a run says which. "
                                    "float32 gives the results of another machine to the last digits. A format that "
                                    "the device has no kernels for is an error",
                            choices=("auto", "float32", "float16", "bfloat16"))


@dataclass(frozen=True)
class LossScaleConfig:
    """Scaling of the loss, which keeps half-precision gradients from underflow."""

    loss_scale_mode: str = key("dynamic", "static always uses init_loss_scale; dynamic divides the scale when "
                                          "gradients overflow and multiplies it after scale_window good steps",
                               choices=("static", "dynamic"))
    init_loss_scale: float = key(65536.0, "initial loss scale; it multiplies the mean loss per target position of the "
                                          "largest batch shape", above=0.0)
    loss_scale_factor: float = key(2.0, "factor by which dynamic scaling divides and multiplies the scale", above=1.0)
    scale_window: int = key(200, "number of consecutive good steps after which dynamic scaling multiplies the scale",
                            minimum=1)


@dataclass(frozen=True)
class LearnRateConfig:
    """The optimizer and its learning rate."""

    optimizer: str = key("adam", "adam (betas 0.9 and 0.98), lamb (the same betas, weight decay 0.01 except on norms "
                                 "and biases) or momentum (0.9)", choices=("adam", "lamb", "momentum"))
    lr: float = key(1e-4, "learning rate at the end of the warm-up", above=0.0)
    lr_scheduler: str = key("poly", "learning rate schedule after the warm-up: poly (polynomial decay in cycles) or "
                                    "isr (inverse square root)", choices=("poly", "isr"))
    poly_lr_scheduler_power: float = key(0.5, "exponent of poly", above=0.0)
    decay_steps: int = key(10000, "number of steps in one cycle of poly", minimum=1)
    decay_start_step: int = key(12000, "step after which isr decays the learning rate", minimum=0)
    warmup_steps: int = key(4000, "number of steps in which the learning rate rises linearly from 0 to lr", minimum=0)
    min_lr: float = key(1e-6, "lower limit of the learning rate after the warm-up", minimum=0.0)
    clip_norm: float = key(1.0, "maximum global norm of the gradients; 0 does not clip", minimum=0.0)


@dataclass(frozen=True)
class CheckpointOptions:
    """Reading and writing of checkpoints."""

    existed_ckpt: str = key("", "weights to start a new run from (at step 0, with a new optimizer) or to evaluate: "
                                ".ckpt, .safetensors or averaged .npz. To continue a run, use --resume of train.py",
                                path=True,
                            resume=MAY_CHANGE)
    save_ckpt_steps: int = key(10000, "number of steps between two checkpoints", minimum=1, resume=MAY_CHANGE)
    keep_ckpt_max: int = key(50, "number of newest checkpoints that are kept, besides best and latest; with adam or "
                                 "lamb each takes three times the size of the weights (weights and optimizer state)",
                             minimum=1, resume=MAY_CHANGE)
    ckpt_prefix: str = key("ckpt", "prefix of the file names: a checkpoint is <prefix>-<step>.safetensors (weights) "
                                   "and <prefix>-<step>.state.* (what --resume needs besides)", resume=MAY_CHANGE)
    ckpt_path: str = key("", "folder of checkpoints and metrics; if empty, the run folder",
                         path=True, resume=MAY_CHANGE)


@dataclass(frozen=True)
class TrainingConfig:
    """The training loop: device, length, reports, validation."""

    device_target: str = key("CPU", "device to run on", choices=("CPU", "GPU", "Ascend"), resume=MAY_CHANGE)
    device_id: int = key(0, "number of the GPU or Ascend device; ignored if several processes were started together, "
                            "which use one device each", minimum=0, maximum=1023, resume=MAY_CHANGE)
    native_kernels: str = key("auto", "C kernels instead of MindSpore's operators. They run on the CPU only, are "
                                      "faster and are compiled by this machine's C compiler at first use. auto uses "
                                      "them if possible and otherwise reports why not, on makes it an error if they "
                                      "cannot be used, off uses MindSpore's operators",
                              choices=("auto", "on", "off"), resume=MAY_CHANGE)
    jit_level: str = key("O0", "how MindSpore compiles for a GPU or Ascend: O0 kernel by kernel, O1 with small kernels "
                               "fused (DVM on Ascend, which needs CANN). Only O0 has been compiled in our tests; "
                               "ignored on the CPU", choices=("O0", "O1"), resume=MAY_CHANGE)
    flash_attention: bool = key(False, "attention in one kernel that stores no scores, in training on Ascend with "
                                       "float16 or bfloat16. It was compiled in our tests and never executed: "
                                       "train.py --check_device compares it with the composed attention",
                                resume=MAY_CHANGE)
    max_steps: int = key(0, "number of optimizer steps after which training ends; 0 = after the number of epochs",
                         minimum=0, resume=MAY_CHANGE)
    log_steps: int = key(50, "number of steps between two lines of the log", minimum=1, resume=MAY_CHANGE)
    valid_steps: int = key(0, "number of steps between two validations, besides those at the end of each epoch; 0 = "
                              "only those", minimum=0, resume=MAY_CHANGE)
    valid_rouge_sentences: int = key(0, "number of pairs of valid_dataset, evenly spaced, for which each validation "
                                        "also generates predictions and measures ROUGE; 0 = none", minimum=0,
                                     resume=MAY_CHANGE)
    best_metric: str = key("perplexity", "what decides which validation is the best one, whose weights are saved as "
                                         "best: perplexity of valid_dataset, or ROUGE of the valid_rouge_sentences "
                                         "pairs. After pre-training, summaries still improve when perplexity no "
                                         "longer does",
                           choices=("perplexity", "rouge-1", "rouge-2", "rouge-l"))
    patience: int = key(0, "end training after this number of consecutive validations that are no better by "
                           "best_metric; 0 = never", minimum=0, resume=MAY_CHANGE)


@dataclass(frozen=True)
class Config:
    """The whole configuration, one field per node."""

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
        """Check conditions that involve several keys; each message names keys, values and what is allowed."""
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
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", self.checkpoint_options.ckpt_prefix):
            raise UsageError(f"checkpoint_options.ckpt_prefix is {self.checkpoint_options.ckpt_prefix!r}: allowed are "
                             f"letters, digits and . _ -, at most 100 of them")
        if rate.min_lr > rate.lr:
            raise UsageError(f"learn_rate_config.min_lr is {rate.min_lr}: it must not exceed lr ({rate.lr})")
        if data.max_tokens and data.max_tokens < model.seq_length:
            raise UsageError(f"dataset_config.max_tokens is {data.max_tokens}: a sentence of seq_length "
                             f"({model.seq_length}) must fit; set it to 0 to use batch_size instead")
        training = self.training_config
        if training.best_metric != "perplexity" and not training.valid_rouge_sentences:
            raise UsageError(f"training_config.best_metric is {training.best_metric}, but valid_rouge_sentences is 0: "
                             f"set the number of validation pairs of which ROUGE is measured")
        if not data.tokenizer and (data.bpe_codes or data.lower_case or data.digits_to_hash or data.brackets_to_names):
            raise UsageError("dataset_config.tokenizer is empty, but bpe_codes, lower_case, digits_to_hash or "
                             "brackets_to_names is set: set tokenizer to nltk, jieba or none")
        if data.dataset_sink_mode and self.loss_scale_config.loss_scale_mode == "dynamic":
            raise UsageError("dataset_config.dataset_sink_mode is true, but dynamic loss scaling must read back every "
                             "step: set loss_scale_config.loss_scale_mode to static")

    def _check_search(self) -> None:
        """Check conditions that involve several keys of the search."""
        model = self.model_config
        if model.min_decode_length > model.max_decode_length:
            raise UsageError(f"model_config.min_decode_length is {model.min_decode_length}: it must not exceed "
                             f"max_decode_length ({model.max_decode_length})")
        if model.decode_strategy == "beam" and model.n_best > model.beam_width:
            raise UsageError(f"model_config.n_best is {model.n_best}: beam search with beam_width {model.beam_width} "
                             f"returns no more than beam_width predictions; raise beam_width, or set decode_strategy "
                             f"to sample")
        if model.decode_strategy == "beam" and 0 < model.vocab_size < model.beam_width:
            raise UsageError(f"model_config.beam_width is {model.beam_width}: it must not exceed the size of the "
                             f"vocabulary ({model.vocab_size})")
        if model.ban_unk and model.copy_unk:
            raise UsageError("model_config.ban_unk and copy_unk are both true, but copy_unk replaces predicted <unk>: "
                             "choose one")


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
