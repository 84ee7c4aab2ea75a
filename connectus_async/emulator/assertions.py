"""What a test expects of the messages that were sent, and what it is told instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectus_async.emulator.messages import Received

_SHOWN: Final = 20
_CHARACTERS: Final = 80


def check_sent(
    received: Sequence[Received],
    to: str | int | None,
    containing: str | None,
    product: str | None,
    times: int | None,
) -> Received:
    """Find the last message that a test expects.

    Raises:
        AssertionError: There is none, or not the number of `times`. It shows what was sent.
    """
    found = _matching(received, to, containing, product)
    if not found or times not in (None, len(found)):
        number = f"{len(found)} messages, not {times}," if found else "no message"
        expected = _described(to, containing, product)
        raise AssertionError(f"{number} {expected}was sent; sent was:\n{_listed(received)}")
    return found[-1]


def check_not_sent(
    received: Sequence[Received],
    to: str | int | None,
    containing: str | None,
    product: str | None,
) -> None:
    """Check that there is no such message.

    Raises:
        AssertionError: There is. It shows it.
    """
    if found := _matching(received, to, containing, product):
        raise AssertionError(f"sent was:\n{_listed(found)}")


def _matching(
    received: Sequence[Received], to: str | int | None, containing: str | None, product: str | None
) -> list[Received]:
    return [
        message
        for message in received
        if (to is None or _address(message.recipient) == _address(str(to)))
        and (containing is None or containing in message.content)
        and product in (None, message.product)
    ]


def _described(to: str | int | None, containing: str | None, product: str | None) -> str:
    parts = [
        f"by {product} " if product is not None else "",
        f"to {to} " if to is not None else "",
        f"containing {containing!r} " if containing is not None else "",
    ]
    return "".join(parts)


def _listed(received: Sequence[Received]) -> str:
    lines = [
        f"  {message.product} to {message.recipient}: {_shortened(message.content)!r}"
        for message in received[-_SHOWN:]
    ]
    if len(received) > _SHOWN:
        lines.insert(0, f"  … {len(received) - _SHOWN} before these")
    return "\n".join(lines) or "  nothing"


def _shortened(text: str) -> str:
    return text if len(text) <= _CHARACTERS else text[:_CHARACTERS] + "…"


def _address(recipient: str) -> str:
    """Reduce a recipient to what two spellings have in common."""
    if "@" in recipient:
        return recipient.casefold()
    return "".join(filter(str.isdigit, recipient)) or recipient
