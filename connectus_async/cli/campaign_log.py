"""Log of a campaign while it is sent: its progress now and then, and each change of its delays."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from connectus_async.bulk.progress import Delay, DelayCause
from connectus_async.cli.delays import told
from connectus_async.cli.language import gettext as _
from connectus_async.cli.log import event
from connectus_async.cli.progress_line import Figures
from connectus_async.ledger.states import State

SECONDS: Final = 10.0
"""From one line of progress to the next, in the first five minutes."""

SHARE: Final = 25
"""Later, a line comes each time that the campaign has become older by this part of its age: half a
million messages take fewer than 200 lines at any rate."""

OFTEN: Final = frozenset({DelayCause.RATE_LIMIT, DelayCause.OUTAGE})
"""Causes that may come and go every few seconds."""

OFTEN_SECONDS: Final = 60.0
OFTEN_SHARE: Final = 3
"""As `SECONDS` and `SHARE`, for the lines about one of these causes; their end has none."""


@attrs.define
class CampaignLog:
    """Decides what of a campaign is worth a line of its log.

    Attributes:
        began: Time of the monotonic clock at which sending began.
    """

    began: float
    _next: float = attrs.field(
        default=attrs.Factory(lambda self: self.began + SECONDS, takes_self=True)
    )
    _told: dict[DelayCause, object] = attrs.field(factory=dict)
    _told_at: dict[DelayCause, float] = attrs.field(factory=dict)
    _quiet: int = 0

    def look(self, figures: Figures, delays: Sequence[Delay], now: float) -> bool:
        """Log what is new.

        Args:
            figures: The present figures.
            delays: The present delays.
            now: Time of the monotonic clock.

        Returns:
            Whether the delays have changed.
        """
        changes = list(self._changes(figures, delays, now))
        for sentence, fields in changes:
            event(sentence, **fields)
        if now >= self._next:
            self._next = now + max(SECONDS, (now - self.began) / SHARE)
            event(figures.sentence(), **as_dict(figures, delays), type="progress")
        return bool(changes)

    def _changes(
        self, figures: Figures, delays: Sequence[Delay], now: float
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        present = {cause: same for cause in DelayCause if (same := _of(delays, cause))}
        gone = [cause for cause in self._told if cause not in present]
        for cause in gone:
            del self._told[cause]
        quiet = sum(delay.messages or 0 for delay in present.get(DelayCause.QUIET_HOURS, ()))
        is_growing, self._quiet = quiet != self._quiet, quiet
        for cause, same in present.items():
            key = tuple(_key(delay) for delay in same)
            is_settled = self._is_settled(cause, figures, now, is_growing=is_growing)
            if self._told.get(cause) == key or not is_settled:
                continue
            self._told[cause], self._told_at[cause] = key, now
            (sentence,) = told(same)
            yield sentence, {"event": "delayed", "delays": [delay.as_dict() for delay in same]}
        if not OFTEN.issuperset(gone) and OFTEN.issuperset(self._told):
            yield _("sending goes on"), {"event": "continued"}

    def _is_settled(
        self, cause: DelayCause, figures: Figures, now: float, *, is_growing: bool
    ) -> bool:
        if cause is DelayCause.QUIET_HOURS:
            return figures.is_halted and not is_growing
        if cause not in OFTEN or cause not in self._told_at:
            return True
        gap = max(OFTEN_SECONDS, (now - self.began) / OFTEN_SHARE)
        return now - self._told_at[cause] >= gap


def as_dict(figures: Figures, delays: Sequence[Delay]) -> dict[str, Any]:
    """Give what `--json` prints of the progress."""
    counts = figures.summary.counts
    seconds = figures.seconds_left
    return {
        "final": figures.final,
        "total": figures.total,
        **{
            str(state): counts[state]
            for state in (State.ACCEPTED, State.REJECTED, State.UNKNOWN, State.SKIPPED)
        },
        "rate": None if figures.rate is None else round(figures.rate, 2),
        "seconds_left": None if seconds is None else round(seconds),
        "delays": [delay.as_dict() for delay in delays],
    }


def _key(delay: Delay) -> object:
    """Give what makes a delay news."""
    return () if delay.cause in OFTEN else (delay.by, delay.until, delay.messages)


def _of(delays: Sequence[Delay], cause: DelayCause) -> list[Delay]:
    return [delay for delay in delays if delay.cause is cause]
