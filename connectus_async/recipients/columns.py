"""Columns by their names, as people write them, and the sentences for a missing one. Pure."""

import re
import unicodedata
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

from connectus_async.errors import InvalidArgumentError
from connectus_async.redaction import looks_personal, one_line

MOST_LISTED: Final = 20
LONGEST_NAME: Final = 40
_DELIMITERS: Final = frozenset(",;|\t")
_NO_LETTERS: Final = re.compile(r"[\W_]+")
_NO_NAME: Final = re.compile(r"[;\n]|[a-z-]:\s*\S")
"""What the rules of a style sheet have between their braces."""

_LEFT_OUT: Final = frozenset({"Mn", "Cf", "Cc"})
"""The categories of accents, and of characters that are not seen."""

WORDS_FOR: Final = {
    "dst_number": (
        ("telefono", "telefone", "telephone", "phone", "fono", "tel", "telf", "tlf", "tfno"),
        ("celular", "cell", "cel", "movil", "movel", "telemovil", "telemovel"),
        ("mobile", "mobil", "smartphone", "whatsapp", "wsp", "wasap", "msisdn"),
    ),
    "dst_email": (("email", "mail", "correo"),),
}
"""The words that people give to the column of recipients."""

VAGUE_WORDS_FOR: Final = {"dst_number": ("numero", "number", "nro", "num"), "dst_email": ()}
"""Words that name it where no other column has one of `WORDS_FOR`."""

WORDS_BESIDE: Final = (
    *("de", "del", "do", "da", "of", "the", "su", "tu", "seu", "your", "no"),
    *("numero", "number", "nro", "num", "valor", "value", "electronico", "eletronico"),
    *("direccion", "endereco", "address", "principal", "primary", "primario", "main", "personal"),
    *("pessoal", "contacto", "contato", "contact", "cliente", "client", "customer"),
    *("destinatario", "destino", "recipient", "usuario", "user"),
)
"""Words that may stand beside them. Any other, such as ``Type``, makes it another column. No word
here or above is put together of others, so that a name has few readings."""


def find_column(field: str, name: str, columns: Sequence[str]) -> str | None:
    """Find a column by its name: as it is written, else in another spelling.

    Spellings differ in case, accents, blanks, underscores and invisible characters.

    Args:
        field: The argument that names it, for error messages.
        name: The name.
        columns: The columns of the file.

    Returns:
        The name that the file gives it; ``None`` if there is no such column.

    Raises:
        InvalidArgumentError: Several columns have that name in another spelling.

    >>> find_column("to", "telefono", ["nombre", "Teléfono "])
    'Teléfono '
    """
    if name in columns:
        return name
    wanted = folded(name)
    alike = [column for column in columns if wanted and folded(column) == wanted]
    if len(alike) > 1:
        raise InvalidArgumentError(
            field,
            f"{one_line(name, LONGEST_NAME)!r} may be any of the columns {listed(alike)}; write the"
            " name exactly as the file does",
        )
    return alike[0] if alike else None


def column_of(field: str, name: str, columns: Sequence[str]) -> str:
    """Find a column as `find_column` does.

    Raises:
        InvalidArgumentError: There is no such column, or there are several.
    """
    found = find_column(field, name, columns)
    if found is None:
        raise InvalidArgumentError(field, missing_column(name, columns))
    return found


def folded(name: str) -> str:
    r"""Write a name in the form that all its spellings share.

    >>> folded("Número\u00a0de teléfono"), folded("DST_NUMBER")
    ('numerodetelefono', 'dstnumber')
    """
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(sign for sign in letters if not _is_left_out(sign)).casefold()


def _is_left_out(sign: str) -> bool:
    return sign == "_" or sign.isspace() or unicodedata.category(sign) in _LEFT_OUT


def recipient_columns(name: str, columns: Sequence[str]) -> list[str]:
    """List the columns that seem to be the one of the recipients.

    Args:
        name: The name that it should have: ``dst_number`` or ``dst_email``.
        columns: The columns of the file.

    >>> recipient_columns("dst_number", ["N.º", "Teléfono", "Phone 1 - Value", "Phone 1 - Type"])
    ['Teléfono', 'Phone 1 - Value']
    """
    telling = [word for words in WORDS_FOR[name] for word in words]
    return _named_by(telling, columns) or _named_by(VAGUE_WORDS_FOR[name], columns)


def _named_by(words: Sequence[str], columns: Sequence[str]) -> list[str]:
    """List the columns that have one of some words in their name, and nothing else that counts."""
    if not words:
        return []
    beside = "|".join((*words, *WORDS_BESIDE, r"\d"))
    name = re.compile(rf"(?:{beside})*(?:{'|'.join(words)})(?:{beside})*")
    return [
        column
        for column in columns
        if len(column) <= LONGEST_NAME and name.fullmatch(_letters_of(column))
    ]


def _letters_of(name: str) -> str:
    return _NO_LETTERS.sub("", folded(name))


def missing_column(name: str, columns: Sequence[str]) -> str:
    """Say that a file does not have a column, and which it has.

    Args:
        name: The column that is missing.
        columns: The columns of the file. If they look like data, none of them is quoted.

    >>> missing_column("dst_number", ["Teléfono", "nombre"])
    "there is no column 'dst_number'; did you mean 'Teléfono'? The columns are Teléfono, nombre"
    """
    absent = f"there is no column {one_line(' '.join(name.split()), LONGEST_NAME)!r}"
    if any(map(looks_personal, columns)):
        return (
            f"{absent}, and the first line looks like a row of data: put a line with the names of"
            " the columns above it"
        )
    if len(columns) == 1 and _DELIMITERS.intersection(columns[0]):
        only = one_line(columns[0], LONGEST_NAME)
        return f"{absent}: the file has only one, {only!r}, so its delimiter is another"
    if _NO_NAME.search(name):
        return (
            f"{absent}; write {{{{ and }}}} for braces that stay. The columns are {listed(columns)}"
        )
    near = nearest(name, columns)
    if near is None:
        return f"{absent}; the columns are {listed(columns)}"
    return f"{absent}; did you mean {near!r}? The columns are {listed(columns)}"


def nearest(name: str, columns: Sequence[str]) -> str | None:
    """Find the column that is meant by a name, if one is likely."""
    by_letters = {folded(column): column for column in reversed(columns)}
    alike = get_close_matches(folded(name), by_letters, n=1)
    if alike:
        return by_letters[alike[0]]
    candidates = recipient_columns(name, columns) if name in WORDS_FOR else []
    return candidates[0] if candidates else None


def listed(columns: Sequence[str]) -> str:
    """List the columns of a file, of many the first."""
    names = [one_line(column, LONGEST_NAME) for column in columns[:MOST_LISTED]]
    return ", ".join(names) + ", …" * (len(columns) > MOST_LISTED)
