"""Sender processes on this machine, started and watched by the process that has the ledger open."""

import asyncio
import os
import pickle
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from subprocess import DEVNULL, Popen
from types import TracebackType
from typing import Any, Final, Self

import anyio
import attrs
from anyio.to_thread import run_sync

from connectus_async._one_process import Unpicklable
from connectus_async._version import __version__
from connectus_async.bulk.attendance import attend
from connectus_async.bulk.options import BulkOptions, check_above_zero
from connectus_async.bulk.outcomes import BulkSummary
from connectus_async.bulk.progress import Progress
from connectus_async.bulk.sender import Bulk, Delegated
from connectus_async.config import Config
from connectus_async.errors import ConfigurationError
from connectus_async.ledger.states import Edited, OnUnknown, State
from connectus_async.workers.dispatcher import Dispatcher, Failure
from connectus_async.workers.frames import MAX_BYTES, FrameProtocol
from connectus_async.workers.limits import check_processes
from connectus_async.workers.sender_process import UVLOOP

PROGRAM: Final = "connectus_async.workers.sender_process"


class SenderProcesses(Unpicklable):
    """Sends the queued messages of a ledger from several processes. Use it with ``async with``.

    One process sends as fast as one core allows. Several share the campaign's options: the
    concurrency and the rate are divided among them, the budget and the circuit breaker count for
    all together. If a process dies, its messages under way are unknown, and the others send the
    rest.

    It sends the messages that `Bulk.load` has recorded. Until it is left, the bulk sender itself
    neither loads, sends nor reconciles, and its `pause`, `cancel`, `set_rate` and `set_concurrency`
    reach no process; orders from other terminals do. Leaving early, by ``break`` or an exception,
    waits for the answers of the messages under way. A cancellation kills the processes instead, and
    these messages are unknown.

    Each process is a new interpreter that imports the package, not the program that started it, and
    ignores Ctrl-C and SIGTERM: this process decides when they stop. There are none on Windows.

    Args:
        bulk: The entered bulk sender, with a ledger. A client with an ``ssl_context`` cannot be
            handed to other processes; give it a ``ca_file`` instead.
        processes: How many processes to start, at most the concurrency.

    Raises:
        ConfigurationError: On entering: an option makes no sense or cannot be pickled, or the bulk
            sender is busy or has no ledger.
        LedgerError: On entering: the ledger cannot be read.

    Example:
        async with connectus.bulk(ledger="navidad.db") as bulk:
            await bulk.load([Sms("56987688060", "Hola"), Sms("56987688061", "Hola")])
            async with SenderProcesses(bulk, processes=2) as sending:
                async for failure in sending.stream():
                    print(failure.line, failure.state, failure.error)
            sending.summary.accepted
    """

    def __init__(self, bulk: Bulk, *, processes: int) -> None:
        self._bulk = bulk
        self._count = processes
        self._processes: list[Popen[bytes]] = []
        self._delegation = AsyncExitStack()
        self._attending: asyncio.Task[None] | None = None
        self._is_entered = False
        self._dispatcher: Dispatcher | None = None

    @property
    def summary(self) -> BulkSummary:
        """The count of the outcomes so far."""
        return self._entered().summary

    async def __aenter__(self) -> Self:
        if self._dispatcher is not None:
            raise ConfigurationError("processes", "were started before: make others")
        async with AsyncExitStack() as stack:
            delegated = self._bulk._delegated()  # noqa: SLF001 - no matter of the users of a sender
            campaign = await stack.enter_async_context(delegated)
            jobs = await run_sync(_jobs, campaign, self._count)
            self._dispatcher = dispatcher = await _dispatcher_of(campaign)
            try:
                await self._start(dispatcher, jobs)
                attending = attend(campaign.ledger, dispatcher, is_start=campaign.is_start)
                self._attending = asyncio.create_task(attending)
            except BaseException:
                dispatcher.dismiss()
                await self._leave(dispatcher, is_cut_short=True)
                raise
            self._delegation = stack.pop_all()
        self._is_entered = True
        return self

    async def _start(self, dispatcher: Dispatcher, jobs: Sequence[Mapping[str, Any]]) -> None:
        arguments = [UVLOOP] * type(asyncio.get_running_loop()).__module__.startswith("uvloop")
        with ExitStack() as sockets:
            # Not in a thread, which nobody could stop: a start takes about a millisecond.
            ends = [self._start_one(arguments, sockets) for _ in jobs]
            protocols = [dispatcher.add_sender(job) for job in jobs]
            for protocol, end in zip(protocols, ends, strict=True):
                await _connect(protocol, end.dup())

    def _start_one(self, arguments: Sequence[str], sockets: ExitStack) -> socket.socket:
        """Start a process that imports what this one does, from where it does.

        Returns:
            Our end of the socket to it, which is closed with the other sockets.
        """
        ours, theirs = map(sockets.enter_context, socket.socketpair())
        options = [f"-W{option}" for option in sys.warnoptions]
        if sys.flags.dev_mode:
            options.append("-Xdev")
        path = os.pathsep.join(map(os.path.abspath, sys.path))
        self._processes.append(
            Popen(  # noqa: S603 - it runs this package
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
        async with self._delegation:
            self._is_entered = False
            is_cut_short = kind is not None and not issubclass(kind, Exception)
            await self._leave(self._entered(), is_cut_short=is_cut_short)

    async def _leave(self, dispatcher: Dispatcher, *, is_cut_short: bool) -> None:
        with anyio.CancelScope(shield=True):
            dispatcher.stop()
            try:
                if is_cut_short:
                    self._kill()
                await dispatcher.ended()
                if self._attending is not None:
                    await asyncio.wait([self._attending])
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

    def _entered(self) -> Dispatcher:
        if self._dispatcher is None:
            raise ConfigurationError("processes", "must be entered first, with async with")
        return self._dispatcher

    async def stream(self) -> AsyncIterator[Failure]:
        """Send the queued messages, and yield those that were not accepted.

        Yields:
            One `Failure` for each message that was rejected or skipped, or is unknown.

        Raises:
            ConnectusError: Every further message would fail too, or all processes have ended.
        """
        dispatcher = self._entered()
        async for failure in dispatcher.failures():
            yield failure
        if dispatcher.failure is not None:
            raise dispatcher.failure

    def cancel(self) -> None:
        """Send nothing more. Messages under way are finished, the rest stays queued."""
        self._entered().stop()

    def progress(self) -> Progress:
        """Progress of all processes together."""
        return self._entered().progress()

    async def watch(self, seconds: float = 0.5) -> AsyncIterator[Progress]:
        """Yield the progress again and again until the processes are left.

        Args:
            seconds: Time between two values.

        Raises:
            ConfigurationError: ``seconds`` is not above zero.
        """
        check_above_zero("seconds", seconds)
        while self._is_entered:
            yield self.progress()
            await asyncio.sleep(seconds)
        yield self.progress()


async def _connect(protocol: FrameProtocol, end: socket.socket) -> None:
    await asyncio.get_running_loop().create_unix_connection(lambda: protocol, sock=end)


async def _dispatcher_of(campaign: Delegated) -> Dispatcher:
    return Dispatcher(
        campaign.ledger,
        waiting=(await campaign.ledger.counts()).get(State.QUEUED, 0),
        guards=campaign.guards,
        circuit_breaker=campaign.circuit_breaker,
        rate=campaign.options.rate,
        reserves=campaign.options.budget is not None,
        wait=campaign.options.wait,
        expires_at=campaign.options.expires_at,
    )


def _jobs(campaign: Delegated, processes: int) -> list[Mapping[str, Any]]:
    """Describe the jobs of the processes; blocking, for a suppression list may be long."""
    config, options = campaign.config, campaign.options
    check_processes(processes, options.concurrency)
    if sys.platform == "win32":
        raise ConfigurationError("processes", "cannot be started on Windows")
    if config.ssl_context is not None:
        raise ConfigurationError("ssl_context", "cannot be handed to other processes: use ca_file")
    return [_job(config, share) for share in shares(options, processes)]


def shares(options: BulkOptions, processes: int) -> Iterator[BulkOptions]:
    """Divide the limits of a campaign among its processes, without those of the dispatcher.

    >>> [share.concurrency for share in shares(BulkOptions(concurrency=64), 3)]
    [22, 21, 21]
    """
    each, more = divmod(options.concurrency, processes)
    for place in range(processes):
        concurrency = each + (place < more)
        rate = None if options.rate is None else options.rate * concurrency / options.concurrency
        yield BulkOptions(
            **{
                **attrs.asdict(options, recurse=False, filter=_is_of_the_library),
                "ledger": None,
                "concurrency": concurrency,
                "rate": rate,
                "on_unknown": OnUnknown.HOLD,
                "edited": Edited.EVERYONE,
                "budget": None,
                "forget_content": False,
                "wait": False,
                "on_event": None,
            }
        )


def _is_of_the_library(field: "attrs.Attribute[Any]", _: object) -> bool:
    return field.name in attrs.fields_dict(BulkOptions)


def _job(config: Config, options: BulkOptions) -> Mapping[str, Any]:
    """Describe the job of a process, with the credentials, which so are in no argument."""
    client = attrs.asdict(config, filter=attrs.filters.exclude("ssl_context", "on_call"))
    return {
        "version": __version__,
        "client": {**client, "max_connections": options.concurrency},
        "options": _pickled(options),
    }


def _pickled(options: BulkOptions) -> bytes:
    try:
        pickled = pickle.dumps(options)
    except Exception:  # noqa: BLE001 - its message may contain personal data
        raise ConfigurationError(
            "processes", "cannot have this suppression list or these quiet hours: pickle refuses"
        ) from None
    if len(pickled) > MAX_BYTES // 2:
        raise ConfigurationError("processes", "cannot have so long a suppression list: use one")
    return pickled
