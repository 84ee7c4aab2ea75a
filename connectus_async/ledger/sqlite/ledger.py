"""The ledger in one SQLite file, for its holder."""

import time
from collections.abc import Awaitable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from connectus_async.ledger.abc import Ledger
from connectus_async.ledger.content import hashed
from connectus_async.ledger.records import (
    Accepted,
    Claim,
    Entry,
    Loaded,
    Loading,
    Policy,
    Report,
    Resolution,
    Unresolved,
    Witnesses,
)
from connectus_async.ledger.sqlite import loading, metadata, reconciling, sending
from connectus_async.ledger.sqlite.connection import Task
from connectus_async.ledger.sqlite.holder import HolderFile
from connectus_async.ledger.sqlite.rows import (
    NOTHING,
    UNCHANGED,
    Row,
    at_rest,
    bound,
    change,
    storable,
)
from connectus_async.ledger.sqlite.writer import Writer
from connectus_async.ledger.states import Edited, SkipReason, State

_IN_FLIGHT: Final = State.IN_FLIGHT.value


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

    async def open(self, policy: Policy) -> None:
        """Become the holder; create the file if there is none. See `Ledger.open`.

        Raises:
            LedgerError: It is in use, not a ledger, of another campaign, or cannot be written.
        """
        self._forgets_content = policy.forgets_content
        self._file = await self._writer.start(policy)
        self._next_number = self._file.next_number

    async def close(self) -> None:
        """Write all remaining changes, and release the file."""
        await self._writer.end()

    def begin(self, entry: Entry, number: int | None) -> Awaitable[Claim]:
        """Record a message as in flight. See `Ledger.begin`."""
        number, message = self._placed(entry, number)
        row = change(number, message, _IN_FLIGHT, attempts=1, started_at=time.time())
        return self._writer.claim(row)

    def begin_known(self, numbers: Sequence[int]) -> Awaitable[Claim]:
        """Record messages as in flight. See `Ledger.begin_known`.

        They are written in their order, so all are durable once the last one is.
        """
        now = time.time()
        *others, last = [
            change(number, UNCHANGED, _IN_FLIGHT, attempts=1, started_at=now) for number in numbers
        ]
        for row in others:
            self._writer.gather(row)
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
        message = UNCHANGED
        if self._forgets_content and state is State.ACCEPTED:
            message = message._replace(body=hashed(entry.body))
        row = change(
            number,
            message,
            state._value_,
            reason=NOTHING if reason is None else storable(reason) or NOTHING,
            provider_id=NOTHING if provider_id is None else storable(provider_id) or NOTHING,
            ended_at=time.time(),
        )
        self._writer.gather(row, is_kept=is_kept)

    def put(
        self,
        entry: Entry,
        number: int | None,
        skipped: SkipReason | None = None,
        reason: str | None = None,
    ) -> None:
        """Record a message as skipped or waiting. See `Ledger.put`."""
        number, message = self._placed(entry, number)
        state, why, ended_at = at_rest(skipped, reason)
        self._writer.gather(change(number, message, state, reason=why, ended_at=ended_at))

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
        found: Mapping[State, int] = await self.ask(sending.counts)
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

    async def begin_load(self) -> int:
        """Begin a load. See `Ledger.begin_load`."""
        number: int = await self.ask(lambda _: loading.begin(self._file))
        return number

    async def load(
        self, items: Sequence[Loading], load_number: int, *, tells_left_out: bool = False
    ) -> Sequence[Loaded]:
        """Record messages as queued or skipped. See `Ledger.load`."""
        first = self._next_number
        self._next_number += 2 * len(items)  # a duplicate takes a second one
        numbers = iter(range(first, self._next_number))

        def record(_: object) -> Sequence[Loaded]:
            load = loading.Load(self._file, load_number, numbers, tells_left_out=tells_left_out)
            return load.record(items)

        loaded: Sequence[Loaded] = await self.ask(record)
        return loaded

    async def end_load(
        self, load_number: int, *, replaces: bool, edited: Edited = Edited.EVERYONE
    ) -> int:
        """Record that a source was loaded to its end. See `Ledger.end_load`."""
        people: int = await self.ask(
            partial(loading.end, number=load_number, replaces=replaces, edited=edited)
        )
        return people

    async def left_out(self, after: int, limit: int) -> Sequence[tuple[int, Entry]]:
        """Read the messages of the last load that `end_load` left out."""
        found: Sequence[tuple[int, Entry]] = await self.ask(
            partial(loading.left_out, after=after, limit=limit)
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

    async def ask(self, task: Task) -> Any:
        """Run a function of the connection in the writer thread. See `Writer.ask`."""
        return await self._writer.ask(task)

    def _placed(self, entry: Entry, number: int | None) -> tuple[int, Row]:
        """Give a new entry its number; one that has a number stays as it is."""
        if number is not None:
            return number, UNCHANGED
        new = self._next_number
        self._next_number += 1
        return new, bound(entry)
