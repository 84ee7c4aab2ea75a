"""A campaign on the command line: its progress bar, its failed rows and its summary."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import Final

import attrs
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from connectus_async.bulk.outcomes import BulkSummary, Row
from connectus_async.cli.running import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_UNKNOWN,
    at_first_interrupt,
    echo,
    print_json,
    sentence,
)
from connectus_async.client import AsyncConnectus
from connectus_async.errors import ConnectusError, Outcome

INTERRUPTED: Final = "interrupted"


@attrs.define
class Campaign:
    """The rows of a file on their way, and what is shown of them.

    Attributes:
        length: How many rows the file has.
        as_json: Whether to print JSON Lines: one for each row that failed, then the summary.
        summary: The count of the outcomes so far.
        stopped_by: What cut it short, or ``None``.
    """

    length: int
    as_json: bool
    summary: BulkSummary = attrs.field(factory=BulkSummary)
    stopped_by: str | None = None
    _under_way: set[int] = attrs.field(factory=set[int])
    _last_line: int | None = None
    _console: Console = attrs.field(factory=lambda: Console(stderr=True))

    async def send(
        self, connectus: AsyncConnectus, rows: AsyncIterator[Row], concurrency: int
    ) -> int:
        """Send the rows, and print the summary however it ends.

        The first Ctrl-C lets the messages under way finish, and names their outcomes.

        Returns:
            The exit code: 130 if it was interrupted, 0 if every row was accepted, 3 if one may
            have been sent, else 1.
        """
        try:
            with _progress(self._console) as progress, at_first_interrupt(self._stop):
                task = progress.add_task("sending", total=self.length)
                advance = partial(progress.advance, task)
                await self._send(connectus, rows, concurrency, advance)
        except ConnectusError as error:
            self.stopped_by = sentence(error)
        except (OSError, SystemExit):  # rich makes the latter of a closed pipe
            self.stopped_by = "nobody takes the output"
        finally:
            with suppress(OSError, SystemExit):
                self._print_end()
        return self._exit_code

    @property
    def unknown(self) -> int:
        """Messages that may have been sent, those that a second Ctrl-C cut off included."""
        return self.summary.unknown + len(self._under_way)

    @property
    def _exit_code(self) -> int:
        if self.stopped_by == INTERRUPTED:
            return EXIT_INTERRUPTED
        if self.unknown:
            return EXIT_UNKNOWN
        complete = self.summary.accepted == self.length and self.stopped_by is None
        return 0 if complete else EXIT_FAILED

    async def _send(
        self,
        connectus: AsyncConnectus,
        rows: AsyncIterator[Row],
        concurrency: int,
        advance: Callable[[], None],
    ) -> None:
        async with connectus.bulk(concurrency=concurrency) as bulk:
            async for outcome in bulk.stream(self._begin(rows)):
                self.summary.add(outcome)
                self._under_way.discard(outcome.line or 0)
                advance()
                if outcome.outcome is not Outcome.ACCEPTED:
                    self._print_failure(outcome.line, outcome.outcome, outcome.error)

    async def _begin(self, rows: AsyncIterator[Row]) -> AsyncIterator[Row]:
        async for row in rows:
            if self.stopped_by == INTERRUPTED:
                return
            self._under_way.add(row.line)
            self._last_line = row.line
            yield row

    def _stop(self) -> None:
        self.stopped_by = INTERRUPTED
        self._print_line("connectus: finishing the messages under way; Ctrl-C again gives them up")

    def _print_failure(self, line: int | None, outcome: Outcome, error: object) -> None:
        if self.as_json:
            print_json({"line": line, "outcome": outcome, "error": sentence(error)})
        else:
            self._print_line(f"line {line}: {outcome}: {sentence(error)}")

    def _print_end(self) -> None:
        for line in sorted(self._under_way):
            self._print_failure(line, Outcome.UNKNOWN, "its answer was not waited for")
        counts = {
            "rows": self.length,
            "accepted": self.summary.accepted,
            "rejected": self.summary.rejected,
            "not_sent": self.summary.not_sent,
            "unknown": self.unknown,
            "left": self.length - self.summary.total - len(self._under_way),
        }
        if self.as_json:
            print_json(counts | {"last_line": self._last_line, "stopped_by": self.stopped_by})
            return
        if self.stopped_by:
            after = f" after line {self._last_line}" if self._last_line else ""
            self._print_line(f"connectus: stopped{after}: {self.stopped_by}")
        echo(
            "{accepted:,} of {rows:,} accepted, {rejected:,} rejected, {not_sent:,} not sent, "
            "{unknown:,} unknown, {left:,} not tried".format_map(counts)
        )

    def _print_line(self, line: str) -> None:
        """Print on standard error, above the progress bar."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class _RateColumn(ProgressColumn):
    """Messages a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:,.0f}/s")


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not sys.stderr.isatty(),  # is_terminal believes FORCE_COLOR
    )
