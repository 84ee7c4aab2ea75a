"""What every test may ask for: the emulator, a client of it, a loop that is not blocked."""

from collections.abc import AsyncIterator, Iterator

import pytest
from blockbuster import blockbuster_ctx

from connectus_async import AsyncConnectus
from connectus_async.emulator import Emulator


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def no_blocking() -> Iterator[None]:
    """Fail a test in which our code blocks the event loop."""
    with blockbuster_ctx("connectus_async"):
        yield


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the credentials of whoever runs the tests out of them."""
    for name in ("API_USER", "API_KEY", "QR_TOKEN", "BASE_URL", "QR_BASE_URL"):
        monkeypatch.delenv(f"CONNECTUS_{name}", raising=False)


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator() as emulator:
        yield emulator


@pytest.fixture
async def connectus(emulator: Emulator) -> AsyncIterator[AsyncConnectus]:
    async with AsyncConnectus(
        emulator.api_user,
        emulator.api_key,
        qr_token=emulator.qr_token,
        base_url=emulator.base_url,
        qr_base_url=emulator.qr_base_url,
        backoff_base=0,
    ) as connectus:
        yield connectus
