"""State of a campaign, as its ledger and its senders show it to any terminal."""

import datetime as dt
import enum
import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from connectus_async.bulk.progress import Delay, DelayCause
from connectus_async.cli.campaigns import is_loaded
from connectus_async.cli.ledgers import Place
from connectus_async.ledger import metadata_names, name_of, open_store
from connectus_async.ledger.abc import LedgerReader
from connectus_async.ledger.records import Orders, Sender, Total, Unreleased
from connectus_async.ledger.states import ATTEMPTED, State
from connectus_async.redaction import scrubbed

WINDOW: Final = 30.0
"""Seconds over which the present rate is measured."""


ORDERED: Final = frozenset({DelayCause.SCHEDULE, DelayCause.PAUSE})
"""Causes that the orders have, whatever a sender reported last."""


class CampaignState(enum.StrEnum):
    """State of a campaign."""

    LOADING = "loading"
    """Its file is being read."""

    SENDING = "sending"
    """Somebody sends it."""

    SCHEDULED = "scheduled"
    """It starts later."""

    PAUSED = "paused"
    """It was paused by an order."""

    QUIET_HOURS = "quiet_hours"
    """Somebody waits for the end of quiet hours to send the rest."""

    STOPPED = "stopped"
    """It stopped before its end, and the reason is known."""

    UNSENT = "unsent"
    """Messages wait, and nobody sends them."""

    UNCONFIRMED = "unconfirmed"
    """Messages wait, and nobody has said yes to any of them."""

    UNCLEAR = "unclear"
    """Nothing waits, but some messages may have been sent."""

    FINISHED = "finished"
    """Nothing is left to do."""


@attrs.frozen(kw_only=True)
class Snapshot:
    """A campaign at one moment.

    Attributes:
        place: The place of its ledger.
        name: Its name, or that of its file.
        source: The file of its recipients, if known.
        is_loaded: Whether its file was read to the end.
        totals: Sums over its messages by state.
        stopped: The reason why it stopped last, if it has not gone on since.
        orders: The orders in force.
        senders: Who has the ledger open to send.
        delays: The delays that a sender has reported last.
        recent: Messages whose outcome became known in the last `WINDOW` seconds.
        at: The time, in Unix seconds.
        profile: The profile that it is sent with; empty if none has to be named.
        unreleased: The messages that nobody has said yes to.
    """

    place: Place
    name: str
    source: str | None
    is_loaded: bool
    totals: Mapping[State, Total]
    stopped: str | None
    orders: Orders
    senders: Sequence[Sender]
    delays: Sequence[Delay]
    recent: int
    at: float
    profile: str = ""
    unreleased: Sequence[Unreleased] = ()

    def count(self, *states: State) -> int:
        """Count the messages of some states."""
        return sum(self.totals[state].messages for state in states if state in self.totals)

    @property
    def total(self) -> int:
        """All messages, but for those that are skipped."""
        return sum(it.messages for state, it in self.totals.items() if state is not State.SKIPPED)

    @property
    def rows(self) -> int:
        """All messages, and the rows that are none."""
        return sum(it.messages for it in self.totals.values())

    @property
    def sent(self) -> int:
        """Messages whose last attempt has an outcome."""
        return self.count(*ATTEMPTED)

    @property
    def is_paused(self) -> bool:
        """``True`` while an order to pause is in force."""
        return self.orders.paused_for(self.at) > 0

    @property
    def is_scheduled(self) -> bool:
        """``True`` before a scheduled start."""
        return self.orders.starts_in(self.at) > 0

    @property
    def is_abandoned(self) -> bool:
        """``True`` if it has a start, and no command waits for it. Workers of a database may."""
        is_waiting = self.senders or not isinstance(self.place, Path)
        return self.state is CampaignState.SCHEDULED and not is_waiting

    @property
    def state(self) -> CampaignState:
        """The state."""
        left = self.count(State.QUEUED, State.IN_FLIGHT)
        if left and self.is_loaded and self.is_scheduled and not self.orders.stopped:
            return CampaignState.SCHEDULED
        if self.senders and (left or not self.is_loaded):
            return self._state_while_open()
        if left and self.is_paused:
            return CampaignState.PAUSED
        if (left or not self.is_loaded) and self.why_stopped:
            return CampaignState.STOPPED
        if left or not self.is_loaded:
            return CampaignState.UNCONFIRMED if self._is_unconfirmed else CampaignState.UNSENT
        is_unclear = self.count(State.UNKNOWN)
        return CampaignState.UNCLEAR if is_unclear else CampaignState.FINISHED

    def _state_while_open(self) -> CampaignState:
        if not self.is_loaded:
            return CampaignState.LOADING
        if self.is_paused:
            return CampaignState.PAUSED
        if self._is_unconfirmed:
            return CampaignState.UNCONFIRMED
        is_quiet = any(delay.cause is DelayCause.QUIET_HOURS for delay in self.delays)
        is_idle = not self.count(State.IN_FLIGHT) and not self.recent
        return CampaignState.QUIET_HOURS if is_quiet and is_idle else CampaignState.SENDING

    @property
    def _is_unconfirmed(self) -> bool:
        left = self.count(State.QUEUED, State.IN_FLIGHT)
        return self.is_loaded and 0 < left == sum(it.messages for it in self.unreleased)

    @property
    def why_stopped(self) -> str | None:
        """The reason why it stopped."""
        return self.orders.stopped or self.stopped

    @property
    def since(self) -> float | None:
        """Begin of the first attempt, or else of the work of its senders, in Unix seconds."""
        begun = [total.began for state, total in self.totals.items() if state is not State.SKIPPED]
        known = [it for it in begun if it is not None]
        return min(known or [sender.since for sender in self.senders], default=None)

    @property
    def rate(self) -> float | None:
        """Messages a second over the last seconds, if somebody sends; otherwise ``None``."""
        if not self.senders or not self.recent:
            return None
        began = max(min(sender.since for sender in self.senders), self.since or 0.0)
        return self.recent / min(WINDOW, max(1.0, self.at - began))

    @property
    def seconds_left(self) -> float | None:
        """Seconds that the rest takes at this rate, if it is being sent."""
        if self.rate is None or self.state is not CampaignState.SENDING:
            return None
        return self.count(State.QUEUED, State.IN_FLIGHT) / self.rate

    @property
    def present_delays(self) -> tuple[Delay, ...]:
        """The delays that count now: those of senders, a start and a pause by order."""
        reported = tuple(it for it in self.delays if it.cause not in ORDERED)
        found = reported if self.senders else ()
        if self.is_scheduled:
            start = dt.datetime.fromtimestamp(self.orders.starts_at or 0.0, dt.UTC)
            zone = self.orders.starts_zone
            found = (*found, Delay(cause=DelayCause.SCHEDULE, until=start, zone=zone))
        if not self.is_paused:
            return found
        until = self.orders.paused_until or 0.0
        end = None if until == math.inf else dt.datetime.fromtimestamp(until).astimezone()
        by = self.orders.paused_by or "somebody"
        return (*found, Delay(cause=DelayCause.PAUSE, by=by, until=end))

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        seconds = self.seconds_left
        return {
            "state": self.state.value,
            "stopped_by": self.why_stopped,
            "since": None if self.since is None else iso(self.since),
            "sent": self.sent,
            "total": self.total,
            "rate_now": None if self.rate is None else round(self.rate, 2),
            "seconds_left": None if seconds is None else round(seconds),
            "delays": [delay.as_dict() for delay in self.present_delays],
            "unreleased": [it._asdict() for it in self.unreleased],
        }


def read_snapshot(ledger: Place) -> Snapshot:
    """Read a campaign. Blocks.

    Raises:
        LedgerError: The ledger cannot be read.
    """
    store = open_store(ledger)
    with store.read() as reader:
        found = snapshot_of(ledger, reader)
    control = store.control()
    return attrs.evolve(found, orders=control.orders(), senders=control.senders())


def snapshot_of(ledger: Place, reader: LedgerReader) -> Snapshot:
    """Read a campaign from a snapshot of its ledger; orders and senders are not in it."""
    metadata, now = reader.metadata(), time.time()
    source = metadata.get(metadata_names.SOURCE)
    stopped = metadata.get(metadata_names.STOPPED)
    return Snapshot(
        place=ledger,
        name=metadata.get(metadata_names.NAME) or source or name_of(ledger),
        source=source,
        is_loaded=is_loaded(metadata),
        totals=reader.totals(),
        stopped=scrubbed(stopped) if stopped else None,
        orders=Orders(),
        senders=(),
        delays=_delays(metadata.get(metadata_names.DELAYS)),
        recent=reader.ended_since(now - WINDOW),
        at=now,
        profile=metadata.get(metadata_names.PROFILE, ""),
        unreleased=reader.unreleased(),
    )


def iso(seconds: float) -> str:
    """Write a time in ISO 8601, in UTC."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="seconds")


def _delays(written: str | None) -> tuple[Delay, ...]:
    try:
        return tuple(map(Delay.read, json.loads(written or "[]")))
    except (ValueError, TypeError, KeyError):  # of another version
        return ()
