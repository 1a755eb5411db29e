"""Vocabulary, BPE, schedules, metrics, files: what every floor above stands on.

Nothing here imports MindSpore, so that the text tools start at once.
"""
from src.utils.dictionary import Dictionary

__all__ = ["Dictionary"]
