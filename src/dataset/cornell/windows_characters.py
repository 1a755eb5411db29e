"""Repairs Windows-1252 text that was read as ISO-8859-1, for example U+0092 where an apostrophe was meant."""

_REPAIRED = {0x80 + number: character for number, character in enumerate(
    bytes(range(0x80, 0xA0)).decode("cp1252", errors="replace")) if character != "\ufffd"}


def repair_windows_characters(text: str) -> tuple[str, int]:
    """Replace U+0080..U+009F by the characters of these bytes in Windows-1252.

    Text does not use these control characters. Five of them are undefined in Windows-1252, too, and are left as they
    are.

    Returns:
        The repaired text and the number of characters that were replaced.
    """
    if text.isascii():
        return text, 0
    repaired = text.translate(_REPAIRED)
    if repaired == text:
        return text, 0
    return repaired, sum(mine != theirs for mine, theirs in zip(text, repaired, strict=True))
