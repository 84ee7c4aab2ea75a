"""What may be shown of values that are secret or belong to a person: never themselves."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

MAX_DETAIL_LENGTH: Final = 200
_MAX_SCRUBBED_LENGTH: Final = 2_000
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
    for value in values:
        text = text.replace(value, "…")
    text = _LOOKS_PERSONAL.sub("…", " ".join(text.split()))
    everything = "\n".join(values).casefold()
    text = _WORD.sub(lambda word: "…" if word[0].casefold() in everything else word[0], text)
    text = "".join(sign if sign.isprintable() else "…" for sign in text)
    return text if len(text) <= MAX_DETAIL_LENGTH else text[:MAX_DETAIL_LENGTH] + "…"


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
