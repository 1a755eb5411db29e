"""A bounded memory of what was found out about words."""


class RecentWords(dict[str, str]):
    """Values by word, of which only the recently used stay.

    When it is full, all of it becomes the older generation, in place of the one before. A word that is asked for again
    is recalled from there, so frequent words stay for good, and at most twice `limit` are kept. Reading is that of a
    plain dict; a full cache that is emptied would forget the frequent words with the rare ones.
    """

    def __init__(self, limit: int):
        super().__init__()
        self._limit = limit
        self._older: dict[str, str] = {}

    def make_room(self, count: int = 1) -> bool:
        """Whether `count` more words would be too many, in which case all have become the older generation."""
        if not self or len(self) + count <= self._limit:
            return False
        self._older = dict(self)
        self.clear()
        return True

    def recall(self, word: str) -> str | None:
        """The value of a word from the older generation, which is then in the younger one too; None if it has none."""
        value = self._older.get(word)
        if value is not None:
            self[word] = value
        return value
