"""The ledger of a dry run: a copy that is deleted when it is closed."""

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from anyio.to_thread import run_sync

from connectus_async.ledger.records import Policy
from connectus_async.ledger.sqlite.connection import WHOLE, connect, mark
from connectus_async.ledger.sqlite.ledger import SqliteLedger
from connectus_async.ledger.sqlite.reader import snapshot
from connectus_async.ledger.sqlite.writer import Writer


class TrialLedger(SqliteLedger):
    """A ledger that begins as a copy of another one, which may not be there.

    Args:
        original: The path of the other ledger.
    """

    def __init__(self, original: Path) -> None:
        super().__init__(original)
        self._folder: TemporaryDirectory[str] | None = None

    async def open(self, policy: Policy) -> None:
        """Copy the ledger, and open the copy."""
        try:
            self._folder = await run_sync(TemporaryDirectory)
            copy = Path(self._folder.name, self.path.name)
            await run_sync(_copy, self.path, copy)
            self._writer = Writer(copy)
            await super().open(policy)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the copy, and delete it."""
        await super().close()
        folder, self._folder = self._folder, None
        if folder is not None:
            await run_sync(folder.cleanup)


def _copy(original: Path, copy: Path) -> None:
    if original.exists():
        with snapshot(original) as old, closing(connect(copy)) as new:
            old.backup(new)
            mark(new, WHOLE)
