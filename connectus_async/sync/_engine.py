"""An event loop in a daemon thread, and the tasks on it that other threads wait for.

- `Engine` is a loop in a thread of one process, with the object that was built for it. A forked
  child leaves it alone and starts another. There it is never finalized, which would remove the
  parent's sockets from the epoll that both share: the frames of the loop's thread, which does not
  exist in the child, are never cleared and keep everything alive.
- `Operation` is a task on the loop, with the thread that waits for it. The loop talks to that
  thread through the operation's inbox: it puts in replies, and jobs for the thread to run.
"""

import asyncio
import atexit
import contextlib
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from types import TracebackType
from typing import Any, Final, Generic, NamedTuple, TypeAlias, TypeVar

from connectus_async.errors import (
    ClientClosedError,
    ConnectionLostError,
    ConnectusError,
    NotSentError,
    OwnThreadError,
    WrongProcessError,
)
from connectus_async.sync._loops import LoopFactory

OwnedT = TypeVar("OwnedT")
Body: TypeAlias = Callable[["Operation"], Coroutine[Any, Any, object]]

GRACE: Final = 5.0
"""Seconds for a cancelled task to end."""

POLL: Final = 0.25
"""Seconds between checks: a blocked thread sees no async exception, nor Ctrl-C on Windows."""

_PACKAGE: Final = __name__.partition(".")[0]

_engines: Final[set["Engine[Any]"]] = set()
current_operation: Final[ContextVar["Operation"]] = ContextVar(f"{_PACKAGE}_operation")


class _Reply(NamedTuple):
    value: object
    error: BaseException | None = None


class _Job:
    """Function that the loop has the waiting thread run."""

    def __init__(self, engine: "Engine[Any]", function: Callable[[], object]) -> None:
        self.reply: asyncio.Future[_Reply] = engine.loop.create_future()
        self._engine = engine
        self._function = function

    def run(self) -> None:
        if self.reply.done():
            return
        try:
            reply = _Reply(self._function())
        except Exception as error:  # noqa: BLE001 - raised again where the loop asked for it
            reply = _Reply(None, error)
        self._engine.schedule(self.settle, reply)

    def settle(self, reply: _Reply) -> None:
        if not self.reply.done():
            self.reply.set_result(reply)


class Operation:
    """Task on the loop, with the thread that waits for it."""

    def __init__(self, engine: "Engine[Any]", name: str, body: Body) -> None:
        self.engine = engine
        self.task: asyncio.Task[None] | None = None
        self._name = name
        self._body: Body | None = body
        self._context: Context | None = None
        self._inbox: queue.SimpleQueue[_Reply | _Job] = queue.SimpleQueue()
        self._jobs: set[_Job] = set()
        self._request: asyncio.Future[object] | None = None
        self._is_done = False
        self._is_abandoned = False

    # In the waiting thread:

    def is_open(self) -> bool:
        return not self._is_done and self.engine.is_usable()

    def exchange(self, request: Callable[..., None], *args: object) -> object:
        """Make a request to the loop, `begin` or `deliver`, and wait for the reply."""
        self.engine.admit(self)
        try:
            request(*args)
            while not isinstance(message := self._next_message(), _Reply):
                message.run()
        except BaseException:
            self._abandon()
            raise
        if message.error is None:
            return message.value
        try:
            raise message.error.with_traceback(_shortened(message.error.__traceback__))
        finally:
            del message  # as in `_run`

    def begin(self) -> None:
        """Have the task started on the loop, in the context of this thread."""
        self._context = copy_context()
        self.engine.begin(self)

    def deliver(self, value: object) -> None:
        """Have the task go on with a value."""
        self.engine.schedule(self.receive, value)

    def _next_message(self) -> _Reply | _Job:
        while True:
            try:
                return self._inbox.get(timeout=POLL)
            except queue.Empty:
                self.engine.wake()

    def _abandon(self) -> None:
        self._is_abandoned = True
        self.engine.schedule(self._cancel)
        deadline = time.monotonic() + GRACE
        while self.is_open() and (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                self._inbox.get(timeout=min(left, POLL))

    # On the loop:

    def start(self) -> None:
        body, self._body = self._body, None  # contexts outlive the call; its arguments need not
        context, self._context = self._context, None
        engine = self.engine
        if body is None or context is None or self._is_abandoned or engine.is_ending:
            self.finish(_Reply(None, self.ending() if engine.is_ending else _over()))
        else:
            context.run(current_operation.set, self)
            self.task = engine.loop.create_task(self._run(body), context=context)

    async def _run(self, body: Body) -> None:
        try:
            reply = _Reply(await body(self))
        except BaseException as error:  # noqa: BLE001 - a SystemExit is the caller's, not the loop's
            reply = _Reply(None, error)
        if isinstance(reply.error, asyncio.CancelledError) and self.engine.is_ending:
            reply = _Reply(None, self.ending())
        self.finish(reply)
        del reply  # or its error would keep itself alive through this frame

    def finish(self, reply: _Reply) -> None:
        self._is_done = True
        if self._jobs:
            self._refuse_jobs()
        self.engine.operations.discard(self)
        if not self.engine.is_exiting:  # then only daemon threads still wait: let them sleep
            self._inbox.put(reply)

    def ending(self) -> ConnectusError:
        """Return the error for an operation that the end of the loop cut off."""
        if self.task is None:
            return self.refusal()
        return ConnectionLostError(
            self._name, self.engine.death_note or "the client was closed meanwhile"
        )

    def refusal(self) -> ConnectusError:
        """Return the error for an operation that the loop did not start, because it had ended."""
        note = self.engine.death_note
        return ClientClosedError() if note is None else NotSentError(self._name, note)

    def receive(self, request: object) -> None:
        """Receive the request that `converse` waits for, unless the task has ended already."""
        if self._is_done:
            self.finish(_Reply(None, _over()))
        elif self._request is not None and not self._request.done():
            self._request.set_result(request)

    async def converse(self, value: object) -> object:
        """Reply to the waiting thread, and wait for its next request."""
        self._request = self.engine.loop.create_future()
        self._inbox.put(_Reply(value))
        return await self._request

    async def ask_caller(self, function: Callable[[], object]) -> object:
        if self._is_done or self._is_abandoned:
            raise _over()
        job = _Job(self.engine, function)
        self._jobs.add(job)
        self._inbox.put(job)
        try:
            reply = await job.reply
        finally:
            self._jobs.discard(job)
        if reply.error is not None:
            raise reply.error
        return reply.value

    def _cancel(self) -> None:
        self.engine.start_waiting()
        self._refuse_jobs()
        if self.task is None:
            self.finish(_Reply(None))
        else:
            self.task.cancel()

    def _refuse_jobs(self) -> None:
        for job in tuple(self._jobs):
            job.settle(_Reply(None, _over()))


class Engine(Generic[OwnedT]):
    """Event loop in one thread of one process."""

    def __init__(
        self, owned: OwnedT, close: Callable[[OwnedT], Awaitable[None]], new_loop: LoopFactory
    ) -> None:
        self.owned = owned
        self.pid = os.getpid()
        self.operations: set[Operation] = set()
        self._waiting: deque[Operation] = deque()
        self._is_woken = False
        self.failure: BaseException | None = None
        self.death: BaseException | None = None
        self.is_stopping = False
        self.is_exiting = False
        self._close = close
        self._has_ended = False
        self._stop = asyncio.Event()
        self._loop_runner = asyncio.Runner(loop_factory=new_loop)
        self.loop = self._loop_runner.get_loop()
        self.thread = threading.Thread(target=self._run, name=_PACKAGE, daemon=True)

    @property
    def is_ending(self) -> bool:
        return self.is_stopping or self.death is not None

    @property
    def death_note(self) -> str | None:
        """Description of the error that ended the loop, or ``None``."""
        if self.death is None:
            return None
        return f"the client's event loop ended with {type(self.death).__name__}: {self.death}"

    def is_usable(self) -> bool:
        has_ended = self._has_ended or self.is_stopping or self.death is not None
        return not has_ended and self.pid == os.getpid()

    def start(self) -> None:
        _engines.add(self)
        try:
            self.thread.start()
        except RuntimeError:  # out of threads, or the interpreter exits
            _engines.discard(self)
            self._loop_runner.close()
            raise

    def stop(self) -> None:
        self.is_stopping = True
        self.schedule(self._stop.set)

    def schedule(self, callback: Callable[..., None], *args: object) -> None:
        if self.pid != os.getpid():
            return
        try:
            self.loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            if not self.loop.is_closed():  # if it is, `_run` replies to the operations
                raise

    def begin(self, operation: Operation) -> None:
        """Start an operation on the loop. One wake-up serves all threads that ask meanwhile."""
        self._waiting.append(operation)
        if not self._is_woken:
            self._is_woken = True
            self.schedule(self.start_waiting)

    def wake(self) -> None:
        """Wake the loop again if no reply comes: the thread that was to do it may be stopped.

        Raises:
            WrongProcessError: The process has forked meanwhile.
        """
        self.refuse_other_process()
        if self._waiting:
            self.schedule(self.start_waiting)

    def start_waiting(self) -> None:
        """Start the operations that wait; on the loop."""
        self._is_woken = False  # first: whoever comes from here on wakes the loop again
        while self._waiting:
            self._waiting.popleft().start()

    def admit(self, operation: Operation) -> None:
        """Register the operation, so that it gets a reply even if the loop ends."""
        self.refuse_own_thread()
        self.refuse_other_process()
        self.operations.add(operation)
        if self._has_ended:
            raise operation.refusal()

    def refuse_own_thread(self) -> None:
        if self.thread is threading.current_thread():
            raise OwnThreadError

    def refuse_other_process(self) -> None:
        if self.pid != os.getpid():
            raise WrongProcessError

    def _run(self) -> None:
        try:
            with self._loop_runner:
                self._serve()
        finally:
            self._has_ended = True
            _engines.discard(self)
            for operation in tuple(self.operations):
                operation.finish(_Reply(None, operation.ending()))

    def _serve(self) -> None:
        shutdown = self.loop.create_task(self._shutdown())
        shutdown.add_done_callback(lambda _: self.loop.stop())
        try:
            self._run_until(shutdown)
        except BaseException as error:
            self.death = error
            self._stop.set()
            self._run_until(shutdown)  # in order, if it still can
            raise
        self.failure = shutdown.exception()

    def _run_until(self, shutdown: asyncio.Task[None]) -> None:
        while not shutdown.done():
            with contextlib.suppress(KeyboardInterrupt, SystemExit):  # its task gets it too
                self.loop.run_forever()

    async def _shutdown(self) -> None:
        await self._stop.wait()
        tasks = [operation.task for operation in tuple(self.operations) if operation.task]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE)
        await self._close(self.owned)


def _over() -> RuntimeError:
    return RuntimeError("the call that this belongs to is over")


def _shortened(traceback: TracebackType | None) -> TracebackType | None:
    """Drop the frames of this package, except the one that raised."""
    frames: list[TracebackType] = []
    while traceback is not None:
        frames.append(traceback)
        traceback = traceback.tb_next
    kept = None
    for frame in reversed(frames):
        module = str(frame.tb_frame.f_globals.get("__name__"))
        if kept is None or module.partition(".")[0] != _PACKAGE:
            kept = TracebackType(kept, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return kept


@atexit.register
def _stop_engines() -> None:
    ours = [engine for engine in tuple(_engines) if engine.pid == os.getpid()]
    for engine in ours:
        engine.is_exiting = True
        engine.stop()
    for engine in ours:
        engine.thread.join(2 * GRACE)
