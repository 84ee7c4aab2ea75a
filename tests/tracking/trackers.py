"""A platform whose time a test moves, and a tracker that hears of it over real HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from connectus_async import AsyncConnectus, tracking, webhooks
from connectus_async.emulator import Emulator

SECRET = "secreto-quetzal-4471"


class Clock:
    """The platform's time; only a test moves it."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


def client_of(emulator: Emulator, **options: Any) -> AsyncConnectus:
    return AsyncConnectus(
        emulator.api_user,
        emulator.api_key,
        base_url=emulator.base_url,
        backoff_base=0.001,
        **{"timeout": 200, "connect_timeout": 200, **options},
    )


@asynccontextmanager
async def receiving(tracker: tracking.Tracker) -> AsyncIterator[str]:
    """Serve the tracker's handler, and give its URL."""
    runner = web.AppRunner(webhooks.aiohttp_app(tracker.handle, secret=SECRET), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/{SECRET}"
    finally:
        await runner.cleanup()
