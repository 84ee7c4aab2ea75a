"""A bare HTTP caller, so that the emulator is tested without the client."""

import base64
import io
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from connectus_async.emulator import Emulator, webhooks


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take no busy machine for a receiver that does not respond."""
    monkeypatch.setattr(webhooks, "_TIMEOUT", aiohttp.ClientTimeout(total=200))


class Clock:
    """A clock that only a test moves; it starts at noon in Santiago."""

    def __init__(self) -> None:
        self.now = datetime(2026, 7, 1, 16, 0, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


class Caller:
    """``await call("POST /sms/send_otp", {...})`` answers the status and the parsed body."""

    def __init__(self, session: aiohttp.ClientSession, emulator: Emulator) -> None:
        user = f"{emulator.api_user}:{emulator.api_key}".encode()
        self.session = session
        self.emulator = emulator
        self.basic = f"Basic {base64.b64encode(user).decode()}"
        self.bearer = f"Bearer {emulator.qr_token}"

    async def __call__(self, request: str, body: Any = None) -> tuple[int, Any]:
        return await self.request(self.emulator.base_url, request, body, self.basic)

    async def qr(self, request: str, body: Any = None) -> tuple[int, Any]:
        return await self.request(self.emulator.qr_base_url, request, body, self.bearer)

    async def sms(self, dst_number: Any = 56987688060, **fields: Any) -> tuple[int, Any]:
        body = {"dst_number": dst_number, "sms_content": "Hola", **fields}
        return await self("POST /sms/send_individual", body)

    async def request(
        self, base_url: str, request: str, body: Any, authorization: str | None
    ) -> tuple[int, Any]:
        method, path = request.split(" ", 1)
        headers = {} if authorization is None else {"Authorization": authorization}
        content = {"data": body} if isinstance(body, bytes | io.IOBase) else {"json": body}
        async with self.session.request(
            method,
            base_url + path,
            headers=headers,
            allow_redirects=False,
            **({} if body is None else content),
        ) as response:
            return response.status, await response.json(content_type=None)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def emulator(clock: Clock) -> AsyncIterator[Emulator]:
    async with Emulator(clock=clock, ids=(f"{n:032x}" for n in range(1, 10**6))) as emulator:
        yield emulator


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def calling(session: aiohttp.ClientSession) -> Callable[[Emulator], Caller]:
    """Makes a caller of an emulator that the test built itself."""
    return lambda emulator: Caller(session, emulator)


@pytest.fixture
def call(emulator: Emulator, calling: Callable[[Emulator], Caller]) -> Caller:
    return calling(emulator)
