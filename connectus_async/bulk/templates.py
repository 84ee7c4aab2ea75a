"""Texts with ``{column}`` placeholders, filled from the columns of a row."""

from collections.abc import Iterable, Mapping
from string import Formatter

import attrs

from connectus_async.errors import InvalidArgumentError


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

    @classmethod
    def parse(cls, field: str, text: str) -> "Template":
        """Read a template.

        Args:
            field: What an error is to call it.
            text: The text.

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
        return cls(field, tuple((literal, name) for literal, name, _, _ in pieces))

    def check(self, columns: Iterable[str]) -> None:
        """Check that every placeholder is a column.

        Raises:
            InvalidArgumentError: One is not; it is named, with the columns that there are.
        """
        known = list(columns)
        for _, name in self.parts:
            if name is not None and name not in known:
                raise InvalidArgumentError(
                    self.field, f"has no column for {{{name}}}; the columns are {', '.join(known)}"
                )

    def fill(self, row: Mapping[str, str]) -> str:
        """Write the text for a row.

        Raises:
            InvalidArgumentError: The row has no value for a placeholder; the column is named.
        """
        return "".join(
            literal + ("" if name is None else _value(row, name)) for literal, name in self.parts
        )


def _is_column(name: str) -> bool:
    return bool(name.strip()) and not set(name) & set(".[")


def _value(row: Mapping[str, str], name: str) -> str:
    value = row.get(name, "").strip()
    if not value:
        raise InvalidArgumentError(name, "is empty in this row")
    return value
