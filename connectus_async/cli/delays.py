"""Sentences about the delays of a campaign."""

import datetime as dt
from collections.abc import Sequence
from typing import Final

from connectus_async.bulk.progress import Delay, DelayCause
from connectus_async.cli.language import country, moment, ngettext, number
from connectus_async.cli.language import gettext as _
from connectus_async.cli.schedule import start_time

SOON: Final = dt.timedelta(seconds=2)
DAY: Final = dt.timedelta(days=1)


def load() -> None:
    """Load what the language needs, blocking, so that no sentence reads a file."""
    country("CL")
    moment(dt.datetime.now(dt.UTC))
    number(1.5, 1)


def told(delays: Sequence[Delay]) -> list[str]:
    """Write a sentence for each cause of a delay. During a pause, the API's do not matter."""
    by_cause = {cause: [it for it in delays if it.cause is cause] for cause in DelayCause}
    if by_cause[DelayCause.PAUSE]:
        by_cause[DelayCause.RATE_LIMIT] = by_cause[DelayCause.OUTAGE] = []
    return [_told(same) for same in by_cause.values() if same]


def clock_time(value: dt.datetime) -> str:
    """Write a time of day, with the date if it is not within a day."""
    is_near = abs(value - dt.datetime.now(dt.UTC)) < DAY
    return f"{value:%H:%M}" if is_near else moment(value)


def _told(delays: Sequence[Delay]) -> str:
    delay = delays[0]
    match delay.cause:
        case DelayCause.SCHEDULE:
            return _("starts {time}").format(time=_start_of(delay))
        case DelayCause.PAUSE:
            return _pause(delay)
        case DelayCause.QUIET_HOURS:
            return _quiet_hours(delays)
        case DelayCause.RATE_LIMIT:
            return _rate_limit(delay)
        case DelayCause.OUTAGE:
            return _("the API does not answer; trying again")
        case DelayCause.SUPPRESSION:
            return _("the suppression list cannot be read; trying again")


def _start_of(delay: Delay) -> str:
    return "" if delay.until is None else start_time(delay.until, delay.zone)


def _pause(delay: Delay) -> str:
    if delay.until is None:
        return _("paused by {who}").format(who=delay.by)
    return _("paused by {who} until {time}").format(
        who=delay.by, time=clock_time(delay.until.astimezone())
    )


def _quiet_hours(delays: Sequence[Delay]) -> str:
    """Write the first end, where that is, and the number of all that wait."""
    first, messages = delays[0], sum(delay.messages or 0 for delay in delays)
    if first.country is None:
        said = ngettext(
            "quiet hours until {time}, {count} waits",
            "quiet hours until {time}, {count} wait",
            messages,
        )
    elif all(delay.country == first.country for delay in delays):
        said = ngettext(
            "quiet hours until {time} in {country}, {count} waits",
            "quiet hours until {time} in {country}, {count} wait",
            messages,
        )
    else:
        said = ngettext(
            "quiet hours until {time} in {country} and later elsewhere, {count} waits",
            "quiet hours until {time} in {country} and later elsewhere, {count} wait",
            messages,
        )
    return said.format(
        time="" if first.until is None else clock_time(first.until),
        country="" if first.country is None else country(first.country),
        count=number(messages),
    )


def _rate_limit(delay: Delay) -> str:
    until = delay.until
    if until is not None and until - dt.datetime.now(dt.UTC) > SOON:
        return _("the API said slow down: nothing until {time}").format(
            time=f"{until.astimezone():%H:%M:%S}"
        )
    if delay.rate is None:
        return _("the API said slow down")
    digits = 0 if delay.rate >= 10 else 1
    return _("the API said slow down: {rate}/s").format(rate=number(delay.rate, digits))
