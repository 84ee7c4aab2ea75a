"""Fixtures of all tests: the emulator, a client of it, a loop that is not blocked."""

import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from awaited import CLIENTS
from blockbuster import blockbuster_ctx

from connectus_async import AsyncConnectus
from connectus_async.bulk import reconcile
from connectus_async.emulator import Emulator

if TYPE_CHECKING:
    from databases import Database

    from connectus_async.postgres_server import PostgresServer

hypothesis.settings.register_profile(
    "the same on every machine",
    derandomize=True,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("the same on every machine")

os.environ["CONNECTUS_LANG"] = "en"  # not that of the machine


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no module without a test that is run in both sessions, where only those are."""
    if not config.option.markexpr.startswith("both") or collection_path.suffix != ".py":
        return None
    return "mark.both" not in collection_path.read_text("utf-8") or None


PATIENCE = {"timeout": 200, "connect_timeout": 200}
"""Options of a client that takes no busy machine for a server that is not there."""


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Run the tests in a loop that is not debugged, which would take most of their time.

    The loops that the package makes itself are, with ``-X dev``.
    """
    return "asyncio", {"debug": False}


@pytest.fixture(autouse=True)
def no_blocking() -> Iterator[None]:
    """Fail a test in which our code blocks the event loop; starting a process takes no time."""
    with blockbuster_ctx("connectus_async") as watched:
        for function in watched.functions.values():
            function.can_block_in("connectus_async/workers/processes.py", "_start_one")
        yield


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the credentials, proxies and databases of whoever runs the tests out of them."""
    for name in list(os.environ):
        if name.startswith(("CONNECTUS_", "PG")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CONNECTUS_PROFILES_FILE", "/no/such/profiles.toml")


@pytest.fixture(autouse=True)
def an_hour_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconcile as if nothing that was given up could still be on its way."""
    monkeypatch.setattr(reconcile, "_now", lambda: time.time() + 3_600)


@pytest.fixture
def unused_url() -> Iterator[str]:
    """An address on which nobody listens, and which nobody else gets meanwhile."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}"


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator() as emulator:
        yield emulator


@pytest.fixture
def settings(emulator: Emulator) -> dict[str, Any]:
    """Arguments for a client of the emulator."""
    return {
        "api_user": emulator.api_user,
        "api_key": emulator.api_key,
        "qr_token": emulator.qr_token,
        "base_url": emulator.base_url,
        "qr_base_url": emulator.qr_base_url,
        "backoff_base": 0,
        **PATIENCE,
    }


@pytest.fixture(params=CLIENTS)
async def connectus(
    request: pytest.FixtureRequest, settings: dict[str, Any]
) -> AsyncIterator[AsyncConnectus]:
    """Give each test the async client, and then the blocking one in its place."""
    async with CLIENTS[request.param](**settings) as connectus:
        yield connectus


@pytest.fixture(scope="session")
def postgres() -> "Iterator[PostgresServer]":
    """A PostgreSQL server that survives no crash of the machine."""
    from connectus_async.postgres_server import PostgresServer  # noqa: PLC0415 - few tests use it

    with PostgresServer(syncs=False) as server:
        yield server


@pytest.fixture(scope="session")
def database(postgres: "PostgresServer") -> "Database":
    """A database for all tests that are content with the tables of ledgers."""
    from databases import Database  # noqa: PLC0415 - as above

    return Database(postgres)


@pytest.fixture
def postgres_ledger(database: "Database") -> str:
    """The address of a ledger in a database without any."""
    database.empty()
    return database.address()


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def ledger_of(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Path | str]:
    """Name places of ledgers, in one folder or one database."""
    if request.param == "SQLite":
        return lambda name: tmp_path / f"{name}.db"
    database = request.getfixturevalue("database")
    database.empty()
    address: Callable[[str], str] = database.address
    return address


@pytest.fixture
def queue(database: "Database", postgres: "PostgresServer") -> str:
    """The address of a database with neither campaigns nor tickets."""
    database.empty()
    return postgres.address()
