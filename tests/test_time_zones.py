"""Times without a zone, as the API has them, on machines that may not know any zone."""

import datetime as dt
import subprocess
import sys
from collections.abc import Iterator
from zoneinfo import ZoneInfo

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


@pytest.fixture
def no_time_zones(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take the time zone database away, as on a plain Windows."""
    import zoneinfo  # noqa: PLC0415 - its state is what is changed

    path = zoneinfo.TZPATH
    monkeypatch.setitem(sys.modules, "tzdata", None)
    zoneinfo.reset_tzpath(to=())
    ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath(to=path)


@pytest.mark.usefixtures("no_time_zones")
async def test_without_a_database_only_a_conversion_fails(connectus: AsyncConnectus):
    """Everything else works, and the error says what to install."""
    await connectus.deliveries.create("Invierno", "2099-07-31 08:00:00", 1)

    with pytest.raises(ConfigurationError, match=r"time_zone.*pip install tzdata"):
        await connectus.deliveries.create("Invierno", UTC_NOON, 1)


def test_a_misspelt_zone_is_refused_at_once():
    """The client is not made."""
    with pytest.raises(ConfigurationError, match="'America/Satniago' is not known"):
        AsyncConnectus("user", "key", time_zone="America/Satniago")


def test_the_emulator_starts_without_a_database():
    """The demo runs on a plain Windows."""
    program = (
        "import sys, zoneinfo; sys.modules['tzdata'] = None; zoneinfo.reset_tzpath(to=());"
        "import connectus_async.emulator"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
