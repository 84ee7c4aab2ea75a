"""Puts the messages of a source down in a ledger before any is sent.

A text that was edited makes other messages, so those who got the old one would get the new one as
well. Once a source was read to its end, it shows: they have a message that was sent and that their
source does not have any more.
"""

from collections.abc import Callable, Mapping
from inspect import isawaitable
from typing import TYPE_CHECKING, Final

import attrs

from connectus_async.bulk.channels import Channel, KeyMaker, entry_of
from connectus_async.bulk.feed import Messages, from_messages
from connectus_async.bulk.outcomes import sentence
from connectus_async.errors import ConfigurationError
from connectus_async.ledger.records import INVALID, Entry, Loaded, Loading
from connectus_async.ledger.sqlite.ledger import SqliteLedger
from connectus_async.ledger.states import Edited, SkipReason
from connectus_async.products.messages import Message, Row

if TYPE_CHECKING:
    from connectus_async.recipients.suppression import SuppressionList

ROWS_A_TRANSACTION: Final = 500
CHARACTERS_A_TRANSACTION: Final = 4 * 2**20
"""Of bodies: an email may have ten million characters."""

OnRow = Callable[[Row, Loaded], object]


class EditedError(ConfigurationError):
    """People of a source may have got another text of its ledger already. Nothing was sent.

    Attributes:
        people: Their number.
    """

    def __init__(self, people: int) -> None:
        who = f"{people:,} people" if people > 1 else "1 person"
        super().__init__(
            "edited",
            f"{who} may have got another text of this campaign already, so nothing was sent:"
            " 'remaining' sends only to those who have nothing yet, 'everyone' to all again;"
            " another campaign needs another ledger",
        )
        self.people = people

    def __reduce__(self) -> tuple[type["EditedError"], tuple[int]]:
        return EditedError, (self.people,)


@attrs.define
class _Batch:
    rows: list[Row] = attrs.field(factory=list)
    loadings: list[Loading] = attrs.field(factory=list)
    characters: int = 0

    def add(self, row: Row, loading: Loading) -> None:
        self.rows.append(row)
        self.loadings.append(loading)
        self.characters += len(loading.entry.body)

    @property
    def is_full(self) -> bool:
        return len(self.rows) == ROWS_A_TRANSACTION or self.characters >= CHARACTERS_A_TRANSACTION


class Loader:
    """Loads one source.

    Args:
        ledger: The ledger, held by the caller.
        channels: How each kind of message is checked.
        salt: What makes the keys of the campaign.
        suppression: Who must get nothing.
        edited: Treatment of people who may have got another text.
    """

    def __init__(
        self,
        ledger: SqliteLedger,
        channels: Mapping[type[Message], Channel],
        salt: KeyMaker,
        suppression: "SuppressionList | None",
        edited: Edited,
    ) -> None:
        self._ledger = ledger
        self._channels = channels
        self._salt = salt
        self._suppression = suppression
        self._edited = edited

    async def load(self, messages: Messages, on_row: OnRow | None, *, replaces: bool) -> int:
        """Load all of it; returns the number of rows.

        Raises:
            EditedError: People may have got another text, and that is to be refused.
        """
        reading = await self._ledger.begin_reading()
        intake = from_messages(messages)
        total = 0
        batch = _Batch()
        while (job := await intake.pull()) is not None:
            row = Row(job.line, job.content, key=job.key)
            batch.add(row, self._loading(row))
            total += 1
            if batch.is_full:
                await self._put(batch, reading, on_row)
                batch = _Batch()
        await self._put(batch, reading, on_row)
        if intake.failure is not None:
            raise intake.failure
        people = await self._ledger.end_reading(reading, replaces=replaces, edited=self._edited)
        if people and self._edited is Edited.REFUSE:
            raise EditedError(people)
        return total

    async def _put(self, batch: _Batch, reading: int, on_row: OnRow | None) -> None:
        tells = self._edited is Edited.REMAINING
        loaded = await self._ledger.load(batch.loadings, reading, tells_left_out=tells)
        if on_row is not None:
            for row, placed in zip(batch.rows, loaded, strict=True):
                if isawaitable(answer := on_row(row, placed)):
                    await answer

    def _loading(self, row: Row) -> Loading:
        try:
            entry = entry_of(self._channels, row.content, row.line, row.key, self._salt)
        except Exception as error:  # noqa: BLE001 - one row never stops the others
            nothing = Entry(None, row.line, INVALID, "", "", 0)
            return Loading(nothing, SkipReason.INVALID, sentence(error))
        if self._suppression is not None and entry.recipient in self._suppression:
            return Loading(entry, SkipReason.SUPPRESSED)
        return Loading(entry)
