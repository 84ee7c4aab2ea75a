"""Stores and open ledgers for the conformance suite."""

from collections.abc import AsyncIterator

import pytest
from doors import opened
from stores import STORES, VARIANTS, MakeStore

from connectus_async.ledger.abc import Ledger, LedgerStore


@pytest.fixture(params=STORES)
def make_store(request: pytest.FixtureRequest) -> MakeStore:
    """Make stores of one kind."""
    return {**STORES, **VARIANTS}[request.param](request)


@pytest.fixture
def store(make_store: MakeStore) -> LedgerStore:
    """Give a store without messages."""
    return make_store()


@pytest.fixture
async def ledger(store: LedgerStore) -> AsyncIterator[Ledger]:
    """Give a ledger of the store that is open to send."""
    async with opened(store) as ledger:
        yield ledger
