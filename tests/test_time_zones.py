"""Times without a zone, as the API has them, on machines that may not know any zone."""

import datetime as dt
import subprocess
import sys

import pytest

from connectus_async import AsyncConnectus, ConfigurationError
from connectus_async.emulator import Emulator

UTC_NOON = dt.datetime(2099, 7, 31, 12, 0, tzinfo=dt.UTC)


async def test_an_aware_time_is_converted_to_the_clients_zone(
    connectus: AsyncConnectus, emulator: Emulator
):
    """Santiago is four hours behind in winter; a naive time is sent as it stands."""
    converted = await connectus.deliveries.create("Invierno", UTC_NOON, 1)
    as_it_stands = await connectus.deliveries.create("Invierno", UTC_NOON.replace(tzinfo=None), 1)

    assert converted.deliver_at == dt.datetime(2099, 7, 31, 8, 0)
    assert as_it_stands.deliver_at == dt.datetime(2099, 7, 31, 12, 0)


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

    assert said.startswith("time_zone: 'America/Santiago' is not known here")
    assert "pip install tzdata" in said


def test_a_misspelt_zone_is_refused_at_once():
    """The client is not made."""
    with pytest.raises(ConfigurationError, match="'America/Satniago' is not known"):
        AsyncConnectus("user", "key", time_zone="America/Satniago")


def test_the_emulator_starts_without_a_database():
    """The demo runs on a plain Windows."""
    assert run_without_database("import connectus_async.emulator; print('done')") == "done\n"
