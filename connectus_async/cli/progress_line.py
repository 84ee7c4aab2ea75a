"""Progress line of a campaign: it fits the width that there is."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

import attrs
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from connectus_async.bulk.outcomes import BulkSummary
from connectus_async.bulk.progress import Progress
from connectus_async.cli.delays import told
from connectus_async.cli.durations import duration
from connectus_async.cli.language import gettext as _
from connectus_async.cli.language import number
from connectus_async.cli.state_counts import counted
from connectus_async.ledger.states import State

SMALLEST_BAR: Final = 10
BETWEEN: Final = "  "
WINDOW: Final = 15.0
"""Seconds over which the rate is measured."""


@attrs.frozen(kw_only=True)
class Figures:
    """Figures of a progress line.

    Attributes:
        final: Messages with a final state.
        total: All messages of the run.
        rate: Messages a second; ``None`` as long as it is not known.
        summary: Count of the outcomes.
        delays: Sentences about delays.
        is_halted: Nothing is sent at the moment.
    """

    final: int
    total: int
    rate: float | None
    summary: BulkSummary
    delays: Sequence[str] = ()
    is_halted: bool = False

    @property
    def seconds_left(self) -> float | None:
        """Seconds that the rest takes at this rate, if that can be told."""
        if not self.rate or self.is_halted or self.final >= self.total:
            return None
        return (self.total - self.final) / self.rate

    def counts(self) -> str:
        """Write how many have a final state."""
        return _("{final} of {total}").format(final=number(self.final), total=number(self.total))

    def pace(self) -> Iterator[str]:
        """Write the rate, and the time that is left."""
        if self.is_halted or self.rate is None:
            return
        yield _("{rate}/s").format(rate=number(self.rate, 0 if self.rate >= 10 else 1))
        if self.seconds_left is not None:
            yield _("{time} left").format(time=duration(self.seconds_left))

    def failures(self) -> Iterator[str]:
        """Write how many were not accepted."""
        counts = self.summary
        if counts.rejected:
            yield counted(State.REJECTED, counts.rejected)
        if counts.unknown:
            yield _("{count} may have been sent").format(count=number(counts.unknown))
        if counts.skipped:
            yield counted(State.SKIPPED, counts.skipped)

    def sentence(self) -> str:
        """Write everything on one line."""
        parts = [", ".join((self.counts(), *self.pace(), *self.failures())), *self.delays]
        return "; ".join(parts)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the bar with as many figures as fit, and a line for each delay."""
        width = options.max_width - 1  # some terminals wrap a full line
        parts = [self.counts(), *self.pace(), *self.failures()]
        while len(parts) > 1 and cell_len(BETWEEN.join(parts)) > width:
            parts.pop()
        text = BETWEEN.join(parts)
        bar = width - cell_len(text) - len(BETWEEN)
        line = Table.grid(padding=(0, len(BETWEEN)))
        if bar >= SMALLEST_BAR:
            drawn = ProgressBar(total=max(self.total, 1), completed=self.final, width=min(bar, 40))
            line.add_row(drawn, Text(text, no_wrap=True))
        else:
            line.add_row(Text(text, no_wrap=True, overflow="ellipsis"))
        yield line
        for delay in self.delays:
            yield Text(delay, style="yellow")


@attrs.define
class Meter:
    """Measures the rate of a run, over the last seconds. Time in which it waits does not count.

    Attributes:
        total: All messages of the run.
        began: Time of the monotonic clock at which it began.
    """

    total: int
    began: float = 0.0
    _seen: deque[tuple[float, int]] = attrs.field(factory=deque)
    _looked: float = attrs.field(default=attrs.Factory(lambda it: it.began, takes_self=True))
    _waited: float = 0.0

    def figures(self, progress: Progress, now: float) -> Figures:
        """Take the present figures, at a time of the monotonic clock."""
        final = progress.summary.total - progress.summary.queued
        delays = told(progress.delays)
        is_halted = bool(delays) and not progress.in_flight and self._is_unchanged(final)
        if is_halted:
            self._waited += now - self._looked
            self._seen.clear()
        self._looked = now
        return Figures(
            final=final,
            total=max(self.total, final),
            rate=self._rate(now, final),
            summary=progress.summary,
            delays=delays,
            is_halted=is_halted,
        )

    def result(self, progress: Progress, now: float) -> Figures:
        """Take the figures of a run that has ended, with its average rate while it was sent."""
        final = progress.summary.total - progress.summary.queued
        seconds = now - self.began - self._waited
        return Figures(
            final=final,
            total=max(self.total, final),
            rate=final / seconds if final and seconds > 0 else None,
            summary=progress.summary,
        )

    def _is_unchanged(self, final: int) -> bool:
        return bool(self._seen) and self._seen[-1][1] == final

    def _rate(self, now: float, final: int) -> float | None:
        seen = self._seen
        seen.append((now, final))
        while len(seen) > 2 and now - seen[0][0] > WINDOW:
            seen.popleft()
        (since, before) = seen[0]
        seconds = now - since
        return (final - before) / seconds if seconds > 0 and final > before else None
