"""Readers of a request's parameters: a checked value, or a `RefusalError` that names it."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from connectus_async.emulator.refusals import RefusalError
from connectus_async.emulator.state import PLATFORM_ZONE

if TYPE_CHECKING:
    from collections.abc import Callable

Params = dict[str, Any]
Value = TypeVar("Value")

_IDENTIFIER: Final = re.compile(r"[^\s/]{1,64}")
_DESTINATION: Final = re.compile(r"[1-9][0-9]{7,14}", re.ASCII)
_SOURCE: Final = re.compile(r"[0-9]{3,15}", re.ASCII)
_AMOUNT: Final = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s]+\.[^@\s.]+")
_LINK: Final = re.compile(r"https?://[^\s\x00-\x1f]+")
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_SECOND: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)
_MOST_NUMBERS: Final = 1024


def optional(read: Callable[[Params, str], Value], params: Params, name: str) -> Value | None:
    """Apply `read`, or return None if the parameter is missing or null."""
    return None if params.get(name) is None else read(params, name)


def text(params: Params, name: str) -> str:
    """Read a string that is not blank."""
    value = params.get(name)
    if value is None:
        raise RefusalError(name, "is missing")
    if not isinstance(value, str):
        raise RefusalError(name, "must be a string")
    if not value or value.isspace():
        raise RefusalError(name, "must not be empty")
    return value


def line(params: Params, name: str) -> str:
    """Read text without line breaks."""
    value = text(params, name)
    if "\r" in value or "\n" in value:
        raise RefusalError(name, "must be a single line")
    return value


def identifier(params: Params, name: str) -> str:
    """Read an id, given as a string or a number."""
    return _matching(_IDENTIFIER, params, name, "must be an id")


def destination(params: Params, name: str) -> str:
    """Read an international number of 8 to 15 digits, given as a string or a number."""
    return _matching(_DESTINATION, params, name, "must be a number in international format")


def source(params: Params, name: str) -> str:
    """Read the digits of a sender, which may be a short number."""
    return _matching(_SOURCE, params, name, "must be a number")


def destinations(params: Params, name: str) -> list[str]:
    """Read a list of international numbers."""
    value = _present(params, name)
    numbers = cast("list[object]", value) if isinstance(value, list) else []
    if not 0 < len(numbers) <= _MOST_NUMBERS:
        raise RefusalError(name, f"must be a list of 1 to {_MOST_NUMBERS} numbers")
    return [destination({name: number}, name) for number in numbers]


def amount(params: Params, name: str) -> int:
    """Read a positive integer, given as a number or a string."""
    return int(_matching(_AMOUNT, params, name, "must be a positive integer"))


def email(params: Params, name: str) -> str:
    """Read an e-mail address."""
    return _matching(_EMAIL, params, name, "must be an email address")


def link(params: Params, name: str) -> str:
    """Read an http or https URL."""
    return _matching(_LINK, params, name, "must be an http or https URL")


def day(params: Params, name: str) -> date:
    """Read a date, ``YYYY-MM-DD``."""
    value = _matching(_DAY, params, name, "must be a date, YYYY-MM-DD")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise RefusalError(name, "is not a calendar date") from None


def moment(params: Params, name: str) -> datetime:
    """Read a time in the platform's zone, ``YYYY-MM-DD HH:MM:SS``."""
    value = _matching(_SECOND, params, name, "must be a time, YYYY-MM-DD HH:MM:SS")
    try:
        return datetime.fromisoformat(value).replace(tzinfo=PLATFORM_ZONE)
    except ValueError:
        raise RefusalError(name, "is not a valid time") from None


def mapping(params: Params, name: str) -> Params:
    """Read a JSON object."""
    value = _present(params, name)
    if not isinstance(value, dict):
        raise RefusalError(name, "must be an object")
    return cast("Params", value)


def _present(params: Params, name: str) -> object:
    value = params.get(name)
    if value is None:
        raise RefusalError(name, "is missing")
    return value


def _matching(pattern: re.Pattern[str], params: Params, name: str, reason: str) -> str:
    value = _present(params, name)
    if type(value) is int:
        value = str(value)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise RefusalError(name, reason)
    return value
