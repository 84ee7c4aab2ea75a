"""Templates: texts filled from the columns of a row."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import Final, Literal

import attrs

from connectus_async.errors import InvalidArgumentError
from connectus_async.extras import library
from connectus_async.recipients.cells import NO_VALUES, Cell, format_cell
from connectus_async.recipients.columns import column_of, find_column

Engine = Literal["plain", "jinja"]

_BRACES: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def _names_of(template: "Template") -> tuple[str, ...]:
    return tuple(name for _, name in template.parts if name is not None)


def _form_of(template: "Template") -> str:
    """Write a template as a format of the operator ``%``."""
    return "".join(
        literal.replace("%", "%%") + ("" if name is None else "%s")
        for literal, name in template.parts
    )


_IRREGULAR: Final = NO_VALUES | {""}


@attrs.frozen
class Template:
    """A text where ``{name}`` stands for the column ``name``, and ``{{`` and ``}}`` for braces.

    A placeholder is only the name of a column, which may have any character but a brace: no
    attributes, no indexes.

    >>> template = Template.parse("text", "Hola {name}").bound(["Name"])
    >>> template.fill({"Name": "Ana"})
    'Hola Ana'
    """

    field: str
    parts: tuple[tuple[str, str | None], ...] = attrs.field(repr=False)
    html: bool = False
    _columns: tuple[str, ...] = attrs.field(
        repr=False, eq=False, default=attrs.Factory(_names_of, takes_self=True)
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
            InvalidArgumentError: A brace is malformed, or a placeholder names nothing.
        """
        return cls(field, tuple(_pieces(field, text)), html)

    def bound(self, columns: Sequence[str]) -> "Template":
        """Find the column of every placeholder, as `find_column` does.

        Args:
            columns: The columns of the source.

        Returns:
            The template for rows with these columns.

        Raises:
            InvalidArgumentError: A placeholder is none of them, or may be several; the error names
                it and lists the columns.
        """
        found = [_placeholder(self.field, name, columns) for name in _names_of(self)]
        if any(form for _column, form in found):
            raise InvalidArgumentError(
                self.field, "has a placeholder that is not just the name of a column"
            )
        return attrs.evolve(self, columns=tuple(column for column, _form in found))

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
            values = [str.strip(row[name]) for name in self._columns]  # type: ignore[arg-type]
        except (TypeError, KeyError):
            values = [""]
        if not _IRREGULAR.isdisjoint(values):  # one is not text, or has nothing
            values = [format_cell(name, row.get(name)) for name in self._columns]
        return self._form % tuple(map(escape, values) if self.html else values)


@attrs.frozen
class JinjaTemplate:
    """A Jinja template, in a sandbox. ``{{ name }}`` stands for the column ``name``.

    ``{{ row["Hora: inicio"] }}`` stands for a column whose name is no identifier.

    It supports ``if``, ``for``, ``set``, tests, safe filters, and the methods of strings and
    dates; no macros, includes or blocks. Its run time and its output are limited.

    An empty cell is false in an ``if``, and accepts a ``default``. Written out, it is an error of
    its row.

    >>> template = JinjaTemplate.parse("text", "{{ name|upper }}{% if vip %}, gracias{% endif %}")
    >>> template.fill({"name": "Ana", "vip": ""})
    'ANA'
    """

    field: str
    columns: Mapping[str, str]
    source: tuple[object, ...] = attrs.field(repr=False)
    _render: Callable[[Mapping[str, str], Mapping[str, Cell]], str] = attrs.field(repr=False)

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

    def bound(self, columns: Sequence[str]) -> "JinjaTemplate":
        """Find the column of every name, as `Template.bound` does."""
        found = {
            key: column_of(self.field, name, columns) for key, name in sorted(self.columns.items())
        }
        return attrs.evolve(self, columns=found)

    def fill(self, row: Mapping[str, Cell]) -> str:
        """Fill the template from a row.

        Raises:
            InvalidArgumentError: The row has no value for a column that is written out (the error
                names the column), or the template fails or exceeds a limit (it names the field).
        """
        return self._render(self.columns, row)


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


def _pieces(field: str, text: str) -> Iterator[tuple[str, str | None]]:
    """Split a text into literals, each with the name in the placeholder that follows it."""
    end = 0
    for match in _BRACES.finditer(text):
        literal, name = text[end : match.start()], match[1]
        end = match.end()
        if name is not None and not name.strip():
            raise InvalidArgumentError(
                field, "has a placeholder that is not just the name of a column"
            )
        if name is None and len(match[0]) == 1:
            raise InvalidArgumentError(
                field, "has an unmatched brace; write {{ or }} for a literal brace"
            )
        yield (literal + match[0][0], None) if name is None else (literal, name)
    if text[end:]:
        yield text[end:], None


def _placeholder(field: str, text: str, columns: Sequence[str]) -> tuple[str, str]:
    """Split a placeholder into its column and its format; the longest name of a column comes first.

    ``{Hora: inicio}`` is a column of that name, where there is one.
    """
    end = len(text)
    while end > 0:
        if (found := find_column(field, text[:end], columns)) is not None:
            return found, text[end + 1 :]
        end = text.rfind(":", 0, end)
    return column_of(field, text, columns), ""
