"""The one thread that uses a holder's connection: one transaction for everything that waits.

A message is in flight on disk before its first byte leaves (write-ahead log, ``synchronous=FULL``).
While the writer writes a group of changes, the next one gathers. A question is a transaction of its
own, after all changes that were made before it. The log is moved into the file by the rule of
`connection`, after some thousand pages.

After the first error of the file a writer does nothing more, and everyone who asks gets that error.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeAlias

from connectus_async.errors import LedgerError
from connectus_async.ledger.records import Claim, Policy
from connectus_async.ledger.sqlite import switch_interval
from connectus_async.ledger.sqlite.connection import Checkpoints, Task
from connectus_async.ledger.sqlite.holder import HolderFile, open_as_holder
from connectus_async.ledger.sqlite.problems import writing_failed
from connectus_async.ledger.sqlite.rows import MOST_ROWS, Row
from connectus_async.ledger.sqlite.sending import Group, Sending, settle


class Writer:
    """The thread, and the way to it from the event loop that starts it.

    Args:
        path: The ledger.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failure: LedgerError | None = LedgerError(path.name, "is not open")
        self._thread: threading.Thread | None = None
        self._gathered: Group | None = None
        self._under_way = 0
        self._pending: SimpleQueue[Group | _Question | None] = SimpleQueue()  # None is the end

    async def start(self, policy: Policy) -> HolderFile:
        """Start the thread, and wait until it has the file open.

        Raises:
            LedgerError: It could not be opened, and the thread has ended.
        """
        self._failure = None
        self._gathered, self._under_way, self._pending = None, 0, SimpleQueue()
        self._loop = asyncio.get_running_loop()
        opened: asyncio.Future[HolderFile] = self._loop.create_future()
        self._thread = threading.Thread(
            target=self._run,
            args=(policy, opened),
            name=f"connectus ledger {self._path.name}",
            daemon=True,
        )
        self._thread.start()
        try:
            return await opened
        except LedgerError:
            await self.end()  # the file is free once its thread has ended
            raise

    async def end(self) -> None:
        """Write all remaining changes, then end the thread."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._hand_over()
        self._pending.put(None)
        try:
            await self._loop.run_in_executor(None, thread.join)
        except RuntimeError:  # Python is exiting: its executors take nothing any more
            thread.join()

    async def ask(self, task: Task) -> Any:
        """Run a function of the connection in the thread, after all changes made before.

        A cursor that it returns is read to its end; its changes are one transaction.
        """
        if self._failure is not None:
            raise self._failure
        future = self._loop.create_future()
        self._hand_over()
        self._pending.put(_Question(task, future))
        return await future

    def claim(self, number: int, new: Row = ()) -> asyncio.Future[Claim]:
        """Begin a message; return the claim on it.

        Args:
            number: Its number.
            new: Its row, if it is new.
        """
        if self._failure is not None:
            return _failed(self._failure)
        future: asyncio.Future[Claim] = self._loop.create_future()
        group = self.group(number, new)
        group.begun.append(number)
        group.waiters.append((future, number))
        self.added(group)
        return future

    def group(self, number: int, new: Row = ()) -> Group:
        """Return the group that a change of a message can be added to. Call `added` then.

        They are the changes of a turn of the loop, or all that come while the writer writes others.
        A group has one change of a message: the kinds of changes are written one after the other.

        Args:
            number: The number of the message.
            new: Its row, if it is new.
        """
        if (group := self._gathered) is not None and number in group.touched:
            self._hand_over()
        if (group := self._gathered) is None:
            group = self._gathered = Group()
            if not self._under_way:
                self._loop.call_soon(self._hand_over)
        group.touched.add(number)
        group.new += new
        return group

    def added(self, group: Group) -> None:
        """Hand a full group over: all that belongs to it was noted, and then it is the writer's."""
        group.size += 1
        if group.size == MOST_ROWS:
            self._hand_over()

    def _hand_over(self) -> None:
        """Give the gathered rows to the thread."""
        group, self._gathered = self._gathered, None
        if group is None:
            return
        if self._failure is None:
            self._under_way += 1
            self._pending.put(group)
        else:
            _settle([(future, None, self._failure) for future in group.futures])

    def _written(
        self, group: Group, found: Mapping[int, Claim], failure: LedgerError | None
    ) -> None:
        """Give the claims on a group that was written, and go on with what gathered meanwhile."""
        self._under_way -= 1
        if failure is None:
            for future, number in group.waiters:
                if not future.done():
                    future.set_result(found.get(number) or Claim(number))
        else:
            _settle([(future, None, failure) for future in group.futures])
        self._loop.call_soon(self._hand_over)  # what this turn gathers goes along

    def _drop(self) -> None:
        """Answer those that came when the thread had left."""
        self._hand_over()
        while not self._pending.empty():
            item = self._pending.get()
            if item is not None:
                _settle([(future, None, self._failure) for future in item.futures])

    def _run(self, policy: Policy, opened: "asyncio.Future[HolderFile]") -> None:
        switch_interval.lower()
        try:
            with open_as_holder(self._path, policy) as file:
                checkpoints = file.checkpoints()
                self._tell([(opened, file, None)])
                self._work(file, checkpoints)
                if self._failure is None:
                    file.transaction(settle)
                checkpoints.make_last()
        except Exception as error:  # noqa: BLE001 - everyone who waits has to hear of it
            self._failure = writing_failed(self._path, error)
            self._tell([(opened, None, self._failure)])
        finally:
            self._failure = self._failure or LedgerError(self._path.name, "is closed")
            switch_interval.restore()
            self._call(self._drop)

    def _work(self, file: HolderFile, checkpoints: Checkpoints) -> None:
        sending = Sending(file)
        while (item := self._pending.get()) is not None:
            if isinstance(item, _Question):
                self._answer(file, item)
            else:
                self._write(file, sending, item)
            if file.keys.is_full and self._failure is None:
                self._arrange_keys(file, file.keys.merge)
            if file.connection.total_changes >= checkpoints.due_at and self._failure is None:
                self._make_checkpoint(file, checkpoints)

    def _make_checkpoint(self, file: HolderFile, checkpoints: Checkpoints) -> None:
        try:
            file.transaction(settle)
            checkpoints.make()
        except (sqlite3.Error, LedgerError) as error:
            self._fail(file, error)

    def _arrange_keys(self, file: HolderFile, task: Task) -> None:
        try:
            file.transaction(task)
        except (sqlite3.Error, LedgerError) as error:
            self._fail(file, error)

    def _answer(self, file: HolderFile, question: "_Question") -> None:
        if self._failure is not None:
            self._tell([(question.future, None, self._failure)])
            return
        try:
            result = file.transaction(question.task)
        except (sqlite3.Error, LedgerError) as error:
            self._fail(file, error)
            self._tell([(question.future, None, self._failure)])
        except Exception as error:  # noqa: BLE001 - the caller gets it
            self._tell([(question.future, None, error)])
            with suppress(sqlite3.Error):  # the next statement meets the same fault, and reports it
                file.connection.rollback()
            self._arrange_keys(
                file, file.keys.prepare
            )  # they have the keys of messages that were rolled back
        else:
            self._tell([(question.future, result, None)])

    def _write(self, file: HolderFile, sending: Sending, group: Group) -> None:
        found: Mapping[int, Claim] = {}
        try:
            if self._failure is None:
                found = sending.write(group)
        except Exception as error:  # noqa: BLE001 - everyone who waits has to hear of it
            self._fail(file, error)
        self._call(self._written, group, found, self._failure)

    def _fail(self, file: HolderFile, error: Exception) -> None:
        self._failure = writing_failed(self._path, error)
        if file.connection.in_transaction:
            with suppress(sqlite3.Error):  # the disk that failed may fail again
                file.connection.rollback()

    def _tell(self, results: "list[_Result]") -> None:
        self._call(_settle, results)

    def _call(self, function: Callable[..., None], *args: object) -> None:
        with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            self._loop.call_soon_threadsafe(function, *args)


class _Question:
    """A function to run, and the future for its answer."""

    __slots__ = ("future", "task")

    def __init__(self, task: Task, future: "asyncio.Future[Any]") -> None:
        self.task = task
        self.future = future

    @property
    def futures(self) -> "list[asyncio.Future[Any]]":
        """The futures of all callers that wait."""
        return [self.future]


_Result: TypeAlias = tuple["asyncio.Future[Any]", Any, Exception | None]


def _failed(failure: LedgerError) -> asyncio.Future[Claim]:
    """Make the claim on a message that cannot be begun, of a ledger that may never have opened."""
    future: asyncio.Future[Claim] = asyncio.get_running_loop().create_future()
    future.set_exception(failure)
    return future


def _settle(results: list[_Result]) -> None:
    for future, result, error in results:
        if future.done():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
