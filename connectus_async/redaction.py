"""Redaction of secrets and personal data in reprs and messages."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

MAX_DETAIL_LENGTH: Final = 200
_MAX_SCRUBBED_LENGTH: Final = 400
_MAX_SENT_LENGTH: Final = 2**18
"""Maximum length of sent values to search for; more would block the event loop."""

_IDENTIFIER: Final = re.compile(r"[0-9a-f]{32}")
_PLAIN: Final = re.compile(r"[\w-]{1,64}")
_WORD: Final = re.compile(r"\w{4,}")
_LOOKS_PERSONAL: Final = re.compile(r"\S+@\S+|\+?\d[\d\s().-]{5,}\d")


def masked(value: object) -> str:
    """Replace a value in a ``repr``.

    >>> masked("56987688060"), masked(None)
    ('<11 characters>', 'None')
    """
    return "None" if value is None else f"<{len(str(value))} characters>"


def personal() -> Any:
    """Declare an optional attrs field whose value never appears in a ``repr``."""
    return _optional(masked)


def plain(value: object) -> str:
    """Show an API constant in a ``repr``, but mask any text that may echo a request.

    >>> plain("ENTREGADO"), plain("Sent to Ana"), plain("56987688060")
    ("'ENTREGADO'", '<11 characters>', '<11 characters>')
    """
    text = str(value)
    is_plain = _IDENTIFIER.fullmatch(text) or (_PLAIN.fullmatch(text) and not looks_personal(text))
    return repr(text) if value is not None and is_plain else masked(value)


def api_constant() -> Any:
    """Declare an optional attrs field for an API constant; other text is masked in a ``repr``."""
    return _optional(plain)


def _optional(show: Callable[[object], str]) -> Any:
    import attrs  # noqa: PLC0415 - slow to import, and the command line needs the rest of this

    return attrs.field(default=None, repr=show)


def scrubbed(text: str, sent: object = None) -> str:
    """Remove from a server's message anything that it may have echoed of the request, and truncate.

    Args:
        text: The server's message.
        sent: The content of the request; each of its strings and numbers is removed, whole or in
            parts of four or more characters.

    >>> scrubbed("56987688060 cannot take 'Hola Ana'", {"sms_content": "Hola Ana"})
    "… cannot take '…'"
    """
    if len(text) > _MAX_SCRUBBED_LENGTH:  # the last word may be part of a number
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
    """Tell whether a text may contain a number or an address."""
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
