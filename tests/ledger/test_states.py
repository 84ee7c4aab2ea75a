"""The state machine of a message: where it can go, and that it never goes out twice by itself."""

from connectus_async.ledger.states import MAY_BE_SENT, STEPS, OnUnknown, SkipReason, State


def reachable(state: State) -> set[State]:
    """Collect every state that a message can come to by itself from one."""
    found: set[State] = set()
    ahead = {state}
    while ahead:
        new = STEPS[ahead.pop()] - found
        found |= new
        ahead |= new
    return found


def test_every_state_has_its_steps():
    """No state is left out of the table, and none is in it that does not exist."""
    assert set(STEPS) == set(State)
    assert set().union(*STEPS.values()) <= set(State)


def test_every_state_comes_from_being_queued():
    """A message begins queued, and there is no state that it could not come to from there."""
    assert reachable(State.QUEUED) == set(State)


def test_every_state_can_come_to_an_end():
    """No message can end up in a circle without a way out."""
    for state in State:
        ends = {end for end in {state, *reachable(state)} if end.is_final}
        assert ends, state


def test_the_states_that_nothing_moves_are_the_four_ends():
    """They are what a campaign is to end in."""
    assert {state for state in State if state.is_final} == {
        State.ACCEPTED,
        State.REJECTED,
        State.HELD,
        State.SKIPPED,
    }


def test_a_message_leaves_only_from_being_queued():
    """There is one way on to the wire, and so one place to guard."""
    assert {state for state in State if State.IN_FLIGHT in STEPS[state]} == {State.QUEUED}


def test_what_may_have_been_sent_is_queued_only_by_reconciling():
    """From in flight, a message is queued again only if it certainly was not sent."""
    queued_from = {state for state in State if State.QUEUED in STEPS[state]}

    assert queued_from == {State.IN_FLIGHT, State.UNKNOWN}
    assert State.QUEUED not in STEPS[State.HELD]


def test_what_may_have_been_sent_costs():
    """The budget counts a message until it certainly was not sent."""
    assert set(State) - MAY_BE_SENT == {State.QUEUED, State.REJECTED, State.SKIPPED}


def test_the_words_are_those_of_the_ledger_and_the_command_line():
    """They are kept in files and typed by people: changing one would break both."""
    assert list(State) == [
        "queued",
        "in_flight",
        "accepted",
        "rejected",
        "unknown",
        "held",
        "skipped",
    ]
    assert list(SkipReason) == [
        *("invalid", "duplicate", "suppressed", "expired", "over_budget", "superseded"),
        *("too_often", "has_another"),
    ]
    assert list(OnUnknown) == ["hold", "resend_if_absent", "resend"]
