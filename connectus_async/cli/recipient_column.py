"""The column of the recipients of a file that does not name it as it should."""

import shlex
from collections.abc import Sequence
from contextlib import suppress

import attrs
from anyio.to_thread import run_sync

from connectus_async.cli.composition import Composition
from connectus_async.cli.confirmation import find_terminal, is_confirmed
from connectus_async.cli.language import gettext as _
from connectus_async.cli.ledgers import Place
from connectus_async.errors import InvalidArgumentError, LedgerError
from connectus_async.ledger import open_store
from connectus_async.recipients.columns import column_of, find_column, recipient_columns


async def with_recipient(
    composition: Composition, columns: Sequence[str], ledger: Place, *, asks: bool
) -> Composition:
    """Find the column of the recipients; if its name only suggests it, ask.

    An answer is recorded in the ledger with the other options, and holds for the next time.

    Args:
        composition: The options of the messages.
        columns: The columns of the file.
        ledger: The ledger, which need not be there yet.
        asks: Whether a person may be asked, if there is a terminal.

    Returns:
        The options, with the column as the file names it.

    Raises:
        InvalidArgumentError: There is no such column, there may be several, or nobody confirmed the
            one that there may be.
    """
    name = composition.recipient
    column = find_column("to", name, columns)
    if column is None and composition.fields["to"] is None:
        candidates = recipient_columns(name, columns)
        known = await run_sync(_recorded, ledger, composition.kind)
        column = known if known in candidates else await _confirmed(name, candidates, asks=asks)
    column = column or column_of("to", name, columns)
    return attrs.evolve(composition, fields={**composition.fields, "to": column})


def _recorded(ledger: Place, kind: str) -> str | None:
    """Read the column that was used the last time. Blocks."""
    with suppress(LedgerError), open_store(ledger).read() as reader:  # told when it is opened
        composition = Composition.read(reader.metadata())
        if composition is not None and composition.kind == kind:
            return composition.fields["to"]  # type: ignore[no-any-return]
    return None


async def _confirmed(name: str, candidates: Sequence[str], *, asks: bool) -> str | None:
    """Ask whether a column is meant. ``None``: there is none to ask about."""
    if not candidates:
        return None
    if len(candidates) == 1 and asks and find_terminal() is not None:
        question = _("Use the column {column!r} for the recipients?").format(column=candidates[0])
        if await is_confirmed(question, by_default=True):
            return candidates[0]
    raise InvalidArgumentError("to", _not_named(name, candidates))


def _not_named(name: str, candidates: Sequence[str]) -> str:
    if len(candidates) == 1:
        sentence = _("there is no column {name!r}; if {column!r} is meant, add {option}")
    else:
        sentence = _(
            "there is no column {name!r}; {columns} may be meant: add the right one, such as"
            " {option}"
        )
    return sentence.format(
        name=name,
        column=candidates[0],
        columns=", ".join(map(repr, candidates)),
        option=f"--to {shlex.quote(candidates[0])}",
    )
