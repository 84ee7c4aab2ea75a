"""What the tests of campaigns may ask for besides."""

import time

import pytest

from connectus_async.bulk import reconcile


@pytest.fixture(autouse=True)
def _an_hour_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconcile as if nothing that was given up could still be on its way."""
    monkeypatch.setattr(reconcile, "_now", lambda: time.time() + 3_600)
