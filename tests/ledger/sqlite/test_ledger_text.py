"""What came over the wire is kept, whatever it holds."""

import sqlite3
from contextlib import closing

import pytest

from connectus_async.ledger.records import Entry, Policy
from connectus_async.ledger.sqlite.ledger import SqliteLedger
from connectus_async.ledger.states import OnUnknown, State

POLICY = Policy("", "message", OnUnknown.HOLD, forgets_content=False)


@pytest.fixture
async def ledger(tmp_path):
    """A ledger in a new file."""
    ledger = SqliteLedger(tmp_path / "campaign.db")
    await ledger.open(POLICY)
    yield ledger
    await ledger.close()


def entry(number):
    return Entry(f"key {number}", None, "sms", f"5698768806{number}", "{}", 1)


def ids(ledger):
    with closing(sqlite3.connect(ledger.path)) as connection:
        return [found for (found,) in connection.execute("SELECT provider_id FROM message")]


@pytest.mark.parametrize("told", ["half a pair \ud800", "a zero \0"])
async def test_an_id_that_no_text_can_hold_does_not_stop_the_campaign(ledger, told):
    """Half a surrogate pair, which JSON can spell, is kept as a question mark; a NUL goes."""
    claim = await ledger.begin(entry(0), None)
    ledger.finish(entry(0), claim.number, State.ACCEPTED, None, told)
    await ledger.flush()
    assert ids(ledger) == [told.replace("\ud800", "?").replace("\0", "")]


async def test_more_messages_than_one_statement_takes_are_all_written(ledger):
    """A group of any size is written whole, in order."""
    claims = [ledger.begin(entry(number), None) for number in range(1_000)]
    assert [(await claim).number for claim in claims] == list(range(1, 1_001))
    await ledger.flush()
    assert await ledger.counts() == {State.IN_FLIGHT: 1_000}
