"""Scheduled start of a campaign: an order in its ledger, which whoever sends it waits for."""

import datetime as dt
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from anyio.to_thread import run_sync

from connectus_async import tz_database
from connectus_async.cli.durations import duration
from connectus_async.cli.language import gettext as _
from connectus_async.cli.language import moment
from connectus_async.cli.runner import echo, print_json
from connectus_async.errors import ConfigurationError, LedgerError
from connectus_async.ledger import open_store

if TYPE_CHECKING:
    from connectus_async.cli.ledgers import Place
    from connectus_async.ledger.records import Orders

Start: TypeAlias = dt.datetime | Literal["now"] | None
"""``"now"`` ends the recorded one; ``None`` leaves it."""

MAX_AHEAD: Final = dt.timedelta(days=366)
"""A start beyond it is taken for a typing error."""


def check_start(ledger: "Place", start: Start, expires_at: dt.datetime | None) -> None:
    """Check a start. Blocks.

    Args:
        ledger: The ledger, which need not be there.
        start: The start that was given.
        expires_at: Time from which nothing more is sent.

    Raises:
        ConfigurationError: It is past, and the ledger does not have it from an earlier run; or it
            is too late.
    """
    if not isinstance(start, dt.datetime):
        return
    now = dt.datetime.now(dt.UTC)
    if start - now > MAX_AHEAD:
        raise ConfigurationError("--at", "is more than a year ahead")
    if expires_at is not None and start >= expires_at:
        raise ConfigurationError("--at", "is not before --expires-at: nothing would be sent")
    if start <= now and _recorded(ledger) != start.timestamp():
        raise ConfigurationError("--at", "is in the past; --at now sends at once")


def planned_start(ledger: "Place", start: Start) -> float | None:
    """Find when a campaign starts that is given a start, in Unix seconds. Blocks."""
    if start is None:
        return _recorded(ledger)
    return start.timestamp() if isinstance(start, dt.datetime) else None


def order_start(ledger: "Place", start: Start) -> None:
    """Record a start in a ledger, if one was given. Blocks."""
    if start is None:
        return
    control = open_store(ledger).control()
    if isinstance(start, dt.datetime):
        zone = getattr(start.tzinfo, "key", None)
        control.change(starts_at=start.timestamp(), starts_zone=zone)
    else:
        control.change(starts_at=None, starts_zone=None)


async def announce_start(ledger: "Place", *, as_json: bool) -> None:
    """Print when a campaign starts, if that is later."""
    orders = await run_sync(open_store(ledger).control().orders)
    if not orders.starts_in(time.time()):
        return
    if as_json:
        start = _start(orders).isoformat(timespec="seconds")
        print_json({"type": "schedule", "starts_at": start, "zone": orders.starts_zone})
    else:
        echo(start_sentence(orders))


def start_sentence(orders: "Orders") -> str:
    """Write when a campaign starts."""
    return _("starts {time}").format(time=start_time(_start(orders), orders.starts_zone))


def start_time(start: dt.datetime, zone: str | None) -> str:
    """Write a start in its time zone, and how long that is from now.

    Args:
        start: The start.
        zone: The time zone in which the user gave it; ``None`` for that of this machine.
    """
    known = None
    with suppress(ConfigurationError):  # the user may have given it on another machine
        known = tz_database.zone(zone) if zone else None
    local = start.astimezone(known)
    seconds = max(0.0, (start - dt.datetime.now(dt.UTC)).total_seconds())
    return _("{time} {zone}, in {duration}").format(
        time=moment(local),
        zone=zone if known else f"UTC{local.isoformat()[-6:]}",
        duration=duration(seconds),
    )


def _start(orders: "Orders") -> dt.datetime:
    return dt.datetime.fromtimestamp(orders.starts_at or 0.0, dt.UTC)


def _recorded(ledger: "Place") -> float | None:
    if isinstance(ledger, Path) and not ledger.exists():
        return None
    try:
        return open_store(ledger).control().orders().starts_at
    except LedgerError:  # there is none yet, or opening it says what is wrong
        return None
