"""No sequence of sends, failures, crashes, resumes and reconciles sends twice or loses a message.

The machine runs real campaigns against the emulator, whose answers it scripts. A crash is what the
disk has at that moment: a copy of the ledger and its log, with which the campaign goes on.
"""

import asyncio
import datetime as dt
import json
import shutil
import sqlite3
import tempfile
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from loop_time import LIMIT, pass_time

from connectus_async import (
    AsyncConnectus,
    AuthenticationError,
    CampaignStoppedError,
    ConnectusError,
    Email,
    InvalidArgumentError,
    PaymentRequiredError,
    Sms,
    WhatsApp,
)
from connectus_async.bulk.pacing import Pacer
from connectus_async.bulk.pacing.backoff import Backoff
from connectus_async.bulk.reconcile import ALTERED, NO_REPORT
from connectus_async.emulator import Emulator, Fault
from connectus_async.ledger.sqlite import codes, key_index
from connectus_async.ledger.sqlite.schema import WATERMARK
from connectus_async.ledger.states import STEPS, OnUnknown, State
from connectus_async.products.messages import Message, Row

SETTLE = 0.001
SEND_ROUTES = ("sms.send", "whatsapp.send", "email.send")
REPORT_ROUTES = ("sms.by_date", "whatsapp.messages")
ENDS = {State.ACCEPTED, State.REJECTED, State.HELD}
STOPS = (AuthenticationError, CampaignStoppedError, PaymentRequiredError)

ANSWERS = {
    "accept": None,
    "accept without an id": Fault.status(200, {"status": "EN_COLA"}, acted=True),
    "act, then a page": Fault.garbage(),
    "act, then reset": Fault.reset_after(),
    "reset before acting": Fault.reset_before(),
    "act, then 502": Fault.status(502, acted=True),
    "502": Fault.status(502),
    "act, then break off": Fault.half_answer(),
    "429": Fault.too_many(0),
    "400": Fault.status(400),
    "401": Fault.status(401),
    "402": Fault.status(402),
}
CRASHES = ("crash before acting", "crash after acting")
SILENCE = "act, then say nothing"
REPORTS = {
    "show": None,
    "500": Fault.status(500),
    "garbage": Fault.garbage(),
    "reset": Fault.reset_before(),
}

DERIVED = f"CASE WHEN new.id <= {WATERMARK} THEN 'in_flight' ELSE 'queued' END"
TRACE = (
    "CREATE TABLE step (id INTEGER PRIMARY KEY, before TEXT, after TEXT, reason TEXT)",
    """CREATE TRIGGER appears AFTER INSERT ON entry BEGIN
       INSERT INTO step VALUES (NULL, NULL, 'queued', NULL); END""",
    """CREATE TRIGGER begins BEFORE INSERT ON begun BEGIN
       INSERT INTO step SELECT NULL, state, 'in_flight', NULL FROM message
       WHERE id > (SELECT max(upto) FROM begun) AND id <= new.upto
             AND id NOT IN (SELECT id FROM outcome); END""",
    f"""CREATE TRIGGER ends AFTER INSERT ON outcome
       WHEN {DERIVED} IS NOT {codes.state_name("new.state")} BEGIN
       INSERT INTO step VALUES (NULL, {DERIVED}, {codes.state_name("new.state")}, NULL); END""",
    f"""CREATE TRIGGER moves AFTER UPDATE OF state ON outcome WHEN old.state IS NOT new.state BEGIN
       INSERT INTO step VALUES (NULL, {codes.state_name("old.state")},
                                {codes.state_name("new.state")}, old.reason); END""",
)
"""Makes the ledger itself write down every step that a message takes, crashes included."""


class Name(NamedTuple):
    """What tells a message from the others of the campaign, as the phone and the ledger see it."""

    recipient: str
    text: str
    key: str | None


class Kept(NamedTuple):
    """A message in the ledger."""

    state: State
    attempts: int


def message_to(recipient: str, text: str) -> Message:
    if "@" in recipient:
        return Email(recipient, text, text, src_email="yo@example.com")
    if recipient.startswith("55"):
        return WhatsApp(recipient, text, src_number=SOURCE)
    return Sms(recipient, text)


def row_of(name: Name) -> Row:
    return Row(None, message_to(name.recipient, name.text), key=name.key)


def name_of(recipient: str, text: str, twin: str | None) -> Name:
    return Name(recipient, text, twin and f"{recipient} {text[0]} {twin}")


SOURCE = "56999944837"
EARLIER = "Antes"
WITNESSES = [Name("56960000001", "Al final", None), Name("5511960000004", "Al final", None)]
"""What is accepted after all that is unknown; earlier ones are not of the ledger."""

names = st.builds(
    name_of,
    st.sampled_from(["56960000001", "56960000002", "56960000003", "5511960000004", "a@b.cl"]),
    st.sampled_from(["Hola", "Mañana 😀"]),
    st.sampled_from([None, None, "a", "b"]),
)
sources = st.builds(
    lambda once, again: [*once, *once[:again]],
    st.lists(names, min_size=1, max_size=5),
    st.integers(0, 3),
)
answers = st.lists(st.sampled_from([*ANSWERS, SILENCE, *CRASHES]), max_size=8)
words = st.sampled_from(list(OnUnknown))
budgets = st.sampled_from([None, None, None, 3])
concurrencies = st.sampled_from([(1, 1), (2, 2), (4, 4), (4, 1)])
"""How many workers there are, and how many of them may send at a time."""


class CampaignMachine(RuleBasedStateMachine):
    """A campaign, and what must be true of it at every rest."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner(debug=False)  # debugging a loop makes it slow
        self.before = 0.0  # hours
        self.emulator = Emulator(clock=self._clock)
        self.script: deque[str] = deque()
        self.reports: deque[str] = deque()
        self.given: set[Name] = set()
        self.recorded: set[Name] = set()
        self.sent_again: Counter[Name] = Counter()
        self.path = self.folder / "0.db"
        self.crashes = self.refusals = 0
        self.is_dead = False
        self.runner.run(self._start())

    async def _start(self) -> None:
        await self.emulator.__aenter__()
        for route in SEND_ROUTES:
            self.emulator.fault(Fault("script", self._answer), route=route)
        for route in REPORT_ROUTES:
            self.emulator.fault(Fault("script", self._report), route=route)
        self.client = AsyncConnectus(
            self.emulator.api_user,
            self.emulator.api_key,
            base_url=self.emulator.base_url,
            timeout=LIMIT,
            connect_timeout=LIMIT,
        )
        self.before = 1.0
        await self.client.sms.send(WITNESSES[0].recipient, EARLIER)
        await self.client.whatsapp.send(WITNESSES[1].recipient, EARLIER, src_number=SOURCE)
        self.before = 0.0

    def _clock(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC) - dt.timedelta(hours=self.before)

    async def _answer(self, request: Any, act: Callable[[], Awaitable[Any]]) -> Any:
        if self.is_dead:
            await self.buried.wait()
            return await Fault.reset_before().run(request, act)
        word = self.script.popleft() if self.script else "accept"
        if word in CRASHES:
            self.is_dead = True
            if word == "crash after acting":
                await act()
            await self._copy()
            return await Fault.reset_before().run(request, act)
        if word == SILENCE:
            await act()
            return await self._say_nothing()
        self.refusals += word == "400"
        fault = ANSWERS[word]
        return await (fault.run(request, act) if fault else act())

    async def _say_nothing(self) -> Any:
        """Let the time limit run out, once all that are on their way are met with silence."""
        self.silent += 1
        while self.bulk.progress().in_flight > self.silent:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
        pass_time()
        self.silent = 0
        await asyncio.Event().wait()  # the end of the connection cancels the request

    async def _report(self, request: Any, act: Callable[[], Awaitable[Any]]) -> Any:
        fault = REPORTS[self.reports.popleft() if self.reports else "show"]
        return await (fault.run(request, act) if fault else act())

    async def _copy(self) -> None:
        """Take what the disk has; nothing that is under way gets any further meanwhile."""
        self.crashes += 1
        copied = self.folder / f"{self.crashes}.db"
        for suffix in ("", "-wal"):
            await asyncio.to_thread(shutil.copyfile, f"{self.path}{suffix}", f"{copied}{suffix}")
        self.path = copied
        self.bulk.cancel()
        self.buried.set()

    async def _open(
        self,
        on_unknown: OnUnknown,
        budget: int | None = None,
        concurrency: tuple[int, int] = (2, 2),
    ) -> None:
        is_new = not self.path.exists()
        if on_unknown is OnUnknown.RESEND and not is_new:
            for name, kept in self._on_disk().items():
                if kept.state in {State.IN_FLIGHT, State.UNKNOWN, State.HELD}:
                    self.sent_again[name] += 1
        self.is_dead, self.buried, self.silent = False, asyncio.Event(), 0
        self.bulk = self.client.bulk(
            ledger=self.path, on_unknown=on_unknown, budget=budget, concurrency=concurrency[0]
        )
        await self.bulk.__aenter__()
        self.bulk.set_concurrency(concurrency[1])
        for statement in TRACE if is_new else ():
            await self._ask(statement)

    async def _close(self) -> None:
        await self.bulk.__aexit__(None, None, None)

    async def _ask(self, question: str) -> list[Any]:
        answer: list[Any] = await self.bulk._ledger.ask(
            lambda connection: connection.execute(question)
        )
        return answer

    def _on_disk(self) -> dict[Name, Kept]:
        with closing(sqlite3.connect(self.path)) as connection:
            return _kept(connection.execute(MESSAGES))

    async def _survive(self, on_unknown: OnUnknown) -> None:
        """Go on with what the crash has left, if there was one."""
        if not self.is_dead:
            return
        await self._close_dead()
        self.script.clear()
        await self._open(on_unknown)

    async def _close_dead(self) -> None:
        with suppress(ConnectusError):
            await self._close()

    @initialize(on_unknown=words, concurrency=concurrencies)
    def begin(self, on_unknown: OnUnknown, concurrency: tuple[int, int]) -> None:
        self.runner.run(self._open(on_unknown, None, concurrency))

    @rule(source=sources, script=answers, after_crash=words)
    def stream(self, source: Sequence[Name], script: Sequence[str], after_crash: OnUnknown) -> None:
        """Send messages, to the end."""
        self.runner.run(self._stream(source, script, after_crash))

    @rule(source=sources, script=answers, after_crash=words, ends=st.integers(1, 3))
    def stream_and_cancel(
        self, source: Sequence[Name], script: Sequence[str], after_crash: OnUnknown, ends: int
    ) -> None:
        """Send messages, and cancel after some outcomes."""
        self.runner.run(self._stream(source, script, after_crash, cancels_after=ends))

    @rule(source=sources, script=answers, after_crash=words, ends=st.integers(1, 3))
    def stream_and_leave(
        self, source: Sequence[Name], script: Sequence[str], after_crash: OnUnknown, ends: int
    ) -> None:
        """Send messages, and break off after some outcomes."""
        self.runner.run(self._stream(source, script, after_crash, leaves_after=ends))

    @rule(script=answers, after_crash=words)
    def resume(self, script: Sequence[str], after_crash: OnUnknown) -> None:
        """Send what waits in the ledger."""
        self.runner.run(self._stream(None, script, after_crash))

    @rule(source=sources)
    def load(self, source: Sequence[Name]) -> None:
        """Put messages down, with a row that is none among them."""
        self.given |= set(source)
        bad = Row(7, InvalidArgumentError("dst_number", "is empty"))
        self.runner.run(self.bulk.load([bad, *map(row_of, source)]))
        assert self.given >= set(source)

    @rule(source=sources)
    def pause(self, source: Sequence[Name]) -> None:
        """While a campaign is paused nothing leaves; then everything does."""
        self.runner.run(self._pause(source))

    @rule(reports=st.lists(st.sampled_from(list(REPORTS)), max_size=6))
    def reconcile(self, reports: Sequence[str]) -> None:
        """Ask what became of the unknown, of an API that does not always answer."""
        self.reports.extend(reports)
        self.runner.run(self.bulk.reconcile(settle=SETTLE))
        self.reports.clear()

    @rule(on_unknown=words, budget=budgets, concurrency=concurrencies)
    def reopen(
        self, on_unknown: OnUnknown, budget: int | None, concurrency: tuple[int, int]
    ) -> None:
        """Stop in an orderly way, and take it up again."""

        async def reopen() -> None:
            await self._close()
            await self._open(on_unknown, budget, concurrency)

        self.runner.run(reopen())

    @rule(on_unknown=words)
    def crash_at_rest(self, on_unknown: OnUnknown) -> None:
        """Be killed while nothing is under way."""

        async def crash() -> None:
            self.is_dead = True
            await self._copy()
            await self._survive(on_unknown)

        self.runner.run(crash())

    async def _stream(
        self,
        source: Sequence[Name] | None,
        script: Sequence[str],
        after_crash: OnUnknown,
        *,
        cancels_after: int | None = None,
        leaves_after: int | None = None,
    ) -> None:
        self.script.extend(script)
        pulled: list[Name] = []
        rows = None if source is None else self._pulled_from(source, pulled)
        count = 0
        with suppress(*STOPS):
            try:
                async with aclosing(self.bulk.stream(rows)) as outcomes:
                    async for _ in outcomes:
                        count += 1
                        if count == cancels_after:
                            self.bulk.cancel()
                        if count == leaves_after:
                            break
                if leaves_after is not None and self.bulk._run is not None:
                    await self.bulk._run.ended()
            except ConnectusError:
                if not self.is_dead:
                    raise
        self.script.clear()
        if self.is_dead:
            await self._survive(after_crash)
        else:
            assert set(pulled) <= (await self._kept()).keys()

    def _pulled_from(self, source: Sequence[Name], pulled: list[Name]) -> Iterator[Row]:
        for name in source:
            pulled.append(name)
            self.given.add(name)
            yield row_of(name)

    async def _pause(self, source: Sequence[Name]) -> None:
        self.given |= set(source)
        before = self.emulator.requests.total()
        self.bulk.pause()
        running = asyncio.ensure_future(self.bulk.run(map(row_of, source)))
        for _ in range(20):
            await asyncio.sleep(0)
        assert self.emulator.requests.total() == before
        self.bulk.resume()
        await running

    async def _kept(self) -> dict[Name, Kept]:
        return _kept(await self._ask(MESSAGES))

    @invariant()
    def nothing_is_lost_or_sent_twice(self) -> None:
        self.runner.run(self._check())

    async def _check(self) -> None:
        kept = await self._kept()
        assert kept.keys() >= self.recorded
        self.recorded = set(kept)
        assert kept.keys() <= self.given
        states = [message.state for message in kept.values()]
        assert State.IN_FLIGHT not in states
        assert states.count(State.REJECTED) <= self.refusals
        reached = self._reached()
        accepted = {name: message.state is State.ACCEPTED for name, message in kept.items()}
        assert self._totals(accepted) <= reached
        assert reached <= self._totals({name: message.attempts for name, message in kept.items()})
        assert reached <= self._totals({name: 1 + self.sent_again[name] for name in kept})
        await self._check_steps()

    async def _check_steps(self) -> None:
        for before, after, reason in await self._ask("SELECT before, after, reason FROM step"):
            match before, after:
                case None, (State.QUEUED | State.IN_FLIGHT | State.SKIPPED):
                    pass
                case State.HELD, State.QUEUED:
                    pass
                case State.SKIPPED, State.QUEUED:
                    assert reason == "over_budget"
                case _:
                    assert State(after) in STEPS[State(before)]
        await self._ask("DELETE FROM step")

    def _reached(self) -> Counter[tuple[str, str]]:
        received = self.emulator.received
        return Counter((got.recipient, got.content) for got in received if got.content != EARLIER)

    @staticmethod
    def _totals(counts: dict[Name, int]) -> Counter[tuple[str, str]]:
        totals: Counter[tuple[str, str]] = Counter()
        for name, count in counts.items():
            totals[name.recipient, name.text] += count
        return totals

    def teardown(self) -> None:
        try:
            if hasattr(self, "bulk"):
                self.runner.run(self._finish())
        finally:
            self.runner.run(self._stop())
            self.runner.close()
            shutil.rmtree(self.folder)

    async def _finish(self) -> None:
        """Run the same file again, ask what became of the rest, and see that all has an end."""
        await self._close()
        await self._open(OnUnknown.RESEND_IF_ABSENT)
        await self.bulk.run(map(row_of, sorted(self.given, key=str)))
        self.given |= set(WITNESSES)
        await self.bulk.run(map(row_of, WITNESSES))
        await self.bulk.reconcile(settle=SETTLE)
        await self.bulk.run()
        await self._check()
        kept = await self._kept()
        assert kept.keys() == self.given
        reached = self._reached()
        assert {message.state for message in kept.values()} <= ENDS
        in_state = {
            state: self._totals({name: kept_.state == state for name, kept_ in kept.items()})
            for state in State
        }
        resent = self._totals(self.sent_again)
        for place, count in reached.items():
            accepted, held = in_state[State.ACCEPTED][place], in_state[State.HELD][place]
            assert accepted <= count <= accepted + held + resent[place]
        reasons = await self._ask("SELECT reason FROM message WHERE state = 'held'")
        assert {reason for (reason,) in reasons} <= {NO_REPORT, ALTERED}
        await self._close()

    async def _stop(self) -> None:
        if hasattr(self, "bulk"):
            await self._close_dead()
        await self.client.close()
        await self.emulator.__aexit__(None, None, None)


MESSAGES = "SELECT recipient, body, key, state, attempts FROM message WHERE kind <> 'invalid'"


def _kept(rows: Any) -> dict[Name, Kept]:
    kept = {}
    for recipient, body, key, state, attempts in rows:
        fields = json.loads(body)
        text = next(fields[name] for name in fields if name.endswith("_content"))
        own = key.removeprefix("key: ") if key.startswith("key: ") else None
        name = Name(recipient, text, own)
        assert name not in kept
        kept[name] = Kept(State(state), attempts)
    return kept


@pytest.mark.timeout(1_800)
def test_no_sequence_of_events_sends_twice_or_loses_a_message(monkeypatch: pytest.MonkeyPatch):
    """Whatever happens in whatever order, the ledger knows who was reached."""
    monkeypatch.setattr(Backoff, "FIRST", 0.0005)
    monkeypatch.setattr(Backoff, "LONGEST", 0.001)
    monkeypatch.setattr(Pacer, "_start_throttling", lambda *_: None)
    monkeypatch.setattr(key_index, "MOST_IN_MEMORY", 3)
    run_state_machine_as_test(
        CampaignMachine,
        settings=settings(
            max_examples=80,
            stateful_step_count=12,
            suppress_health_check=list(HealthCheck),
        ),
    )
