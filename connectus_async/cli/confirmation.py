"""Confirmation: nothing is sent before somebody says yes, at the terminal or by a flag."""

import sys
from collections.abc import Callable, Mapping
from typing import Final, TextIO

import anyio
import click

from connectus_async.cli.language import gettext as _
from connectus_async.cli.language import ngettext, number
from connectus_async.ledger.records import Waiting

NOT_CONFIRMED = "nobody confirmed it"
"""The reason on record why a campaign stopped."""


def check_confirmable(*, yes: bool, as_json: bool) -> None:
    """Check that somebody has said yes, or can be asked.

    Raises:
        click.UsageError: Nobody can.
    """
    if yes:
        return
    if as_json:
        raise click.UsageError(_("--json asks no question: add --yes to send. Nothing was sent."))
    if find_terminal() is None:
        raise click.UsageError(
            _("there is no terminal to ask on: add --yes to send. Nothing was sent.")
        )


def question_of(waiting: Mapping[str, Waiting], limit: int | None = None) -> str:
    """Write the question whether to send what waits, or a sample of it.

    >>> question_of({"sms": Waiting(2_776, 2_800, 2_776)})
    'Send 2,800 SMS to 2,776 people?'
    """
    (kind, *others) = waiting
    messages = sum(it.messages for it in waiting.values())
    if limit is not None and limit < messages:
        sample = ngettext(
            "Send a sample of {count} message? {total} wait.",
            "Send a sample of {count} messages? {total} wait.",
            limit,
        )
        return sample.format(count=number(limit), total=number(messages))
    question = _QUESTIONS[None if others else kind]
    return question(messages).format(
        sms=number(sum(it.billed for it in waiting.values())),
        count=number(messages),
        people=number(sum(it.people for it in waiting.values())),
    )


async def is_confirmed(question: str, *, by_default: bool = False) -> bool:
    """Ask a question at the terminal; only a yes counts as one. Ctrl-C ends it at once.

    Args:
        question: The question.
        by_default: The meaning of an empty line. A closed terminal is always a no.
    """
    terminal = find_terminal()
    if terminal is None:  # it was closed meanwhile
        return False
    yes, no = _("y yes").split(), _("n no").split()
    choice = f"{yes[0].upper()}/{no[0]}" if by_default else f"{yes[0]}/{no[0].upper()}"
    while True:
        terminal.write(f"{question} [{choice}] ")
        terminal.flush()
        line = await read_line()
        said = line.strip().casefold()
        if line and not said:
            return by_default
        if not line or said in no:
            return False
        if said in yes:
            return True


_QUESTIONS: Final[Mapping[str | None, Callable[[int], str]]] = {
    "sms": lambda count: ngettext(
        "Send {sms} SMS to 1 person?", "Send {sms} SMS to {people} people?", count
    ),
    "email": lambda count: ngettext(
        "Send 1 email to 1 person?", "Send {count} emails to {people} people?", count
    ),
    "whatsapp": lambda count: ngettext(
        "Send 1 WhatsApp message to 1 person?",
        "Send {count} WhatsApp messages to {people} people?",
        count,
    ),
    None: lambda count: ngettext(
        "Send 1 message to 1 person?", "Send {count} messages to {people} people?", count
    ),
}


def find_terminal() -> TextIO | None:
    """Find where a question is seen that can be answered."""
    if not sys.stdin.isatty():
        return None
    return next((stream for stream in (sys.stderr, sys.stdout) if stream.isatty()), None)


async def read_line() -> str:
    """Read an answer; empty once the terminal is closed. Ctrl-C ends the wait at once."""
    if sys.platform != "win32":  # there, no event loop waits for a terminal
        await anyio.wait_readable(sys.stdin)
    return sys.stdin.readline()
