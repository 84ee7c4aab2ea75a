"""A campaign on the command line: its progress bar, its failed rows and its summary."""

from collections.abc import AsyncIterator
from typing import Final

import attrs
import click
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

from connectus_async.bulk.outcomes import BulkSummary, MessageOutcome, Row
from connectus_async.cli.running import EXIT_FAILED, EXIT_UNKNOWN, print_json
from connectus_async.client import AsyncConnectus
from connectus_async.errors import ConnectusError, Outcome

SHOWN_FAILURES: Final = 20


@attrs.define
class Campaign:
    """The rows of a file on their way, and what is shown of them.

    Attributes:
        length: How many rows the file has.
        as_json: Whether to print JSON Lines: one for each row that failed, then the summary.
        summary: The count of the outcomes so far.
        stopped_by: The error that cut it short, or ``None``.
    """

    length: int
    as_json: bool
    summary: BulkSummary = attrs.field(factory=BulkSummary)
    stopped_by: ConnectusError | None = None
    _failures: int = 0

    async def send(
        self, connectus: AsyncConnectus, rows: AsyncIterator[Row], concurrency: int
    ) -> int:
        """Send the rows, and print the summary however it ends.

        Returns:
            The exit code: 0 if every row was accepted, 3 if one may have been sent, else 1.
        """
        try:
            with _progress() as progress:
                task = progress.add_task("sending", total=self.length)
                await self._send(connectus, rows, concurrency, progress, task)
        except ConnectusError as error:
            self.stopped_by = error
        finally:
            self._print_summary()
        if self.summary.unknown:
            return EXIT_UNKNOWN
        return 0 if self.summary.accepted == self.length else EXIT_FAILED

    async def _send(
        self,
        connectus: AsyncConnectus,
        rows: AsyncIterator[Row],
        concurrency: int,
        progress: Progress,
        task: TaskID,
    ) -> None:
        async with connectus.bulk(concurrency=concurrency) as bulk:
            self.summary = bulk.summary
            async for outcome in bulk.stream(rows):
                progress.advance(task)
                if outcome.outcome is not Outcome.ACCEPTED:
                    self._print_failure(outcome, progress.console)

    def _print_failure(self, failure: MessageOutcome, console: Console) -> None:
        self._failures += 1
        if self.as_json:
            print_json(
                {"line": failure.line, "outcome": failure.outcome, "error": str(failure.error)}
            )
        elif self._failures <= SHOWN_FAILURES:
            console.print(
                f"line {failure.line}: {failure.outcome}: {failure.error}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )

    def _print_summary(self) -> None:
        summary = self.summary
        left = self.length - summary.total
        counts = {
            "rows": self.length,
            "accepted": summary.accepted,
            "rejected": summary.rejected,
            "not_sent": summary.not_sent,
            "unknown": summary.unknown,
            "left": left,
        }
        if self.as_json:
            print_json(counts | {"stopped_by": str(self.stopped_by) if self.stopped_by else None})
            return
        if self._failures > SHOWN_FAILURES:
            click.echo(
                f"{self._failures - SHOWN_FAILURES:,} more rows failed; --json names each", err=True
            )
        if self.stopped_by:
            click.echo(f"connectus: stopped: {self.stopped_by}", err=True)
        click.echo(
            "{accepted:,} of {rows:,} accepted, {rejected:,} rejected, {not_sent:,} not sent, "
            "{unknown:,} unknown, {left:,} not tried".format_map(counts)
        )


class _RateColumn(ProgressColumn):
    """Messages a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:,.0f}/s")


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
