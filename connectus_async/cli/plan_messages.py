"""Messages of a plan, as a terminal or a phone shows them."""

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import click
from rich.console import Console
from rich.text import Text

from connectus_async.cli.language import gettext as _
from connectus_async.cli.runner import echo
from connectus_async.products.email import Email
from connectus_async.products.messages import Row
from connectus_async.products.sms import Sms
from connectus_async.recipients.preflight import Finding, PreflightReport, texts_of
from connectus_async.segmentation import segments

MAX_CHARACTERS: Final = 600
"""Of a message, on the terminal."""

WIDEST: Final = 100
"""Columns of a wide terminal that lines and messages take."""


def print_messages(report: PreflightReport, *, on_output: bool) -> None:
    """Show messages on standard output, or else on the terminal of standard error, if it is one."""
    if on_output or sys.stderr.isatty():
        for line in _message_lines(report, min(width_of_terminal(), WIDEST)):
            click.echo(line, err=not on_output)


def print_message(title: str, row: Row) -> None:
    """Show a message as the phone shows it, on a terminal alone."""
    if sys.stdout.isatty():
        for line in _lines_of(title, row, min(width_of_terminal(), WIDEST)):
            echo(line)


def as_dicts(report: PreflightReport) -> list[dict[str, Any]]:
    """Convert the messages to types that JSON has."""
    return [
        {"line": row.line, "message": row.content.body()}
        for _title, row in _shown_messages(report)
        if not isinstance(row.content, Exception)
    ]


def fitted(line: str, width: int | None) -> str:
    """Break a line at the width of a terminal, with the rest indented."""
    if width is None or len(line) <= width:
        return line
    indent = " " * (len(line) - len(line.lstrip()))
    first, *others = _wrapped(line.lstrip(), min(width, WIDEST) - len(indent) - 2)
    return "\n".join([indent + first, *(f"{indent}  {other}" for other in others)])


def width_of_terminal() -> int:
    """Tell how many columns the terminal has."""
    return shutil.get_terminal_size().columns


def _shown_messages(report: PreflightReport) -> Iterator[tuple[str, Row]]:
    """Choose the messages to show, each with the reason; none twice."""
    samples = report.samples
    longest = [(_("The longest message"), samples.longest)] if samples.longest else []
    chosen = [
        *(
            (_("Message {count}").format(count=place), row)
            for place, row in enumerate(samples.first, 1)
        ),
        *longest,
        *((_TITLES[finding](), row) for finding, row in samples.findings.items()),
    ]
    seen: list[Row] = []
    for title, row in chosen:
        if row not in seen:
            seen.append(row)
            yield title, row


def _message_lines(report: PreflightReport, width: int) -> Iterator[str]:
    for title, row in _shown_messages(report):
        yield ""
        yield from _lines_of(title, row, width)


def _lines_of(title: str, row: Row, width: int) -> Iterator[str]:
    message = row.content
    if isinstance(message, Exception):
        return
    recipient = message.dst_email if isinstance(message, Email) else f"+{message.dst_number}"
    yield from _wrapped(f"{title}: {recipient}{_place(row)}", width)
    for text in texts_of(message):
        yield from (f"  │ {line}" for line in _wrapped(_printable(text), width - 4))
    if isinstance(message, Sms):
        counted = segments(message.sms_content)
        said = _("{encoding}; SMS billed: {billed}; carrier parts: {parts}").format(
            encoding=counted.encoding, billed=counted.billed, parts=counted.parts
        )
        first, *rest = _wrapped(said, width - 4)
        yield from (f"  └ {first}", *(f"    {line}" for line in rest))


def _place(row: Row) -> str:
    return "" if row.line is None else _(" (line {line})").format(line=row.line)


def _printable(text: str) -> str:
    r"""Replace what controls a terminal, and shorten a long text.

    >>> _printable("a\x1b[2Jb\nc")
    'a?[2Jb\nc'
    """
    shown = text if len(text) <= MAX_CHARACTERS else text[:MAX_CHARACTERS] + "…"
    return "".join(it if it.isprintable() or it == "\n" else "?" for it in shown)


def _wrapped(text: str, width: int) -> list[str]:
    console = Console(width=max(width, 10), file=sys.stderr)
    lines = (Text(line).wrap(console, console.width) for line in text.split("\n"))
    return [one.plain for some in lines for one in some] or [""]


_TITLES: Final[Mapping[Finding, Callable[[], str]]] = {
    Finding.MORE_PARTS: lambda: _("A character makes it longer"),
    Finding.LANDLINE: lambda: _("To a landline"),
    Finding.TOLL_FREE: lambda: _("To a toll-free number"),
    Finding.BRACES: lambda: _("With the name of a column in braces"),
}
