"""Client of the emulator, for what is the same with both clients."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from connectus_async import AsyncConnectus


@pytest.fixture
async def client(settings: dict[str, Any]) -> AsyncIterator[AsyncConnectus]:
    async with AsyncConnectus(**settings) as client:
        yield client
