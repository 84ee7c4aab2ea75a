"""Search for the accepted messages next to each message in question, by their times. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from connectus_async.ledger.records import Unresolved


class _Nearest(NamedTuple):
    """An accepted message next to one in question: its time on that side, and its number."""

    at: float
    number: int


def find(
    group: Sequence[Unresolved], accepted: Iterable[tuple[int, float, float]], near: float
) -> Mapping[int, tuple[int | None, int | None]]:
    """Find, for each message, the last one that had ended before it and the first begun after it.

    One pass over what may be a million messages: each is compared with the message that it is next
    to, and those farther off take the nearest one found.

    Args:
        group: The messages in question.
        accepted: The number, begin and end of each accepted message.
        near: Maximum seconds between a message and its neighbours.
    """
    begun = sorted(group, key=lambda message: message.started_at)
    ended = sorted(group, key=lambda message: message.ended_at)
    starts = [message.started_at for message in begun]
    ends = [message.ended_at for message in ended]
    last: list[_Nearest | None] = [None] * (len(group) + 1)
    first: list[_Nearest | None] = [None] * (len(group) + 1)
    for number, started_at, ended_at in accepted:
        place = bisect_left(starts, ended_at)
        if (best := last[place]) is None or best.at < ended_at:
            last[place] = _Nearest(ended_at, number)
        place = bisect_right(ends, started_at)
        if (best := first[place]) is None or best.at > started_at:
            first[place] = _Nearest(started_at, number)
    before = {
        message.number: found.number if found and found.at >= message.started_at - near else None
        for message, found in zip(begun, _carried(last), strict=False)
    }
    after = {
        message.number: found.number if found and found.at <= message.ended_at + near else None
        for message, found in zip(reversed(ended), _carried(reversed(first)), strict=False)
    }
    return {number: (before[number], after[number]) for number in before}


def _carried(found: Iterable[_Nearest | None]) -> Iterator[_Nearest | None]:
    """Put the one before in the place of each that is missing."""
    nearest = None
    for one in found:
        nearest = one or nearest
        yield nearest
