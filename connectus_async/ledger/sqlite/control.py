"""Orders to the holder of a ledger's file, from any other process."""

import socket
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, Unpack, cast

from connectus_async.errors import LedgerError
from connectus_async.ledger.abc import LedgerControl
from connectus_async.ledger.records import Attendance, Instructions, NewOrders, Orders, Sender
from connectus_async.ledger.sqlite import metadata
from connectus_async.ledger.sqlite.connection import connect
from connectus_async.ledger.sqlite.lock import holder_of
from connectus_async.ledger.sqlite.problems import writing_failed
from connectus_async.ledger.sqlite.reader import open_for_reading, snapshot

NUMBERS: Final = frozenset({"paused_until", "rate", "starts_at"})


class SqliteControl(LedgerControl):
    """Giver of orders to the holder of a ledger's file. See `LedgerControl`.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def orders(self) -> Orders:
        """Read the present orders."""
        with snapshot(self._path) as connection:
            return _read(connection)

    def change(self, **orders: Unpack[NewOrders]) -> None:
        """Give new orders. See `LedgerControl.change`."""
        with _open_to_write(self._path) as connection:
            _write(connection, orders)

    def senders(self) -> Sequence[Sender]:
        """Find the holder, if there is one."""
        found = holder_of(self._path)
        if found is None:
            return []
        return [Sender(f"{socket.gethostname()} PID {found.process}", found.since)]


def stop(connection: sqlite3.Connection) -> str | None:
    """Read the reason to stop, if there is an order to."""
    return _read(connection).stopped


def attend(
    connection: sqlite3.Connection, attendance: Attendance, stop_heard: str | None
) -> Instructions:
    """Take the report of the holder, in a transaction. See `Ledger.attend`.

    It is the only holder, so there is nobody to tell.
    """
    orders = _read(connection)
    if attendance.is_start and orders.stopped is not None and orders.stopped == stop_heard:
        _write(connection, {"stopped": None})
        orders = orders._replace(stopped=None)
    now = time.time()
    return Instructions(
        rate=attendance.rate if orders.rate is None else orders.rate,
        paused_for=orders.paused_for(now),
        paused_by=orders.paused_by,
        stopped=orders.stopped,
        starts_in=orders.starts_in(now),
        starts_zone=orders.starts_zone,
    )


def _read(connection: sqlite3.Connection) -> Orders:
    found = metadata.read(connection)
    texts = {name: found.get(metadata.ORDER + name) or None for name in Orders._fields}
    return Orders(
        **{name: float(text) if text and name in NUMBERS else text for name, text in texts.items()}  # type: ignore[arg-type]  # by its name
    )


def _write(connection: sqlite3.Connection, orders: NewOrders) -> None:
    values = cast("Mapping[str, object]", orders)
    metadata.write(
        connection,
        {
            metadata.ORDER + name: "" if value is None else str(value)
            for name, value in values.items()
        },
    )


@contextmanager
def _open_to_write(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a ledger beside its holder for a block, which is one transaction."""
    open_for_reading(path).close()  # raises the right error for a file that is no ledger
    try:
        with closing(connect(path, "rw")) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
    except (sqlite3.Error, LedgerError) as error:
        raise writing_failed(path, error) from None
