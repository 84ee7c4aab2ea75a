"""Edits of a campaign that was partly sent: who gets the new text, by a flag or by an answer."""

from typing import Any, Final, NamedTuple, TextIO

from connectus_async.cli.confirmation import find_terminal, read_line
from connectus_async.cli.language import gettext as _
from connectus_async.cli.language import ngettext, number
from connectus_async.cli.runner import echo, print_json
from connectus_async.errors import ConfigurationError
from connectus_async.ledger.states import Edited

CHOICES: Final = (Edited.REMAINING, Edited.EVERYONE, Edited.ABORT)
"""In the order in which they are offered; the first is the default answer."""


class Edit(NamedTuple):
    """Another text for people who may have got one already.

    Attributes:
        people: Number of these people.
        corrected: Number of those whose text has the same template: their rows have other data.
        others: Number of messages to people who have nothing yet.
    """

    people: int
    corrected: int
    others: int

    @property
    def sentences(self) -> str:
        """Describe it to a person."""
        told = []
        if edited := self.people - self.corrected:
            told.append(
                ngettext(
                    "The text was edited since: {count} person already got the old one,"
                    " or may have got it.",
                    "The text was edited since: {count} people already got the old one,"
                    " or may have got it.",
                    edited,
                ).format(count=number(edited))
            )
        if self.corrected:
            told.append(
                ngettext(
                    "The data of {count} person changed since: this person already got a message"
                    " with the old data, or may have got it.",
                    "The data of {count} people changed since: they already got a message"
                    " with the old data, or may have got it.",
                    self.corrected,
                ).format(count=number(self.corrected))
            )
        told.append(
            ngettext(
                "{count} message is for somebody who has nothing yet.",
                "{count} messages are for people who have nothing yet.",
                self.others,
            ).format(count=number(self.others))
        )
        return " ".join(told)

    @property
    def options(self) -> tuple[str, ...]:
        """Describe the `CHOICES`."""
        again = ngettext(
            "send to everyone; {count} person gets another message  (--edited everyone)",
            "send to everyone; {count} people get another message  (--edited everyone)",
            self.people,
        ).format(count=number(self.people))
        return (
            _("send only to people who have nothing yet  (--edited remaining)"),
            again,
            _("send nothing  (--edited abort)"),
        )

    def as_dict(self) -> dict[str, Any]:
        """Convert it to types that JSON has."""
        return {"type": "edited", **self._asdict()}


async def choose(edit: Edit, given: Edited | None, *, asks: bool, as_json: bool) -> Edited:
    """Tell of an edit, and find out who gets the new text.

    Args:
        edit: The edit.
        given: The choice, if it was made by the flag.
        asks: Whether a person may be asked.
        as_json: Whether to print JSON.

    Returns:
        The choice, which is not to abort.

    Raises:
        ConfigurationError: It is to abort, or nobody was there to ask.
    """
    if as_json:
        print_json(edit.as_dict())
    screen = find_terminal() if asks and given is None else None
    choice = given if screen is None else await _answer(edit, screen)
    if choice is None:
        raise ConfigurationError(
            "--edited",
            _(
                "{what} --edited remaining sends only to people who have nothing yet, --edited"
                " everyone to all again; a new campaign needs another --campaign"
            ).format(what=edit.sentences),
        )
    if choice is Edited.ABORT:
        told = edit.sentences if screen is None else _("nobody gets the new text")
        raise ConfigurationError("--edited", told)
    if screen is None and not as_json:
        echo(edit.sentences)
    return choice


async def foresee(edit: Edit, given: Edited | None, *, as_json: bool) -> Edited:
    """Tell of an edit in a dry run, and choose what its plan is made for.

    Raises:
        ConfigurationError: The flag says to abort.
    """
    choice = await choose(edit, given or CHOICES[0], asks=False, as_json=as_json)
    if given is None and not as_json:
        echo(
            _(
                "bulk send asks who gets the new text; without a terminal it needs --edited."
                " The plan of --edited remaining:"
            )
        )
    return choice


async def _answer(edit: Edit, screen: TextIO) -> Edited:
    """Ask at the terminal. An empty line is the first choice; a closed terminal is the last."""
    options = enumerate(edit.options, 1)
    screen.write("\n".join((edit.sentences, *(f"  {place}  {it}" for place, it in options), "")))
    while True:
        screen.write(_("Choose 1, 2 or 3 [1]: "))
        screen.flush()
        answer = await read_line()
        if not answer:
            return CHOICES[-1]
        if (said := answer.strip()) in {"", "1", "2", "3"}:
            return CHOICES[int(said or 1) - 1]
