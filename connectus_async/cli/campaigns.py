"""Settings, figures, client and exit code of a campaign that a ledger records."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import attrs

from connectus_async.bulk.outcomes import BulkSummary
from connectus_async.bulk.sender import Bulk
from connectus_async.cli.exit_codes import ExitCode, of_error, worst
from connectus_async.cli.ledgers import Place
from connectus_async.cli.parameters import connection
from connectus_async.cli.runner import at_work, complain, sentence
from connectus_async.client import AsyncConnectus, sender_over
from connectus_async.errors import ConnectusError, LedgerError
from connectus_async.ledger import metadata_names, open_store
from connectus_async.ledger.abc import Ledger, LedgerReader
from connectus_async.ledger.states import MAY_BE_SENT, SkipReason, State
from connectus_async.workers.campaign_options import CampaignOptions, Settings

STOPPED: Final = "interrupted; `connectus bulk status` shows the state of the messages"


WAITS: Final = frozenset({State.QUEUED, State.IN_FLIGHT})


def client_for(settings: Settings) -> AsyncConnectus:
    """Make a client for a campaign with these settings."""
    return AsyncConnectus(max_connections=settings.concurrency, **connection())


def recorded(ledger: Place, given: dict[str, Any]) -> tuple[Mapping[str, str], Settings]:
    """Read the metadata of a ledger, and its settings with those that were just given."""
    with open_store(ledger).read() as reader:
        metadata = reader.metadata()
    return metadata, Settings.read(ledger, metadata, **given)


def is_loaded(metadata: Mapping[str, str]) -> bool:
    """Tell whether a source was loaded to its end; a ledger may have had none."""
    return metadata.get(metadata_names.LOADED, "1") == "1"


@attrs.frozen
class Standing:
    """Messages of a campaign, as its ledger has them, and why it stopped.

    Attributes:
        counts: Messages by state.
        skipped: Skipped messages by reason.
        is_loaded: Whether its source was loaded to the end.
        stopped: The exit code of the command that stopped it; ``None`` if none did. It counts while
            something is left.
        name: The campaign's name.
        reason: The reason why it stopped.
        fail_above: Share of rejected and invalid messages that is tolerated.
        earlier: Attempts that were followed by another by the user's word, by their outcome.
        has_file: Whether its rows are in a file, which can be exported and corrected.
        asked_about: Messages that wait for somebody's answer.
    """

    counts: Mapping[State, int]
    skipped: Mapping[str, int]
    is_loaded: bool
    stopped: ExitCode | None
    name: str = ""
    reason: str | None = None
    fail_above: float = 0.0
    earlier: Mapping[State, int] = attrs.field(factory=dict[State, int])
    has_file: bool = True
    asked_about: int = 0

    def code(self, *, is_waiting: bool = False) -> ExitCode:
        """Return the exit code: the worst that applies.

        Args:
            is_waiting: Whether somebody sends it, or it is paused.

        >>> counts = {State.ACCEPTED: 2, State.REJECTED: 1}
        >>> Standing(counts, {}, is_loaded=True, stopped=None).code().name
        'SOME_FAILED'
        """
        is_left = not self.is_loaded or self._has(*WAITS)
        may_be_sent = self._has(State.UNKNOWN, State.HELD)
        is_lost = self._has(State.IN_FLIGHT) and not is_waiting
        left = sum(self.counts.get(state, 0) for state in WAITS)
        is_waiting = is_waiting or 0 < left == self.asked_about
        has_messages = self._has(*(state for state in State if state is not State.SKIPPED))
        return worst(
            self.stopped if is_left or may_be_sent else None,
            ExitCode.MAYBE_SENT if may_be_sent or is_lost else None,
            ExitCode.STOPPED if self.skipped.get(SkipReason.OVER_BUDGET) else None,
            (ExitCode.WAITING if is_waiting else ExitCode.FAILED) if is_left else None,
            ExitCode.SOME_FAILED if self._failed > self.fail_above else None,
            None if has_messages else ExitCode.NOTHING_TO_DO,
        )

    @property
    def _failed(self) -> float:
        """The share of the rejected messages and invalid rows among those that are done."""
        failed = self.counts.get(State.REJECTED, 0) + self.skipped.get(SkipReason.INVALID, 0)
        return failed / (failed + self.counts.get(State.ACCEPTED, 0)) if failed else 0.0

    def _has(self, *states: State) -> bool:
        return any(self.counts.get(state) for state in states)


def read_standing(ledger: Place) -> Standing:
    """Read the standing of a campaign. Blocks.

    Raises:
        LedgerError: The ledger cannot be read.
    """
    with open_store(ledger).read() as reader:
        return standing_of(reader)


def standing_after(ledger: Place, summary: BulkSummary, stopped: ExitCode | None) -> Standing:
    """Read the standing of a campaign that was just sent from here; of its summary if need be.

    Args:
        ledger: The ledger, in which everything is written that can be.
        summary: The count of the outcomes.
        stopped: The exit code of the stop, if it was stopped.
    """
    try:
        return attrs.evolve(read_standing(ledger), stopped=stopped)
    except LedgerError:
        may_be_sent = any(summary.counts[state] for state in MAY_BE_SENT)
        code = ExitCode.MAYBE_SENT if may_be_sent else stopped
        return Standing(summary.counts, {}, is_loaded=False, stopped=code)


def standing_of(reader: LedgerReader) -> Standing:
    """Read the standing of a campaign from a snapshot of its ledger."""
    metadata = reader.metadata()
    code = metadata.get(metadata_names.STOPPED_CODE) or ExitCode.FAILED
    return Standing(
        counts={state: total.messages for state, total in reader.totals().items()},
        skipped=reader.skipped(),
        is_loaded=is_loaded(metadata),
        stopped=ExitCode(int(code)) if metadata.get(metadata_names.STOPPED) else None,
        name=metadata.get(metadata_names.NAME, ""),
        reason=metadata.get(metadata_names.STOPPED) or None,
        fail_above=float(metadata.get(metadata_names.FAIL_ABOVE, 0)),
        earlier=reader.earlier_attempts(),
        has_file=not metadata.get(metadata_names.SOURCE_QUERY),
        asked_about=sum(it.messages for it in reader.unreleased() if it.place is not None),
    )


@asynccontextmanager
async def campaign_sender(
    client: AsyncConnectus, ledger: Ledger, options: CampaignOptions
) -> AsyncIterator[Bulk]:
    """Open a sender. An error that stops the campaign is put on record.

    Once the block has ended well, an error of closing the ledger is printed, not raised: it changes
    nothing for the messages.
    """
    has_ended = False
    try:
        async with sender_over(client, ledger, options) as sender:
            try:
                with at_work():
                    yield sender
            except ConnectusError as error:
                await note_stop(sender, sentence(error), of_error(error))
                raise
            has_ended = True
    except LedgerError as error:
        if not has_ended:
            raise
        complain(error)


async def note_stop(sender: Bulk, reason: str, code: ExitCode) -> None:
    """Put on record why a campaign stopped, after all that became of its messages."""
    with suppress(LedgerError):  # a ledger that cannot be written may be the reason
        await sender.note(
            **{metadata_names.STOPPED: reason, metadata_names.STOPPED_CODE: str(int(code))}
        )
