"""Texts that are filled from the columns of a row."""

from collections.abc import Callable, Iterable, Mapping
from html import escape
from string import Formatter
from typing import Literal

import attrs

from connectus_async.errors import InvalidArgumentError
from connectus_async.extras import library
from connectus_async.recipients.cells import Cell, written

Engine = Literal["plain", "jinja"]


@attrs.frozen
class Template:
    """A text in which ``{name}`` stands for the column ``name``; ``{{`` and ``}}`` are braces.

    A placeholder is the name of a column and nothing else: it reaches no attribute and no index.

    >>> template = Template.parse("text", "Hola {name}")
    >>> template.fill({"name": "Ana"})
    'Hola Ana'
    """

    field: str
    parts: tuple[tuple[str, str | None], ...] = attrs.field(repr=False)
    html: bool = False

    @classmethod
    def parse(cls, field: str, text: str, *, html: bool = False) -> "Template":
        """Read a template.

        Args:
            field: What an error is to call it.
            text: The text.
            html: Whether it is HTML: what a row puts into it is then escaped.

        Raises:
            InvalidArgumentError: A brace or a placeholder is malformed.
        """
        try:
            pieces = list(Formatter().parse(text))
        except ValueError as error:
            raise InvalidArgumentError(
                field, f"has a brace without its pair ({error}); write {{{{ or }}}} for a brace"
            ) from None
        for _, name, form, conversion in pieces:
            if name is not None and (form or conversion or not _is_column(name)):
                raise InvalidArgumentError(
                    field, "has a placeholder that is not the plain name of a column"
                )
        return cls(field, tuple((literal, name) for literal, name, _, _ in pieces), html)

    def check(self, columns: Iterable[str]) -> None:
        """Check that every placeholder is a column.

        Raises:
            InvalidArgumentError: One is not; it is named, with the columns that there are.
        """
        names = (name for _, name in self.parts if name is not None)
        _check(self.field, names, columns, "{{{}}}")

    def fill(self, row: Mapping[str, Cell]) -> str:
        """Write the text for a row.

        Raises:
            InvalidArgumentError: The row has no value for a placeholder, or one that cannot be
                written; the column is named.
        """
        return "".join(
            literal + ("" if name is None else self._value(row, name))
            for literal, name in self.parts
        )

    def _value(self, row: Mapping[str, Cell], name: str) -> str:
        value = written(name, row.get(name))
        return escape(value) if self.html else value


@attrs.frozen
class JinjaTemplate:
    """A Jinja template, in a sandbox. ``{{ name }}`` stands for the column ``name``.

    It has ``if``, ``for``, ``set``, the tests, the harmless filters, and the methods of texts and
    dates; no macros, includes or blocks. It cannot run for long or write without end. A column
    whose name is no identifier cannot be named in it.

    An empty cell is false in an ``if`` and can be given a ``default``; written out, it is an error
    of its row.

    >>> template = JinjaTemplate.parse("text", "{{ name|upper }}{% if vip %}, gracias{% endif %}")
    >>> template.fill({"name": "Ana", "vip": ""})
    'ANA'
    """

    field: str
    columns: frozenset[str]
    _render: Callable[[Mapping[str, Cell]], str] = attrs.field(repr=False)

    @classmethod
    def parse(cls, field: str, text: str, *, html: bool = False) -> "JinjaTemplate":
        """Read a template.

        Args:
            field: What an error is to call it.
            text: The text.
            html: Whether it is HTML: what a row puts into it is then escaped, unless the template
                says ``|safe``.

        Raises:
            InvalidArgumentError: It is no Jinja template, or uses what it may not.
            ConfigurationError: Jinja is not installed.
        """
        library(field, "jinja2", extra="jinja")
        from connectus_async.recipients.jinja_sandbox import compiled  # noqa: PLC0415 - it needs jinja2

        columns, render = compiled(field, text, html=html)
        return cls(field, columns, render)

    def check(self, columns: Iterable[str]) -> None:
        """Check that every name is a column.

        Raises:
            InvalidArgumentError: One is not; it is named, with the columns that there are.
        """
        _check(self.field, sorted(self.columns), columns, "{{{{ {} }}}}")

    def fill(self, row: Mapping[str, Cell]) -> str:
        """Write the text for a row.

        Raises:
            InvalidArgumentError: The row has no value for something that is written out (the column
                is named), or the template fails on it or goes on for too long (the field is named).
        """
        return self._render(row)


Filler = Template | JinjaTemplate


def parse_template(
    field: str, text: str, *, engine: Engine = "plain", html: bool = False
) -> Filler:
    """Read a template.

    Args:
        field: What an error is to call it.
        text: The text.
        engine: ``"plain"`` for ``{name}``, ``"jinja"`` for Jinja.
        html: Whether it is HTML: what a row puts into it is then escaped.

    Raises:
        InvalidArgumentError: It is malformed, or there is no such engine.
        ConfigurationError: Jinja is not installed.
    """
    if engine == "plain":
        return Template.parse(field, text, html=html)
    if engine == "jinja":
        return JinjaTemplate.parse(field, text, html=html)
    raise InvalidArgumentError("engine", 'must be "plain" or "jinja"')


def _check(field: str, names: Iterable[str], columns: Iterable[str], form: str) -> None:
    known = list(columns)
    for name in names:
        if name not in known:
            raise InvalidArgumentError(
                field, f"has no column for {form.format(name)}; the columns are {', '.join(known)}"
            )


def _is_column(name: str) -> bool:
    return bool(name.strip()) and not set(name) & set(".[")
