"""Messages that wait for the end of quiet hours where they go."""

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Iterable
from typing import Final

from connectus_async.bulk.progress import Delay, DelayCause
from connectus_async.ledger.records import Entry

LONGEST_SLEEP: Final = 30.0
"""Seconds; the wall clock may be set meanwhile, and a machine may be asleep."""


class QuietMessages:
    """Count of the messages of a campaign that wait for the end of quiet hours.

    Args:
        expires_at: Time from which on the messages are not sent any more.
    """

    def __init__(self, expires_at: dt.datetime | None = None) -> None:
        self._expires_at = expires_at
        self._messages: Counter[tuple[dt.datetime, str | None]] = Counter()

    @property
    def delays(self) -> Iterable[Delay]:
        """A delay for each end and country, in order of time."""
        for (until, country), messages in sorted(self._messages.items(), key=_order):
            yield Delay(
                cause=DelayCause.QUIET_HOURS, until=until, messages=messages, country=country
            )

    def add(self, entry: Entry, until: dt.datetime) -> None:
        """Count a message."""
        country = None if entry.kind == "email" else _country_of(entry.recipient)
        self._messages[until, country] += 1

    async def until_some_end(self) -> bool:
        """Wait until some of the messages may be sent, and forget them all.

        Returns:
            Whether any waited.
        """
        if not self._messages:
            return False
        while seconds := self._seconds():  # noqa: ASYNC110 - the event is a time of the day
            await asyncio.sleep(seconds)
        self._messages.clear()
        return True

    def _seconds(self) -> float:
        return seconds_to_sleep((until for until, _ in self._messages), self._expires_at)


def seconds_to_sleep(ends: Iterable[dt.datetime], expires_at: dt.datetime | None) -> float:
    """Return for how long to sleep before looking again whether some quiet hours have ended.

    Args:
        ends: The ends of quiet hours; at least one.
        expires_at: Time from which on the messages are not sent any more.

    Returns:
        Seconds; 0 if some have ended, or the messages have expired.
    """
    first = min(ends)
    if expires_at is not None:
        first = min(first, expires_at)
    return min(max(0.0, (first - dt.datetime.now(dt.UTC)).total_seconds()), LONGEST_SLEEP)


def _order(item: tuple[tuple[dt.datetime, str | None], int]) -> tuple[dt.datetime, str]:
    (until, country), _ = item
    return until, country or ""


def _country_of(digits: str) -> str | None:
    """Return the country of a number by its code alone: to know more takes reading files."""
    from connectus_async.recipients import number_patterns  # noqa: PLC0415 - an extra

    return number_patterns.country_of(digits[: number_patterns.LONGEST_CODE])
