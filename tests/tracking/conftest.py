"""A platform whose clock the test moves, and a client of it."""

import pytest
from trackers import Clock, client_of

from connectus_async.emulator import Emulator


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def emulator(clock):
    async with Emulator(clock=clock) as emulator:
        yield emulator


@pytest.fixture
async def connectus(emulator):
    async with client_of(emulator) as connectus:
        yield connectus
