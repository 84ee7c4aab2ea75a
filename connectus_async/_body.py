"""From the body of an answer to JSON: its encoding, its letters, its value."""

import json
import re
import zlib
from typing import Any, Final

from connectus_async import _json
from connectus_async._exchange import too_large

MOST_CODINGS: Final = 3
MOST_MEMBERS: Final = 64
"""Of a gzip body. What is left after each is copied, so many small ones would hold up the loop."""

_BY_ITS_HEADER: Final = zlib.MAX_WBITS | 32
_WINDOWS: Final = {
    "gzip": (_BY_ITS_HEADER,),
    "x-gzip": (_BY_ITS_HEADER,),
    "deflate": (_BY_ITS_HEADER, -zlib.MAX_WBITS),  # many send it without one
}
_CHARSET: Final = re.compile(r"""charset\s*=\s*["']?([\w.:-]{1,40})""", re.ASCII | re.IGNORECASE)
_LETTERS: Final = re.compile(
    r"(iso[-_]?8859[-_]?\d{1,2}|latin[-_]?\d|(windows|cp)[-_]?125\d|us-ascii|utf[-_]?(8|16|32)"
    r"([-_]?[lb]e)?|macintosh|koi8-[ru])",
    re.ASCII | re.IGNORECASE,
)
"""Charsets that only write letters in another way; `utf-7`, say, makes signs of letters."""


def unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo the encoding of a body.

    Args:
        body: The body as it came.
        encoding: The value of its ``Content-Encoding``.
        limit: Bytes of the result at most.

    Raises:
        ValueError: It cannot be undone; the words say why.
    """
    codings = [coding.strip().lower() for coding in encoding.split(",")]
    if not body:
        return body
    if len(codings) > MOST_CODINGS:
        raise ValueError("it is encoded too many times")
    for coding in reversed(codings):
        if coding not in {"identity", ""}:
            body = _inflated(body, coding, limit)
    return body


def _inflated(body: bytes, coding: str, limit: int) -> bytes:
    if coding not in _WINDOWS:
        raise ValueError("it is encoded in a way that was not asked for")
    for window in _WINDOWS[coding]:
        try:
            return _members(body, window, limit)
        except zlib.error:
            continue
    raise ValueError("it does not decompress")


def _members(body: bytes, window: int, limit: int) -> bytes:
    """Decompress one member after the other; zeros may fill up the end.

    Raises:
        zlib.error: It is not compressed like this.
        ValueError: It is too large, or not whole.
    """
    whole = bytearray()
    for _ in range(MOST_MEMBERS):
        inflater = zlib.decompressobj(window)
        whole += inflater.decompress(body, limit + 1 - len(whole))
        if len(whole) > limit:
            raise too_large(limit)
        if not inflater.eof:
            raise ValueError("it does not decompress to its end")
        body = inflater.unused_data
        if not body.strip(b"\0"):
            return bytes(whole)
    raise ValueError("it has too many parts")


def parsed(body: bytes, content_type: str) -> Any:
    """Read JSON that is not plain UTF-8: in what it looks to be written in, or is declared to be.

    Raises:
        ValueError: It is not JSON.
    """
    text = _decoded(body, content_type)
    if text is None:
        raise ValueError("it is in no other letters")
    return _json.loads(text.encode())


def words(body: bytes, content_type: str) -> str:
    """Read a body as text, whatever it is."""
    return _decoded(body, content_type) or body.decode("utf-8", "replace")


def _decoded(body: bytes, content_type: str) -> str | None:
    """Decode what is not plain UTF-8, or return ``None``."""
    declared = _CHARSET.search(content_type)
    charset = declared[1] if declared and _LETTERS.fullmatch(declared[1]) else None
    for name in (json.detect_encoding(body), charset):
        if name is not None and name != "utf-8":
            try:
                return body.decode(name).removeprefix("\ufeff")
            except (LookupError, UnicodeDecodeError):
                continue
    return None
