"""Characters of Windows-1252 in text that was read as ISO-8859-1: the U+0092 that was meant as an apostrophe."""

_REPAIRED = {0x80 + number: character for number, character in enumerate(
    bytes(range(0x80, 0xA0)).decode("cp1252", errors="replace")) if character != "\ufffd"}


def repair_windows_characters(text: str) -> tuple[str, int]:
    """The text with U+0080..U+009F turned into what Windows-1252 means by these bytes, and their number.

    Text has no use for those control characters. Five of them mean nothing in Windows-1252 either, and stay.
    """
    if text.isascii():
        return text, 0
    repaired = text.translate(_REPAIRED)
    if repaired == text:
        return text, 0
    return repaired, sum(mine != theirs for mine, theirs in zip(text, repaired, strict=True))
