"""The ledger in a database, for one of its holders."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from connectus_async.ledger.abc import SharedLedger
from connectus_async.ledger.postgres import (
    again,
    budgets,
    handing_out,
    loading,
    reconciling,
    releasing,
    replacing,
    sending,
    skipping,
)
from connectus_async.ledger.postgres.address import Address
from connectus_async.ledger.postgres.connection import AsyncConnection
from connectus_async.ledger.postgres.holding import Holding
from connectus_async.ledger.postgres.session import Task
from connectus_async.ledger.records import (
    Accepted,
    Again,
    Attendance,
    Claim,
    Corrects,
    Entry,
    Instructions,
    Loaded,
    Loading,
    Policy,
    Report,
    Resolution,
    Unresolved,
    Waiting,
    Witnesses,
)
from connectus_async.ledger.states import Edited, SkipReason, State


class PostgresLedger(SharedLedger):
    """A campaign's ledger in a database. It belongs to the event loop that opens it.

    Args:
        address: The database, and the campaign in it.
        lease: Seconds after which others give this holder up, if nothing is heard of it.
    """

    _forgets_content = False

    def __init__(self, address: Address, *, lease: float) -> None:
        self._place = address.name
        self.lease = lease
        self._holding = Holding(address, lease=lease)
        self._loads: dict[int, loading.Load] = {}
        self._chunks_to_release = 0

    async def open(self, policy: Policy) -> None:
        """Become one of the holders; create the campaign if there is none. See `Ledger.open`.

        Raises:
            LedgerError: The database cannot be used, or the campaign is another one.
        """
        self._forgets_content = policy.forgets_content
        await self._holding.begin(policy)

    async def close(self) -> None:
        """Write all remaining changes, and give back what was not begun."""
        await self._holding.end()

    def begin(self, entry: Entry, number: int | None) -> Awaitable[Claim]:
        """Record a message as in flight. See `Ledger.begin`."""
        writer = self._holding.writer
        return writer.begin_new(entry) if number is None else writer.begin_known(number)

    def begin_known(self, numbers: Sequence[int]) -> Awaitable[object]:
        """Record messages as in flight. See `Ledger.begin_known`."""
        return self._holding.writer.begin_all(numbers)

    def finish(
        self,
        entry: Entry,
        number: int,
        state: State,
        reason: str | None,
        provider_id: str | None,
        *,
        is_kept: bool = False,
    ) -> None:
        """Record the outcome of an attempt. See `Ledger.finish`."""
        body = entry.body if self._forgets_content and state is State.ACCEPTED else None
        self._holding.writer.finish(number, state, reason, provider_id, body, is_kept=is_kept)

    def put(
        self,
        entry: Entry,
        number: int | None,
        skipped: SkipReason | None = None,
        reason: str | None = None,
    ) -> None:
        """Record a message as skipped or waiting. See `Ledger.put`."""
        self._holding.writer.put(entry, number, skipped, reason)

    async def flush(self) -> None:
        """Wait until everything that was recorded is written."""
        await self._holding.writer.written()

    async def queued(self, after: int, limit: int) -> Sequence[tuple[int, Entry]]:
        """Read messages that wait to be sent. See `Ledger.queued`."""
        return await self._holding.queued(after, limit)

    async def counts(self) -> Mapping[State, int]:
        """Count the messages by state."""
        found: Mapping[State, int] = await self.ask(sending.counts)
        return found

    async def spent(self) -> int:
        """Add up the amounts that were or may have been taken from the balance."""
        total: int = await self.ask(sending.spent)
        return total

    async def metadata(self) -> Mapping[str, str]:
        """Read the metadata of the campaign."""
        found: Mapping[str, str] = await self.ask(sending.metadata)
        return found

    async def set_metadata(self, **values: str) -> None:
        """Write metadata of the campaign."""
        await self.ask(partial(sending.set_metadata, values=values))

    async def attend(self, attendance: Attendance) -> Instructions:
        """Report how sending goes, and get instructions. See `SendingLedger.attend`."""
        report = partial(self._holding.attending.report, attendance=attendance)
        instructions: Instructions = await self._holding.ask_at_once(report, repeats=True)
        return instructions

    async def count_budget(self, kept: int = 0) -> None:
        """Count what the messages took. See `SharedLedger.count_budget`."""
        await self.ask(partial(budgets.count, worker=self._holding.worker, kept=kept))

    async def reserve(self, budget: int, least: int, most: int) -> int:
        """Reserve units of a budget. See `SharedLedger.reserve`."""
        name = self._holding.writer.place.name
        task = partial(budgets.reserve, name=name, budget=budget, least=least, most=most)
        units: int = await self._holding.ask_at_once(task, repeats=True)  # twice is too few
        return units

    async def give_back(self, units: int) -> None:
        """Give units back. See `SharedLedger.give_back`."""
        task = partial(budgets.give_back, units=units)
        await self._holding.ask_at_once(task, repeats=False)  # twice would be too many

    async def begin_load(self, *, corrects: Corrects | None = None) -> int:
        """Begin a load. See `Ledger.begin_load`."""
        writer = self._holding.writer
        begin = partial(loading.begin, place=writer.place, corrects=corrects, read=writer.chunks)
        load: loading.Load = await self.ask(begin, repeats=False)
        self._loads = {load.number: load}
        return load.number

    async def load(
        self, items: Sequence[Loading], load_number: int, *, tells_left_out: bool = False
    ) -> Sequence[Loaded]:
        """Record messages as queued or skipped. See `Ledger.load`."""
        record = self._load(load_number).record
        loaded: Sequence[Loaded] = await self.ask(
            partial(record, items=items, tells_left_out=tells_left_out), repeats=False
        )
        return loaded

    def _load(self, number: int) -> loading.Load:
        _ = self._holding.writer  # it is open
        return self._loads[number]

    async def end_load(
        self,
        load_number: int,
        *,
        replaces: bool,
        edited: Edited = Edited.EVERYONE,
        releases: bool = True,
    ) -> Mapping[int, int]:
        """Record that a source was loaded to its end. See `Ledger.end_load`."""
        load, writer = self._load(load_number), self._holding.writer

        async def end(connection: AsyncConnection, campaign: int) -> Mapping[int, int]:
            writer.recall()  # before the end, which may skip some of what was read
            await writer.written()
            return await load.end(
                connection, campaign, replaces=replaces, edited=edited, releases=releases
            )

        people: Mapping[int, int] = await self.ask(end, repeats=False)
        return people

    async def queue_again(self, choice: Again) -> int:
        """Queue messages for another attempt. See `Ledger.queue_again`."""
        queued: int = await self.ask(partial(again.queue, choice=choice), repeats=False)
        return queued

    async def skip_too_often(self, numbers: Sequence[int]) -> int:
        """Skip messages that wait. See `Ledger.skip_too_often`."""
        writer = self._holding.writer

        async def skip(connection: AsyncConnection, _campaign: int) -> int:
            writer.recall()  # before it, as before the end of a load
            await writer.written()
            return await skipping.skip_too_often(connection, writer.place, numbers)

        skipped: int = await self.ask(skip, repeats=True)
        return skipped

    async def left_out(self, after: int, limit: int) -> Sequence[tuple[int, Entry]]:
        """Read the messages of the last load that `end_load` left out."""
        found: Sequence[tuple[int, Entry]] = await self.ask(
            partial(replacing.left_out, after=after, limit=limit)
        )
        return found

    async def hand_out(self, defer: Callable[[Any, str], Awaitable[object]]) -> None:
        """Let a function defer tickets for the campaign. See `SharedLedger.hand_out`."""
        await self.ask(partial(handing_out.hand_out, place=self._place, defer=defer), repeats=False)

    async def take_unreleased(self) -> None:
        """Have to release what holders left that are gone. See `Ledger.take_unreleased`."""
        self._chunks_to_release = await self.ask(
            partial(releasing.take, worker=self._holding.worker)
        )

    async def release(self, *, to_all: bool = True) -> None:
        """Let holders send what this one has to release. See `Ledger.release`."""
        place, least = self._holding.writer.place, self._chunks_to_release
        self._chunks_to_release = 0
        task = partial(
            releasing.release, worker=place.worker, name=place.name, least=least, to_all=to_all
        )
        await self.ask(task, repeats=False)

    async def waiting(self) -> Mapping[str, Waiting]:
        """Add up the messages that wait to be sent, by kind."""
        found: Mapping[str, Waiting] = await self.ask(
            partial(releasing.waiting, worker=self._holding.worker)
        )
        return found

    async def unresolved(self) -> Sequence[Unresolved]:
        """Read the messages that may have been sent, in order."""
        found: Sequence[Unresolved] = await self.ask(reconciling.unresolved)
        return found

    async def witnesses(
        self, report: Report, group: Sequence[Unresolved], *, near: float, about: float, sample: int
    ) -> Witnesses:
        """Find accepted messages that a report must show. See `Ledger.witnesses`."""
        found: Witnesses = await self.ask(
            partial(
                reconciling.witnesses,
                report=report,
                group=group,
                near=near,
                about=about,
                sample=sample,
            )
        )
        return found

    async def accepted_ids(self, ids: Collection[str]) -> Collection[str]:
        """Choose, of some of the API's identifiers, those of accepted messages."""
        found: Collection[str] = await self.ask(partial(reconciling.accepted_ids, ids=ids))
        return found

    async def accepted_to(self, recipients: Collection[str]) -> Sequence[Accepted]:
        """Read the accepted messages to some recipients."""
        found: Sequence[Accepted] = await self.ask(
            partial(reconciling.accepted_to, recipients=recipients)
        )
        return found

    async def resolve(self, resolutions: Sequence[Resolution]) -> None:
        """Record new states of messages that may have been sent. See `Ledger.resolve`."""
        await self.ask(
            partial(
                reconciling.resolve,
                resolutions=resolutions,
                forgets_content=self._forgets_content,
            )
        )

    async def ask(self, task: Task, *, repeats: bool = True) -> Any:
        """Run a function of the connection, after everything that was recorded is written.

        Args:
            task: The function, which gets the connection and the number of the campaign.
            repeats: It can be run again if the connection breaks.
        """
        return await self._holding.ask(task, repeats=repeats)
