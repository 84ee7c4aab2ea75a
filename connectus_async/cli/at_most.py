"""Frequency cap of a campaign: what its ledger records of it, and who is over it now."""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import attrs
from anyio.to_thread import run_sync

from connectus_async.cli.language import ngettext, number
from connectus_async.cli.runner import echo, print_json
from connectus_async.cli.schedule import Start, planned_start
from connectus_async.errors import ConfigurationError, LedgerError
from connectus_async.ledger import is_address, metadata_names, name_of, open_store
from connectus_async.ledger.states import State
from connectus_async.recipients.frequency import (
    FrequencyCap,
    Reached,
    read_reached,
    read_reached_by_itself,
)

if TYPE_CHECKING:
    from connectus_async.cli.ledgers import Place
    from connectus_async.ledger.abc import Ledger
    from connectus_async.ledger.records import Again

MOVED: Final = (
    "people are counted in the folder {folder}, which is not there any more; nothing was sent: give"
    " --at-most again to count in the folder of the ledger, or --at-most none"
)


@attrs.frozen
class CampaignCap:
    """Frequency cap of a campaign, and where other ledgers count.

    Attributes:
        cap: The cap; ``None`` if there is none.
        folder: The folder of the other ledgers; ``None`` in a database.
    """

    cap: FrequencyCap | None
    folder: Path | None = None

    @classmethod
    def of(cls, ledger: "Place", cap: FrequencyCap | None) -> Self:
        """Make the cap that a command was given. It counts in the ledger's folder or database.

        Blocks.
        """
        has_folder = cap is not None and not is_address(ledger)
        return cls(cap, Path(ledger).absolute().parent if has_folder else None)

    @classmethod
    def read(
        cls, ledger: "Place", metadata: Mapping[str, str], given: FrequencyCap | str | None
    ) -> Self:
        """Read the cap that a ledger records, unless another one was given. Blocks.

        Args:
            ledger: The ledger.
            metadata: Its metadata.
            given: The cap that was given, or the word that ends the recorded one.

        Raises:
            LedgerError: The record is damaged.
        """
        if given is not None:
            return cls.of(ledger, None if isinstance(given, str) else given)
        recorded = metadata.get(metadata_names.AT_MOST)
        if not recorded:
            return cls.of(ledger, None)
        try:
            values = json.loads(recorded)
            folder = values["folder"]
            return cls(FrequencyCap.parse(values["cap"]), folder and Path(folder))
        except (ValueError, TypeError, KeyError, ConfigurationError):
            problem = "its --at-most cannot be read: it is damaged"
            raise LedgerError(name_of(ledger), problem) from None

    def metadata(self) -> dict[str, str]:
        """Write it for the ledger."""
        folder = None if self.folder is None else str(self.folder)
        written = json.dumps({"cap": str(self.cap), "folder": folder}) if self.cap else ""
        return {metadata_names.AT_MOST: written}

    def reached(self, ledger: "Place", start: Start) -> Reached | None:
        """Count what people got by other campaigns, if that counts. Blocks.

        Raises:
            LedgerError: One of the other ledgers cannot be read, or their folder is not there.
        """
        if self.cap is None:
            return None
        place = ledger
        if self.folder is not None:
            if not self.folder.is_dir():
                raise LedgerError(name_of(ledger), MOVED.format(folder=self.folder))
            place = self.folder / Path(ledger).name
        return read_reached(open_store(place), self.cap, planned_start(ledger, start))

    def choose(
        self, ledger: "Place", start: Start, reached: Reached | None, choice: "Again"
    ) -> "Again":
        """Leave people out of a choice who got enough, with what reached them by this campaign.

        Blocks.
        """
        if self.cap is None or reached is None:
            return choice
        store, most = open_store(ledger), self.cap.most
        own = read_reached_by_itself(store, self.cap, planned_start(ledger, start))
        with store.read() as reader:
            over = [
                message
                for batch in reader.again(choice)
                for message, recipient in batch
                if reached.count(recipient) + own.count(recipient) >= most
            ]
        return choice._replace(but=over)


async def skip_too_often(
    opened: "Ledger", ledger: "Place", reached: Reached | None, *, as_json: bool
) -> None:
    """Skip messages that wait, of people who got enough by other campaigns meanwhile; tell it."""
    if reached is None:
        return
    over = await run_sync(partial(_waiting, ledger, reached))
    if over and (skipped := await opened.skip_too_often(over)):
        tell_too_often(skipped=skipped, as_json=as_json)


def tell_too_often(*, skipped: int = 0, stays: int = 0, as_json: bool) -> None:
    """Tell how many messages are not sent since their people got enough.

    Args:
        skipped: Messages that waited.
        stays: Messages that reached nobody, and stay as they are.
        as_json: Whether to print JSON.
    """
    if as_json:
        print_json({"type": "too_often", "skipped": skipped, "not_again": stays})
        return
    if skipped:
        told = ngettext(
            "{count} message that waited is skipped: its recipient got as many messages lately as"
            " are allowed. bulk send sends it later.",
            "{count} messages that waited are skipped: their recipients got as many messages"
            " lately as are allowed. bulk send sends them later.",
            skipped,
        )
        echo(told.format(count=number(skipped)))
    if stays:
        told = ngettext(
            "{count} message is not sent again: its recipient got as many messages lately as are"
            " allowed. bulk retry sends it later.",
            "{count} messages are not sent again: their recipients got as many messages lately as"
            " are allowed. bulk retry sends them later.",
            stays,
        )
        echo(told.format(count=number(stays)))


def _waiting(ledger: "Place", reached: Reached) -> list[int]:
    """Find the messages that wait, of people who got enough. Blocks."""
    with open_store(ledger).read() as reader:
        return [
            row.number
            for rows in reader.messages([State.QUEUED])
            for row in rows
            if row.recipient and reached.is_too_often(row.recipient)
        ]
