"""What the options of commands make of what is written."""

import time
from collections.abc import Iterator
from typing import Any

import click
import pytest

from connectus_async.cli.parameters import moment

OPTION = click.Option(["--expires-at"])


@pytest.fixture
def in_santiago(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A computer in Chile."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/Santiago")
        time.tzset()
        yield
    time.tzset()


def read(written: str) -> Any:
    return moment(click.Context(click.Command("send")), OPTION, written)


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="Windows sets its zone for all programs")
@pytest.mark.usefixtures("in_santiago")
def test_a_moment_without_an_offset_is_one_of_this_computers():
    """It is kept with its offset: a later command may run elsewhere."""
    assert read("2026-07-31T21:00") == "2026-07-31T21:00:00-04:00"
    assert read("2026-12-24 21:00") == "2026-12-24T21:00:00-03:00"
    assert read("2026-12-24T21:00+01:00") == "2026-12-24T21:00+01:00"


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="Windows sets its zone for all programs")
@pytest.mark.usefixtures("in_santiago")
@pytest.mark.parametrize("written", ["2026-04-04T23:30", "2026-09-06T00:30"])
def test_an_hour_in_which_the_clocks_change_is_asked_for_its_offset(written: str):
    """It would be an hour off, or is none at all."""
    with pytest.raises(click.BadParameter, match="say which it is with its offset, as in 2026-"):
        read(written)

    assert read(f"{written}-04:00") == f"{written}-04:00"


@pytest.mark.parametrize(
    "written", ["", "tomorrow", "21:00", "2026-12-24T24:01", "0001-01-01", "9999-12-31T23:59+00:00"]
)
@pytest.mark.skipif(not hasattr(time, "tzset"), reason="Windows sets its zone for all programs")
def test_what_is_no_moment_is_refused(monkeypatch: pytest.MonkeyPatch, written: str):
    """Nor is one at the end of time, which is in another year here."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        with pytest.raises(click.BadParameter, match="must be a date and a time, such as"):
            read(written)
    time.tzset()
