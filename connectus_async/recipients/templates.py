"""Templates: texts filled from the columns of a row."""

from collections.abc import Callable, Iterable, Mapping
from html import escape
from string import Formatter
from typing import Literal

import attrs

from connectus_async.errors import InvalidArgumentError
from connectus_async.extras import library
from connectus_async.recipients.cells import Cell, format_cell
from connectus_async.recipients.columns import missing_column

Engine = Literal["plain", "jinja"]


def _names_of(template: "Template") -> tuple[str, ...]:
    return tuple(name for _, name in template.parts if name is not None)


def _form_of(template: "Template") -> str:
    """Write a template as a format of the operator ``%``."""
    return "".join(
        literal.replace("%", "%%") + ("" if name is None else "%s")
        for literal, name in template.parts
    )


@attrs.frozen
class Template:
    """A text where ``{name}`` stands for the column ``name``, and ``{{`` and ``}}`` for braces.

    A placeholder is only the name of a column: no attributes, no indexes.

    >>> template = Template.parse("text", "Hola {name}")
    >>> template.fill({"name": "Ana"})
    'Hola Ana'
    """

    field: str
    parts: tuple[tuple[str, str | None], ...] = attrs.field(repr=False)
    html: bool = False
    _names: tuple[str, ...] = attrs.field(
        init=False, repr=False, eq=False, default=attrs.Factory(_names_of, takes_self=True)
    )
    _form: str = attrs.field(
        init=False, repr=False, eq=False, default=attrs.Factory(_form_of, takes_self=True)
    )

    @classmethod
    def parse(cls, field: str, text: str, *, html: bool = False) -> "Template":
        """Parse a template.

        Args:
            field: The name for error messages.
            text: The text.
            html: Whether it is HTML; the values of a row are then escaped.

        Raises:
            InvalidArgumentError: A brace or a placeholder is malformed.
        """
        try:
            pieces = list(Formatter().parse(text))
        except ValueError as error:
            raise InvalidArgumentError(
                field, f"has an unmatched brace ({error}); write {{{{ or }}}} for a literal brace"
            ) from None
        for _, name, form, conversion in pieces:
            if name is not None and (form or conversion or not _is_column(name)):
                raise InvalidArgumentError(
                    field, "has a placeholder that is not just the name of a column"
                )
        return cls(field, tuple((literal, name) for literal, name, _, _ in pieces), html)

    def check(self, columns: Iterable[str]) -> None:
        """Check that every placeholder is a column.

        Raises:
            InvalidArgumentError: One is not; the error names it and lists the columns.
        """
        names = (name for _, name in self.parts if name is not None)
        _check(self.field, names, columns)

    @property
    def source(self) -> tuple[object, ...]:
        """All that decides what it makes of a row."""
        return "plain", self.parts, self.html

    def fill(self, row: Mapping[str, Cell]) -> str:
        """Fill the template from a row.

        Raises:
            InvalidArgumentError: The row has no value for a placeholder, or one that cannot be
                written; the error names the column.
        """
        try:
            values = [str.strip(row[name]) for name in self._names]  # type: ignore[arg-type]
        except (TypeError, KeyError):
            values = [""]
        if "" in values:  # one is not text, or has nothing
            values = [format_cell(name, row.get(name)) for name in self._names]
        return self._form % tuple(map(escape, values) if self.html else values)


@attrs.frozen
class JinjaTemplate:
    """A Jinja template, in a sandbox. ``{{ name }}`` stands for the column ``name``.

    It supports ``if``, ``for``, ``set``, tests, safe filters, and the methods of strings and
    dates; no macros, includes or blocks. Its run time and its output are limited. It can only use
    columns whose names are identifiers.

    An empty cell is false in an ``if``, and accepts a ``default``. Written out, it is an error of
    its row.

    >>> template = JinjaTemplate.parse("text", "{{ name|upper }}{% if vip %}, gracias{% endif %}")
    >>> template.fill({"name": "Ana", "vip": ""})
    'ANA'
    """

    field: str
    columns: frozenset[str]
    source: tuple[object, ...] = attrs.field(repr=False)
    _render: Callable[[Mapping[str, Cell]], str] = attrs.field(repr=False)

    @classmethod
    def parse(cls, field: str, text: str, *, html: bool = False) -> "JinjaTemplate":
        """Parse a template.

        Args:
            field: The name for error messages.
            text: The text.
            html: Whether it is HTML; the values of a row are then escaped, except with ``|safe``.

        Raises:
            InvalidArgumentError: It is not a valid Jinja template, or uses a forbidden feature.
            ConfigurationError: Jinja is not installed.
        """
        library(field, "jinja2", extra="jinja")
        from connectus_async.recipients.jinja_sandbox import compile_template  # noqa: PLC0415 - it needs jinja2

        columns, render = compile_template(field, text, html=html)
        return cls(field, columns, ("jinja", text, html), render)

    def check(self, columns: Iterable[str]) -> None:
        """Check that every name is a column.

        Raises:
            InvalidArgumentError: One is not; the error names it and lists the columns.
        """
        _check(self.field, sorted(self.columns), columns)

    def fill(self, row: Mapping[str, Cell]) -> str:
        """Fill the template from a row.

        Raises:
            InvalidArgumentError: The row has no value for a column that is written out (the error
                names the column), or the template fails or exceeds a limit (it names the field).
        """
        return self._render(row)


Filler = Template | JinjaTemplate


def parse_template(
    field: str, text: str, *, engine: Engine = "plain", html: bool = False
) -> Filler:
    """Parse a template.

    Args:
        field: The name for error messages.
        text: The text.
        engine: ``"plain"`` for ``{name}``, ``"jinja"`` for Jinja.
        html: Whether it is HTML; the values of a row are then escaped.

    Raises:
        InvalidArgumentError: The template is malformed, or the engine is unknown.
        ConfigurationError: Jinja is not installed.
    """
    if engine == "plain":
        return Template.parse(field, text, html=html)
    if engine == "jinja":
        return JinjaTemplate.parse(field, text, html=html)
    raise InvalidArgumentError("engine", 'must be "plain" or "jinja"')


def _check(field: str, names: Iterable[str], columns: Iterable[str]) -> None:
    known = list(columns)
    for name in names:
        if name not in known:
            raise InvalidArgumentError(field, missing_column(name, known))


def _is_column(name: str) -> bool:
    return bool(name.strip()) and not set(name) & set(".[")
