"""Orders of the command line to all who send a campaign, and the display of those in force."""

import datetime as dt
import getpass
import math
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple, Unpack

from anyio.to_thread import run_sync

from connectus_async.cli.campaign_state import iso
from connectus_async.cli.language import gettext as _
from connectus_async.cli.language import moment, ngettext, number
from connectus_async.cli.ledgers import Place, command
from connectus_async.cli.parameters import AS_STARTED
from connectus_async.cli.runner import echo, print_json, run
from connectus_async.cli.schedule import start_sentence
from connectus_async.errors import LedgerError
from connectus_async.ledger import open_store
from connectus_async.ledger.metadata_names import PROFILE
from connectus_async.ledger.records import NewOrders, Orders, Sender
from connectus_async.ledger.states import State

CHANGED_NOTHING: Final = "interrupted; the order may have been given: see connectus bulk status"


class Standing(NamedTuple):
    """The orders in force, and whom they concern."""

    orders: Orders
    senders: Sequence[Sender]
    queued: int
    profile: str

    def as_dict(self) -> dict[str, Any]:
        """Give what `--json` prints of the orders and senders."""
        orders = orders_as_dict(self.orders, self.senders)
        return {"type": "orders", **orders, "queued": self.queued}


def pause(ledger: Place, until: str | None, as_json: bool) -> None:
    """Send no further message of LEDGER until it is continued."""
    end = math.inf if until is None else dt.datetime.fromisoformat(until).timestamp()
    to_go_on = command("continue", ledger)
    if until is None:
        done = _("Paused. Messages under way are finished. To go on: {command}").format(
            command=to_go_on
        )
    else:
        done = _("Paused until {time}. To go on before: {command}").format(
            time=_moment(end), command=to_go_on
        )
    _order(ledger, done, as_json=as_json, paused_until=end, paused_by=_who())


def go_on(ledger: Place, as_json: bool) -> None:
    """Undo `bulk pause`."""
    done = _("Continued.")
    _order(ledger, done, as_json=as_json, starts=True, paused_until=None, paused_by=None)


def stop(ledger: Place, as_json: bool) -> None:
    """End all commands that send LEDGER."""
    done = _(
        "Stopped. Messages under way are finished, the others stay queued. To send them: {command}"
    )
    at = f"{dt.datetime.now().astimezone():%Y-%m-%d %H:%M:%S %z}"
    _order(ledger, done, as_json=as_json, stopped=f"{_who()} stopped it at {at}")


def set_rate(ledger: Place, rate: float | str, as_json: bool) -> None:
    """Change the rate of all who send LEDGER together."""
    if isinstance(rate, str):
        done = _("The rate is the one that it was started with.")
        _order(ledger, done, as_json=as_json, rate=None)
    else:
        done = _("The rate is at most {rate}/s.").format(rate=f"{rate:g}")
        _order(ledger, done, as_json=as_json, rate=rate)


def order_rate(ledger: Place, rate: float | None) -> None:
    """Let a rate that somebody starts with count instead of an order, and for those who send.

    Args:
        ledger: The ledger, open in this process.
        rate: The rate; nothing is done without.
    """
    control = open_store(ledger).control()
    if rate is not None and (control.orders().rate is not None or len(control.senders()) > 1):
        control.change(rate=rate)


def is_paused(ledger: Place) -> bool:
    """Tell whether a pause of a campaign is in force. Blocks."""
    with suppress(LedgerError):  # then something else is more important
        return open_store(ledger).control().orders().paused_for(time.time()) > 0
    return False


def _order(
    ledger: Place,
    done: str,
    *,
    as_json: bool,
    starts: bool = False,
    **orders: Unpack[NewOrders],
) -> None:
    def give() -> Standing:
        store = open_store(ledger)
        control = store.control()
        control.change(**orders)
        with store.read() as reader:
            total = reader.totals().get(State.QUEUED)
            profile = reader.metadata().get(PROFILE, "")
        waiting = total.messages if total else 0
        return Standing(control.orders(), control.senders(), waiting, profile)

    standing = run(partial(run_sync, give), as_json=as_json, when_interrupted=CHANGED_NOTHING)
    if as_json:
        print_json(standing.as_dict())
        return
    resume = command("resume", ledger, standing.profile)
    echo(done.replace("{command}", resume))
    if standing.orders.starts_in(time.time()):
        echo(start_sentence(standing.orders))
    echo(_waiting(standing, resume, starts=starts))


def orders_as_dict(orders: Orders, senders: Sequence[Sender]) -> dict[str, Any]:
    """Give what `--json` prints of the orders in force, and of the senders."""
    now = time.time()
    until = orders.paused_until if orders.paused_for(now) else None
    return {
        "paused": until is not None,
        "paused_until": None if until in {None, math.inf} else iso(until or 0.0),
        "paused_by": None if until is None else orders.paused_by,
        "starts_at": iso(orders.starts_at or 0.0) if orders.starts_in(now) else None,
        "stopped": orders.stopped,
        "rate": orders.rate,
        "senders": [{"place": it.place, "since": iso(it.since)} for it in senders],
    }


def print_orders(orders: Orders, ledger: Place, profile: str) -> None:
    """Print how the orders in force are taken back.

    Args:
        orders: The orders.
        ledger: The ledger.
        profile: The profile that the campaign is sent with; empty if none has to be named.
    """
    if orders.paused_for(time.time()):
        echo(_("to go on: {command}").format(command=command("continue", ledger)))
    if orders.stopped is not None:
        rest = command("resume", ledger, profile)
        echo(_("to send the rest: {command}").format(command=rest))
    if orders.rate is not None:
        echo(
            _("at most {rate}/s by order; to end that: {command}").format(
                rate=f"{orders.rate:g}", command=f"{command('set-rate', ledger)} {AS_STARTED}"
            )
        )


def _waiting(standing: Standing, resume: str, *, starts: bool) -> str:
    """Write how many messages wait, and who sends them; ``resume`` is the command that does."""
    waiting = ngettext("{count} message waits", "{count} messages wait", standing.queued)
    count, senders = number(standing.queued), len(standing.senders)
    if senders:
        sending = ngettext("{count} sender is at work", "{count} senders are at work", senders)
        return f"{waiting.format(count=count)}; {sending.format(count=number(senders))}."
    if starts and standing.queued:
        nobody = _("nobody sends now: start with {command}").format(command=resume)
        return f"{waiting.format(count=count)}; {nobody}"
    nobody = _("nobody sends now")
    return f"{waiting.format(count=count)}; {nobody}."


def _who() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):  # the user has no name on this machine
        name = "somebody"
    return f"{name}@{socket.gethostname()}"


def _moment(seconds: float) -> str:
    return moment(dt.datetime.fromtimestamp(seconds).astimezone())
