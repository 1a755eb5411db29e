"""Vocabulary, byte-pair encoding, schedules, metrics and monitoring.

dictionary          the vocabulary
vocabulary_tools    building, merging, describing and comparing vocabulary files
pickled_dictionary  converting the vocabularies of the earlier implementation
byte_pair_encoding  splitting words into subwords; its implementations are in bpe/
lr_scheduler        learning rate schedules
rouge_score         the metric ROUGE; for ROUGE-L see common_subsequence
ppl_score           the metric perplexity
loss_monitor        reporting the progress of a training; see monitoring/
load_weights        reading and writing files of weights
initializer         initial weights

Importing this package does not import MindSpore, so that the text tools start quickly.
"""
from src.utils.dictionary import Dictionary

__all__ = ["Dictionary"]
