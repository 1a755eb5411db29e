"""ROUGE-L by the longest common subsequence, for texts of any length."""
import math
from collections.abc import Sequence

import numpy as np


def summary_rouge_l(prediction: str, reference: str) -> float:
    """Return F1 of ROUGE-L at the level of summaries (Lin, 2004, 3.2), as the package `rouge` 1.0.1 defines it.

    Texts are split into sentences at full stops. Of each pair of sentences, the words of the longest common subsequence
    are taken; F1 is that of the number of different words taken among the different words of either text. Both texts
    must have a word.
    """
    sides = [[piece.split() or [""] for piece in text.split(".") if piece] for text in (reference, prediction)]
    shared = {word for wanted in sides[0] for found in sides[1] for word in longest_common_subsequence(wanted, found)}
    wanted, found = (len({word for sentence in side for word in sentence}) for side in sides)
    recall, precision = len(shared) / wanted, len(shared) / found
    return 2.0 * (precision * recall / (precision + recall + 1e-8))


def longest_common_subsequence(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """Return a longest common subsequence of two lists of words.

    If there are several, it is the one that is found from the ends by leaving out words of `second` before words of
    `first`. It takes time proportional to n m, and memory to sqrt(n) m.
    """
    numbers = {word: number for number, word in enumerate(dict.fromkeys([*first, *second]))}
    rows, columns = (np.array([numbers[word] for word in side], np.int64) for side in (first, second))
    # Row i of the table holds the lengths of the longest common subsequences of first[:i] and second[:j] for each j.
    # Only every `step`-th row is kept; those between are computed again where the way back needs them.
    step = max(1, math.isqrt(len(rows)))
    kept = [np.zeros(len(columns) + 1, np.int32)]
    for start in range(0, len(rows), step):
        kept.append(_next_rows(kept[-1], rows[start : start + step], columns)[-1])
    subsequence = []
    j = len(columns)
    for block in reversed(range(len(kept) - 1)):
        start = block * step
        lengths = _next_rows(kept[block], rows[start : start + step], columns)
        i = len(lengths) - 1
        while i and j:
            if rows[start + i - 1] == columns[j - 1]:
                subsequence.append(first[start + i - 1])
                i, j = i - 1, j - 1
            elif lengths[i - 1][j] > lengths[i][j - 1]:
                i -= 1
            else:
                j -= 1
    return subsequence[::-1]


def _next_rows(row: np.ndarray, words: np.ndarray, columns: np.ndarray) -> list[np.ndarray]:
    """Return a row of the table, [columns + 1], and those after it, one for each word."""
    table = [row]
    for word in words:
        above = table[-1]
        row = above.copy()
        np.maximum(above[1:], above[:-1] + (columns == word), out=row[1:])
        table.append(np.maximum.accumulate(row))
    return table
