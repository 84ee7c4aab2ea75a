"""Senders in processes of their own over the ledger of this one, with the face of `Bulk`."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack
from subprocess import DEVNULL, Popen
from types import TracebackType
from typing import Any, Final, Self

import anyio
import attrs
from anyio.to_thread import run_sync

from connectus_async._version import __version__
from connectus_async.bulk.circuit_breaker import CircuitBreaker
from connectus_async.bulk.guards import Guards
from connectus_async.bulk.options import BulkOptions
from connectus_async.bulk.outcomes import BulkSummary
from connectus_async.bulk.progress import Progress
from connectus_async.cli.parameters import connection
from connectus_async.cli.sender_process import UVLOOP
from connectus_async.cli.settings import Settings
from connectus_async.config import Config
from connectus_async.ledger.abc import Ledger
from connectus_async.ledger.states import OnUnknown
from connectus_async.workers.dispatcher import Dispatcher, Failure

PROGRAM: Final = "connectus_async.cli.sender_process"


class Senders:
    """Sends what waits in a ledger. Use it with ``async with``, once.

    Leaving it early waits for the answers of the messages that are being sent; if the wait is cut
    short, the processes are killed, and what they had on its way is unknown.

    Args:
        ledger: The ledger, which the caller has open.
        waiting: How many messages wait in it.
        spent: What the campaign took from the balance so far.
        settings: How they are sent; the senders have its limits together.

    Attributes:
        summary: The count of the outcomes so far.
    """

    def __init__(self, ledger: Ledger, *, waiting: int, spent: int, settings: Settings) -> None:
        options = BulkOptions(budget=settings.budget, concurrency=settings.concurrency)
        config = Config.from_environment(max_connections=settings.concurrency, **connection())
        self._ledger = ledger
        self._owner = Dispatcher(
            ledger,
            waiting=waiting,
            guards=Guards(options, spent),
            patience=CircuitBreaker(options.patience, options.concurrency, config.retry_after_cap),
        )
        self._jobs = [_job(config, part) for part in parts(settings)]
        self._processes: list[Popen[bytes]] = []

    @property
    def summary(self) -> BulkSummary:
        """The count of the outcomes so far."""
        return self._owner.summary

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            self._owner.dismiss()
            await self._leave(is_cut_short=True)
            raise
        return self

    async def _start(self) -> None:
        arguments = [UVLOOP] * type(asyncio.get_running_loop()).__module__.startswith("uvloop")
        with ExitStack() as sockets:
            # Not in a thread, which nobody could stop: a start takes about a millisecond.
            ways = [self._start_one(arguments, sockets) for _ in self._jobs]
            links = [self._owner.employ(job) for job in self._jobs]
            loop = asyncio.get_running_loop()
            for link, way in zip(links, ways, strict=True):
                await loop.create_unix_connection(lambda link=link: link, sock=way.dup())  # type: ignore[misc]

    def _start_one(self, arguments: Sequence[str], sockets: ExitStack) -> socket.socket:
        """Start a process that imports what this one does, from where it does.

        Returns:
            The way to it, which is closed with the other sockets.
        """
        ours, theirs = map(sockets.enter_context, socket.socketpair())
        options = [f"-W{option}" for option in sys.warnoptions]
        if sys.flags.dev_mode:
            options.append("-Xdev")
        path = os.pathsep.join(map(os.path.abspath, sys.path))
        self._processes.append(
            Popen(  # noqa: S603 - what is run is this program
                [sys.executable, "-P", *options, "-m", PROGRAM, *arguments],
                stdin=theirs.fileno(),
                stdout=DEVNULL,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,  # Ctrl-C is for this process alone
            )
        )
        return ours

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._leave(is_cut_short=kind is not None and not issubclass(kind, Exception))

    async def _leave(self, *, is_cut_short: bool) -> None:
        with anyio.CancelScope(shield=True):
            self.cancel()
            try:
                if is_cut_short:
                    self._kill()
                await self._owner.ended()
                await run_sync(self._wait)
            except BaseException:
                self._kill()
                self._wait()  # not for long now
                raise

    def _kill(self) -> None:
        for process in self._processes:
            process.kill()

    def _wait(self) -> None:
        for process in self._processes:
            process.wait()

    async def stream(self) -> AsyncIterator[Failure]:
        """Send; yield each message that was not accepted.

        Raises:
            ConnectusError: Every further message would fail too, or all senders have ended.
        """
        async for failure in self._owner.failures():
            yield failure
        if self._owner.failure is not None:
            raise self._owner.failure
        await self._ledger.flush()

    def cancel(self) -> None:
        """Have nothing more sent; what is being sent is finished."""
        self._owner.stop()

    def progress(self) -> Progress:
        """Tell how far all of them are."""
        return self._owner.progress()

    async def watch(self, seconds: float) -> AsyncIterator[Progress]:
        """Yield the progress again and again.

        Args:
            seconds: How long to wait between two.
        """
        while True:
            yield self.progress()
            await asyncio.sleep(seconds)


def parts(settings: Settings) -> list[Settings]:
    """Divide the limits of a campaign among its processes; what is the owner's matter is left out.

    >>> [part.concurrency for part in parts(Settings(concurrency=64, processes=3))]
    [22, 21, 21]
    """
    each, more = divmod(settings.concurrency, settings.processes)
    return [_part(settings, each + (place < more)) for place in range(settings.processes)]


def _part(settings: Settings, concurrency: int) -> Settings:
    rate = settings.rate
    return attrs.evolve(
        settings,
        processes=1,
        concurrency=concurrency,
        rate=None if rate is None else rate * concurrency / settings.concurrency,
        budget=None,
        forget_content=False,
        on_unknown=OnUnknown.HOLD.value,
    )


def _job(config: Config, settings: Settings) -> Mapping[str, Any]:
    """Describe what a process is to do; with the credentials, which are in no argument this way."""
    client = attrs.asdict(config, filter=attrs.filters.exclude("ssl_context"))
    return {
        "version": __version__,
        "client": {**client, "max_connections": settings.concurrency},
        "settings": attrs.asdict(settings),
    }
