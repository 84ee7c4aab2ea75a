"""Nobody gets more than so many messages in a time: what is counted, and what is a cap."""

import tracemalloc

import pytest

from connectus_async import ConfigurationError
from connectus_async.recipients.frequency import FrequencyCap, Reached


@pytest.mark.parametrize(
    ("written", "most", "hours"),
    [("2/7d", 2, 168), ("1/24h", 1, 24), ("3/4w", 3, 672), ("9999/366d", 9_999, 8_784)],
)
def test_a_cap_is_a_number_in_a_time(written: str, most: int, hours: int):
    """In hours, days or weeks."""
    cap = FrequencyCap.parse(written)
    assert cap == FrequencyCap(most, hours * 3_600.0) == FrequencyCap.parse(str(cap))


@pytest.mark.parametrize("written", ["", "2", "2/7", "0/7d", "2/0d", "2/7m", "2 / 7d", "2/367d"])
def test_what_is_no_cap_is_refused(written: str):
    """Nor is a time of more than a year."""
    with pytest.raises(ConfigurationError, match="must be a number of messages in hours, days"):
        FrequencyCap.parse(written)


def test_people_are_counted_in_any_spelling():
    """Of several ledgers together; the same phone rings for both numbers of a Mexican mobile."""
    reached = Reached(2)
    reached.add(["5215512345678", "Ana@example.com", "56987688060"])
    reached.add(["525512345678", "ana@example.com", "56987688061"])
    reached.end()
    for recipient in ("5215512345678", "525512345678", "ANA@EXAMPLE.COM"):
        assert reached.is_too_often(recipient)
    for recipient in ("56987688060", "56987688061", "56987688062"):
        assert not reached.is_too_often(recipient)


def test_many_people_take_little_memory():
    """Some eight bytes for each message."""
    reached = Reached(1)
    tracemalloc.start()
    try:
        for first in range(0, 200_000, 1_000):
            reached.add([str(56_900_000_000 + number) for number in range(first, first + 1_000)])
        reached.end()
        size, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < 200_000 * 10
    assert peak < 200_000 * 20
    assert reached.is_too_often("56900123456")
    assert not reached.is_too_often("56900200000")
