"""A bounded cache of words."""
from collections.abc import Collection, Iterable
from itertools import islice

LONGEST = 256  # characters of a word that is kept; longer ones are rare, and their number does not bound their memory


class RecentWords(dict[str, str]):
    """A dictionary from words to values; `drop_old_words` bounds its size.

    Only the older half of the words is dropped at a time, because emptying the cache would drop frequent words as
    well. A cache that records each use (LRU) would be slower.
    """

    def __init__(self, limit: int):
        super().__init__()
        self._limit = limit

    def drop_old_words(self, in_use: Iterable[str], new: Collection[str]) -> None:
        """If there are more than `limit` words, drop the older half, except for the words `in_use`.

        If there are long words among the `new` ones, drop all long words.
        """
        if any(len(word) > LONGEST for word in new):
            for word in [word for word in self if len(word) > LONGEST]:
                del self[word]
        if len(self) <= self._limit:
            return
        kept = {word: self[word] for word in in_use if word in self}
        for word in list(islice(self, len(self) // 2)):
            del self[word]
        self.update(kept)
