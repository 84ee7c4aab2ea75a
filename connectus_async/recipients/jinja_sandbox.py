"""Jinja templates with limits on run time and memory.

Jinja's own sandbox protects our objects, but it does not limit run time or memory. So only features
of known cost are allowed: each iteration of a loop spends from a budget, nothing multiplies a text,
and no list is built from other lists.
"""

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

import attrs
from jinja2 import (
    StrictUndefined,
    Undefined,
    UndefinedError,
    filters,
    meta,
    nodes,
    pass_context,
    pass_eval_context,
)
from jinja2.exceptions import TemplateError, TemplateSyntaxError
from jinja2.nodes import EvalContext
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from connectus_async.arguments import MAX_EMAIL_CHARACTERS
from connectus_async.errors import InvalidArgumentError
from connectus_async.recipients.cells import Cell, format_cell, is_blank, refuse_an_error
from connectus_async.recipients.jinja_formats import COLUMNS, STEPS, take_formats

MAX_NODES: Final = 10_000
"""Maximum nodes in a template, not counting plain text."""

MAX_STEPS: Final = 100_000
"""Maximum nodes evaluated for one row: a fraction of a second."""

MAX_RANGE: Final = 1_000
MAX_PRECISION: Final = 15
MAX_NUMBER: Final = 2**64

FILTERS: Final = (
    *("abs", "capitalize", "count", "d", "default", "e", "escape", "first", "float", "int", "last"),
    *("length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "safe"),
    *("select", "selectattr", "sort", "string", "sum", "title", "trim", "truncate", "unique"),
    *("upper", "urlencode", "wordcount"),
)
METHODS: Final = (
    *("capitalize", "cycle", "endswith", "get", "isdigit", "isoformat", "items", "keys", "lower"),
    *("removeprefix", "removesuffix", "split", "startswith", "strftime", "strip", "title", "upper"),
    "values",
)

_ALLOWED: Final = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Assign),
    *(nodes.Name, nodes.Const, nodes.Tuple, nodes.List, nodes.Dict, nodes.Pair, nodes.Keyword),
    *(nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Call, nodes.Getitem, nodes.Getattr),
    *(nodes.Slice, nodes.Concat, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod),
    *(nodes.Neg, nodes.Pos),
)
_SCALARS: Final = (str, int, float, Decimal, dt.date, dt.time, Undefined, type(None))

_SCALAR: Final = " scalar"
"""A name with a space is out of a template's reach."""

_ROW: Final = "row"
"""``row["Hora: inicio"]`` is the column of that name."""

_SELF: Final = "self"


@attrs.frozen
class Compiled:
    """A template that is ready.

    Attributes:
        columns: The names of its columns by variable.
        fill: Fills it from the columns of its variables and a row.
        uses_locale: Whether a filter of it writes by the locale.
    """

    columns: Mapping[str, str]
    fill: Callable[[Mapping[str, str], Mapping[str, Cell]], str]
    uses_locale: bool


def compile_template(field: str, text: str, *, html: bool, locale: str | None = None) -> Compiled:
    """Compile a template.

    Args:
        field: The name for error messages.
        text: The template.
        html: Whether values are escaped.
        locale: Language and country of formats.

    Raises:
        InvalidArgumentError: It is not a valid template, or uses a forbidden feature.
        ConfigurationError: It uses a filter of Babel, which is not installed.
    """
    environment = _environment(html=html)
    _check_size(field, text.count("{%") + text.count("{{"))
    try:
        tree = environment.parse(text)
        _check(field, tree)
        names = _take_names(tree)
        formats = take_formats(field, tree, locale)
        environment.filters |= formats
        names |= {name: name for name in meta.find_undeclared_variables(tree) - {"range"}}
        code = environment.compile(_Metered().visit(tree))
        template = environment.template_class.from_code(environment, code, environment.globals)
    except InvalidArgumentError:
        raise
    except (TemplateError, ValueError) as error:
        where = f": see line {error.lineno}" if isinstance(error, TemplateSyntaxError) else ""
        raise InvalidArgumentError(field, f"is not a valid Jinja template{where}") from None
    except (SyntaxError, RecursionError):
        raise InvalidArgumentError(field, "is nested too deeply") from None

    def fill(columns: Mapping[str, str], row: Mapping[str, Cell]) -> str:
        values = {name: _value(column, row.get(column)) for name, column in columns.items()}
        try:
            own = {STEPS: _Steps(), COLUMNS: columns}
            return _join_limited(template.generate({**values, **own}))
        except InvalidArgumentError as error:
            raise InvalidArgumentError(error.field or field, error.problem) from None
        except _EmptyCellError as error:
            raise InvalidArgumentError(str(error), "is empty in this row") from None
        except _TooMuchError:
            raise InvalidArgumentError(field, "runs for too long or writes too much") from None
        except UndefinedError:
            problem = "uses a value that this row does not have"
            raise InvalidArgumentError(field, problem) from None
        except Exception as error:  # noqa: BLE001 - any error is the template's
            problem = f"cannot be filled from this row ({type(error).__name__})"
            raise InvalidArgumentError(field, problem) from None

    return Compiled(names, fill, uses_locale=bool(formats))


class _TooMuchError(Exception):
    """A template exceeds a limit."""


class _EmptyCellError(UndefinedError):
    """A template writes out an empty cell; the message is its column."""


class _EmptyCell(Undefined):
    """An empty cell: false, equal to no value, and an error where it is written out."""

    __slots__ = ()
    __str__ = __iter__ = __len__ = Undefined._fail_with_undefined_error  # noqa: SLF001 - as Jinja does


class _Steps:
    """Budget of a template for one row."""

    def __init__(self) -> None:
        self._left = MAX_STEPS

    def take(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise _TooMuchError


class _Sandbox(ImmutableSandboxedEnvironment):
    """Restricts arithmetic to numbers of limited size."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        numbers = int | float | Decimal | Undefined  # undefined values raise their own error
        if not isinstance(left, numbers) or not isinstance(right, numbers):
            raise TypeError
        result = super().call_binop(context, operator, left, right)
        if abs(result) > MAX_NUMBER:
            raise OverflowError
        return result


class _Columns(NodeTransformer):
    """Replaces ``row["Hora: inicio"]`` by a variable that no template can name.

    So it does with ``self``, which is Jinja's otherwise.
    """

    def __init__(self, taken: Collection[str]) -> None:
        self._taken = taken
        self.names: dict[str, str] = {}

    def visit_Name(self, node: nodes.Name) -> nodes.Node:  # noqa: N802 - the name of the node
        return self._column(_SELF, node) if node.name == _SELF and node.ctx == "load" else node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802 - the name of the node
        self.generic_visit(node)
        name = None if _ROW in self._taken else _column_in(node)
        return node if name is None else self._column(name, node)

    def _column(self, name: str, node: nodes.Node) -> nodes.Node:
        variable = f"{_ROW} {name}"
        self.names[variable] = name
        return nodes.Getitem(
            nodes.ContextReference(), nodes.Const(variable), "load", lineno=node.lineno
        )


def _column_in(node: nodes.Getitem) -> str | None:
    is_of_row = isinstance(node.node, nodes.Name) and node.node.name == _ROW
    if not is_of_row or not isinstance(node.arg, nodes.Const):
        return None
    return node.arg.value if isinstance(node.arg.value, str) else None


def _take_names(tree: nodes.Template) -> dict[str, str]:
    """Replace each ``row["name"]`` in a template; return the columns by variable."""
    own = {it.name for it in tree.find_all(nodes.Name) if it.ctx != "load"}
    taker = _Columns(own)
    taker.visit(tree)
    return taker.names


class _Metered(NodeTransformer):
    """Adds a cost to each iteration of a loop, and a check to values that could grow unchecked."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - the name of the node
        cost = nodes.Const(1 + _size(node))
        self.generic_visit(node)
        node.iter = _filter(STEPS, node.iter, cost)
        return node

    def visit_Assign(self, node: nodes.Assign) -> nodes.Node:  # noqa: N802 - the name of the node
        self.generic_visit(node)
        node.node = _filter(_SCALAR, node.node)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - the name of the node
        self.generic_visit(node)
        return _filter("join", nodes.List(node.nodes, lineno=node.lineno))


def _filter(name: str, node: nodes.Node, *args: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, list(args), [], None, None, lineno=node.lineno)


def _environment(*, html: bool) -> _Sandbox:
    environment = _Sandbox(
        undefined=StrictUndefined, autoescape=html, finalize=_finalize, keep_trailing_newline=True
    )
    own = {"join": _join, "replace": _replace, "round": _round}
    own |= {STEPS: _iterations, _SCALAR: _scalar}
    environment.filters = {name: filters.FILTERS[name] for name in FILTERS} | own
    environment.globals = {"range": _range}
    return environment


def _check(field: str, tree: nodes.Template) -> None:
    _check_size(field, _size(tree))
    for node in tree.find_all(nodes.Node):
        if not _is_allowed(node):
            raise InvalidArgumentError(
                field,
                f"uses {type(node).__name__} on line {node.lineno}, which is not allowed; a "
                "template may use if, for, set, and the methods of strings and dates",
            )


def _check_size(field: str, size: int) -> None:
    if size > MAX_NODES:
        raise InvalidArgumentError(field, "is too long")


def _is_allowed(node: nodes.Node) -> bool:
    if isinstance(node, nodes.For):
        return not node.recursive
    if isinstance(node, nodes.Call):
        return _is_allowed_call(node.node)
    if isinstance(node, nodes.Getattr):
        return not node.attr.startswith("_")
    if isinstance(node, nodes.Tuple) and node.ctx == "store":
        return True
    if isinstance(node, nodes.Tuple | nodes.List):
        return all(isinstance(item, nodes.Const) for item in node.items)
    return isinstance(node, _ALLOWED)


def _is_allowed_call(called: nodes.Expr) -> bool:
    if isinstance(called, nodes.Name):
        return called.name == "range"
    return isinstance(called, nodes.Getattr) and called.attr in METHODS


def _size(node: nodes.Node) -> int:
    return sum(1 for _ in node.find_all(nodes.Node))


def _value(name: str, cell: Cell) -> object:
    if is_blank(cell):
        return _EmptyCell(hint=name, name=name, exc=_EmptyCellError)
    value = cell.strip() if isinstance(cell, str) else cell
    try:
        refuse_an_error(name, value)
    except InvalidArgumentError as error:
        return _no_value(name, error)
    return value


def _no_value(name: str, error: InvalidArgumentError) -> StrictUndefined:
    """Make what is an error wherever it is used, but for a ``default``."""
    return StrictUndefined(name=name, exc=lambda _: error)  # type: ignore[arg-type]


def _finalize(value: object) -> str:
    """Format a value; text and escaped HTML stay as they are."""
    if isinstance(value, str | Undefined):
        return str(value) if isinstance(value, Undefined) else value
    return format_cell("", value)


def _join_limited(chunks: Iterable[str]) -> str:
    length = 0
    parts = []
    for chunk in chunks:
        length += len(chunk)
        _check_length(length)
        parts.append(chunk)
    return "".join(parts)


def _range(*bounds: int) -> range:
    found = range(*bounds)
    if len(found) > MAX_RANGE:
        raise _TooMuchError
    return found


@pass_context
def _iterations(context: Context, items: Iterable[object], cost: int) -> Iterator[object]:
    steps = context.resolve(STEPS)
    for item in items:
        steps.take(cost)
        yield item


def _scalar(value: object) -> object:
    if not isinstance(value, _SCALARS):
        raise TypeError
    return value


@pass_eval_context
def _join(
    context: EvalContext, items: Iterable[object], separator: str = "", attribute: Any = None
) -> str:
    if attribute is not None:
        items = map(filters.make_attrgetter(context.environment, attribute), items)
    texts = [_finalize(item) for item in items]
    _check_length(sum(map(len, texts)) + len(texts) * len(separator))
    return filters.sync_do_join(context, texts, separator)


@pass_eval_context
def _replace(context: EvalContext, text: str, old: str, new: str, count: int | None = None) -> str:
    _check_length(len(text) + text.count(old) * len(new))
    return filters.do_replace(context, text, old, new, count)


def _round(value: float, precision: int = 0, method: Any = "common") -> float:
    if abs(precision) > MAX_PRECISION:
        raise _TooMuchError
    return filters.do_round(value, precision, method)


def _check_length(length: int) -> None:
    if length > MAX_EMAIL_CHARACTERS:
        raise _TooMuchError
