"""The one thing that a ledger changes for the whole process, and that it changes back."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectus_async import LedgerError
from connectus_async.ledger.records import Policy
from connectus_async.ledger.sqlite.ledger import SqliteLedger
from connectus_async.ledger.sqlite.switch_interval import SECONDS
from connectus_async.ledger.states import OnUnknown

POLICY = Policy("navidad", "message", OnUnknown.HOLD, forgets_content=False)


@pytest.fixture(autouse=True)
def interval() -> Iterator[None]:
    """Begin and end with the interval that Python begins with."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.005)
    yield
    sys.setswitchinterval(before)


async def test_threads_give_way_sooner_while_a_ledger_is_open(tmp_path: Path):
    """From the first that is opened to the last that is closed, in whichever order."""
    first, second = SqliteLedger(tmp_path / "first.db"), SqliteLedger(tmp_path / "second.db")
    await first.open(POLICY)
    assert sys.getswitchinterval() == pytest.approx(SECONDS, abs=1e-6)
    await second.open(POLICY)
    await first.close()
    assert sys.getswitchinterval() == pytest.approx(SECONDS, abs=1e-6)
    await second.close()
    assert sys.getswitchinterval() == pytest.approx(0.005, abs=1e-6)


async def test_a_ledger_that_cannot_be_opened_leaves_the_interval(tmp_path: Path):
    """Its thread ends at once."""
    (tmp_path / "campaign.db").write_bytes(b"no database" * 100)
    ledger = SqliteLedger(tmp_path / "campaign.db")

    with pytest.raises(LedgerError):
        await ledger.open(POLICY)
    await ledger.close()

    assert sys.getswitchinterval() == pytest.approx(0.005, abs=1e-6)


async def test_an_interval_that_is_shorter_stays(tmp_path: Path):
    """Somebody had a reason for it."""
    sys.setswitchinterval(SECONDS / 2)
    ledger = SqliteLedger(tmp_path / "campaign.db")
    await ledger.open(POLICY)
    assert sys.getswitchinterval() == pytest.approx(SECONDS / 2, abs=1e-6)
    await ledger.close()
    assert sys.getswitchinterval() == pytest.approx(SECONDS / 2, abs=1e-6)
