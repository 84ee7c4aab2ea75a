"""Display of a campaign: progress line, failures and summary."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import attrs
from rich.console import Console
from rich.live import Live
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from connectus_async.bulk.outcomes import BulkSummary, MessageOutcome
from connectus_async.bulk.progress import DelayCause
from connectus_async.bulk.progress import Progress as Sent
from connectus_async.cli.campaign_log import CampaignLog
from connectus_async.cli.delays import told
from connectus_async.cli.exit_codes import ExitCode, of_stop
from connectus_async.cli.failures import Failures
from connectus_async.cli.interrupts import at_first_interrupt
from connectus_async.cli.language import gettext as _
from connectus_async.cli.language import ngettext, number, translated
from connectus_async.cli.log import event
from connectus_async.cli.progress_line import Meter
from connectus_async.cli.runner import echo, print_json, sending_begins, sentence
from connectus_async.errors import ConnectusError
from connectus_async.ledger.states import SkipReason, State, not_counted
from connectus_async.report.figures import FILE_TO_FIX, Figures

if TYPE_CHECKING:
    from connectus_async.cli.schedule import Start
    from connectus_async.workers.dispatcher import Failure

INTERRUPTED: Final = "interrupted"
PAUSED: Final = "it is paused, and --no-wait ends it"
SCHEDULED: Final = "it starts later, and --no-wait ends it"
IN_QUIET_HOURS: Final = "it is quiet hours where the rest goes, and --no-wait ends it"
REFRESH_SECONDS: Final = 0.25
FILE_NOT_SENT: Final = "not-sent.xlsx"

_OPTIONS: Final = ("wait", "log_file", "verbose")
_WAITS: Final = {DelayCause.SCHEDULE: SCHEDULED, DelayCause.PAUSE: PAUSED}

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


@attrs.frozen(kw_only=True)
class Manner:
    """Manner in which the command line sends a campaign.

    Attributes:
        wait: Whether to wait for a scheduled start and the end of quiet hours and of a pause, or
            to end instead.
        log_file: File for the log; ``None`` for the standard streams.
        verbose: Whether to name each message that is not accepted.
        start: The start to record, or ``"now"``; ``None`` for the one that is recorded.
    """

    wait: bool = True
    log_file: Path | None = None
    verbose: bool = False
    start: "Start" = None

    @classmethod
    def of(cls, given: dict[str, Any], *, start: "Start") -> Self:
        """Take the options of a command out of all that were given."""
        return cls(**{name: given.pop(name) for name in _OPTIONS}, start=start)


@attrs.define
class CampaignDisplay:
    """Display of one campaign while it is sent.

    Attributes:
        length: The number of messages to send.
        as_json: Whether to print JSON Lines: one for each failed message, then the summary.
        command: Writes a command for later, given its name.
        manner: The manner of sending.
        note: Called with the delays, as JSON, when they change.
        summary: The count of the outcomes so far.
        stopped_by: The reason why it ended early, or ``None``.
        code: The exit code for that reason.
    """

    length: int
    as_json: bool
    command: Callable[[str], str]
    manner: Manner = attrs.field(factory=Manner)
    note: Callable[[str], Awaitable[object]] | None = None
    summary: BulkSummary = attrs.field(factory=BulkSummary)
    stopped_by: str | None = None
    code: ExitCode | None = None
    _failures: Failures = attrs.field(factory=Failures)
    _waits_for: str | None = None
    _has_file: bool = True
    _console: Console = attrs.field(factory=lambda: Console(stderr=True))

    async def send(self, bulk: Sending) -> None:
        """Send the queued messages. Errors stop the campaign, and are reported by `finish`.

        The first Ctrl-C stops it as soon as the messages under way are finished.
        """
        self.summary = bulk.summary
        sending_begins()
        try:
            async with self._shown(bulk):
                with at_first_interrupt(lambda: self._stop(bulk)):
                    async for outcome in bulk.stream():
                        if outcome.state in NAMED:
                            self._failed(outcome)
        except ConnectusError as error:
            self._stopped(sentence(error), of_stop(error))
        except (OSError, SystemExit):  # rich makes the latter of a closed pipe
            self._stopped("nobody reads the output", ExitCode.FAILED)
        delays = bulk.progress().delays
        if quiet := [delay for delay in delays if delay.cause is DelayCause.QUIET_HOURS]:
            self._stopped(IN_QUIET_HOURS, ExitCode.WAITING)
            (self._waits_for,) = told(quiet)

    def finish(
        self,
        counts: Mapping[State, int],
        skipped: Mapping[str, int],
        *,
        is_paused: bool = False,
        has_file: bool = True,
    ) -> None:
        """Print the summary.

        Args:
            counts: The messages of the ledger by state.
            skipped: Skipped rows by reason. Some are not counted; see `NOT_COUNTED`.
            is_paused: Whether it is paused by an order, so that a command to send would wait.
            has_file: Whether its rows are in a file, which can be corrected.
        """
        self._has_file = has_file
        with suppress(OSError, SystemExit):
            self._print_end(counts, skipped, is_paused=is_paused)

    def _stop(self, bulk: Sending) -> None:
        self._stopped(INTERRUPTED, ExitCode.INTERRUPTED)
        bulk.cancel()
        with suppress(OSError, SystemExit):  # somebody reads the output or not
            self._print_line(
                _("connectus: finishing the messages under way; press Ctrl-C again to abandon them")
            )

    def _stopped(self, reason: str, code: ExitCode) -> None:
        """Note why it ended early; the first reason counts."""
        if self.stopped_by is None:
            self.stopped_by, self.code = reason, code

    @asynccontextmanager
    async def _shown(self, bulk: Sending) -> AsyncIterator[None]:
        meter = Meter(self.length, time.monotonic())
        with live(self._console) as screen:
            shower = asyncio.create_task(self._show(bulk, meter, screen))
            try:
                yield
            finally:
                shower.cancel()
                with suppress(asyncio.CancelledError):
                    await shower
                if screen is not None:
                    screen.update(meter.result(bulk.progress(), time.monotonic()), refresh=True)

    async def _show(self, bulk: Sending, meter: Meter, screen: Live | None) -> None:
        log = CampaignLog(meter.began)
        async for progress in bulk.watch(REFRESH_SECONDS):
            now = time.monotonic()
            figures = meter.figures(progress, now)
            if screen is not None:
                screen.update(figures, refresh=True)
            if log.look(figures, progress.delays, now) and self.note is not None:
                await self.note(json.dumps([delay.as_dict() for delay in progress.delays]))
            causes = {delay.cause for delay in progress.delays}
            reason = next((_WAITS[cause] for cause in _WAITS if cause in causes), None)
            if not self.manner.wait and reason is not None:
                self._stopped(reason, ExitCode.WAITING)
                bulk.cancel()

    def _failed(self, outcome: "MessageOutcome | Failure") -> None:
        reason = sentence(outcome.error)
        self._failures.add(outcome.state, outcome.line, reason)
        fields = {
            "type": "failure",
            "line": outcome.line,
            "state": outcome.state,
            "skipped": outcome.skipped,
            "error": reason,
        }
        if self.as_json:
            print_json(fields)
        if not self.manner.verbose:
            return
        line = _("line {line}: {state}: {reason}") if outcome.line else _("{state}: {reason}")
        said = line.format(line=outcome.line, state=outcome.state, reason=translated(reason))
        if sys.stderr.isatty():
            self._print_line(said)
        if self.manner.log_file is not None or not self.as_json:
            event(said, **fields)

    def _print_end(
        self, counts: Mapping[State, int], skipped: Mapping[str, int], *, is_paused: bool
    ) -> None:
        now = {"accepted_now": self.summary.accepted, "stopped_by": self.stopped_by}
        numbers = {str(state): counts.get(state, 0) for state in State}
        fields = {"type": "summary", **numbers, "skipped_by": dict(skipped), **now}
        said_of_all = _summary(counts, not_counted(skipped))
        if self.manner.log_file is not None:
            for said in (*self._failures.sentences(), *self._reasons()):
                event(said)
            event(said_of_all, **fields)
        if self.as_json:
            print_json(fields)
            return
        if not self.manner.verbose:
            for said in self._failures.sentences():
                self._print_line(said)
        for said in self._reasons():
            self._print_line(f"connectus: {said}")
        for said in (said_of_all, *self._next_steps(counts, skipped, is_paused=is_paused)):
            echo(said)

    def _reasons(self) -> Iterator[str]:
        """Write why it ended early."""
        if self.stopped_by:
            yield _("stopped: {reason}").format(reason=translated(self.stopped_by))
        if self._waits_for:
            yield self._waits_for

    def _next_steps(
        self, counts: Mapping[State, int], skipped: Mapping[str, int], *, is_paused: bool
    ) -> Iterator[str]:
        maybe = counts.get(State.UNKNOWN, 0) + counts.get(State.IN_FLIGHT, 0)
        if maybe:
            yield _("{count} may have been sent: check with {command}").format(
                count=number(maybe), command=self.command("reconcile")
            )
        if left := counts.get(State.QUEUED, 0):
            yield self._way_on(left, is_paused=is_paused)
        if bad := counts.get(State.REJECTED, 0) + skipped.get(SkipReason.INVALID, 0):
            yield to_fix(bad, self.command("export"), has_file=self._has_file)

    def _way_on(self, left: int, *, is_paused: bool) -> str:
        """Say how the messages are sent that are left."""
        said = ngettext(
            "{count} is still queued: continue with {command}",
            "{count} are still queued: continue with {command}",
            left,
        )
        if is_paused:
            said = ngettext(
                "{count} is still queued, and paused: go on with {go_on}, then {command}",
                "{count} are still queued, and paused: go on with {go_on}, then {command}",
                left,
            )
        command, go_on = self.command("resume"), self.command("continue")
        return said.format(count=number(left), command=command, go_on=go_on)

    def _print_line(self, line: str) -> None:
        """Print on standard error, above the progress line."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def _summary(counts: Mapping[State, int], left: int) -> str:
    numbers = {str(state): counts.get(state, 0) for state in State}
    numbers[str(State.SKIPPED)] -= left
    return _(
        "{accepted} of {total} accepted, {rejected} rejected, {unknown} unknown, {held} held,"
        " {skipped} skipped, {queued} queued"
    ).format(
        total=number(sum(numbers.values())),
        **{name: number(count) for name, count in numbers.items()},
    )


@contextmanager
def live(console: Console) -> Iterator[Live | None]:
    """Draw again and again on a terminal; without one, there is nothing to draw on."""
    if not sys.stderr.isatty():  # `is_terminal` believes FORCE_COLOR
        yield None
        return
    on_both = sys.stdout.isatty()
    with Live(console=console, auto_refresh=False, redirect_stdout=on_both) as screen:
        yield screen


class _CountColumn(ProgressColumn):
    """Column with how much is done, and of how much if that is known."""

    def render(self, task: Task) -> Text:
        done = number(round(task.completed))
        if task.total is None:
            return Text(done)
        return Text(_("{final} of {total}").format(final=done, total=number(round(task.total))))


class _RateColumn(ProgressColumn):
    """Column with the messages a second."""

    def render(self, task: Task) -> Text:
        return Text(_("{rate}/s").format(rate=number(task.finished_speed or task.speed or 0)))


def progress_bar(console: Console, *columns: ProgressColumn) -> Progress:
    """Make a progress bar; it is hidden without a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        _CountColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
        *columns,
        console=console,
        disable=not sys.stderr.isatty(),  # is_terminal believes FORCE_COLOR
    )


def to_fix(count: int, export: str, *, has_file: bool = True) -> str:
    """Write how rejected messages and invalid rows are corrected.

    Args:
        count: Their number.
        export: The command that exports messages of the ledger.
        has_file: Whether its rows are in a file, which can be corrected.
    """
    choice = f"{FILE_TO_FIX} --to-fix"
    if not has_file:
        choice = f"{FILE_NOT_SENT} --state {State.REJECTED} --state {State.SKIPPED}"
    return ngettext(
        "{count} is rejected or invalid: to correct it, {command}",
        "{count} are rejected or invalid: to correct them, {command}",
        count,
    ).format(count=number(count), command=f"{export} {choice}")


def print_deliveries(figures: Figures) -> None:
    """Print the delivery statuses of a ledger, and the number of SMS without an id."""
    for status, count in figures.deliveries.items():
        echo(_("{count} delivery: {status}").format(count=f"{number(count):>12}", status=status))
    if figures.nameless:
        nameless = ngettext(
            "{count} SMS was accepted without an id: it cannot be followed",
            "{count} SMS were accepted without an id: they cannot be followed",
            figures.nameless,
        )
        echo(nameless.format(count=f"{number(figures.nameless):>12}"))
