"""Ledgers of campaigns: in a file, and in a database."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(params=["file", "database"])
def ledger_of(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Path | str]:
    """Name the place of a campaign's ledger."""
    if request.param == "file":
        return lambda campaign: tmp_path / f"{campaign}.db"
    database = request.getfixturevalue("database")
    database.empty()
    address: Callable[[str], str] = database.address
    return address


@pytest.fixture
def ledger(ledger_of: Callable[[str], Path | str]) -> Path | str:
    """Give the place of a ledger."""
    return ledger_of("navidad")
