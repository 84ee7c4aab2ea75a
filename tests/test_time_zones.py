"""Naive times, as the API has them, on machines that may not know any zone."""

import datetime as dt
import subprocess
import sys
from zoneinfo import ZoneInfo

import pytest

from connectus_async import AsyncConnectus, ConfigurationError, InvalidArgumentError
from connectus_async.emulator import Emulator

SANTIAGO = ZoneInfo("America/Santiago")
UTC_NOON = dt.datetime(2099, 7, 31, 12, 0, tzinfo=dt.UTC)


async def test_an_aware_time_is_converted_to_the_clients_zone(
    connectus: AsyncConnectus, emulator: Emulator
):
    """Santiago is four hours behind in winter; a naive time is sent as it stands."""
    converted = await connectus.deliveries.create("Invierno", UTC_NOON, 1)
    as_it_stands = await connectus.deliveries.create("Invierno", UTC_NOON.replace(tzinfo=None), 1)

    assert converted.deliver_at == dt.datetime(2099, 7, 31, 8, 0)
    assert as_it_stands.deliver_at == dt.datetime(2099, 7, 31, 12, 0)


# Santiago: 23:00 to 24:00 comes twice on 4 April 2026, 0:00 to 1:00 on 6 September 2026 never.
TWICE = [
    "2026-04-04 23:00:00",
    "2026-04-04 23:59:59",
    dt.datetime(2026, 4, 4, 23, 30),
    dt.datetime(2026, 4, 5, 2, 30, tzinfo=dt.UTC),
    dt.datetime(2026, 4, 5, 3, 30, tzinfo=dt.UTC),
    dt.datetime(2026, 4, 4, 23, 30, tzinfo=SANTIAGO),
    dt.datetime(2026, 4, 4, 23, 30, fold=1, tzinfo=SANTIAGO),
]
NEVER = [
    "2026-09-06 00:00:00",
    "2026-09-06 00:59:59",
    dt.datetime(2026, 9, 6, 0, 30),
    dt.datetime(2026, 9, 6, 0, 30, tzinfo=SANTIAGO),
    dt.datetime(2026, 3, 8, 2, 30, tzinfo=ZoneInfo("America/New_York")),
]


@pytest.mark.parametrize(
    ("moment", "problem"),
    [*((moment, "comes twice") for moment in TWICE), *((moment, "not exist") for moment in NEVER)],
    ids=str,
)
async def test_an_hour_that_the_api_cannot_be_told_is_refused(
    connectus: AsyncConnectus, emulator: Emulator, moment: dt.datetime | str, problem: str
):
    """Where the clocks change, it would go out an hour early or late: the error says what to do."""
    with pytest.raises(
        InvalidArgumentError, match=f"^deliver_at: .*{problem}.*choose a"
    ) as created:
        await connectus.deliveries.create("Otoño", moment, 1)
    with pytest.raises(InvalidArgumentError, match=problem):
        await connectus.deliveries.update("c79", deliver_at=moment)

    assert "America/" in created.value.problem
    assert not emulator.requests


@pytest.mark.parametrize(
    ("moment", "wire"),
    [
        ("2099-01-01 23:59:59", (23, 59, 59)),
        (dt.datetime(2027, 4, 4, 1, 59, 59, tzinfo=dt.UTC), (22, 59, 59)),
        (dt.datetime(2027, 4, 4, 4, tzinfo=dt.UTC), (0, 0, 0)),
        (dt.datetime(2027, 9, 5, 3, 59, 59, tzinfo=dt.UTC), (23, 59, 59)),
        (dt.datetime(2027, 9, 5, 4, tzinfo=dt.UTC), (1, 0, 0)),
    ],
    ids=str,
)
async def test_the_hours_around_a_change_of_the_clocks_are_sent(
    connectus: AsyncConnectus, moment: dt.datetime | str, wire: tuple[int, int, int]
):
    """Up to the second before it, and from the second after it."""
    sent = (await connectus.deliveries.create("Otoño", moment, 1)).deliver_at

    assert (sent.hour, sent.minute, sent.second) == wire


@pytest.mark.parametrize(("year", "hours"), [(9999, -20), (1, 20)])
async def test_a_moment_at_the_end_of_time_is_refused(
    connectus: AsyncConnectus, year: int, hours: int
):
    """It cannot be converted."""
    far = dt.timezone(dt.timedelta(hours=hours))
    day = (12, 31, 23) if hours < 0 else (1, 1)
    with pytest.raises(InvalidArgumentError, match="deliver_at: is out of the range of dates"):
        await connectus.deliveries.create("Nunca", dt.datetime(year, *day, tzinfo=far), 1)


NO_DATABASE = "import sys, zoneinfo; sys.modules['tzdata'] = None; zoneinfo.reset_tzpath(to=());"


def run_without_database(program: str) -> str:
    """Run a program as on a plain Windows, which knows no time zones."""
    command = [sys.executable, "-c", NO_DATABASE + program]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_without_a_database_only_a_conversion_fails():
    """The client is made all the same, and the error says what to install."""
    program = """
import asyncio, datetime, connectus_async
client = connectus_async.AsyncConnectus("user", "key")
moment = datetime.datetime(2099, 7, 31, tzinfo=datetime.timezone.utc)
try:
    asyncio.run(client.deliveries.create("Invierno", moment, 1))
except connectus_async.ConfigurationError as error:
    print(error)
"""
    said = run_without_database(program)

    assert said.startswith("time_zone: 'America/Santiago' is unknown here")
    assert "pip install tzdata" in said


def test_without_a_database_a_naive_time_is_sent_as_it_stands():
    """Nothing is known of the clocks then, and nothing had to be."""
    program = """
import asyncio, datetime, connectus_async
client = connectus_async.AsyncConnectus("user", "key", base_url="http://127.0.0.1:9")
try:
    asyncio.run(client.deliveries.create("Invierno", datetime.datetime(2026, 4, 4, 23, 30), 1))
except connectus_async.ConnectError as error:
    print("tried")
"""
    assert run_without_database(program) == "tried\n"


def test_a_misspelt_zone_is_refused_at_once():
    """The client is not made."""
    with pytest.raises(ConfigurationError, match="'America/Satniago' is unknown here"):
        AsyncConnectus("user", "key", time_zone="America/Satniago")


def test_the_emulator_starts_without_a_database():
    """The demo runs on a plain Windows."""
    assert run_without_database("import connectus_async.emulator; print('done')") == "done\n"
