"""Orders of the command line to all who send a campaign, and the display of those in force."""

import datetime as dt
import getpass
import math
import socket
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Unpack

from anyio.to_thread import run_sync

from connectus_async.cli.ledgers import Place, typed
from connectus_async.cli.parameters import AS_STARTED
from connectus_async.cli.runner import echo, print_json, run
from connectus_async.cli.schedule import is_scheduled, start_sentence
from connectus_async.ledger import open_store
from connectus_async.ledger.records import NewOrders, Orders, Sender
from connectus_async.ledger.states import State

CHANGED_NOTHING: Final = "interrupted; the order may have been given: see connectus bulk status"


class Standing(NamedTuple):
    """The orders in force, and whom they concern."""

    orders: Orders
    senders: Sequence[Sender]
    queued: int

    def as_dict(self) -> dict[str, Any]:
        """Give what `--json` prints of the orders and senders."""
        return {**orders_as_dict(self.orders, self.senders), "queued": self.queued}


def pause(ledger: Place, until: str | None, as_json: bool) -> None:
    """Send no further message of LEDGER until it is continued."""
    end = math.inf if until is None else dt.datetime.fromisoformat(until).timestamp()
    how = f": go on with connectus bulk continue {typed(ledger)}"
    done = f"paused{how if until is None else f' until {_moment(end)}'}"
    _order(ledger, done, as_json=as_json, paused_until=end, paused_by=_who())


def go_on(ledger: Place, as_json: bool) -> None:
    """Undo `bulk pause`."""
    _order(ledger, "continued", as_json=as_json, paused_until=None, paused_by=None)


def stop(ledger: Place, as_json: bool) -> None:
    """End all commands that send LEDGER."""
    done = f"stopped: start again with connectus bulk resume {typed(ledger)}"
    _order(ledger, done, as_json=as_json, stopped=f"{_who()} stopped it")


def set_rate(ledger: Place, rate: float | str, as_json: bool) -> None:
    """Change the rate of all who send LEDGER together."""
    if isinstance(rate, str):
        _order(ledger, "the rate is as it was started", as_json=as_json, rate=None)
    else:
        _order(ledger, f"the rate is {rate:g}/s", as_json=as_json, rate=rate)


def order_rate(ledger: Place, rate: float | None) -> None:
    """Let a rate that somebody starts with count instead of an order, and for those who send.

    Args:
        ledger: The ledger, open in this process.
        rate: The rate; nothing is done without.
    """
    control = open_store(ledger).control()
    if rate is not None and (control.orders().rate is not None or len(control.senders()) > 1):
        control.change(rate=rate)


def _order(ledger: Place, done: str, *, as_json: bool, **orders: Unpack[NewOrders]) -> None:
    def give() -> Standing:
        store = open_store(ledger)
        control = store.control()
        control.change(**orders)
        with store.read() as reader:
            total = reader.totals().get(State.QUEUED)
        return Standing(control.orders(), control.senders(), total.messages if total else 0)

    async def command() -> Standing:
        return await run_sync(give)

    standing = run(command, as_json=as_json, when_interrupted=CHANGED_NOTHING)
    if as_json:
        print_json(standing.as_dict())
        return
    echo(done)
    if is_scheduled(standing.orders):
        echo(start_sentence(standing.orders))
    echo(f"{_counted(standing.senders)}; {standing.queued:,} messages wait")


def orders_as_dict(orders: Orders, senders: Sequence[Sender]) -> dict[str, Any]:
    """Give what `--json` prints of the orders in force, and of the senders."""
    until = orders.paused_until if is_paused(orders) else None
    return {
        "paused": until is not None,
        "paused_until": None if until in {None, math.inf} else _iso(until or 0.0),
        "paused_by": None if until is None else orders.paused_by,
        "starts_at": _iso(orders.starts_at or 0.0) if is_scheduled(orders) else None,
        "stopped": orders.stopped,
        "rate": orders.rate,
        "senders": [{"place": it.place, "since": _iso(it.since)} for it in senders],
    }


def print_orders(orders: Orders, senders: Sequence[Sender], ledger: Place) -> None:
    """Print the orders in force, and who sends."""
    command = f"connectus bulk {{}} {typed(ledger)}"
    if is_paused(orders):
        until = orders.paused_until or 0.0
        end = "" if until == math.inf else f" until {_moment(until)}"
        by = f" by {orders.paused_by}" if orders.paused_by else ""
        echo(f"paused{by}{end}: go on with {command.format('continue')}")
    if is_scheduled(orders):
        echo(start_sentence(orders))
    if orders.stopped is not None:
        echo(f"stopped: {orders.stopped}: start again with {command.format('resume')}")
    if orders.rate is not None:
        echo(
            f"at most {orders.rate:g}/s by order: {command.format('set-rate')} {AS_STARTED} ends it"
        )
    for sender in senders:
        echo(f"open in {sender.place} since {_moment(sender.since)}")


def is_paused(orders: Orders) -> bool:
    """Tell whether a pause is in force."""
    return orders.paused_until is not None and orders.paused_until > time.time()


def _counted(senders: Sequence[Sender]) -> str:
    if not senders:
        return "nobody sends it now"
    return f"{len(senders)} {'sender' if len(senders) == 1 else 'senders'}"


def _who() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):  # the user has no name on this machine
        name = "somebody"
    return f"{name} on {socket.gethostname()}"


def _moment(seconds: float) -> str:
    return f"{dt.datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M:%S %z}"


def _iso(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="seconds")
