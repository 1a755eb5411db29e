"""A bounded cache of words."""
from collections.abc import Iterable
from itertools import islice


class RecentWords(dict[str, str]):
    """A dictionary from words to values; `drop_old_words` bounds its size.

    Only the older half of the words is dropped at a time, because emptying the cache would drop frequent words as
    well. A cache that records each use (LRU) would be slower.
    """

    def __init__(self, limit: int):
        super().__init__()
        self._limit = limit

    def drop_old_words(self, in_use: Iterable[str]) -> None:
        """If there are more than `limit` words, drop the older half, except for the words `in_use`."""
        if len(self) <= self._limit:
            return
        kept = {word: self[word] for word in in_use}
        for word in list(islice(self, len(self) // 2)):
            del self[word]
        self.update(kept)
