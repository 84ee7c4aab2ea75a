"""Webhook events: types, and a pure parser."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from types import NoneType
from typing import Any, Final, Never, TypeAlias

import attrs

from connectus_async.answer import Record
from connectus_async.errors import WebhookError
from connectus_async.products.sms_statuses import SmsStatus
from connectus_async.redaction import api_constant, personal, plain

MAX_DEPTH: Final = 32
"""Maximum nesting; the documented events have one level."""

_MAX_DIGITS: Final = 100
"""Maximum digits of an integer; a longer one stays text, since parsing time grows with length."""
_TOO_LARGE: Final = 10**_MAX_DIGITS

_SCALARS: Final = (str, int, float, NoneType)
_CONTENT: Final = frozenset({"sms_content", "sms_content_binary"})
_ORIGIN: Final = frozenset({"src_number", "src_provider"})
_KNOWN_WORDS: Final = frozenset(SmsStatus)


_Container: TypeAlias = Mapping[Any, Any] | list[Any] | tuple[Any, ...]


@attrs.frozen(kw_only=True)
class _Event(Record):
    id_sms: str | None = attrs.field(default=None, repr=plain)


@attrs.frozen(kw_only=True)
class StatusUpdate(_Event):
    """The status of a sent SMS changed.

    Attributes:
        id_sms: The SMS: the ``id`` of its receipt.
        status: Its new status; ``is_known`` is false for one that this SDK does not know.
        raw: The JSON object as received, including fields that this SDK does not know.
    """

    status: SmsStatus | None = None


@attrs.frozen(kw_only=True)
class IncomingSms(_Event):
    """An incoming SMS, for instance a reply.

    Its two content fields may differ, as in the platform's own example. If ``content_agrees`` is
    false, look at ``binary_content`` as well as ``sms_content``.

    Attributes:
        id_sms: The identifier of this SMS, not of the SMS that it answers.
        src_provider: The carrier that it came through.
        src_number: The sender's number, in digits.
        dst_number: The account's number that received it, in digits.
        sms_content: The text.
        sms_content_binary: The bytes of the text, in hexadecimal digits as received.
        raw: The JSON object as received, including fields that this SDK does not know.
    """

    src_provider: str | None = api_constant()
    src_number: str | None = personal()
    dst_number: str | None = personal()
    sms_content: str | None = personal()
    sms_content_binary: str | None = personal()

    @property
    def content_bytes(self) -> bytes | None:
        """The bytes of ``sms_content_binary``; ``None`` if it is missing or not hexadecimal."""
        if self.sms_content_binary is None:
            return None
        try:
            return bytes.fromhex(self.sms_content_binary)
        except ValueError:
            return None

    @property
    def content_agrees(self) -> bool | None:
        """``True`` if the bytes are ``sms_content`` in UTF-8, UCS-2 or Latin-1.

        ``None`` if either is missing or cannot be read.
        """
        content, binary = self.sms_content, self.content_bytes
        if content is None or binary is None:
            return None
        return binary in _encoded(content)

    @property
    def binary_content(self) -> str | None:
        """The decoded bytes, or ``None`` without any.

        This is ``sms_content`` if they agree. Otherwise they are decoded as UCS-2 if they include a
        zero, else as UTF-8, and as Latin-1 if that fails.
        """
        return self.sms_content if self.content_agrees else _text_of(self.content_bytes)


@attrs.frozen(kw_only=True)
class UnknownEvent(_Event):
    """An event of a kind that this SDK does not know.

    Attributes:
        id_sms: The SMS that it concerns, if given.
        raw: The JSON object as received.
    """


Event: TypeAlias = StatusUpdate | IncomingSms | UnknownEvent
"""Any event, as `parse` returns it."""


def status_of(event: Event) -> tuple[str, SmsStatus] | None:
    """Return the SMS and the status that an event reports; ``None`` if it reports none."""
    if isinstance(event, StatusUpdate) and event.id_sms and event.status is not None:
        return event.id_sms, event.status
    return None


def parse(body: bytes | str | Mapping[str, Any]) -> Event:
    """Parse the body of a webhook.

    A field that is missing or has another type than documented is ``None``. The last of repeated
    names counts. Fields can always be encoded: a lone surrogate, which JSON allows, becomes U+FFFD
    in them and stays unchanged in ``raw``. A number out of Python's range is text in ``raw``.

    Args:
        body: The body of the request, or the JSON object parsed from it.

    Returns:
        The event, by its fields: one with ``sms_content`` or ``sms_content_binary`` is an
        `IncomingSms`, unless its ``status`` is one of the seven known; any other with ``status`` is
        a `StatusUpdate`, and any other with a source an `IncomingSms`.

    Raises:
        WebhookError: The body is not a JSON object, or is nested more than 32 levels deep.

    >>> parse(b'{"status": "ENTREGADO", "id_sms": "c7925e64955445bbbe0ae39339b9514c"}')
    StatusUpdate(id_sms='c7925e64955445bbbe0ae39339b9514c', status=<SmsStatus 'ENTREGADO'>)
    """
    raw = _read(body)
    _check_depth(raw)
    match _kind(raw):
        case "status":
            return StatusUpdate(raw=raw, id_sms=_text(raw, "id_sms"), status=_status(raw))
        case "incoming":
            return IncomingSms(
                raw=raw,
                id_sms=_text(raw, "id_sms"),
                src_provider=_text(raw, "src_provider"),
                src_number=_text(raw, "src_number"),
                dst_number=_text(raw, "dst_number"),
                sms_content=_text(raw, "sms_content"),
                sms_content_binary=_text(raw, "sms_content_binary"),
            )
        case _:
            return UnknownEvent(raw=raw, id_sms=_text(raw, "id_sms"))


def _kind(raw: Mapping[str, Any]) -> str | None:
    if "status" in raw and (_CONTENT.isdisjoint(raw) or _status(raw) in _KNOWN_WORDS):
        return "status"
    if _CONTENT.isdisjoint(raw) and _ORIGIN.isdisjoint(raw):
        return None
    return "incoming"


def _read(body: object) -> dict[str, Any]:
    if isinstance(body, Mapping):
        return dict(body)
    if not isinstance(body, bytes | bytearray | str):
        raise WebhookError("is neither JSON nor a mapping")
    try:
        value = _decoder.decode(_decoded(body))
    except RecursionError:
        raise WebhookError("is nested too deeply") from None
    except ValueError:  # its message may quote the body
        raise WebhookError("is not valid JSON") from None
    if not isinstance(value, dict):
        raise WebhookError("is JSON, but not an object")
    return value


def _decoded(body: bytes | bytearray | str) -> str:
    if isinstance(body, str):
        return body.removeprefix("\ufeff")
    return body.decode(json.detect_encoding(body), "surrogatepass")


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) <= _MAX_DIGITS else digits


def _real(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits


def _refuse(constant: str) -> Never:
    raise ValueError(constant)  # NaN and Infinity are not JSON


_decoder: Final = json.JSONDecoder(parse_int=_whole, parse_float=_real, parse_constant=_refuse)


def is_flat(raw: Mapping[str, Any]) -> bool:
    """Tell whether an object contains no lists or objects, like all documented ones."""
    return all(isinstance(member, _SCALARS) for member in raw.values())


def _check_depth(raw: dict[str, Any]) -> None:
    if is_flat(raw):
        return
    level: Iterable[_Container] = [raw]
    for _ in range(MAX_DEPTH):
        nested = {id(member): member for parent in level for member in _nested(parent)}
        if not nested:
            return
        level = nested.values()
    raise WebhookError("is nested too deeply")


def _nested(parent: _Container) -> Iterator[_Container]:
    for member in parent.values() if isinstance(parent, Mapping) else parent:
        if isinstance(member, Mapping | list | tuple):
            yield member


def _text(raw: Mapping[str, Any], name: str) -> str | None:
    value = raw.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < _TOO_LARGE else None
    return _encodable(value) if isinstance(value, str) else None


def _status(raw: Mapping[str, Any]) -> SmsStatus | None:
    status = raw.get("status")
    return SmsStatus(_encodable(status)) if isinstance(status, str) else None


def _encodable(text: str) -> str:
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _encoded(text: str) -> Iterator[bytes]:
    yield text.encode()
    yield text.encode("utf-16-be")
    with suppress(UnicodeEncodeError):
        yield text.encode("latin-1")


def _text_of(binary: bytes | None) -> str | None:
    if binary is None:
        return None
    try:
        return binary.decode("utf-16-be" if 0 in binary else "utf-8")
    except UnicodeDecodeError:
        return binary.decode("latin-1")
