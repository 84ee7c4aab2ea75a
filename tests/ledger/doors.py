"""Use of a ledger's doors, for tests that know nothing behind them."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple, TypeVar

from anyio.to_thread import run_sync

from connectus_async.ledger.abc import Ledger, LedgerReader, LedgerStore
from connectus_async.ledger.records import Claim, Entry, Loading, Policy, Resolution
from connectus_async.ledger.states import OnUnknown, SkipReason, State

T = TypeVar("T")


def policy(
    campaign: str = "navidad",
    *,
    identity: str = "message",
    on_unknown: OnUnknown = OnUnknown.HOLD,
    forgets_content: bool = False,
) -> Policy:
    return Policy(campaign, identity, on_unknown, forgets_content)


def entry(
    key: str | None = "a",
    *,
    line: int | None = None,
    kind: str = "sms",
    recipient: str = "56987688060",
    text: str = "Hola",
    billed: int = 1,
    **route: str,
) -> Entry:
    body = json.dumps({"sms_content": text, **route}, ensure_ascii=False)
    return Entry(key, line, kind, recipient, body, billed)


@asynccontextmanager
async def opened(
    store: LedgerStore, campaign: str = "navidad", **options: Any
) -> AsyncIterator[Ledger]:
    """Be the holder of a ledger for a block."""
    ledger = store.ledger()
    await ledger.open(policy(campaign, **options))
    try:
        yield ledger
    finally:
        await ledger.close()


async def claims(ledger: Ledger, *entries: Entry) -> list[Claim]:
    """Begin messages at once, as many workers do."""
    return await settled(*[ledger.begin(one, None) for one in entries])


async def settled(*begun: Any) -> list[Claim]:
    """Wait for claims that were asked for at once."""
    return [one if isinstance(one, Claim) else await one for one in begun]


async def begin(ledger: Ledger, one: Entry, number: int | None = None) -> Claim:
    """Begin a message, and wait until it may be sent."""
    (claim,) = await settled(ledger.begin(one, number))
    return claim


async def finish(
    ledger: Ledger,
    one: Entry,
    state: State = State.ACCEPTED,
    reason: str | None = None,
    provider_id: str | None = None,
) -> int:
    """Begin and finish a message; return its number."""
    claim = await begin(ledger, one)
    assert claim.found is None
    ledger.finish(one, claim.number, state, reason, provider_id)
    return claim.number


async def bring(ledger: Ledger, one: Entry, state: State) -> int:
    """Bring a new message to a state; return its number."""
    if state is State.QUEUED:
        ledger.put(one, None)
        await ledger.flush()
        return next(number for number, found in await ledger.queued(0, 1_000) if found == one)
    if state is State.SKIPPED:
        ledger.put(one, None, SkipReason.SUPPRESSED)
    elif state is State.HELD:
        await finish(ledger, one, State.UNKNOWN, "no answer")
        await resolve(ledger, State.HELD, "its report is unreadable")
    elif state is not State.IN_FLIGHT:
        await finish(ledger, one, state, "because" if state is not State.ACCEPTED else None)
    claim = await begin(ledger, one)
    assert claim.found in {state, None}
    return claim.number


async def resolve(
    ledger: Ledger, state: State, reason: str | None = None, provider_id: str | None = None
) -> None:
    """Resolve the last of the unknown messages."""
    *_, message = await ledger.unresolved()
    await ledger.resolve([Resolution(message, state, reason, provider_id)])


async def load(ledger: Ledger, *entries: Entry, **options: Any) -> list[Any]:
    """Load a source to its end; return the results."""
    number = await ledger.begin_load()
    loaded = await ledger.load([Loading(one) for one in entries], number)
    await ledger.end_load(number, **{"replaces": False, **options})
    return list(loaded)


async def rows(store: LedgerStore, *fields: str) -> list[Any]:
    """Read messages as a reader sees them: some of their fields, or all."""
    return await run_sync(rows_now, store, *fields)


async def unreleased(store: LedgerStore) -> list[tuple[int, bool]]:
    """Count what is unreleased, and tell whether a present holder is to release it."""

    def read() -> list[tuple[int, bool]]:
        with store.read() as reader:
            return [(it.messages, it.place is not None) for it in reader.unreleased()]

    return await run_sync(read)


def rows_now(store: LedgerStore, *fields: str) -> list[Any]:
    """Do as `rows`, in a test that blocks."""
    with store.read() as reader:
        return fields_of(reader, *fields)


def fields_of(reader: LedgerReader, *fields: str) -> list[Any]:
    found: Iterable[Any] = [row for batch in reader.messages() for row in batch]
    if fields:
        found = (tuple(getattr(row, field) for field in fields) for row in found)
    return [row[0] if len(row) == 1 else row for row in found]


class Holder(NamedTuple):
    """Holder of a ledger in a test that blocks."""

    runner: asyncio.Runner
    ledger: Ledger

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    def finish(self, *args: Any, **kwargs: Any) -> int:
        """Begin and finish a message, and wait until both are written."""
        return self.run(_finished(self.ledger, *args, **kwargs))


async def _finished(ledger: Ledger, *args: Any, **kwargs: Any) -> int:
    number = await finish(ledger, *args, **kwargs)
    await ledger.flush()
    return number


@contextmanager
def held(store: LedgerStore, **options: Any) -> Iterator[Holder]:
    """Be the holder of a ledger for a block of a test that blocks."""
    with asyncio.Runner(debug=False) as runner:
        ledger = store.ledger()
        runner.run(ledger.open(policy(**options)))
        try:
            yield Holder(runner, ledger)
        finally:
            runner.run(ledger.close())
