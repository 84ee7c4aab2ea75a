"""Catalogues of translations: finds what is to be translated, and compiles what was.

``nox -s catalogues`` brings them up to date; with ``--check`` it only fails if they are not. There
are two in each language: ours, and one with the words of click.

Ours has the sentences of the command line and the reports, which are marked with ``_`` or
``ngettext``; the help of every command; and the sentences of the library, which are not marked:
each string that reads like one. A f-string among them becomes a template with numbered
placeholders, by which `Language.sentence` finds it again.
"""

import argparse
import ast
import re
import string
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from babel.messages import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po

from connectus_async.translation import core

PACKAGE: Final = Path(__file__).resolve().parents[1]
LOCALES: Final = PACKAGE / "locales"
OURS: Final = "connectus_async"
CLICK: Final = "click"
WIDTH: Final = 100

MARKED: Final = (("cli/**.py", "python"), ("report/**.py", "python"), ("report/**.html", "jinja2"))
KEYWORDS: Final = {
    "_": (1,),
    "gettext": (1,),
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
}

UNSEEN: Final = (
    "_tools/",
    "_watching.py",
    "cli/campaign_metrics.py",
    "cli/commands/",
    "emulator/",
    "instrumentation.py",
    "otel.py",
    "otp/",
    "pytest_plugin.py",
    "recipients/number_zones.py",
    "statuses.py",
    "sync/",
    "translation.py",
    "webhooks/",
)
"""Parts of the package whose unmarked strings no reader of a command line sees."""

SYSTEM: Final = (
    "interrupted",
    "connection refused",
    "connection timed out",
    "network is unreachable",
    "no route to host",
    "Address already in use",
    "Connection refused",
    "Connection timed out",
    "File name too long",
    "Is a directory",
    "Name or service not known",
    "Network is unreachable",
    "No route to host",
    "No space left on device",
    "No such file or directory",
    "Not a directory",
    "Permission denied",
    "Read-only file system",
    "Temporary failure in name resolution",
    "Too many open files",
    "Single '{' encountered in format string",
    "Single '}' encountered in format string",
    "expected '}' before end of string",
)
"""Words and sentences that people meet and that are found in no other way, most of them of the
operating system and of Python."""

NO_SENTENCES: Final = frozenset(
    {
        "a frame of {0:,} bytes",
        "export {0}={1}",
        "gzip, deflate",
        "only the dispatcher records new messages",
        "Tu clave es {0}. Vence en {1} minutos.",
    }
    | {"read committed"}
)
"""Strings that read like sentences, and that nobody reads."""

STATES: Final = "ledger/states.py"
"""The module whose single words are shown, too."""

_SENTENCE: Final = re.compile(
    r"[a-z]{2,}[,;:]? [a-z({]{2,}|^[a-z]+ \{|\} [a-z]{2,} [a-z]{2,}|\{\d+:,\} [a-z]{2,}"
)
_CODE: Final = re.compile(
    r"\b(SELECT|INSERT|UPDATE|DELETE|CREATE|FROM|WHERE|COPY|SET|AND|ORDER BY|ON|IS|NULL|JOIN)\b"
    r"|::|\w\[\w|^<|<\w+|\| None|_\w+ [a-z]\w+ =|%[ds]|^coalesce|^ANALYZE|id, |^connectus "
)
_LONG_WORD: Final = re.compile(r"[^\W\d_]{4}|:,\}")
"""What tells a template from a name with a word such as "to" in it."""
_LOGGING: Final = frozenset({"debug", "info", "warning", "error", "exception", "log", "warn"})
_NOT_HERE: Final = frozenset({"AssertionError", "AttributeError", "TypeError", *KEYWORDS})
"""Calls whose strings are for programmers, or marked."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Bring the catalogues up to date, or check that they are.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing")
    checks = parser.parse_args(arguments).check
    template = wanted()
    problems = []
    for folder in sorted(LOCALES.glob("*/LC_MESSAGES")):
        update(folder, template, writes=not checks)
        problems += [f"{folder.parent.name}: {problem}" for problem in found(folder, template)]
    for problem in problems:
        print(problem, file=sys.stderr)  # noqa: T201
    if problems:
        print("run nox -s catalogues, then translate what is left", file=sys.stderr)  # noqa: T201
    return 1 if problems else 0


def wanted() -> Catalog:
    """Collect all that is to be translated."""
    template = Catalog(charset="utf-8")
    for place, message, context in _marked():
        where = [(place, 0)]  # lines would change all the time
        template.add(message, locations=where, flags=_flags(message), context=context)
    for place, messages in (*_helps(), *_library(), ("system", SYSTEM)):
        for message in messages:
            template.add(message, locations=[(place, 0)], flags=_flags(message))
    return template


def update(folder: Path, template: Catalog, *, writes: bool) -> None:
    """Write catalogues anew: with messages that were added, without those that are gone."""
    if not writes:
        return
    ours = read(folder / f"{OURS}.po")
    template.creation_date = ours.creation_date
    ours.update(template, no_fuzzy_matching=True)
    ours.obsolete.clear()
    for name, catalogue in ((OURS, ours), (CLICK, read(folder / f"{CLICK}.po"))):
        with (folder / f"{name}.po").open("wb") as file:
            write_po(file, catalogue, width=WIDTH, include_lineno=False, sort_by_file=name == OURS)
        with (folder / f"{name}.mo").open("wb") as file:
            write_mo(file, catalogue)


def found(folder: Path, template: Catalog) -> Iterator[str]:
    """List what is wrong with the catalogues of a language."""
    ours = read(folder / f"{OURS}.po")
    known, needed = set(map(_key, ours)), set(map(_key, template))
    yield from (f"not in the catalogue: {message}" for message in sorted(needed - known))
    yield from (f"not needed any more: {message}" for message in sorted(known - needed))
    for name, catalogue in ((OURS, ours), (CLICK, read(folder / f"{CLICK}.po"))):
        for message in filter(lambda message: message.id, catalogue):
            yield from (f"{problem}: {message.id!r}" for problem in _problems(message))
        if _compiled_texts(folder / f"{name}.mo") != _texts(catalogue):
            yield f"{name}.mo is not the compiled {name}.po"


def read(path: Path) -> Catalog:
    """Read a catalogue."""
    with path.open("rb") as file:
        return read_po(file, locale=path.parents[1].name, domain=path.stem)


def _texts(catalogue: Catalog) -> dict[object, object]:
    """List the translations, without the header, which names the version of Babel."""
    return {
        _key(message): _as_tuple(message.string)
        for message in catalogue
        if message.id and message.string
    }


def _compiled_texts(path: Path) -> dict[object, object]:
    if not path.is_file():
        return {}
    with path.open("rb") as file:
        return _texts(read_mo(file))


def _problems(message: Message) -> Iterator[str]:
    ids, texts = _as_tuple(message.id), _as_tuple(message.string)
    if message.fuzzy:
        yield "fuzzy"
    if not all(texts):
        yield "not translated"
        return
    names = set[str]().union(*map(placeholders, ids))
    for text in texts:
        used = placeholders(text)
        if not used <= names or (len(texts) == 1 and used != names):
            yield f"has other placeholders than its translation {text!r}"


def placeholders(text: str) -> set[str]:
    """List the placeholders of a template, with their forms.

    >>> sorted(placeholders("{count:,} of {name} {{literal}}"))
    ['count:,', 'name']
    """
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError:  # a brace that is meant as one
        return set()
    return {name + (f":{form}" if form else "") for _, name, form, _ in parts if name is not None}


def _key(message: Message) -> tuple[str, ...]:
    return (message.context or "", *_as_tuple(message.id))


def _as_tuple(text: object) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)  # type: ignore[arg-type]


def _flags(message: str | tuple[str, ...]) -> list[str]:
    return ["python-brace-format"] if any(map(placeholders, _as_tuple(message))) else []


def _marked() -> Iterator[tuple[str, str | tuple[str, ...], str | None]]:
    for name, _, message, _, context in extract_from_dir(
        PACKAGE, method_map=list(MARKED), keywords=KEYWORDS
    ):
        yield name, message, context


def _helps() -> Iterator[tuple[str, Iterable[str]]]:
    from connectus_async.cli.commands import SUMMARIES, connectus  # noqa: PLC0415 - needs click
    from connectus_async.cli.translated_help import messages  # noqa: PLC0415

    for command in (connectus, *(summary.load() for summary in SUMMARIES)):
        yield f"help of {command.name}", filter(None, messages(command))


def _library() -> Iterator[tuple[str, Iterable[str]]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if not name.startswith(UNSEEN):
            yield name, sentences(path.read_text("utf-8"), words=name == STATES)


def sentences(source: str, *, words: bool = False) -> list[str]:
    """Find the strings of a module that read like sentences.

    Args:
        source: The module.
        words: Whether single words count, too.

    >>> sentences('raise LedgerError(name, f"has {count:,} rows, but {more!r} fit")')
    ['has {0:,} rows, but {1} fit']
    """
    finder = _SentenceFinder()
    finder.visit(ast.parse(source))
    return [
        text
        for text in dict.fromkeys(map(core, finder.found))
        if _is_sentence(text) or (words and text.isidentifier())
    ]


def _is_sentence(text: str) -> bool:
    is_one = _SENTENCE.search(text) and not _CODE.search(text) and text not in NO_SENTENCES
    return bool(is_one) and ("{" not in text or bool(_LONG_WORD.search(text)))


class _SentenceFinder(ast.NodeVisitor):
    """Collects the strings of a module: none of documentation, of logs, or for programmers."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = getattr(node.func, "attr", None) or getattr(node.func, "id", None)
        is_of_log = isinstance(node.func, ast.Attribute) and name in _LOGGING
        if not is_of_log and name not in _NOT_HERE:
            self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg != "help":  # the help of commands is found in the commands
            self.visit(node.value)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self.found.append(_numbered(node.value))

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self.found.append(_template(node))
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                self.visit(part.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_arg(self, node: ast.arg) -> None:
        """Leave out its annotation."""


def _template(node: ast.JoinedStr) -> str:
    """Write a f-string as a template with numbered placeholders."""
    text = ""
    number = 0
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            text += f"{{{number}{':,' * _has_commas(part.format_spec)}}}"
            number += 1
        else:
            text += str(part.value)  # type: ignore[attr-defined]
    return text


def _has_commas(form: ast.expr | None) -> bool:
    """Tell whether a value is a number that is written with separators."""
    match form:
        case ast.JoinedStr(values=[ast.Constant(value=",")]):
            return True
        case _:
            return False


def _numbered(text: str) -> str:
    """Number the placeholders of a template for `str.format`."""
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError:
        return text
    if all(name is None for _, name, _, _ in parts):
        return text
    written = ""
    for number, (literal, name, form, _) in enumerate(parts):
        written += literal
        if name is not None:
            written += f"{{{number}{':,' * (form == ',')}}}"
    return written


if __name__ == "__main__":
    sys.exit(main())
