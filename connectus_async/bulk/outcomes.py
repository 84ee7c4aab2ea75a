"""What became of each message, and of all of them."""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from connectus_async.errors import ConnectusError, Outcome
from connectus_async.ledger.states import SkipReason, State
from connectus_async.products.messages import Message, Receipt


@attrs.frozen(kw_only=True)
class MessageOutcome:
    """What became of one message of a campaign.

    Attributes:
        index: Its place in the source, from 0.
        line: The line of the file that it came from, where it came from one.
        message: The message, or ``None`` for a line that held none.
        state: Where it is now; see `State`.
        outcome: What became of the last request that was made for it; ``not_sent`` if none was.
        skipped: Why it is not going to be sent, if it is ``State.SKIPPED``.
        receipt: The API's answer, if it was accepted.
        error: Why it was not accepted.
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
        """The identifier that the API gave the message, if it gave one."""
        return self.receipt.id if self.receipt else None


if TYPE_CHECKING:
    from connectus_async.products.email import EmailReceipt
    from connectus_async.products.sms import BlockingSmsReceipt
    from connectus_async.products.whatsapp import WhatsAppReceipt

    @attrs.frozen(kw_only=True)
    class BlockingOutcome(MessageOutcome):
        """An outcome of the blocking client, whose receipts block."""

        receipt: BlockingSmsReceipt | EmailReceipt | WhatsAppReceipt | None = None

else:
    BlockingOutcome = MessageOutcome


@attrs.define
class BulkSummary:
    """How many messages ended in which way.

    Attributes:
        counts: The number of messages by state.
        skipped_by: The number of skipped messages by reason.
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
        """All messages that have an outcome."""
        return self.counts.total()

    @property
    def accepted(self) -> int:
        """Messages that the API took."""
        return self.counts[State.ACCEPTED]

    @property
    def rejected(self) -> int:
        """Messages that the API refused."""
        return self.counts[State.REJECTED]

    @property
    def unknown(self) -> int:
        """Messages that may have been sent: look before sending them again."""
        return self.counts[State.UNKNOWN]

    @property
    def queued(self) -> int:
        """Messages that never reached the API and may still be sent."""
        return self.counts[State.QUEUED]

    @property
    def skipped(self) -> int:
        """Messages that are not going to be sent; `skipped_by` says why."""
        return self.counts[State.SKIPPED]


@attrs.frozen(kw_only=True)
class Reconciliation:
    """What `Bulk.reconcile` found.

    Attributes:
        accepted: Messages that the API has: they had been sent.
        queued: Messages that it does not have, and that are going to be sent again.
        held: Messages that wait for the user's word: the API does not have them, or cannot tell.
        unknown: Messages of which nothing can be said yet; reconcile again later.
        reasons: How many messages were left held or unknown, by the sentence that says why.
    """

    accepted: int = 0
    queued: int = 0
    held: int = 0
    unknown: int = 0
    reasons: Mapping[str, int] = attrs.field(factory=dict[str, int])


def sentence(error: Exception | None) -> str:
    """Say what an error is; the words of errors that are not ours may be personal."""
    return str(error) if isinstance(error, ConnectusError) else type(error).__name__
