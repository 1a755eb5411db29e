"""The recipe of the quick start: one-line summaries of the docstrings that are on this machine."""
from recipes.recipe import Recipe

_CORPUS = ("-m", "recipes.docstring_corpus")
_DESCRIPTION = "summaries of docstrings"

RECIPE = Recipe(
    name="quickstart", description=_DESCRIPTION,
    pretrain_config="config/quickstart.json", finetune_config="config/quickstart.json",
    merges=8000, threshold=1, sentence_max_len=64, pair_max_len=128, lead_words=10, text_command=_CORPUS,
    finetune_settings=("model_config.hidden_dropout_prob=0.2", "training_config.max_steps=400",
                       "learn_rate_config.warmup_steps=50", "learn_rate_config.decay_steps=350",
                       "learn_rate_config.lr=0.0005", "training_config.valid_steps=100",
                       "checkpoint_options.save_ckpt_steps=100", "training_config.valid_rouge_sentences=200",
                       "training_config.best_metric=rouge-2"))

FAST_RECIPE = Recipe(
    name="quickstart_fast", description=f"{_DESCRIPTION}, a smoke test",
    pretrain_config="config/quickstart_fast.json", finetune_config="config/quickstart_fast.json",
    merges=2000, threshold=1, sentence_max_len=64, pair_max_len=128, lead_words=10, text_command=(*_CORPUS, "--fast"),
    finetune_settings=("training_config.max_steps=60", "learn_rate_config.decay_steps=60",
                       "learn_rate_config.lr=0.001", "training_config.valid_steps=20"))
