"""A bounded memory of what was found out about words."""
from collections.abc import Iterable
from itertools import islice


class RecentWords(dict[str, str]):
    """Values by word, which are a plain dict's to read; `forget_old_words` keeps their number bounded.

    A full memory that is emptied would forget the frequent words with the rare ones, and one that
    notes every use would be slow.
    """

    def __init__(self, limit: int):
        super().__init__()
        self._limit = limit

    def forget_old_words(self, in_use: Iterable[str]) -> None:
        """If there are more than `limit` words, forget the older half, but for those `in_use` (a recent text's)."""
        if len(self) <= self._limit:
            return
        kept = {word: self[word] for word in in_use}
        for word in list(islice(self, len(self) // 2)):
            del self[word]
        self.update(kept)
