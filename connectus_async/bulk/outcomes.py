"""Outcomes: of one message, of a run, and of a reconciliation. Data only."""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from connectus_async.errors import Outcome
from connectus_async.ledger.states import SkipReason, State
from connectus_async.products.messages import Message, Receipt


@attrs.frozen(kw_only=True)
class MessageOutcome:
    """Outcome of one message of a campaign.

    Attributes:
        index: Position in the source, from 0.
        line: Line of the file, if the source is a file.
        message: The message, or ``None`` for a line without a valid one.
        state: Present state; see `State`.
        outcome: Outcome of the last request for it; ``not_sent`` if there was none.
        skipped: Reason for ``State.SKIPPED``.
        receipt: The API's answer, if it accepted the message.
        error: The reason if the message was not accepted.
    """

    index: int
    line: int | None
    message: Message | None
    state: State
    outcome: Outcome
    skipped: SkipReason | None = None
    receipt: Receipt | None = None
    error: Exception | None = None

    @property
    def id(self) -> str | None:
        """The API's identifier of the message, if there is one."""
        return self.receipt.id if self.receipt else None


if TYPE_CHECKING:
    from connectus_async.products.email import EmailReceipt
    from connectus_async.products.sms import BlockingSmsReceipt
    from connectus_async.products.whatsapp import WhatsAppReceipt

    @attrs.frozen(kw_only=True)
    class BlockingOutcome(MessageOutcome):
        """Outcome of the blocking client, whose receipts block."""

        receipt: BlockingSmsReceipt | EmailReceipt | WhatsAppReceipt | None = None

else:
    BlockingOutcome = MessageOutcome


@attrs.define
class BulkSummary:
    """Count of the outcomes.

    Attributes:
        counts: Number of messages by state.
        skipped_by: Number of skipped messages by reason.
    """

    counts: Counter[State] = attrs.field(factory=Counter[State])
    skipped_by: Counter[SkipReason] = attrs.field(factory=Counter[SkipReason])

    def add(self, outcome: MessageOutcome) -> None:
        """Count a message."""
        self.counts[outcome.state] += 1
        if outcome.skipped is not None:
            self.skipped_by[outcome.skipped] += 1

    @property
    def total(self) -> int:
        """Messages with an outcome."""
        return self.counts.total()

    @property
    def accepted(self) -> int:
        """Messages that the API accepted."""
        return self.counts[State.ACCEPTED]

    @property
    def rejected(self) -> int:
        """Messages that the API refused."""
        return self.counts[State.REJECTED]

    @property
    def unknown(self) -> int:
        """Messages that may have been sent: check before sending them again."""
        return self.counts[State.UNKNOWN]

    @property
    def queued(self) -> int:
        """Messages that never reached the API and may still be sent."""
        return self.counts[State.QUEUED]

    @property
    def skipped(self) -> int:
        """Messages that will not be sent; `skipped_by` has the reasons."""
        return self.counts[State.SKIPPED]


@attrs.frozen(kw_only=True)
class Reconciliation:
    """Result of `Bulk.reconcile`.

    Attributes:
        accepted: Messages that the API has: they were sent.
        queued: Messages that the API does not have and that will be sent again.
        held: Messages that wait for the user's decision: the API does not have them, or cannot
            tell.
        unknown: Messages that are still unknown; reconcile again later.
        reasons: Number of messages left held or unknown, by reason.
    """

    accepted: int = 0
    queued: int = 0
    held: int = 0
    unknown: int = 0
    reasons: Mapping[str, int] = attrs.field(factory=dict[str, int])
