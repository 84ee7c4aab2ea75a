"""Messages of every kind, the answers to them, and the row that a message comes from."""

import attrs

from connectus_async.products.email import Email, EmailReceipt
from connectus_async.products.sms import Sms, SmsReceipt
from connectus_async.products.whatsapp import WhatsApp, WhatsAppReceipt
from connectus_async.redaction import masked

Message = Sms | Email | WhatsApp
Receipt = SmsReceipt | EmailReceipt | WhatsAppReceipt


@attrs.frozen
class Row:
    """A message with where it comes from, or the error that stands in its place.

    Attributes:
        line: The number of the line in the file, from 1, if it comes from one.
        content: The message, or why there is none.
        key: What tells it from the other messages of its campaign; worked out from the message if
            left out.
    """

    line: int | None
    content: Message | Exception
    key: str | None = attrs.field(default=None, kw_only=True, repr=masked)
