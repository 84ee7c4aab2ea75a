"""Loading: records the messages of a source in a ledger before any is sent.

An edited text makes other messages, so recipients of the old text would get the new one as well.
The end of a load shows them: they have a message that was sent and that the source no longer has.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from inspect import isawaitable
from typing import TYPE_CHECKING, Final

import attrs

from connectus_async.bulk.channels import Channel, entry_of
from connectus_async.bulk.feed import Messages, from_messages
from connectus_async.bulk.load_templates import LoadTemplates, note_template
from connectus_async.errors import ConfigurationError, safe_text
from connectus_async.ledger.abc import Ledger
from connectus_async.ledger.keys import KeyMaker
from connectus_async.ledger.records import (
    CHARACTERS_A_TRANSACTION,
    ROWS_A_TRANSACTION,
    Corrects,
    Entry,
    Loaded,
    Loading,
    no_message,
)
from connectus_async.ledger.states import Edited, SkipReason
from connectus_async.products.messages import Message, Row
from connectus_async.products.sms import Sms

if TYPE_CHECKING:
    from connectus_async.recipients.frequency import Reached
    from connectus_async.recipients.plain_sms import Composed
    from connectus_async.recipients.suppression import SuppressionList

OnRow = Callable[[Row, Loaded], object]
Compose = Callable[[Callable[[Sms], Entry], KeyMaker], AsyncGenerator[Sequence["Composed"], None]]
"""Composes batches, given a maker of entries and the maker of keys."""

OnBatch = Callable[[Sequence["Composed"], Sequence[Loaded]], object]


NOT_CORRECTED: Final = frozenset({SkipReason.INVALID, SkipReason.TOO_OFTEN})
"""Reasons for which a corrected row takes no other's place."""


class EditedError(ConfigurationError):
    """Recipients of a source may have got another text of the campaign already. Nothing was sent.

    Attributes:
        people: Number of these recipients.
        corrected: Number of those who got theirs by the same template: their rows have other data.
    """

    def __init__(self, people: int, corrected: int = 0) -> None:
        who = f"{people:,} people" if people > 1 else "1 person"
        super().__init__(
            "edited",
            f"{who} may have got another text of this campaign already, so nothing was sent:"
            " 'remaining' sends only to those who have nothing yet, 'everyone' to all again;"
            " another campaign needs another ledger",
        )
        self.people = people
        self.corrected = corrected

    def __reduce__(self) -> tuple[type["EditedError"], tuple[int, int]]:
        return EditedError, (self.people, self.corrected)


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
        ledger: The ledger, opened by the caller.
        channels: Channel of each type of message.
        key_maker: Maker of the keys of the campaign.
        suppression: List of suppressed recipients.
        edited: Treatment of recipients who may have got another text.
        template: Hash of the template of the messages, if they have one.
        reached: What people got by other campaigns, if that counts.
    """

    def __init__(
        self,
        ledger: Ledger,
        channels: Mapping[type[Message], Channel],
        key_maker: KeyMaker,
        suppression: "SuppressionList | None",
        edited: Edited,
        template: str | None = None,
        reached: "Reached | None" = None,
    ) -> None:
        self._ledger = ledger
        self._channels = channels
        self._key_maker = key_maker
        self._suppression = suppression
        self._edited = edited
        self._template = template
        self._reached = reached
        self._templates = LoadTemplates()

    async def load(self, messages: Messages, on_row: OnRow | None, *, replaces: bool) -> int:
        """Load a source to its end.

        Args:
            messages: The source.
            on_row: Called with each row and its result.
            replaces: Whether messages that are queued but not in this source are skipped.

        Returns:
            The number of rows.

        Raises:
            EditedError: Recipients may have got another text, and the campaign aborts then.
        """
        load_number = await self._begin()
        feed = from_messages(messages)
        total = 0
        batch = _Batch()
        while (job := await feed.pull()) is not None:
            row = Row(job.line, job.content, key=job.key)
            batch.add(row, self._loading(row))
            total += 1
            if batch.is_full:
                await self._record(batch, load_number, on_row)
                batch = _Batch()
        await self._record(batch, load_number, on_row)
        if feed.failure is not None:
            raise feed.failure
        await self._end(load_number, replaces=replaces)
        return total

    async def load_composed(
        self,
        batches: AsyncGenerator[Sequence["Composed"], None],
        on_batch: OnBatch | None,
        *,
        replaces: bool,
        corrects: Corrects | None = None,
    ) -> None:
        """Load batches of `composed`, as `load` does; `Ledger.release` lets others send them.

        Args:
            batches: The batches.
            on_batch: Called with each batch and its results.
            replaces: As in `load`.
            corrects: As in `Ledger.begin_load`. Rows that cannot become a message are not recorded,
                nor are those of people who got enough by other campaigns.

        Raises:
            EditedError: As in `load`.
        """
        load_number = await self._begin(corrects)
        async with aclosing(batches):
            async for batch in batches:
                loadings = [
                    self._loading(item) if isinstance(item, Row) else self._checked(item.entry)
                    for item in batch
                ]
                load = self._load_messages if corrects else self._load
                loaded = await load(loadings, load_number)
                if on_batch is not None:
                    on_batch(batch, loaded)
        await self._end(load_number, replaces=replaces, releases=False)

    async def _begin(self, corrects: Corrects | None = None) -> int:
        load_number = await self._ledger.begin_load(corrects=corrects)
        self._templates = await note_template(self._ledger, load_number, self._template)
        return load_number

    async def _load(self, loadings: Sequence[Loading], load_number: int) -> Sequence[Loaded]:
        tells = self._edited is Edited.REMAINING
        return await self._ledger.load(loadings, load_number, tells_left_out=tells)

    async def _load_messages(
        self, loadings: Sequence[Loading], load_number: int
    ) -> Sequence[Loaded]:
        """Load messages, and only tell of others: their rows stay to be corrected."""
        messages = [it for it in loadings if it.skipped not in NOT_CORRECTED]
        loaded = iter(await self._load(messages, load_number) if messages else ())
        return [
            Loaded(it.skipped) if it.skipped in NOT_CORRECTED else next(loaded) for it in loadings
        ]

    async def _end(self, load_number: int, *, replaces: bool, releases: bool = True) -> None:
        people = await self._ledger.end_load(
            load_number, replaces=replaces, edited=self._edited, releases=releases
        )
        if people and self._edited is Edited.ABORT:
            raise EditedError(sum(people.values()), self._corrected(people))

    def _corrected(self, people: Mapping[int, int]) -> int:
        """Count the people whose other text is of the same template, by the load that it is of."""
        if self._template is None:
            return 0
        templates = self._templates
        return sum(count for load, count in people.items() if templates.of(load) == self._template)

    async def _record(self, batch: _Batch, load_number: int, on_row: OnRow | None) -> None:
        loaded = await self._load(batch.loadings, load_number)
        if on_row is not None:
            for row, placed in zip(batch.rows, loaded, strict=True):
                if isawaitable(answer := on_row(row, placed)):
                    await answer

    def _loading(self, row: Row) -> Loading:
        try:
            entry = entry_of(self._channels, row.content, row.line, row.key, self._key_maker)
        except Exception as error:  # noqa: BLE001 - one row never stops the others
            return Loading(no_message(row.line), SkipReason.INVALID, safe_text(error))
        return self._checked(entry)

    def _checked(self, entry: Entry) -> Loading:
        if self._suppression is not None and entry.recipient in self._suppression:
            return Loading(entry, SkipReason.SUPPRESSED)
        if self._reached is not None and self._reached.is_too_often(entry.recipient):
            return Loading(entry, SkipReason.TOO_OFTEN)
        return Loading(entry)
