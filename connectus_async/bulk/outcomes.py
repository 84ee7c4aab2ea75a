"""What became of each message, and of all of them."""

from collections import Counter

import attrs

from connectus_async.errors import Outcome
from connectus_async.products.email import Email, EmailReceipt
from connectus_async.products.sms import Sms, SmsReceipt
from connectus_async.products.whatsapp import WhatsApp, WhatsAppReceipt

Message = Sms | Email | WhatsApp
Receipt = SmsReceipt | EmailReceipt | WhatsAppReceipt


@attrs.frozen
class Row:
    """A message that comes from a line of a file, or the error that the line has instead of one.

    Attributes:
        line: The number of the line in the file, from 1.
        content: The message, or why there is none.
    """

    line: int
    content: Message | Exception


@attrs.frozen(kw_only=True)
class MessageOutcome:
    """What became of one message of a campaign.

    Attributes:
        index: Its place in the source, from 0.
        line: The line of the file that it came from, where it came from one.
        message: The message, or ``None`` for a line that held none.
        outcome: What became of it.
        receipt: The API's answer, if it was accepted.
        error: Why it was not accepted.
    """

    index: int
    line: int | None
    message: Message | None
    outcome: Outcome
    receipt: Receipt | None = None
    error: Exception | None = None

    @property
    def id(self) -> str | None:
        """The identifier that the API gave the message, if it gave one."""
        return self.receipt.id if self.receipt else None


@attrs.define
class BulkSummary:
    """How many messages ended in which way.

    Attributes:
        counts: The number of messages by outcome.
    """

    counts: Counter[Outcome] = attrs.field(factory=Counter[Outcome])

    def add(self, outcome: MessageOutcome) -> None:
        """Count a message."""
        self.counts[outcome.outcome] += 1

    @property
    def total(self) -> int:
        """All messages that have an outcome."""
        return self.counts.total()

    @property
    def accepted(self) -> int:
        """Messages that the API took."""
        return self.counts[Outcome.ACCEPTED]

    @property
    def rejected(self) -> int:
        """Messages that the API refused."""
        return self.counts[Outcome.REJECTED]

    @property
    def not_sent(self) -> int:
        """Messages that never reached the API: they can be sent again."""
        return self.counts[Outcome.NOT_SENT]

    @property
    def unknown(self) -> int:
        """Messages that may have been sent: look before sending them again."""
        return self.counts[Outcome.UNKNOWN]
