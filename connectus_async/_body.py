"""Decoding of response bodies: content encoding, charset, JSON."""

import json
import re
import zlib
from typing import Any, Final

from connectus_async import _json
from connectus_async._exchange import too_large

MOST_CODINGS: Final = 3
MOST_MEMBERS: Final = 64
"""Maximum members of a gzip body. The rest is copied after each, so many would block the loop."""

_BY_ITS_HEADER: Final = zlib.MAX_WBITS | 32
_WINDOWS: Final = {
    "gzip": (_BY_ITS_HEADER,),
    "x-gzip": (_BY_ITS_HEADER,),
    "deflate": (_BY_ITS_HEADER, -zlib.MAX_WBITS),  # many servers send it without header
}
_CHARSET: Final = re.compile(r"""charset\s*=\s*["']?([\w.:-]{1,40})""", re.ASCII | re.IGNORECASE)
_LETTERS: Final = re.compile(
    r"(iso[-_]?8859[-_]?\d{1,2}|latin[-_]?\d|(windows|cp)[-_]?125\d|us-ascii|utf[-_]?(8|16|32)"
    r"([-_]?[lb]e)?|macintosh|koi8-[ru])",
    re.ASCII | re.IGNORECASE,
)
"""Charsets that map bytes to characters directly; `utf-7`, for instance, has escape sequences."""


def unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """Decode the content encoding of a body.

    Args:
        body: The body as received.
        encoding: The value of its ``Content-Encoding``.
        limit: Maximum bytes of the result.

    Raises:
        ValueError: It cannot be decoded; the message says why.
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
        raise ValueError("it has an encoding that was not requested")
    for window in _WINDOWS[coding]:
        try:
            return _members(body, window, limit)
        except zlib.error:
            continue
    raise ValueError("it cannot be decompressed")


def _members(body: bytes, window: int, limit: int) -> bytes:
    """Decompress all members, and ignore zeros at the end.

    Raises:
        zlib.error: The body has another format.
        ValueError: It is too large, or incomplete.
    """
    whole = bytearray()
    for _ in range(MOST_MEMBERS):
        inflater = zlib.decompressobj(window)
        whole += inflater.decompress(body, limit + 1 - len(whole))
        if len(whole) > limit:
            raise too_large(limit)
        if not inflater.eof:
            raise ValueError("its compressed data is incomplete")
        body = inflater.unused_data
        if not body.strip(b"\0"):
            return bytes(whole)
    raise ValueError("it has too many parts")


def parsed(body: bytes, content_type: str) -> Any:
    """Parse JSON that is not plain UTF-8, by its detected or declared charset.

    Raises:
        ValueError: It is not JSON.
    """
    text = _decoded(body, content_type)
    if text is None:
        raise ValueError("it has no other charset")
    return _json.loads(text.encode())


def decoded_text(body: bytes, content_type: str) -> str:
    """Decode any body as text."""
    return _decoded(body, content_type) or body.decode("utf-8", "replace")


def _decoded(body: bytes, content_type: str) -> str | None:
    """Decode a body that is not plain UTF-8, or return ``None``."""
    declared = _CHARSET.search(content_type)
    charset = declared[1] if declared and _LETTERS.fullmatch(declared[1]) else None
    for name in (json.detect_encoding(body), charset):
        if name is not None and name != "utf-8":
            try:
                return body.decode(name).removeprefix("\ufeff")
            except (LookupError, UnicodeDecodeError):
                continue
    return None
