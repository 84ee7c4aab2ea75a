"""Progress of a bulk sender at one moment."""

import datetime as dt
import enum
import math
from collections import Counter
from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any, Self

import attrs

from connectus_async.bulk.outcomes import BulkSummary

if TYPE_CHECKING:
    from connectus_async.bulk.pacing import Pacer


class DelayCause(enum.StrEnum):
    """Cause of a delay of a campaign."""

    SCHEDULE = "schedule"
    """It starts later."""

    PAUSE = "pause"
    """Somebody paused it."""

    QUIET_HOURS = "quiet_hours"
    """It is quiet hours where messages go."""

    RATE_LIMIT = "rate_limit"
    """The API answered 429: messages are sent more slowly, or not before a time that it gave."""

    OUTAGE = "outage"
    """The API is out of reach or fails; one message at a time is tried."""

    SUPPRESSION = "suppression"
    """The suppression list cannot be read."""


@attrs.frozen(kw_only=True)
class Delay:
    """Delay of a campaign: its messages wait, or are sent more slowly than the user allows.

    Attributes:
        cause: Its cause.
        by: Who paused the campaign, in words, or ``"the suppression list"``; otherwise ``None``.
        until: Time at which it ends, if that is known: quiet hours in the recipient's time zone.
        rate: Messages or segments a second that the API seems to allow, after it answered 429.
        messages: Number of messages that wait; ``None`` if all do.
        country: Country of these messages, such as ``"CL"``, if their numbers' code has just one.
        zone: Time zone in which the user gave a scheduled start, such as ``"America/Santiago"``.
    """

    cause: DelayCause
    by: str | None = None
    until: dt.datetime | None = None
    rate: float | None = None
    messages: int | None = None
    country: str | None = None
    zone: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields that are known as plain values; the time in ISO 8601."""
        values = attrs.asdict(self, filter=lambda _, value: value is not None)
        if self.until is not None:
            values["until"] = self.until.isoformat()
        return {**values, "cause": self.cause.value}

    @classmethod
    def read(cls, values: dict[str, Any]) -> Self:
        """Make a delay of what `as_dict` returned."""
        until = values.get("until")
        return cls(
            **{
                **values,
                "cause": DelayCause(values["cause"]),
                "until": None if until is None else dt.datetime.fromisoformat(until),
            }
        )


@attrs.frozen(kw_only=True)
class Progress:
    """Progress of a bulk sender, as `Bulk.progress` returns it.

    Attributes:
        summary: Count of the outcomes so far.
        in_flight: Number of messages in flight.
        rate: Measured rate, in messages or segments per second.
        rate_limit: Present rate limit, or ``None``: the user's, or a lower one after the API
            answered 429.
        concurrency_limit: Present concurrency limit: the user's, or a lower one after the API
            became slow or failed.
        is_paused: Whether `Bulk.pause`, an order from another terminal, a scheduled start, a
            ``Retry-After``, an API out of reach or a suppression list that cannot be read holds
            messages back.
        delays: Delays of longer than a moment, with their causes.
    """

    summary: BulkSummary
    in_flight: int
    rate: float
    rate_limit: float | None
    concurrency_limit: int
    is_paused: bool
    delays: tuple[Delay, ...] = ()

    @property
    def paused_by(self) -> tuple[str, ...]:
        """Who or what holds messages back, unless it is the API or quiet hours."""
        return tuple(delay.by for delay in self.delays if delay.by is not None)

    @classmethod
    def of(cls, summary: BulkSummary, pacer: "Pacer", delays: Iterable[Delay]) -> Self:
        """Take the present figures."""
        return cls(
            summary=BulkSummary(Counter(summary.counts), Counter(summary.skipped_by)),
            in_flight=pacer.in_flight,
            rate=pacer.measured_rate,
            rate_limit=pacer.rate,
            concurrency_limit=pacer.concurrency,
            is_paused=pacer.is_paused or pacer.paused_until is not None,
            delays=(*delays, *_delays_of(pacer)),
        )


def together(delays: Iterable[tuple[Delay, ...]]) -> tuple[Delay, ...]:
    """Join the delays of several senders of one campaign: messages and rates are added up."""
    found: dict[tuple[object, ...], Delay] = {}
    for delay in chain.from_iterable(delays):
        is_quiet = delay.cause is DelayCause.QUIET_HOURS
        key = delay.cause, delay.by, delay.country, delay.until if is_quiet else None
        found[key] = _joined(found[key], delay) if key in found else delay
    return tuple(found.values())


def _joined(one: Delay, other: Delay) -> Delay:
    return attrs.evolve(
        one,
        until=max(filter(None, (one.until, other.until)), default=None),
        rate=_sum(one.rate, other.rate),
        messages=_sum(one.messages, other.messages),
    )


def _sum(*values: Any) -> Any:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _felt_rate(pacer: "Pacer") -> float | None:
    """Return the rate limit, unless its search for a higher one is far above what is sent."""
    rate, demand = pacer.rate, pacer.demand
    return None if rate is None or (demand is not None and rate > demand) else rate


def _delays_of(pacer: "Pacer") -> Iterable[Delay]:
    from connectus_async.bulk.pacing import Signal  # noqa: PLC0415 - not to import a name

    signal, seconds = pacer.pause_for
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    until = now + dt.timedelta(seconds=math.ceil(seconds)) if seconds else None
    if pacer.is_throttled or signal is Signal.THROTTLED:
        yield Delay(cause=DelayCause.RATE_LIMIT, rate=_felt_rate(pacer), until=until)
    elif signal is not None:
        yield Delay(cause=DelayCause.OUTAGE)
