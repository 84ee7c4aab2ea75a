"""Converter from JSON to typed answers, by cattrs. It never fails.

A field that is missing, or has another type than documented, keeps its default; its value stays in
`Record.raw`. So no answer of a server turns an accepted message into an error.
"""

import datetime as dt
import enum
import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final, TypeVar, Union, get_args, get_origin

import attrs

from connectus_async.answer import MESSAGE_ID_KEYS, Answer, Record, Response

if TYPE_CHECKING:
    import cattrs

AnswerT = TypeVar("AnswerT", bound=Answer)
RecordT = TypeVar("RecordT", bound=Record)
Hook = Callable[[Any, Any], Any]

MOST_EXACT: Final = 2**53
"""Largest whole number up to which a float is exact."""

_TRUE: Final = frozenset({"t", "true", "1"})
_FALSE: Final = frozenset({"f", "false", "0"})
_SPELLED_OUT: Final = re.compile(
    r"\w{3}, (\d{2} \w{3} [1-9]\d{3} \d{2}:\d{2}:\d{2})(?:\.\d+)? \S+ ([+-]\d{2}):(\d{2})"
)


def structure(answer: type[AnswerT], body: Any, response: Response) -> AnswerT:
    """Make a typed answer from parsed JSON.

    Args:
        answer: Type of the answer.
        body: Parsed JSON of any type; ``None`` if the body was not JSON.
        response: HTTP response that had the body.
    """
    read = _reader(answer)  # type: ignore[arg-type]  # mypy takes the class for unhashable
    return answer(raw=body, response=response, **read(_unwrapped(answer, body)))


def is_documented(answer: type[Answer]) -> bool:
    """Return ``True`` if the fields of an answer are documented."""
    return bool(_documented_fields(answer))


def fits(answer: type[Answer], body: Any) -> bool:
    """Return ``True`` if parsed JSON has the outer shape of an answer."""
    if isinstance(body, list):
        return any("rows" in field.metadata for field in _documented_fields(answer))
    return isinstance(body, dict)


@cache
def names_message(answer: type[Answer]) -> bool:
    """Return ``True`` if an answer has the identifier of a message."""
    return any(
        field.metadata.get("keys") == MESSAGE_ID_KEYS for field in _documented_fields(answer)
    )


def _documented_fields(record: type[Record]) -> list["attrs.Attribute[Any]"]:
    return [field for field in attrs.fields(record) if field.name not in {"raw", "response"}]


def _documented_names(record: type[Record]) -> set[str]:
    return {field.name for field in _documented_fields(record)}


def _unwrapped(answer: type[Answer], body: Any) -> Any:
    """Unwrap an object that is the only member of another."""
    if isinstance(body, dict) and len(body) == 1:
        ((name, content),) = body.items()
        if isinstance(content, dict) and name not in _documented_names(answer):
            return content
    return body


def _rows(body: Any) -> Any:
    """Find the list in an answer that is a list or has one. Prefer a list of objects."""
    if not isinstance(body, dict):
        return body
    lists = [member for member in body.values() if isinstance(member, list)]
    of_objects = (rows for rows in lists if rows and isinstance(rows[0], dict))
    return next(of_objects, lists[0] if lists else None)


@cache
def _reader(record: type[Record]) -> Callable[[Any], dict[str, Any]]:
    """Compile the function that reads the fields of a record from a JSON value."""
    attrs.resolve_types(record)
    rows, keyed = [], []
    for field in _documented_fields(record):
        kind = _without_none(field.type)
        hook = _hook_of(kind)
        if "rows" in field.metadata:
            rows.append((field.name, hook, kind))
        else:
            keyed.append((field.name, field.metadata.get("keys", (field.name,)), hook, kind))

    def read(value: Any) -> dict[str, Any]:
        found = {}
        for name, hook, kind in rows:
            found[name] = _tolerantly(hook, _rows(value), kind) or ()
        for name, keys, hook, kind in keyed if isinstance(value, dict) else ():
            for key in keys:
                member = value.get(key)
                if member is None:  # no hook converts it
                    continue
                if type(member) is not str or kind is not str:
                    member = _tolerantly(hook, member, kind)
                if member is not None:
                    found[name] = member
                    break
        return found

    return read


def _without_none(kind: Any) -> Any:
    """Remove ``None`` from an optional type."""
    if get_origin(kind) not in (Union, UnionType) or _is_choice(kind):
        return kind
    return next(member for member in get_args(kind) if member is not NoneType)


def _tolerantly(hook: Hook, value: Any, kind: Any) -> Any:
    try:
        return hook(value, kind)
    except (TypeError, ValueError, OverflowError):
        return None


def _record_hook(record: type[RecordT]) -> Callable[[Any, Any], RecordT]:
    read = _reader(record)  # type: ignore[arg-type]  # as above
    return lambda value, _: record(raw=value, **read(value))


def _to_str(value: Any, _: Any) -> str:
    """Read text, or an identifier that is an integer. A float was rounded, so it is none."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(type(value))
    return str(value)


def _to_int(value: Any, _: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(type(value))
    number = int(value)
    if isinstance(value, float) and (number != value or abs(number) > MOST_EXACT):
        raise ValueError(type(value))
    return number


def _to_float(value: Any, _: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(type(value))
    return float(value)


def _to_bool(value: Any, _: Any) -> bool:
    text = str(value).lower()
    if text not in _TRUE | _FALSE:
        raise ValueError(type(value))
    return text in _TRUE


def _to_datetime(value: Any, _: Any) -> dt.datetime:
    """Parse a date in one of the API's three forms. The one without an offset stays naive."""
    if match := _SPELLED_OUT.fullmatch(value):
        clock, hours, minutes = match.groups()
        return parsedate_to_datetime(f"{clock} {hours}{minutes}")
    try:
        return dt.datetime.strptime(value, "%d-%m-%y %H:%M:%S")  # noqa: DTZ007 - it has no offset
    except ValueError:
        return dt.datetime.fromisoformat(value)


def _to_enum(value: Any, kind: type[enum.Enum]) -> enum.Enum:
    if not isinstance(value, str):
        raise TypeError(type(value))
    return kind(value)


def _to_tuple(value: Any, kind: Any) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise TypeError(type(value))
    member = get_args(kind)[0]
    hook = _hook_of(member)
    return tuple(hook(entry, member) for entry in value)


def _union_hook(kind: Any) -> Hook:
    """Make a hook for ``Record | scalar | None``. A JSON object becomes the record."""
    members = [member for member in get_args(kind) if member is not NoneType]
    hooks = {_is_record(member): _hook_of(member) for member in members}

    def structure_union(value: Any, _: Any) -> Any:
        return hooks[isinstance(value, dict)](value, kind)

    return structure_union


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Record)


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _is_choice(kind: Any) -> bool:
    """Return ``True`` for a union of several types, apart from ``None``."""
    if get_origin(kind) not in (Union, UnionType):
        return False
    return len([member for member in get_args(kind) if member is not NoneType]) > 1


_SCALARS: Final[dict[Any, Hook]] = {
    str: _to_str,
    int: _to_int,
    float: _to_float,
    bool: _to_bool,
    dt.datetime: _to_datetime,
}


def _hook_of(kind: Any) -> Hook:
    """Find the hook of a type. Receipts have scalars only, and so need no cattrs."""
    return _SCALARS.get(kind) or _converter().get_structure_hook(kind)


@cache
def _converter() -> "cattrs.Converter":
    import cattrs  # noqa: PLC0415 - slow to import, and most answers are receipts

    converter = cattrs.Converter()
    for kind, hook in {**_SCALARS, enum.StrEnum: _to_enum}.items():
        converter.register_structure_hook(kind, hook)
    converter.register_structure_hook_func(_is_tuple, _to_tuple)
    converter.register_structure_hook_factory(_is_record, _record_hook)
    converter.register_structure_hook_factory(_is_choice, _union_hook)
    return converter
