"""Steering of a run: it is held back, paced and stopped by the program, the user and others."""

import asyncio
import datetime as dt
import math
import time
from typing import TYPE_CHECKING, Final

from connectus_async.bulk.failures import STOPS_ALL_HOLDERS
from connectus_async.bulk.pacing import Pacer
from connectus_async.bulk.progress import Delay, DelayCause
from connectus_async.errors import CampaignStoppedError, safe_text
from connectus_async.ledger.records import Attendance, Instructions, Throttling

if TYPE_CHECKING:
    from connectus_async.bulk.run import Run

USER, SUPPRESSION, ORDER = "the user", "the suppression list", "an order"
SCHEDULE = "the schedule"
START, SHARE = "the start", "the rate of others"
"""Reasons to hold messages back: `Bulk.pause`; a list that cannot be read; an order from another
terminal; a start at a later time; the first instructions have not come yet; others have the whole
rate, or the permission to use a part of it has run out."""

PAUSED: Final = Delay(cause=DelayCause.PAUSE, by=USER)
UNREADABLE: Final = Delay(cause=DelayCause.SUPPRESSION, by=SUPPRESSION)
MAX_SECONDS: Final = 100 * 366 * 86_400.0
"""Longest pause whose end is reported; it may be infinity."""

SHORT: Final = frozenset({START, SHARE})
"""Reasons that are no pause."""


class Steering:
    """Steers the runs of a sender, one after the other.

    A run is held back for as long as there is a reason.

    Args:
        pacer: The pacer of all runs.
        rate: Maximum messages or segments a second; ``None`` for no maximum.
        reserves: There is a budget.
    """

    def __init__(self, pacer: Pacer, rate: float | None, *, reserves: bool) -> None:
        self._pacer = pacer
        self._rate = rate
        self._reserves = reserves
        self._has_own_rate = True
        self._run: Run | None = None
        self._reasons: dict[str, Delay | None] = {}
        self._expiry: asyncio.TimerHandle | None = None

    @property
    def delays(self) -> tuple[Delay, ...]:
        """Delays of longer than a moment."""
        return tuple(delay for delay in self._reasons.values() if delay is not None)

    def holds_back(self, reason: str) -> bool:
        """Tell whether a reason holds messages back."""
        return reason in self._reasons

    def hold_back(self, reason: str, delay: Delay | None = None) -> None:
        """Send nothing for as long as there is this reason.

        Args:
            reason: The reason.
            delay: The delay to report; ``None`` if it is of a moment.
        """
        self._reasons[reason] = delay
        self._pacer.pause()

    def go_on(self, reason: str) -> None:
        """Send again, unless there is another reason not to."""
        if reason not in self._reasons:
            return
        del self._reasons[reason]
        if self._reasons:
            return
        self._pacer.resume()
        if self._run is not None and reason not in SHORT:
            self._run.resumed()

    def set_rate(self, rate: float | None) -> None:
        """Change the maximum, which counts unless there is an order of another one."""
        self._rate = rate
        if self._has_own_rate:
            self._pacer.set_rate(rate)
        if self._run is not None:
            self._run.news.set()

    def begin(self, run: "Run") -> "Attendant":
        """Steer another run, which waits for its first instructions."""
        self._run = run
        self.hold_back(START)
        return Attendant(self, run)

    def attendance(self, run: "Run") -> Attendance:
        """Report how a run goes."""
        throttling = self._pacer.take_throttling()
        return Attendance(
            rate=self._rate,
            demand=0.0 if run.is_over else self._pacer.demand,
            throttling=None if throttling is None else Throttling(*throttling),
            reserves=self._reserves,
        )

    def follow(self, instructions: Instructions, seconds: float) -> None:
        """Follow instructions on the pace.

        Args:
            instructions: The instructions.
            seconds: Seconds for which the rate may still be used.
        """
        if instructions.paused_for > 0:
            self.hold_back(ORDER, _ordered(instructions))
        else:
            self.go_on(ORDER)
        if instructions.starts_in > 0:
            self.hold_back(SCHEDULE, _scheduled(instructions))
        else:
            self.go_on(SCHEDULE)
        if instructions.throttling is not None:
            self._pacer.slow_down(*instructions.throttling)
        self._has_own_rate = instructions.lasts == math.inf and instructions.rate == self._rate
        self._allow(instructions.rate, seconds)
        self.go_on(START)

    def _allow(self, rate: float | None, seconds: float) -> None:
        self._forget_expiry()
        if rate == 0 or seconds <= 0:
            self.hold_back(SHARE)
            return
        if rate != self._pacer.user_rate:
            self._pacer.set_rate(rate)
        self.go_on(SHARE)
        if seconds < math.inf:
            loop = asyncio.get_running_loop()
            self._expiry = loop.call_later(seconds, self.hold_back, SHARE)

    def _forget_expiry(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def end(self) -> None:
        """Forget what was meant for the run that has ended."""
        self._forget_expiry()
        self._has_own_rate = True
        self._pacer.set_rate(self._rate)
        for reason in (ORDER, SCHEDULE, *SHORT):
            self.go_on(reason)


def _ordered(instructions: Instructions) -> Delay:
    by, seconds = instructions.paused_by or ORDER, instructions.paused_for
    if seconds > MAX_SECONDS:
        return Delay(cause=DelayCause.PAUSE, by=by)
    return Delay(cause=DelayCause.PAUSE, by=by, until=_after(seconds))


def _scheduled(instructions: Instructions) -> Delay:
    until, zone = _after(instructions.starts_in), instructions.starts_zone
    return Delay(cause=DelayCause.SCHEDULE, until=until, zone=zone)


def _after(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(round(time.time() + seconds)).astimezone()


class Attendant:
    """Attends for one run. See `attendance.Attending`.

    Args:
        steering: What steers the run.
        run: The run.
    """

    def __init__(self, steering: Steering, run: "Run") -> None:
        self.news = run.news
        self._steering = steering
        self._run = run
        self._told: Exception | None = None

    @property
    def is_over(self) -> bool:
        """``True`` if the run has ended."""
        return self._run.is_over

    def attendance(self) -> Attendance:
        """Report how the run goes, and once why it stopped, if it would stop everywhere."""
        failure, told = self._run.feed.failure, self._told
        self._told = failure
        is_news = failure is not told and isinstance(failure, STOPS_ALL_HOLDERS)
        stopped = safe_text(failure) if is_news and failure is not None else None
        return self._steering.attendance(self._run)._replace(stopped=stopped)

    def follow(self, instructions: Instructions, asked_at: float) -> None:
        """Follow instructions."""
        if instructions.stopped is not None:
            self._run.stop(CampaignStoppedError(instructions.stopped))
        self._steering.follow(instructions, instructions.lasts - (time.monotonic() - asked_at))

    def stop(self, failure: Exception) -> None:
        """Send nothing more."""
        self._run.stop(failure)
