"""By how much the API's clock is ahead of ours."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from connectus_async.answer import Response
from connectus_async.bulk.clock_offsets import CLOCK_SKEW, ahead, with_offset


@pytest.fixture
def far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "XXX+11")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="Windows sets its zone for all programs")
@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0000", ""])
def test_a_date_without_a_zone_is_in_utc(far_from_utc: None, zone: str):
    """By our own zone, the API's clock would be hours from ours, and other days be asked for."""
    date = format_datetime(datetime.now(UTC)).removesuffix("+0000") + zone

    offset = ahead(Response(200, {"Date": date.strip()}, b""))

    assert offset is not None
    assert abs(offset) < CLOCK_SKEW


@pytest.mark.parametrize("headers", [{}, {"Date": ""}, {"Date": "yesterday"}])
def test_an_answer_without_a_date_says_nothing(headers: dict[str, str]):
    assert ahead(Response(200, headers, b"")) is None


def test_an_offset_is_noted_once_and_not_at_all_if_nothing_depends_on_it():
    assert with_offset(None, CLOCK_SKEW) is None
    noted = with_offset(None, -3_600.4)
    assert noted == "[-3600]"
    assert with_offset(noted, -3_600.0 + CLOCK_SKEW) is None
    assert with_offset(noted, 7_200.0) == "[-3600,7200]"
