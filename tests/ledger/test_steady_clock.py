"""When something was is known, whatever is done to the system's clock."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectus_async.ledger import steady_clock
from connectus_async.ledger.steady_clock import MAX_PERIODS, SLACK, SteadyClock

NOON = 1_800_000_000.0
DAY = 86_400.0


class Machine:
    """A machine whose time a test lets pass, and whose clock it sets."""

    def __init__(self):
        self.passed = 1_000.0
        self.shown = NOON

    def live(self, seconds):
        self.passed += seconds
        self.shown += seconds


@pytest.fixture
def machine(monkeypatch):
    machine = Machine()
    monkeypatch.setattr(steady_clock, "monotonic", lambda: machine.passed)
    monkeypatch.setattr(time, "time", lambda: machine.shown)
    return machine


@pytest.fixture
def clock(machine):
    return SteadyClock()


def ago(clock, unix):
    return clock.now() - clock.moment(unix)


def test_without_jumps_it_is_the_clock_of_the_system(clock, machine):
    """For what was before it was made, too."""
    machine.live(50)
    assert ago(clock, NOON + 20) == 30
    assert ago(clock, NOON - DAY) == DAY + 50
    assert clock.unix_now() == machine.shown
    assert clock.span(clock.now() - 10) == (machine.shown - 10, machine.shown + SLACK)


@pytest.mark.parametrize("jump", [DAY, -DAY, 365 * DAY, -365 * DAY])
def test_a_jump_changes_no_age(clock, machine, jump):
    """Of what was before it, nor of what comes after."""
    before = machine.shown
    machine.live(10)
    assert clock.now() == 1_010
    machine.shown += jump
    assert ago(clock, before) == 10
    after = machine.shown
    machine.live(5)
    assert ago(clock, after) == 5
    assert ago(clock, before) == 15
    assert clock.unix_now() == NOON + 15


def test_an_hour_that_comes_twice_counts_as_the_later_one(clock, machine):
    """Nothing looks older than it is: it would be given up too early."""
    machine.live(3_600)
    clock.now()
    machine.shown -= 3_600
    machine.live(1_800)
    assert ago(clock, NOON + 1_000) == 800
    assert ago(clock, NOON + 3_000) == 600 + 1_800  # the later one is yet to come


@pytest.mark.parametrize(("unix", "jump"), [(NOON + DAY, 0), (NOON + DAY, 2 * DAY)])
def test_a_time_that_never_was_counts_as_the_beginning(clock, machine, unix, jump):
    """It is yet to come, or was left out: the clock was another one when it was written down."""
    machine.live(100)
    clock.now()
    machine.shown += jump
    machine.live(100)
    assert ago(clock, unix) == 200


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_a_span_holds_what_was_in_it(clock, machine, jump):
    """On both sides of a jump; what came before it is not in it, where that can be told."""
    machine.live(100)
    old = machine.shown
    machine.live(10)
    inside = machine.shown
    machine.live(1)
    clock.now()
    machine.shown += jump
    machine.live(20)
    earliest, latest = clock.span(clock.now() - 25)
    assert earliest <= inside <= latest
    assert earliest <= machine.shown <= latest
    assert jump < 0 or old < earliest


def test_it_remembers_no_more_jumps_than_it_has_to(clock, machine):
    """A clock that somebody sets all day long costs no more."""
    for number in range(2 * MAX_PERIODS):
        machine.live(10)
        machine.shown += DAY * (number % 3 - 1) or 5
        clock.now()
    assert len(clock._periods) <= MAX_PERIODS + 1
    assert ago(clock, machine.shown) == 0
    assert 0 <= ago(clock, NOON - 7) <= 7 + 10 * 2 * MAX_PERIODS


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(-1e7, 1e7)), max_size=12))
def test_nothing_is_yet_to_come_nor_older_than_it_is(steps):
    """Whatever happens to the clock: the age of what was just written is at most its own."""
    machine = Machine()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steady_clock, "monotonic", lambda: machine.passed)
        patch.setattr(time, "time", lambda: machine.shown)
        clock = SteadyClock()
        written = []
        for seconds, jump in steps:
            machine.live(seconds)
            clock.now()
            written.append((machine.shown, machine.passed))
            machine.shown += jump
            for shown, passed in written:
                assert 0 <= ago(clock, shown) <= machine.passed - passed + SLACK
