"""Texts as the tables can hold them, and as ``COPY`` reads them."""

from typing import Final

NULL: Final = r"\N"

_ESCAPES: Final = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def storable(text: str) -> str:
    """Remove from a text of the wire what PostgreSQL cannot hold."""
    if text.isascii() and text.isprintable():
        return text
    return text.replace("\0", "").encode(errors="replace").decode()


def copied(text: str | None) -> str:
    r"""Write a text for ``COPY``.

    >>> print(copied('{"sms_content":"a\\nb"}'), copied(None))
    {"sms_content":"a\\nb"} \N
    """
    return NULL if text is None else storable(text).translate(_ESCAPES)
