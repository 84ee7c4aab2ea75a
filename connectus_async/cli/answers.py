"""Answers of the API as text: their fields, or their JSON if we know none of those."""

import json
from collections.abc import Iterator
from typing import Any, Final

import attrs

from connectus_async.answer import Answer, Record
from connectus_async.cli.language import gettext as _

NOT_SHOWN: Final = frozenset({"raw", "response"})


def lines(found: Answer) -> list[str]:
    """Write an answer, with the API's names of its fields."""
    if any(_fields(found)):
        return list(_lines(found, ""))
    if found.raw is None:
        return [_("done")]
    return json.dumps(found.raw, indent=2, ensure_ascii=False).split("\n")


def _lines(record: Record, indent: str) -> Iterator[str]:
    for name, value in _fields(record):
        if isinstance(value, Record):
            yield f"{indent}{name}:"
            yield from _lines(value, indent + "  ")
        elif isinstance(value, tuple):
            yield f"{indent}{name}:"
            for item in value:
                yield f"{indent}  - {_row(item)}"
        else:
            yield f"{indent}{name}: {value}"


def _fields(record: Record) -> Iterator[tuple[str, Any]]:
    for field in attrs.fields(type(record)):
        value = getattr(record, field.name)
        is_shown = field.name not in NOT_SHOWN and not field.name.startswith("_")
        if is_shown and value not in (None, ()):
            yield field.name, value


def _row(record: Record) -> str:
    return ", ".join(f"{name}: {value}" for name, value in _fields(record))
