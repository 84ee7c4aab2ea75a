"""Ledgers of campaigns: in a file, and in a database."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def ledger(ledger_of: Callable[[str], Path | str]) -> Path | str:
    """Give the place of a ledger."""
    return ledger_of("navidad")
