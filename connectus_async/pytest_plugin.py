"""Plugin of pytest: an emulator of the API for each test, and clients that are pointed at it.

It is there when this package is installed, and loads nothing until a test asks for a fixture.
``-p no:connectus`` turns it off.

- ``connectus_emulator``: an `Emulator` in a thread of its own, new for each test. The environment
  variables of this package point at it, so that the clients of your application find it.
- ``connectus``: a blocking client of it.
- ``async_connectus``: an async client of it, for tests that anyio or pytest-asyncio runs.
- ``connectus_clock``: its time, which stands still until ``advance`` moves it.

``@pytest.mark.connectus_fault(Fault.status(500), route="sms.send", times=1)`` places a fault, with
the arguments of `Emulator.fault`.

Example:
    def test_a_customer_is_told(connectus_emulator):
        my_shop.ship(order)
        connectus_emulator.assert_sent(to="56987688060", containing="va en camino")
"""

from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from connectus_async import AsyncConnectus, Connectus
    from connectus_async.emulator import Emulator

MARK: Final = "connectus_fault"


class Clock:
    """Time of an emulator, which stands still until it is moved.

    Attributes:
        now: The time.
    """

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let seconds pass, so that messages get the statuses that are due."""
        self.now += timedelta(seconds=seconds)


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark, and the fixture for the plugin that runs async tests."""
    config.addinivalue_line(
        "markers", f"{MARK}(fault, *, route=None, share=1.0, times=None): a fault of the emulator"
    )
    config.pluginmanager.register(_async_client(config), "connectus-async-client")


@pytest.fixture
def connectus_clock() -> Clock:
    """Time of ``connectus_emulator`` in this test: it stands still until it is moved."""
    return Clock()


@pytest.fixture
def connectus_emulator(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> "Iterator[Emulator]":
    """Emulator of the API, in a thread of its own, with the environment pointed at it."""
    from connectus_async.emulator import Emulator  # noqa: PLC0415 - for tests that use it

    clock = "connectus_clock" in request.fixturenames
    settings = {"clock": request.getfixturevalue("connectus_clock")} if clock else {}
    with Emulator(**settings) as emulator:
        for mark in request.node.iter_markers(MARK):
            emulator.fault(*mark.args, **mark.kwargs)
        for name, value in emulator.environment.items():
            monkeypatch.setenv(name, value)
        yield emulator


@pytest.fixture
def connectus(connectus_emulator: "Emulator") -> "Iterator[Connectus]":
    """Blocking client of ``connectus_emulator``."""
    from connectus_async import Connectus  # noqa: PLC0415 - as above

    with Connectus(**_settings(connectus_emulator)) as client:
        yield client


def _settings(emulator: "Emulator") -> dict[str, Any]:
    names = ("api_user", "api_key", "qr_token", "base_url", "qr_base_url")
    return {name: getattr(emulator, name) for name in names}


def _async_client(config: pytest.Config) -> object:
    """Make the plugin with the async fixture, of pytest-asyncio if that is there."""
    fixture: Any = pytest.fixture
    if config.pluginmanager.hasplugin("asyncio"):
        fixture = import_module("pytest_asyncio").fixture

    class AsyncClient:
        @fixture  # type: ignore[untyped-decorator]
        async def async_connectus(
            self, connectus_emulator: "Emulator"
        ) -> "AsyncIterator[AsyncConnectus]":
            """Async client of ``connectus_emulator``."""
            from connectus_async import AsyncConnectus  # noqa: PLC0415 - as above

            async with AsyncConnectus(**_settings(connectus_emulator)) as client:
                yield client

    return AsyncClient()
