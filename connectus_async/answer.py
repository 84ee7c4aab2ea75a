"""Base classes of the answers of the API."""

import datetime as dt
import enum
from collections.abc import Mapping
from typing import Any, Final, Self

import attrs

from connectus_async.redaction import plain

MESSAGE_ID_KEYS: Final = ("id_sms", "id", "message_id")
"""Names that the API uses for the identifier of a message."""


@attrs.frozen
class Response:
    """HTTP response of a result or an error.

    Attributes:
        status: HTTP status code.
        headers: Header fields. Names are case-insensitive.
        body: Decompressed body; empty if it could not be read.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=lambda body: f"<{len(body)} bytes>")


def http_date(response: Response, name: str) -> dt.datetime | None:
    """Parse the date in a header field; ``None`` if there is none.

    A date without a zone is in UTC, as all HTTP dates are.
    """
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - most answers never need it

    try:
        date = parsedate_to_datetime(response.headers[name])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return date.replace(tzinfo=dt.UTC) if date.tzinfo is None else date


@attrs.frozen(kw_only=True)
class Record:
    """Part of an answer.

    Every documented field is an attribute. It is ``None`` if the answer lacks it or has a value of
    another type.

    Attributes:
        raw: The JSON value as received, including fields that this SDK does not know.
    """

    raw: Any = attrs.field(default=None, repr=False, eq=False)


@attrs.frozen(kw_only=True)
class Answer(Record):
    """Answer to a call. A call whose answer is not documented returns an instance of this class.

    Attributes:
        response: HTTP response: status, headers, body.
    """

    response: Response | None = attrs.field(default=None, repr=False, eq=False)


def from_keys(*keys: str) -> Any:
    """Declare an optional field that has any of these names in the API."""
    return attrs.field(default=None, metadata={"keys": keys}, repr=plain)


def from_rows() -> Any:
    """Declare the field for the list in an answer, whatever its name."""
    return attrs.field(default=(), metadata={"rows": True})


class OpenEnum(enum.StrEnum):
    """Enum of values of the API. An unknown value becomes a member too.

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
        """``True`` if this SDK knows the value."""
        return self._name_ in type(self).__members__
