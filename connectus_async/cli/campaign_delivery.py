"""Delivery of the API that a whole campaign goes out with, at one time.

The API sends it, so the messages are handed over before. A ledger has one delivery, and each
message its identifier: it can be moved to another time, never replaced.
"""

import datetime as dt
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from connectus_async.cli.language import gettext as _
from connectus_async.cli.language import moment
from connectus_async.cli.ledgers import command
from connectus_async.cli.runner import echo, print_json, sentence
from connectus_async.cli.schedule import MAX_AHEAD, start_time
from connectus_async.errors import (
    CampaignStoppedError,
    ConfigurationError,
    LedgerError,
    RequestError,
)
from connectus_async.ledger import metadata_names, name_of, open_store
from connectus_async.ledger.states import State
from connectus_async.products.product import Product
from connectus_async.redaction import one_line
from connectus_async.report.commands import with_profile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectus_async.bulk.sender import Bulk
    from connectus_async.cli.ledgers import Place
    from connectus_async.client import AsyncConnectus
    from connectus_async.ledger.abc import Ledger
    from connectus_async.recipients.composer import Composer

OPTION: Final = "--delivery-at"
MAX_NAME: Final = 100
"""Characters of the name of a delivery."""


@attrs.frozen
class Recorded:
    """Delivery that a ledger has.

    Attributes:
        id: Its identifier.
        at: Its time; while it is moved, the earlier one.
    """

    id: str
    at: dt.datetime

    def as_dict(self) -> dict[str, str]:
        """Convert it to types that JSON has."""
        return {"id": self.id, "deliver_at": self.at.isoformat()}


@attrs.frozen
class Planned:
    """Delivery that a campaign is to go out with.

    Attributes:
        at: Its time.
        zone: Time zone in which the user gave it.
        recorded: The delivery that the ledger has; ``None`` if it is to be made.
    """

    at: dt.datetime
    zone: str | None
    recorded: Recorded | None

    def expiry(self, expires_at: str | None) -> str:
        """Give the time from which nothing more is handed over, in ISO 8601."""
        times: list[dt.datetime] = [self.at]
        if expires_at is not None:
            times.append(dt.datetime.fromisoformat(expires_at))
        return min(times).isoformat()


def plan_delivery(
    ledger: "Place", at: dt.datetime | None, composer: "Composer", starts_at: float | None
) -> Planned | None:
    """Find the delivery for a campaign: at the time that was given, or the recorded one. Blocks.

    Args:
        ledger: The ledger, which need not be there.
        at: The time that was given.
        composer: The composer of the messages.
        starts_at: Time at which sending starts, in Unix seconds.

    Returns:
        The delivery; ``None`` if there is neither a time nor a recorded one.

    Raises:
        ConfigurationError: The time is past or too late, or the messages cannot all be in it.
        LedgerError: The recorded delivery has gone out.
    """
    recorded, waits = _look(ledger)
    if at is None and recorded is None:
        return None
    if composer.id_delivery is not None:
        raise ConfigurationError(OPTION, "makes a delivery of its own: leave --id-delivery out")
    if recorded is not None:
        _check_is_open(ledger, recorded)
    elif waits:
        raise ConfigurationError(
            OPTION, "comes too late for messages that wait in the ledger: send to another ledger"
        )
    planned = Planned(
        at=at or recorded.at,  # type: ignore[union-attr]  # one of them is there
        zone=getattr(at and at.tzinfo, "key", None),
        recorded=recorded,
    )
    _check_time(planned.at, starts_at)
    return planned


def check_resumed(ledger: "Place", expires_at: dt.datetime | None) -> None:
    """Refuse to resume a campaign whose messages came too late for their delivery. Blocks.

    Raises:
        ConfigurationError: They would be handed over after its time.
        LedgerError: It has gone out.
    """
    recorded, _waits = _look(ledger)
    if recorded is None:
        return
    _check_is_open(ledger, recorded)
    if expires_at is None or expires_at > recorded.at:
        when = f"{recorded.at.isoformat()}, when its delivery goes out"
        raise ConfigurationError("--expires-at", f"must not be after {when}")


async def join(
    client: "AsyncConnectus", sender: "Bulk", opened: "Ledger", composer: "Composer", it: Planned
) -> "Composer":
    """Make the delivery, or move the recorded one; return a composer of messages in it.

    Raises:
        CampaignStoppedError: The API may or may not have done so. Nothing was sent.
        RequestError: It refused.
    """
    metadata = await opened.metadata()
    if recorded_delivery(metadata) != it.recorded:
        raise CampaignStoppedError("somebody else has just changed its delivery: try again")
    found = it.recorded
    try:
        if found is None:
            name = metadata.get(metadata_names.NAME) or metadata.get(metadata_names.SOURCE, "")
            product = Product[composer.kind.upper()]
            made = await client.deliveries.create(one_line(name, MAX_NAME), it.at, product)
            if not made.id:
                raise CampaignStoppedError("the API gave no identifier of the delivery")
            found = Recorded(made.id, it.at)
            await _note(sender, found)
        elif found.at != it.at:
            await _note(sender, Recorded(found.id, min(found.at, it.at)))
            await client.deliveries.update(found.id, deliver_at=it.at)
            found = Recorded(found.id, it.at)
            await _note(sender, found)
    except RequestError as error:
        if not error.may_have_acted:
            raise
        raise CampaignStoppedError(
            f"the delivery may not be as it was asked for: {sentence(error)}; nothing was sent:"
            " run the same command again"
        ) from None
    return attrs.evolve(composer, id_delivery=found.id)


def announce_delivery(it: Planned, *, as_json: bool) -> None:
    """Print when the API sends a campaign."""
    if as_json:
        print_json({"type": "delivery", "deliver_at": it.at.isoformat(), "zone": it.zone})
        return
    echo(
        _("the API sends it {time}; what it was given cannot be stopped from here").format(
            time=start_time(it.at, it.zone)
        )
    )


def delivery_lines(it: Recorded, ledger: "Place", profile: str) -> Iterator[str]:
    """Write what became of a delivery, as its time says, and what to do next.

    Args:
        it: The delivery.
        ledger: The ledger of its campaign.
        profile: The profile of the campaign; empty if none has to be named.
    """
    show = with_profile(f"connectus deliveries show {shlex.quote(it.id)}", profile)
    if it.at > dt.datetime.now(dt.UTC):
        yield _("the delivery {id} of the API sends it {time}").format(
            id=it.id, time=start_time(it.at, None)
        )
        yield _("to see it: {command}; bulk send with another --delivery-at moves it").format(
            command=show
        )
    else:
        yield _("the delivery {id} of the API went out {time}").format(
            id=it.id, time=moment(it.at.astimezone())
        )
        yield _("to see it: {command}; what became of its SMS: {track}").format(
            command=show, track=command("track", ledger, profile)
        )


async def _note(sender: "Bulk", delivery: Recorded) -> None:
    await sender.note(
        **{
            metadata_names.DELIVERY: delivery.id,
            metadata_names.DELIVERY_AT: delivery.at.astimezone(dt.UTC).isoformat(),
        }
    )


def recorded_delivery(metadata: "Mapping[str, str]") -> Recorded | None:
    """Read the delivery that a ledger has; ``None`` if it has none."""
    found = metadata.get(metadata_names.DELIVERY)
    if not found:
        return None
    return Recorded(found, dt.datetime.fromisoformat(metadata[metadata_names.DELIVERY_AT]))


def _look(ledger: "Place") -> tuple[Recorded | None, int]:
    """Read the recorded delivery, and count the messages that wait."""
    if isinstance(ledger, Path) and not ledger.exists():
        return None, 0
    try:
        with open_store(ledger).read() as reader:
            total = reader.totals().get(State.QUEUED)
            return recorded_delivery(reader.metadata()), total.messages if total else 0
    except LedgerError:  # there is none yet, or opening it says what is wrong
        return None, 0


def _check_is_open(ledger: "Place", recorded: Recorded) -> None:
    if recorded.at <= dt.datetime.now(dt.UTC):
        raise LedgerError(
            name_of(ledger),
            f"its delivery went out at {recorded.at.isoformat()}, and nothing can join it: send the"
            " rest to another ledger",
        )


def _check_time(at: dt.datetime, starts_at: float | None) -> None:
    now = dt.datetime.now(dt.UTC)
    if at <= now:
        raise ConfigurationError(OPTION, "is in the past")
    if at - now > MAX_AHEAD:
        raise ConfigurationError(OPTION, "is more than a year ahead")
    if starts_at is not None and starts_at >= at.timestamp():
        raise ConfigurationError(OPTION, "is not after --at: nothing would be handed over in time")
