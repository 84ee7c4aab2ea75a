"""The ways in which an exchange is made, for tests that hold whichever is taken."""

import aiohttp
import pytest


def take_fast_way(_: pytest.MonkeyPatch) -> None:
    """Change nothing."""


def take_public_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Go through aiohttp's session, as for proxies and large bodies."""
    own = aiohttp.ClientSession._request

    async def request(*arguments: object, **options: object) -> aiohttp.ClientResponse:
        return await own(*arguments, **options)

    monkeypatch.setattr(aiohttp.ClientSession, "_request", request)


def make_aiohttp_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use aiohttp's public interface alone, as where its version was not tried."""
    monkeypatch.setattr("connectus_async.transport.knows_aiohttp", lambda: False)


WAYS = {
    "fast": take_fast_way,
    "public": take_public_way,
    "unknown": make_aiohttp_unknown,
}
