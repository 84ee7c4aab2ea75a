"""What every answer of the API has in common: its fields as they came, and the HTTP response."""

import datetime as dt
import enum
from collections.abc import Mapping
from typing import Any, Final, Self

import attrs

from connectus_async.redaction import plain

MESSAGE_ID_KEYS: Final = ("id_sms", "id", "message_id")
"""The names under which the API gives the identifier of a message."""


@attrs.frozen
class Response:
    """The HTTP response behind a result or an error.

    Attributes:
        status: The HTTP status code.
        headers: The header fields; names are matched in any case.
        body: The body in bytes, after decompression; empty where it could not be read.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=lambda body: f"<{len(body)} bytes>")


def http_date(response: Response, name: str) -> dt.datetime | None:
    """Read the date in a header field of a response; ``None`` if there is none.

    One without a zone is in UTC, as all dates of HTTP are.
    """
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - most answers never need it

    try:
        date = parsedate_to_datetime(response.headers[name])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return date.replace(tzinfo=dt.UTC) if date.tzinfo is None else date


@attrs.frozen(kw_only=True)
class Record:
    """A part of an answer.

    Every documented field is an attribute, and is ``None`` where the answer lacks it or has a value
    of another type.

    Attributes:
        raw: The JSON value as it came, with the fields that this SDK does not know.
    """

    raw: Any = attrs.field(default=None, repr=False, eq=False)


@attrs.frozen(kw_only=True)
class Answer(Record):
    """A whole answer. Calls whose answer is not documented return it as it is.

    Attributes:
        response: The HTTP response: status, headers, body.
    """

    response: Response | None = attrs.field(default=None, repr=False, eq=False)


def from_keys(*keys: str) -> Any:
    """Declare an optional field that the API calls by any of these names."""
    return attrs.field(default=None, metadata={"keys": keys}, repr=plain)


def from_rows() -> Any:
    """Declare the field that takes the answer's list, under whatever name it comes."""
    return attrs.field(default=(), metadata={"rows": True})


class OpenEnum(enum.StrEnum):
    """The words of the API for something. One that is not among them becomes a member of its own.

    >>> class Colour(OpenEnum):
    ...     ROJO = "ROJO"
    >>> Colour("ROJO") is Colour.ROJO, Colour("VERDE") == "VERDE", Colour("VERDE").is_known
    (True, True, False)
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        member: Self = cls._new_member_(cls, value)  # type: ignore[attr-defined]
        member._name_ = member._value_ = value
        return member

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {plain(self.value)}>"

    @property
    def is_known(self) -> bool:
        """Whether the word is among those that this SDK knows."""
        return self._name_ in type(self).__members__
