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
from connectus_async.recipients.formats import Write, is_format, parse_format, prepare

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

    A placeholder is the name of a column, which may have any character but a brace: no attributes,
    no indexes. ``{amount:,.0f}`` and ``{day:%d-%m-%Y}`` have a format, as `parse_format` takes it.

    >>> template = Template.parse("text", "Hola {name}, {amount:,.0f}", locale="es_CL")
    >>> template.bound(["Name", "Amount"]).fill({"Name": "Ana", "Amount": 15000})
    'Hola Ana, 15.000'
    """

    field: str
    parts: tuple[tuple[str, str | None], ...] = attrs.field(repr=False)
    html: bool = False
    locale: str | None = None
    _writers: tuple[Write, ...] = attrs.field(default=(), repr=False, eq=False)
    _columns: tuple[str, ...] = attrs.field(
        repr=False, eq=False, default=attrs.Factory(_names_of, takes_self=True)
    )
    _form: str = attrs.field(
        init=False, repr=False, eq=False, default=attrs.Factory(_form_of, takes_self=True)
    )

    @classmethod
    def parse(
        cls, field: str, text: str, *, html: bool = False, locale: str | None = None
    ) -> "Template":
        """Parse a template.

        Args:
            field: The name for error messages.
            text: The text.
            html: Whether it is HTML; the values of a row are then escaped.
            locale: Language and country of its formats, such as ``es_CL``.

        Raises:
            InvalidArgumentError: A brace is malformed, or a placeholder names nothing, or there is
                no such locale.
        """
        template = cls(field, tuple(_pieces(field, text)), html, locale)
        if template._has_formats:
            prepare(locale)
        return template

    def bound(self, columns: Sequence[str]) -> "Template":
        """Find the column of every placeholder, as `find_column` does.

        Args:
            columns: The columns of the source.

        Returns:
            The template for rows with these columns.

        Raises:
            InvalidArgumentError: A placeholder is none of them, or may be several; the error names
                it and lists the columns. Or its format is none, or needs a locale.
            ConfigurationError: A format needs Babel, which is not installed.
        """
        found = [_placeholder(self.field, name, columns) for name in _names_of(self)]
        writers: tuple[Write, ...] = ()
        if any(form is not None for _column, form in found):
            writers = tuple(
                format_cell if form is None else parse_format(self.field, form, self.locale)
                for _column, form in found
            )
        found_columns = tuple(column for column, _form in found)
        return attrs.evolve(self, columns=found_columns, writers=writers)

    @property
    def source(self) -> tuple[object, ...]:
        """All that decides what it makes of a row."""
        return "plain", self.parts, self.html, *((self.locale,) if self._has_formats else ())

    @property
    def _has_formats(self) -> bool:
        """Tell whether a placeholder may have a format: only the columns tell for certain."""
        return any(":" in name for name in _names_of(self))

    def fill(self, row: Mapping[str, Cell]) -> str:
        """Fill the template from a row.

        Raises:
            InvalidArgumentError: The row has no value for a placeholder, or one that cannot be
                written; the error names the column.
        """
        values = self._formatted(row) if self._writers else self._written(row)
        return self._form % tuple(map(escape, values) if self.html else values)

    def _formatted(self, row: Mapping[str, Cell]) -> list[str]:
        columns = zip(self._writers, self._columns, strict=True)
        return [write(name, row.get(name)) for write, name in columns]

    def _written(self, row: Mapping[str, Cell]) -> list[str]:
        try:
            values = [str.strip(row[name]) for name in self._columns]  # type: ignore[arg-type]
        except (TypeError, KeyError):
            values = [""]
        if not _IRREGULAR.isdisjoint(values):  # one is not text, or has nothing
            values = [format_cell(name, row.get(name)) for name in self._columns]
        return values


@attrs.frozen
class JinjaTemplate:
    """A Jinja template, in a sandbox. ``{{ name }}`` stands for the column ``name``.

    ``{{ row["Hora: inicio"] }}`` stands for a column whose name is no identifier.

    It supports ``if``, ``for``, ``set``, tests, safe filters, and the methods of strings and
    dates; no macros, includes or blocks. Its run time and its output are limited. With a locale,
    the filters ``format_decimal``, ``format_currency``, ``format_percent``, ``format_date``,
    ``format_time`` and ``format_datetime`` are those of Babel.

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
    def parse(
        cls, field: str, text: str, *, html: bool = False, locale: str | None = None
    ) -> "JinjaTemplate":
        """Parse a template.

        Args:
            field: The name for error messages.
            text: The text.
            html: Whether it is HTML; the values of a row are then escaped, except with ``|safe``.
            locale: Language and country of its formats, such as ``es_CL``.

        Raises:
            InvalidArgumentError: It is not a valid Jinja template, or uses a forbidden feature.
            ConfigurationError: Jinja is not installed.
        """
        library(field, "jinja2", extra="jinja")
        from connectus_async.recipients.jinja_sandbox import compile_template  # noqa: PLC0415 - it needs jinja2

        compiled = compile_template(field, text, html=html, locale=locale)
        chosen = (locale,) if compiled.uses_locale else ()
        return cls(field, compiled.columns, ("jinja", text, html, *chosen), compiled.fill)

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
    field: str,
    text: str,
    *,
    engine: Engine = "plain",
    html: bool = False,
    locale: str | None = None,
) -> Filler:
    """Parse a template. Blocks while it reads a locale or imports a library for the first time.

    Args:
        field: The name for error messages.
        text: The text.
        engine: ``"plain"`` for ``{name}``, ``"jinja"`` for Jinja.
        html: Whether it is HTML; the values of a row are then escaped.
        locale: Language and country of the formats of numbers and dates, such as ``es_CL``.

    Raises:
        InvalidArgumentError: The template is malformed, or the engine is unknown.
        ConfigurationError: Jinja or Babel is needed and not installed.
    """
    if engine == "plain":
        return Template.parse(field, text, html=html, locale=locale)
    if engine == "jinja":
        return JinjaTemplate.parse(field, text, html=html, locale=locale)
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


def _placeholder(field: str, text: str, columns: Sequence[str]) -> tuple[str, str | None]:
    """Split a placeholder into its column and its format; the longest name of a column comes first.

    ``{Hora: inicio}`` is a column of that name, where there is one.
    """
    end = len(text)
    while end > 0:
        if (found := find_column(field, text[:end], columns)) is not None:
            return found, text[end + 1 :] or None
        end = text.rfind(":", 0, end)
    name, _, form = text.partition(":")
    return column_of(field, name if name and is_format(form) else text, columns), None
