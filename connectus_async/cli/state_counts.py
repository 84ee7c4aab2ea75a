"""Counts of messages by state, in words."""

from collections.abc import Callable, Mapping
from typing import Final

from connectus_async.cli.language import ngettext, number
from connectus_async.ledger.states import State

_COUNTED: Final[Mapping[State, Callable[[int], str]]] = {
    State.QUEUED: lambda count: ngettext("{count} queued", "{count} queued", count),
    State.IN_FLIGHT: lambda count: ngettext("{count} in flight", "{count} in flight", count),
    State.ACCEPTED: lambda count: ngettext("{count} accepted", "{count} accepted", count),
    State.REJECTED: lambda count: ngettext("{count} rejected", "{count} rejected", count),
    State.UNKNOWN: lambda count: ngettext("{count} unknown", "{count} unknown", count),
    State.HELD: lambda count: ngettext("{count} held", "{count} held", count),
    State.SKIPPED: lambda count: ngettext("{count} skipped", "{count} skipped", count),
}


def counted(state: State, count: int, width: int = 0) -> str:
    """Write how many messages are in a state.

    Args:
        state: The state.
        count: The number of messages.
        width: Minimum width of the number.

    >>> counted(State.ACCEPTED, 2776)
    '2,776 accepted'
    """
    return _COUNTED[state](count).format(count=f"{number(count):>{width}}")
