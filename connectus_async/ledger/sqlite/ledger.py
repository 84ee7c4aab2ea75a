"""The ledger in one SQLite file, for its holder."""

import time
from collections.abc import Awaitable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from connectus_async.ledger.abc import Ledger
from connectus_async.ledger.content import hashed
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
from connectus_async.ledger.sqlite import (
    again,
    control,
    loading,
    metadata,
    reconciling,
    sending,
    statistics,
)
from connectus_async.ledger.sqlite.codes import CODES, short_id, ticks
from connectus_async.ledger.sqlite.connection import Task
from connectus_async.ledger.sqlite.holder import HolderFile
from connectus_async.ledger.sqlite.rows import NOTHING, Row, at_rest, bound
from connectus_async.ledger.sqlite.writer import Writer
from connectus_async.ledger.states import Edited, SkipReason, State
from connectus_async.ledger.texts import storable


class SqliteLedger(Ledger):
    """A campaign's ledger in a file. It belongs to the event loop that opens it.

    Args:
        path: The path of the file; only its owner may read it.
    """

    _file: HolderFile

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer = Writer(path)
        self._next_number = 1
        self._forgets_content = False
        self._corrects: Corrects | None = None

    async def open(self, policy: Policy) -> None:
        """Become the holder; create the file if there is none. See `Ledger.open`.

        Raises:
            LedgerError: It is in use, not a ledger, of another campaign, or cannot be written.
        """
        self._forgets_content = policy.forgets_content
        self._file = await self._writer.start(policy)
        self._next_number = self._file.next_number
        self._stop_heard = await self.ask(control.stop)

    async def close(self) -> None:
        """Write all remaining changes, and release the file."""
        await self._writer.end()

    def begin(self, entry: Entry, number: int | None) -> Awaitable[Claim]:
        """Record a message as in flight. See `Ledger.begin`."""
        new: Row = ()
        if number is None:
            number = self._new_number()
            new = bound(number, entry)
        return self._writer.claim(number, new)

    def begin_known(self, numbers: Sequence[int]) -> Awaitable[Claim]:
        """Record messages as in flight. See `Ledger.begin_known`.

        They are written in their order, so all are durable once the last one is.
        """
        *others, last = numbers
        for number in others:
            group = self._writer.group(number)
            group.begun.append(number)
            self._writer.added(group)
        return self._writer.claim(last)

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
        group = self._writer.group(number)
        group.ended += (
            number,
            CODES[state],
            ticks(time.time()),
            NOTHING if provider_id is None else short_id(provider_id) or NOTHING,
            NOTHING if reason is None else storable(reason) or NOTHING,
        )
        if is_kept:
            group.kept.add(number)
        if self._forgets_content and state is State.ACCEPTED:
            group.bodies.append((hashed(entry.body), number))
        self._writer.added(group)

    def put(
        self,
        entry: Entry,
        number: int | None,
        skipped: SkipReason | None = None,
        reason: str | None = None,
    ) -> None:
        """Record a message as skipped or waiting. See `Ledger.put`."""
        new: Row = ()
        if number is None:
            number = self._new_number()
            new = bound(number, entry)
        group = self._writer.group(number, new)
        group.put += (number, *at_rest(skipped, reason))
        self._writer.added(group)

    async def flush(self) -> None:
        """Wait until everything that was recorded is written."""
        await self.ask(lambda _: None)

    async def queued(self, after: int, limit: int) -> Sequence[tuple[int, Entry]]:
        """Read messages that wait to be sent. See `Ledger.queued`."""
        found: Sequence[tuple[int, Entry]] = await self.ask(
            partial(sending.queued, after=after, limit=limit)
        )
        return found

    async def counts(self) -> Mapping[State, int]:
        """Count the messages by state."""
        found: Mapping[State, int] = await self.ask(statistics.counts)
        return found

    async def spent(self) -> int:
        """Add up the amounts that were or may have been taken from the balance."""
        total: int = await self.ask(sending.spent)
        return total

    async def metadata(self) -> Mapping[str, str]:
        """Read the metadata of the campaign."""
        found: Mapping[str, str] = await self.ask(metadata.read)
        return found

    async def set_metadata(self, **values: str) -> None:
        """Write metadata of the campaign."""
        await self.ask(partial(metadata.write, values=values))

    async def attend(self, attendance: Attendance) -> Instructions:
        """Get the orders of the user. See `SendingLedger.attend`."""
        report = partial(control.attend, attendance=attendance, stop_heard=self._stop_heard)
        found: Instructions = await self.ask(report)
        self._stop_heard = found.stopped
        return found

    async def begin_load(self, *, corrects: Corrects | None = None) -> int:
        """Begin a load. See `Ledger.begin_load`."""
        number: int = await self.ask(lambda _: loading.begin(self._file, adds=bool(corrects)))
        self._corrects = corrects
        return number

    async def load(
        self, items: Sequence[Loading], load_number: int, *, tells_left_out: bool = False
    ) -> Sequence[Loaded]:
        """Record messages as queued or skipped. See `Ledger.load`."""
        first = self._next_number
        self._next_number += 2 * len(items)  # a duplicate takes a second one
        numbers, adds = iter(range(first, self._next_number)), bool(self._corrects)

        def record(_: object) -> Sequence[Loaded]:
            load = loading.Load(
                self._file, load_number, numbers, adds=adds, tells_left_out=tells_left_out
            )
            return load.record(items)

        loaded: Sequence[Loaded] = await self.ask(record)
        return loaded

    async def end_load(
        self,
        load_number: int,
        *,
        replaces: bool,
        edited: Edited = Edited.EVERYONE,
        releases: bool = True,  # noqa: ARG002 - there is no other holder
    ) -> Mapping[int, int]:
        """Record that a source was loaded to its end. See `Ledger.end_load`."""
        people: Mapping[int, int] = await self.ask(
            partial(
                loading.end,
                number=load_number,
                corrects=self._corrects,
                replaces=replaces,
                edited=edited,
            )
        )
        return people

    async def queue_again(self, choice: Again) -> int:
        """Queue messages for another attempt. See `Ledger.queue_again`."""
        queued: int = await self.ask(partial(again.queue, choice=choice))
        return queued

    async def skip_too_often(self, numbers: Sequence[int]) -> int:
        """Skip messages that wait. See `Ledger.skip_too_often`."""
        skipped: int = await self.ask(partial(loading.skip_too_often, numbers=numbers))
        return skipped

    async def left_out(self, after: int, limit: int) -> Sequence[tuple[int, Entry]]:
        """Read the messages of the last load that `end_load` left out."""
        found: Sequence[tuple[int, Entry]] = await self.ask(
            partial(loading.left_out, after=after, limit=limit)
        )
        return found

    async def take_unreleased(self) -> None:
        """Check that it is open: nothing is unreleased. See `Ledger.take_unreleased`."""
        await self.flush()

    async def release(self, *, to_all: bool = True) -> None:  # noqa: ARG002 - there are no others
        """Check that it is open: nothing is unreleased. See `Ledger.release`."""
        await self.flush()

    async def waiting(self) -> Mapping[str, Waiting]:
        """Add up the messages that wait to be sent, by kind."""
        found: Mapping[str, Waiting] = await self.ask(statistics.waiting)
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

    async def ask(self, task: Task) -> Any:
        """Run a function of the connection in the writer thread. See `Writer.ask`."""
        return await self._writer.ask(task)

    def _new_number(self) -> int:
        number = self._next_number
        self._next_number += 1
        return number
