"""Quiet hours: local times of the recipient at which no message is sent."""

import datetime as dt
import logging
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib import import_module
from typing import Final, Self
from zoneinfo import ZoneInfo

import attrs

from connectus_async import tz_database
from connectus_async.config import check_time_zone
from connectus_async.defaults import TIME_ZONE
from connectus_async.errors import ConfigurationError, InvalidArgumentError
from connectus_async.extras import library
from connectus_async.recipients import phone_numbers

NUMBERS_REMEMBERED: Final = 2**17

_FORM: Final = re.compile(r"\s*(\d\d?:\d\d)\s*[-\N{EN DASH}]\s*(\d\d?:\d\d)\s*", re.ASCII)
_DAY: Final = dt.timedelta(days=1)
_log: Final = logging.getLogger("connectus_async")


@attrs.frozen
class QuietHours:
    """Local times at which no message is sent.

    The number gives the recipient's time zone. If it may be in several, as in the United States,
    all of them must be outside quiet hours; if only its country is known, all zones of the country.
    The fallback zone applies to email, to numbers of no country, and to numbers whose zones leave
    no hour free. Messages for a delivery are checked when they are added to it, not when the
    platform executes it.

    Args:
        begin: The local time at which quiet hours begin.
        end: The local time at which they end; before `begin` if they continue past midnight.
        time_zone: The IANA name of the fallback zone.

    Raises:
        ConfigurationError: The times are invalid, the zone is unknown, or the extra ``phone`` is
            not installed.

    Example:
        >>> night = QuietHours.parse("21:00-08:00")
        >>> late = dt.datetime(2026, 7, 31, 22, 30, tzinfo=ZoneInfo("America/Santiago"))
        >>> str(night.until("56987688060", late))
        '2026-08-01 08:00:00-04:00'
    """

    begin: dt.time
    end: dt.time
    time_zone: str = TIME_ZONE

    def __attrs_post_init__(self) -> None:
        if self.begin.tzinfo or self.end.tzinfo:
            raise ConfigurationError("quiet_hours", "must be local times, without a time zone")
        if self.begin == self.end:
            raise ConfigurationError("quiet_hours", "begin when they end; no message could be sent")
        library("quiet_hours", "phonenumbers.timezone", extra="phone")
        check_time_zone(self.time_zone)

    @classmethod
    def parse(cls, text: str, *, time_zone: str = TIME_ZONE) -> Self:
        """Parse quiet hours such as ``21:00-08:00``; ``24:00`` also means midnight.

        Raises:
            ConfigurationError: The text is invalid, or as for the class.
        """
        times = _FORM.fullmatch(text)
        if times is None:
            raise _not_times()
        return cls(_time(times[1]), _time(times[2]), time_zone)

    @property
    def _text(self) -> str | None:
        """The text from which `parse` makes the same hours, if there is one."""
        is_plain = self.time_zone == TIME_ZONE and not any(
            time.second or time.microsecond for time in (self.begin, self.end)
        )
        return f"{self.begin:%H:%M}-{self.end:%H:%M}" if is_plain else None

    def load(self) -> None:
        """Load the time zones of all phone numbers, blocking, so that `until` reads no file.

        Logs a warning, once, if the time zone rules of this machine are too old to rely on.

        Raises:
            ConfigurationError: This machine does not know the fallback zone.
        """
        import_module("connectus_async.recipients.time_zones").load()
        tz_database.zone(self.time_zone)
        _warn_of_old_rules()

    def until(self, recipient: str, now: dt.datetime) -> dt.datetime | None:
        """Return the end of the quiet hours for a recipient.

        Args:
            recipient: The digits of a number, with its country code, or an email address.
            now: The current time, with a time zone.

        Returns:
            ``None`` if a message may be sent now, else the time from which it may, in the
            recipient's time zone. If the clocks are put forward over that time, it is as much
            later.

        Raises:
            InvalidArgumentError: `now` has no time zone.
            ConfigurationError: This machine does not know the recipient's time zone.
        """
        if now.tzinfo is None:
            raise InvalidArgumentError("now", "must have a time zone")
        fallback = (tz_database.zone(self.time_zone),)
        zones = fallback if "@" in recipient else _zones_of(recipient) or fallback
        moment = now.astimezone(dt.UTC)
        free_from = self._first_free(zones, moment)
        return free_from.astimezone(zones[0]) if free_from > moment else None

    def _first_free(self, zones: tuple[ZoneInfo, ...], moment: dt.datetime) -> dt.datetime:
        """Return the first moment outside quiet hours in all zones, or else in the fallback."""
        free_from = moment
        while ends := [end for zone in zones if (end := self._end(free_from, zone))]:
            free_from = max(ends)
            if free_from - moment > 2 * _DAY:  # zones all around the world, as for toll-free
                return self._first_free((tz_database.zone(self.time_zone),), moment)
        return free_from

    def _end(self, moment: dt.datetime, zone: ZoneInfo) -> dt.datetime | None:
        """Return the end, in UTC, of the quiet hours in a zone; ``None`` outside them."""
        local = moment.astimezone(zone)
        if not self._covers(local.time()):
            return None
        return min(end for end in self._ends(local) if end > moment)

    def _covers(self, time: dt.time) -> bool:
        if self.begin < self.end:
            return self.begin <= time < self.end
        return time >= self.begin or time < self.end

    def _ends(self, local: dt.datetime) -> Iterator[dt.datetime]:
        for day in (local.date(), local.date() + _DAY):
            for fold in (0, 1):  # an hour that occurs twice has two ends
                end = dt.datetime.combine(day, self.end.replace(fold=fold), local.tzinfo)
                yield end.astimezone(dt.UTC)


@lru_cache(1)
def _warn_of_old_rules() -> None:
    trouble = tz_database.trouble(dt.datetime.now(dt.UTC).date())
    if trouble is not None:
        _log.warning("quiet hours: %s", trouble)


def _time(written: str) -> dt.time:
    try:
        return dt.time.fromisoformat(written.zfill(5)) if written != "24:00" else dt.time()
    except ValueError:
        raise _not_times() from None


def _not_times() -> ConfigurationError:
    return ConfigurationError("quiet_hours", "must be two times such as 21:00-08:00")


def block_start(digits: str) -> str:
    """Return the first number of a block of 1,000, which share one country and time zone.

    >>> block_start("56987688060")
    '56987688000'
    """
    return digits[:-3] + "000" if len(digits) >= 10 else digits


def _zones_of(digits: str) -> tuple[ZoneInfo, ...]:
    return _zones_known(block_start(digits)) or _zones_possible(digits)


@lru_cache(NUMBERS_REMEMBERED)
def _zones_known(digits: str) -> tuple[ZoneInfo, ...]:
    return _zones(phone_numbers.time_zones(digits, guess=False))


@lru_cache(NUMBERS_REMEMBERED)
def _zones_possible(digits: str) -> tuple[ZoneInfo, ...]:
    return _zones(phone_numbers.time_zones(digits))


def _zones(names: Iterable[str]) -> tuple[ZoneInfo, ...]:
    return tuple(tz_database.zone(name) for name in names)
