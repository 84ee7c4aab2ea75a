"""Filters of Jinja for numbers, money and dates, through Babel: its names, and its patterns."""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from decimal import localcontext
from typing import TYPE_CHECKING, Any, Final

import attrs
from jinja2 import Undefined, nodes, pass_context
from jinja2.runtime import Context

from connectus_async.errors import InvalidArgumentError
from connectus_async.extras import library
from connectus_async.recipients.formats import (
    LONGEST_FORMAT,
    NEEDS_LOCALE,
    NO_DATE,
    NO_TIME,
    ROUNDING,
    locale_of,
    moment_of,
    number_of,
    with_plain_spaces,
)

if TYPE_CHECKING:
    from babel import Locale

STEPS: Final = " steps"
"""The variable with the budget of a template, whose name is out of a template's reach."""

COLUMNS: Final = " columns"
"""The variable with the names of the columns by variable."""

COST: Final = 50
"""Steps of one call: it takes as long as so many nodes."""

_CURRENCY: Final = re.compile(r"[A-Z]{3}")


@attrs.frozen
class _Filter:
    """A function of Babel.

    Attributes:
        module: Its module.
        read: Reads a cell as the value that it writes.
        arguments: The most arguments after the value.
        options: Those that may be given by name.
    """

    module: str
    read: Callable[[str, object], Any]
    arguments: int = 1
    options: frozenset[str] = frozenset({"format"})


def _day(column: str, cell: object) -> dt.date:
    moment = moment_of(column, cell)
    if isinstance(moment, dt.time):
        raise InvalidArgumentError(column, NO_DATE)
    return moment


def _time(column: str, cell: object) -> dt.time | dt.datetime:
    moment = moment_of(column, cell)
    if not isinstance(moment, dt.time | dt.datetime):
        raise InvalidArgumentError(column, NO_TIME)
    return moment


def _day_and_time(column: str, cell: object) -> dt.date:
    _time(column, cell)
    return _day(column, cell)


_OF_MONEY: Final = frozenset({"format", "currency", "currency_digits", "format_type"})
_FILTERS: Final[Mapping[str, _Filter]] = {
    "format_decimal": _Filter("babel.numbers", number_of),
    "format_percent": _Filter("babel.numbers", number_of),
    "format_currency": _Filter("babel.numbers", number_of, 2, _OF_MONEY),
    "format_date": _Filter("babel.dates", _day),
    "format_time": _Filter("babel.dates", _time),
    "format_datetime": _Filter("babel.dates", _day_and_time),
}


def take_formats(
    field: str, tree: nodes.Template, locale: str | None
) -> dict[str, Callable[..., str]]:
    """Prepare the filters of a template that write numbers and dates, in place.

    Args:
        field: The name for error messages.
        tree: The template.
        locale: Language and country of what they write.

    Returns:
        These filters by name; none if the template uses none.

    Raises:
        InvalidArgumentError: An argument of one is not known or not fixed, or there is no locale.
        ConfigurationError: Babel is not installed.
    """
    used = [node for node in tree.find_all(nodes.Filter) if node.name in _FILTERS]
    if used and locale is None:
        raise InvalidArgumentError(field, NEEDS_LOCALE)
    filters = {}
    for node in used:
        _check(field, node)
        name, node.name = node.name, f" {node.name}"  # which no template can give to map
        node.args.insert(0, nodes.Const(_variable(node.node)))
        filters[node.name] = _applied(field, name, locale_of(locale or ""))
    return filters


def _check(field: str, node: nodes.Filter) -> None:
    known = _FILTERS[node.name]
    patterns = [
        *node.args[known.arguments - 1 :],
        *(it.value for it in node.kwargs if it.key != "currency"),
    ]
    if (
        len(node.args) > known.arguments
        or not all(map(_is_fixed, patterns))
        or not known.options.issuperset(it.key for it in node.kwargs)
        or node.dyn_args
        or node.dyn_kwargs
    ):
        raise InvalidArgumentError(
            field,
            f"gives {node.name} on line {node.lineno} something else than one pattern in quotes",
        )


def _is_fixed(value: nodes.Expr) -> bool:
    """Tell whether a pattern is in the template: Babel keeps all that it ever parsed."""
    return isinstance(value, nodes.Const) and len(str(value.value)) <= LONGEST_FORMAT


def _variable(node: nodes.Expr | None) -> str:
    """Name the variable of a column that a filter is applied to."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        return str(node.arg.value)
    return ""


def _applied(field: str, name: str, locale: "Locale") -> Callable[..., str]:
    known = _FILTERS[name]
    write = getattr(library(field, known.module, extra="formats"), name)

    @pass_context
    def apply(context: Context, value: object, variable: str, *args: Any, **options: Any) -> str:
        context.resolve(STEPS).take(COST)
        if isinstance(value, Undefined):
            return str(value)  # which raises its error
        if name == "format_currency":
            _check_currency([*args, options.get("currency")][0])
        read = known.read(context.resolve(COLUMNS).get(variable, ""), value)
        with localcontext(ROUNDING):
            return with_plain_spaces(write(read, *args, **options, locale=locale))

    return apply


def _check_currency(currency: object) -> None:
    if not (isinstance(currency, str) and _CURRENCY.fullmatch(currency)):
        raise InvalidArgumentError(
            "", "needs the code of a currency for format_currency, such as CLP"
        )
