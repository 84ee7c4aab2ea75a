"""Texts as the tables can hold them, and as ``COPY`` reads them."""

from typing import Final

from connectus_async.ledger.records import Entry

NULL: Final = r"\N"
"""As ``COPY`` reads it."""

_ESCAPES: Final = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def storable(text: str) -> str:
    """Remove from a text of the wire what PostgreSQL cannot hold."""
    if text.isascii() and text.isprintable():
        return text
    return text.replace("\0", "").encode(errors="replace").decode()


def copied(entry: Entry) -> Entry:
    r"""Write the texts of an entry for ``COPY``; most can stay as they are.

    >>> print(copied(Entry(None, 2, "sms", "1", '{"sms_content":"a\\nb"}', 1)).body)
    {"sms_content":"a\\nb"}
    """
    key, line, kind, recipient, body, billed = entry
    texts = f"{key}{kind}{recipient}{body}"
    if texts.isascii() and texts.isprintable() and "\\" not in texts:
        return entry
    return Entry(
        _copied(key) if key else None,
        line,
        _copied(kind),
        _copied(recipient),
        _copied(body),
        billed,
    )


def _copied(text: str) -> str:
    return storable(text).translate(_ESCAPES)
