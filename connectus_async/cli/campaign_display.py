"""Display of a campaign: progress bar, failed rows and summary."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, Protocol

import attrs
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from connectus_async.bulk.outcomes import BulkSummary, MessageOutcome
from connectus_async.bulk.progress import Progress as Sent
from connectus_async.cli.exit_codes import ExitCode, of_stop
from connectus_async.cli.interrupts import at_first_interrupt
from connectus_async.cli.runner import echo, print_json, sentence
from connectus_async.errors import ConnectusError
from connectus_async.ledger.states import State
from connectus_async.report.figures import Figures

if TYPE_CHECKING:
    from connectus_async.workers.dispatcher import Failure

INTERRUPTED: Final = "interrupted"
REFRESH_SECONDS: Final = 0.25

NAMED: Final = frozenset({State.REJECTED, State.UNKNOWN, State.SKIPPED})
"""States that get a line for each message; queued messages are only counted."""


class Sending(Protocol):
    """Sender of a campaign: a `Bulk`, or its processes."""

    @property
    def summary(self) -> BulkSummary:
        """The count of the outcomes so far."""
        ...

    def stream(self) -> "AsyncIterator[MessageOutcome] | AsyncIterator[Failure]":
        """Send the queued messages."""
        ...

    def cancel(self) -> None:
        """Send nothing more. Messages under way are finished."""
        ...

    def progress(self) -> Sent:
        """Progress at this moment."""
        ...

    def watch(self, seconds: float) -> AsyncIterator[Sent]:
        """Yield the progress again and again."""
        ...


@attrs.define
class CampaignDisplay:
    """Display of one campaign while it is sent.

    Attributes:
        length: The number of messages to send.
        as_json: Whether to print JSON Lines: one for each failed message, then the summary.
        next_command: A command for later, with a placeholder for its name.
        summary: The count of the outcomes so far.
        stopped_by: The reason why it ended early, or ``None``.
        code: The exit code for that reason.
    """

    length: int
    as_json: bool
    next_command: str
    summary: BulkSummary = attrs.field(factory=BulkSummary)
    stopped_by: str | None = None
    code: ExitCode | None = None
    _console: Console = attrs.field(factory=lambda: Console(stderr=True))

    async def send(self, bulk: Sending) -> None:
        """Send the queued messages. Errors stop the campaign, and are reported by `finish`.

        The first Ctrl-C stops it as soon as the messages under way are finished.
        """
        self.summary = bulk.summary
        try:
            async with self._shown(bulk):
                with at_first_interrupt(lambda: self._stop(bulk)):
                    async for outcome in bulk.stream():
                        if outcome.state in NAMED:
                            self._print_failure(outcome)
        except ConnectusError as error:
            self._stopped(sentence(error), of_stop(error))
        except (OSError, SystemExit):  # rich makes the latter of a closed pipe
            self._stopped("nobody reads the output", ExitCode.FAILED)

    def finish(self, counts: Mapping[State, int]) -> None:
        """Print the summary.

        Args:
            counts: The messages of the ledger by state.
        """
        with suppress(OSError, SystemExit):
            self._print_end(counts)

    def _stop(self, bulk: Sending) -> None:
        self._stopped(INTERRUPTED, ExitCode.INTERRUPTED)
        bulk.cancel()
        with suppress(OSError, SystemExit):  # somebody reads the output or not
            self._print_line(
                "connectus: finishing the messages under way; press Ctrl-C again to abandon them"
            )

    def _stopped(self, reason: str, code: ExitCode) -> None:
        """Note why it ended early; the first reason counts."""
        if self.stopped_by is None:
            self.stopped_by, self.code = reason, code

    @asynccontextmanager
    async def _shown(self, bulk: Sending) -> AsyncIterator[None]:
        with progress_bar(self._console, _PacingColumn()) as progress:
            task = progress.add_task("sending", total=self.length, pacing="")
            shower = asyncio.create_task(self._show(bulk, progress, task))
            try:
                yield
            finally:
                shower.cancel()
                with suppress(asyncio.CancelledError):
                    await shower
                _update(bulk, progress, task)

    async def _show(self, bulk: Sending, progress: Progress, task: TaskID) -> None:
        async for _ in bulk.watch(REFRESH_SECONDS):
            _update(bulk, progress, task)

    def _print_failure(self, outcome: "MessageOutcome | Failure") -> None:
        if self.as_json:
            print_json(
                {
                    "line": outcome.line,
                    "state": outcome.state,
                    "skipped": outcome.skipped,
                    "error": sentence(outcome.error),
                }
            )
        else:
            place = "" if outcome.line is None else f"line {outcome.line}: "
            self._print_line(f"{place}{outcome.state}: {sentence(outcome.error)}")

    def _print_end(self, counts: Mapping[State, int]) -> None:
        numbers = {str(state): counts.get(state, 0) for state in State}
        left = counts.get(State.QUEUED, 0)
        maybe = counts.get(State.UNKNOWN, 0) + counts.get(State.IN_FLIGHT, 0)
        if self.as_json:
            print_json(
                numbers | {"accepted_now": self.summary.accepted, "stopped_by": self.stopped_by}
            )
            return
        if self.stopped_by:
            self._print_line(f"connectus: stopped: {self.stopped_by}")
        echo(
            f"{counts.get(State.ACCEPTED, 0):,} of {sum(counts.values()):,} accepted, "
            "{rejected:,} rejected, {unknown:,} unknown, {held:,} held, {skipped:,} skipped, "
            "{queued:,} queued".format_map(numbers)
        )
        if maybe:
            echo(f"{maybe:,} may have been sent: check with {self._command('reconcile')}")
        if left:
            echo(f"{left:,} are still queued: continue with {self._command('resume')}")

    def _command(self, name: str) -> str:
        return self.next_command.format(command=name)

    def _print_line(self, line: str) -> None:
        """Print on standard error, above the progress bar."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class _RateColumn(ProgressColumn):
    """Column with the messages a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:,.0f}/s")


class _PacingColumn(ProgressColumn):
    """Column with failures and limits."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["pacing"])


def progress_bar(console: Console, *columns: ProgressColumn) -> Progress:
    """Make a progress bar; it is hidden without a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
        *columns,
        console=console,
        disable=not sys.stderr.isatty(),  # is_terminal believes FORCE_COLOR
    )


def _update(bulk: Sending, progress: Progress, task: TaskID) -> None:
    now = bulk.progress()
    pacing = f"{now.concurrency_limit} at a time"
    if now.rate_limit is not None:
        pacing += f", at most {now.rate_limit:,.0f}/s"
    if now.is_paused:
        pacing += f", paused by {' and '.join(now.paused_by)}" if now.paused_by else ", pausing"
    counts = f"{now.summary.rejected:,} rejected, {now.summary.unknown:,} unknown"
    progress.update(task, completed=now.summary.total, pacing=f"{counts}; {pacing}")


def print_deliveries(figures: Figures) -> None:
    """Print the delivery statuses of a ledger, and the number of SMS without an id."""
    for status, count in figures.deliveries.items():
        echo(f"{count:>12,} delivery: {status}")
    if figures.nameless:
        echo(f"{figures.nameless:>12,} SMS were accepted without an id: they cannot be followed")
