"""The yes to a campaign: until somebody says it, whoever sends the campaign sends nothing of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from anyio.to_thread import run_sync

from connectus_async.bulk.sender import Bulk
from connectus_async.cli.accounts import present_profile
from connectus_async.cli.campaigns import note_stop
from connectus_async.cli.confirmation import NOT_CONFIRMED, is_confirmed, question_of
from connectus_async.cli.exit_codes import ExitCode
from connectus_async.cli.language import gettext as _
from connectus_async.cli.language import ngettext, number
from connectus_async.cli.ledgers import Place, command
from connectus_async.cli.runner import echo, print_json
from connectus_async.ledger import open_store
from connectus_async.ledger.abc import Ledger
from connectus_async.ledger.records import Unreleased


async def is_released(
    sender: Bulk, opened: Ledger, ledger: Place, limit: int | None = None, *, yes: bool
) -> bool:
    """Ask whether to send what waits, unless somebody has said yes, and release it; note a no.

    Args:
        sender: The sender.
        opened: Its ledger.
        ledger: The place of the ledger.
        limit: The size of a sample: only this process sends it, and the rest stays unreleased.
        yes: Whether it is confirmed already.

    Raises:
        LedgerError: It was loaded again meanwhile.
    """
    await opened.take_unreleased()
    if not (yes or await _is_agreed(sender, opened, ledger, limit)):
        return False
    await opened.release(to_all=limit is None)
    return True


async def count_waiting(opened: Ledger) -> int:
    """Count the messages that a yes here sends, or has released."""
    return sum(it.messages for it in (await opened.waiting()).values())


async def tell_unreleased(ledger: Place, *, replaces: bool, as_json: bool) -> None:
    """Tell what nobody has said yes to yet, before this command asks.

    Args:
        ledger: The ledger.
        replaces: Whether a file is going to be loaded that decides about it.
        as_json: Whether to print JSON.
    """
    for found in await run_sync(_read, ledger):
        if as_json:
            print_json({"type": "unreleased", **found._asdict()})
            continue
        sentence = _SENTENCES[replaces, found.place is None](found.messages)
        echo(sentence.format(count=number(found.messages), place=found.place))


def _read(ledger: Place) -> Sequence[Unreleased]:
    with open_store(ledger).read() as reader:
        return reader.unreleased()


_SENTENCES: Final[Mapping[tuple[bool, bool], Callable[[int], str]]] = {
    (True, True): lambda count: ngettext(
        "{count} message was loaded before, and nobody said yes to it: this file decides about it",
        "{count} messages were loaded before, and nobody said yes to them: this file decides about"
        " them",
        count,
    ),
    (True, False): lambda count: ngettext(
        "{count} message waits for a yes at {place}: this file decides about it instead",
        "{count} messages wait for a yes at {place}: this file decides about them instead",
        count,
    ),
    (False, True): lambda count: ngettext(
        "{count} message was loaded before, and nobody said yes to it: a yes here sends it",
        "{count} messages were loaded before, and nobody said yes to them: a yes here sends them",
        count,
    ),
    (False, False): lambda count: ngettext(
        "{count} message waits for a yes at {place}: it is not sent from here",
        "{count} messages wait for a yes at {place}: they are not sent from here",
        count,
    ),
}


async def _is_agreed(sender: Bulk, opened: Ledger, ledger: Place, limit: int | None) -> bool:
    """Ask whether to send what is queued; a no is put on record."""
    waiting = await opened.waiting()
    if not waiting or await is_confirmed(question_of(waiting, limit)):
        return True
    count = await count_waiting(opened)  # a newer load may have its own question by now
    if not count:
        echo(_("Nothing was sent from here."))
        return False
    await note_stop(sender, NOT_CONFIRMED, ExitCode.FAILED)
    echo(
        ngettext(
            "Nothing was sent. {count} message waits; this asks again: {command}",
            "Nothing was sent. {count} messages wait; this asks again: {command}",
            count,
        ).format(count=number(count), command=command("resume", ledger, present_profile()))
    )
    return False
