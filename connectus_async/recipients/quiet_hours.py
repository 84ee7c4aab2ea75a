"""The hours in which no message is to leave, by the clock of the recipient."""

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
from connectus_async.config import TIME_ZONE
from connectus_async.errors import ConfigurationError, InvalidArgumentError
from connectus_async.extras import library
from connectus_async.recipients import phone_numbers

NUMBERS_REMEMBERED: Final = 2**17

_FORM: Final = re.compile(r"\s*(\d\d?:\d\d)\s*[-\N{EN DASH}]\s*(\d\d?:\d\d)\s*", re.ASCII)
_DAY: Final = dt.timedelta(days=1)
_log: Final = logging.getLogger("connectus_async")


@attrs.frozen
class QuietHours:
    """A time of day in which nobody is to get a message.

    The recipient's time zone is worked out from the number. A number that may be in several, as in
    the United States, is left alone while it is quiet in any of them; one of which only the country
    is known, in any of that country. The fallback counts for email, for numbers of no country, and
    for those whose zones leave no hour free. What is put into a delivery is judged when it is put
    there, not when the platform executes it.

    Args:
        begin: The local time at which it becomes quiet.
        end: The local time from which messages may leave again; before `begin` if the quiet goes
            on past midnight.
        time_zone: The fallback, by its IANA name.

    Raises:
        ConfigurationError: The times make no sense, the zone is not known here, or the extra
            ``phone`` is not installed.

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
            raise ConfigurationError("quiet_hours", "begin when they end: no message could leave")
        library("quiet_hours", "phonenumbers.timezone", extra="phone")
        if self.time_zone != TIME_ZONE:
            tz_database.check(self.time_zone)

    @classmethod
    def parse(cls, text: str, *, time_zone: str = TIME_ZONE) -> Self:
        """Read quiet hours such as ``21:00-08:00``; ``24:00`` is midnight too.

        Raises:
            ConfigurationError: The text is none, or as for the class.
        """
        times = _FORM.fullmatch(text)
        if times is None:
            raise _not_times()
        return cls(_time(times[1]), _time(times[2]), time_zone)

    def load(self) -> None:
        """Read the time zones of all phone numbers, blocking; `until` reads no file then.

        The log warns, once, where the rules of this machine are too old to be relied on.

        Raises:
            ConfigurationError: This machine does not know the fallback.
        """
        import_module("connectus_async.recipients.time_zones").load()
        tz_database.zone(self.time_zone)
        _warn_of_old_rules()

    def until(self, recipient: str, now: dt.datetime) -> dt.datetime | None:
        """Tell when a message to a recipient may leave.

        Args:
            recipient: The digits of a number, with its country code, or an email address.
            now: The present moment, with a time zone.

        Returns:
            ``None`` if it may leave now, else the moment from which it may, by the recipient's
            clock. When the clocks are put forward over the end, that is as much later.

        Raises:
            InvalidArgumentError: `now` has no time zone.
            ConfigurationError: This machine does not know the recipient's time zone.
        """
        if now.tzinfo is None:
            raise InvalidArgumentError("now", "must have a time zone")
        fallback = (tz_database.zone(self.time_zone),)
        zones = fallback if "@" in recipient else _zones_of(recipient) or fallback
        moment = now.astimezone(dt.UTC)
        freed = self._freed(zones, moment)
        return freed.astimezone(zones[0]) if freed > moment else None

    def _freed(self, zones: tuple[ZoneInfo, ...], moment: dt.datetime) -> dt.datetime:
        """The first moment at which it is quiet in no zone; in the fallback if there is none."""
        freed = moment
        while ends := [end for zone in zones if (end := self._end(freed, zone))]:
            freed = max(ends)
            if freed - moment > 2 * _DAY:  # around the whole world, as for a toll-free number
                return self._freed((tz_database.zone(self.time_zone),), moment)
        return freed

    def _end(self, moment: dt.datetime, zone: ZoneInfo) -> dt.datetime | None:
        """When the quiet ends in a zone in which it is quiet, in UTC."""
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
            for fold in (0, 1):  # an hour that comes twice has its ends twice
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


def neighbour(digits: str) -> str:
    """A number that stands for the thousand around it: they have one country and time zone.

    >>> neighbour("56987688060")
    '56987688000'
    """
    return digits[:-3] + "000" if len(digits) >= 10 else digits


def _zones_of(digits: str) -> tuple[ZoneInfo, ...]:
    return _zones_known(neighbour(digits)) or _zones_possible(digits)


@lru_cache(NUMBERS_REMEMBERED)
def _zones_known(digits: str) -> tuple[ZoneInfo, ...]:
    return _found(phone_numbers.time_zones(digits, guess=False))


@lru_cache(NUMBERS_REMEMBERED)
def _zones_possible(digits: str) -> tuple[ZoneInfo, ...]:
    return _found(phone_numbers.time_zones(digits))


def _found(names: Iterable[str]) -> tuple[ZoneInfo, ...]:
    return tuple(tz_database.zone(name) for name in names)
