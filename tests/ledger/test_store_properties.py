"""Conformance of stores: no sequence of calls begins a message twice or loses one."""

import asyncio
from collections.abc import Sequence
from typing import Any, TypeAlias

from doors import begin, claims, entry, load, opened, rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stores import MakeStore

from connectus_async.ledger.abc import Ledger, LedgerStore
from connectus_async.ledger.records import Resolution
from connectus_async.ledger.states import STEPS, OnUnknown, SkipReason, State

Step: TypeAlias = tuple[str, Any, Sequence[str]]

KEYS = st.lists(st.sampled_from("abcde"), min_size=1, max_size=6)
STEPS_OF_A_CAMPAIGN = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.none(), KEYS),
        st.tuples(st.just("finish"), st.sampled_from(sorted(STEPS[State.IN_FLIGHT])), KEYS),
        st.tuples(st.just("put"), st.sampled_from([None, *SkipReason]), KEYS),
        st.tuples(st.sampled_from(["load", "load and ask"]), st.booleans(), KEYS),
        st.tuples(st.just("skip"), st.none(), KEYS),
        st.tuples(st.just("resolve"), st.sampled_from(sorted(STEPS[State.UNKNOWN])), KEYS),
        st.tuples(st.just("reopen"), st.sampled_from(list(OnUnknown)), st.just(())),
    ),
    min_size=3,
    max_size=14,
)


class Model:
    """Messages as they are to be, by their keys."""

    def __init__(self) -> None:
        self.states: dict[str, State] = {}
        self.attempts: dict[str, int] = {}
        self.skipped: dict[str, SkipReason | str] = {}

    def expected(self) -> dict[str, tuple[State, int]]:
        return {key: (state, self.attempts[key]) for key, state in self.states.items()}

    def keys(self, state: State, among: Sequence[str]) -> list[str]:
        return [key for key in dict.fromkeys(among) if self.states.get(key) is state]

    def add(self, key: str, state: State, reason: SkipReason | None = None) -> None:
        if key not in self.states:
            self.states[key], self.attempts[key] = state, 0
            if reason:
                self.skipped[key] = reason

    def begin(self, key: str) -> State | None:
        """Begin a message; return the state in which it is found, if it must not be begun."""
        self.add(key, State.QUEUED)
        if (found := self.states[key]) is not State.QUEUED:
            return found
        self.states[key] = State.IN_FLIGHT
        self.attempts[key] += 1
        return None

    def load(self, keys: Sequence[str], *, replaces: bool) -> None:
        for key in keys:
            self.add(key, State.QUEUED)
            returns = self.skipped.get(key) in {"replaced", SkipReason.TOO_OFTEN}
            if self.states[key] is State.SKIPPED and returns:
                self.states[key] = State.QUEUED
        for key, state in self.states.items() if replaces else ():
            if state is State.QUEUED and key not in keys:
                self.states[key], self.skipped[key] = State.SKIPPED, "replaced"

    def reopen(self, on_unknown: OnUnknown) -> None:
        for key, state in self.states.items():
            if state is State.SKIPPED and self.skipped.get(key) is SkipReason.OVER_BUDGET:
                self.states[key] = State.QUEUED
            elif state in {State.IN_FLIGHT, State.UNKNOWN, State.HELD}:
                resends = on_unknown is OnUnknown.RESEND
                left = State.UNKNOWN if state is State.IN_FLIGHT else state
                self.states[key] = State.QUEUED if resends else left


@given(steps=STEPS_OF_A_CAMPAIGN)
@settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_ledger_is_as_its_calls_say(make_store: MakeStore, steps: Sequence[Step]):
    """Claims, outcomes, loads and resolutions in any order, with as many holders as there are."""
    with asyncio.Runner(debug=False) as runner:
        runner.run(_follow(make_store(), steps))


async def _follow(store: LedgerStore, steps: Sequence[Step]) -> None:
    model, on_unknown = Model(), OnUnknown.HOLD
    while steps:
        ends = [place for place, (step, _, _) in enumerate(steps) if step == "reopen"]
        end = ends[0] if ends else len(steps)
        model.reopen(on_unknown)
        async with opened(store, on_unknown=on_unknown) as ledger:
            for step in steps[:end]:
                await _take(ledger, model, *step)
            assert await ledger.counts() == _counts(model)
        found = await rows(store, "key", "state", "attempts")
        assert {key: (state, tries) for key, state, tries in found if key} == model.expected()
        on_unknown = steps[end][1] if ends else on_unknown
        steps = steps[end + 1 :]


async def _take(ledger: Ledger, model: Model, step: str, how: Any, keys: Sequence[str]) -> None:
    if step == "begin":
        found = await claims(ledger, *map(entry, keys))
        assert [claim.found for claim in found] == [model.begin(key) for key in keys]
    elif step == "finish":
        for key in model.keys(State.IN_FLIGHT, keys):
            ledger.finish(entry(key), (await begin(ledger, entry(key))).number, how, None, None)
            model.states[key] = how
    elif step == "put":
        for key in keys:
            ledger.put(entry(key), None, how)
            model.add(key, State.SKIPPED if how else State.QUEUED, how)
    elif step in {"load", "load and ask"}:
        asks = step == "load and ask"
        await load(ledger, *map(entry, dict.fromkeys(keys)), replaces=how, releases=not asks)
        model.load(keys, replaces=how)
        if asks:
            await ledger.take_unreleased()
            await ledger.release()
    elif step == "skip":
        waiting = model.keys(State.QUEUED, keys)
        numbers = [it for it, one in await ledger.queued(0, 100) if one.key in keys]
        assert await ledger.skip_too_often(numbers) == len(waiting)
        model.states.update(dict.fromkeys(waiting, State.SKIPPED))
        model.skipped.update(dict.fromkeys(waiting, SkipReason.TOO_OFTEN))
    else:
        wanted = model.keys(State.UNKNOWN, keys)
        numbers = [(await begin(ledger, entry(key))).number for key in wanted]
        messages = await ledger.unresolved()
        await ledger.resolve([Resolution(it, how) for it in messages if it.number in numbers])
        model.states.update(dict.fromkeys(wanted, how))


def _counts(model: Model) -> dict[State, int]:
    """Count the messages of a model."""
    states = list(model.states.values())
    return {state: states.count(state) for state in State if state in states}
