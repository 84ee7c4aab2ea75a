"""What may be shown of values that are secret or belong to a person: never themselves."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

MAX_DETAIL_LENGTH: Final = 200
_MAX_SCRUBBED_LENGTH: Final = 400
_MAX_SENT_LENGTH: Final = 2**18
"""Past it, looking for its parts would hold up the event loop."""

_IDENTIFIER: Final = re.compile(r"[0-9a-f]{32}")
_PLAIN: Final = re.compile(r"[\w-]{1,64}")
_WORD: Final = re.compile(r"\w{4,}")
_LOOKS_PERSONAL: Final = re.compile(r"\S+@\S+|\+?\d[\d\s().-]{5,}\d")


def masked(value: object) -> str:
    """Stand in for a value in a ``repr``.

    >>> masked("56987688060"), masked(None)
    ('<11 characters>', 'None')
    """
    return "None" if value is None else f"<{len(str(value))} characters>"


def personal() -> Any:
    """Declare an optional attrs field whose value never shows in a ``repr``."""
    return attrs.field(default=None, repr=masked)


def plain(value: object) -> str:
    """Show a word of the API in a ``repr``, but nothing in which a server may echo a request.

    >>> plain("ENTREGADO"), plain("Sent to Ana"), plain("56987688060")
    ("'ENTREGADO'", '<11 characters>', '<11 characters>')
    """
    text = str(value)
    is_plain = _IDENTIFIER.fullmatch(text) or (_PLAIN.fullmatch(text) and not looks_personal(text))
    return repr(text) if value is not None and is_plain else masked(value)


def word() -> Any:
    """Declare an optional attrs field for a word of the API, shown in a ``repr`` if it is one."""
    return attrs.field(default=None, repr=plain)


def scrubbed(text: str, sent: object = None) -> str:
    """Take out of a server's words what it may have echoed of the request, and cut them short.

    Args:
        text: The server's words.
        sent: What the request carried: every string and number in it is taken out, whole or in
            parts of four characters and more.

    >>> scrubbed("56987688060 cannot take 'Hola Ana'", {"sms_content": "Hola Ana"})
    "… cannot take '…'"
    """
    if len(text) > _MAX_SCRUBBED_LENGTH:  # the last word may be half a number: not to be known
        text = text[:_MAX_SCRUBBED_LENGTH].rpartition(" ")[0] + " …"
    values = sorted(_leaves(sent), key=len, reverse=True)
    if sum(map(len, values)) > _MAX_SENT_LENGTH:
        return "…"
    for value in values:
        text = text.replace(value, "…")
    text = _LOOKS_PERSONAL.sub("…", " ".join(text.split()))
    everything = "\n".join(values).casefold()
    text = _WORD.sub(lambda word: "…" if word[0].casefold() in everything else word[0], text)
    text = printable(text, "…")
    return text if len(text) <= MAX_DETAIL_LENGTH else text[:MAX_DETAIL_LENGTH] + "…"


def printable(text: str, instead: str = "?") -> str:
    r"""Replace what could break a line or control a terminal.

    >>> printable("no column 'a\x1b[2Jb'")
    "no column 'a?[2Jb'"
    """
    return "".join(sign if sign.isprintable() else instead for sign in text)


def one_line(text: str, limit: int) -> str:
    r"""Make a text printable, and cut it to a number of characters.

    >>> one_line("endless\nwords", 9)
    'endless?w…'
    """
    text = printable(text)
    return text if len(text) <= limit else text[:limit] + "…"


def looks_personal(text: str) -> bool:
    """Tell whether a text has something in it that may be a number or an address."""
    return bool(_LOOKS_PERSONAL.search(text))


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for member in value.values():
            yield from _leaves(member)
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for member in value:
            yield from _leaves(member)
    elif value is not None and value != "":
        yield str(value)
