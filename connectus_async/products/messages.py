"""Messages and receipts of every product, and rows of messages."""

import attrs

from connectus_async.products.email import Email, EmailReceipt
from connectus_async.products.sms import Sms, SmsReceipt
from connectus_async.products.whatsapp import WhatsApp, WhatsAppReceipt
from connectus_async.redaction import masked

Message = Sms | Email | WhatsApp
Receipt = SmsReceipt | EmailReceipt | WhatsAppReceipt


@attrs.frozen
class Row:
    """A message, or the error in its place, with its origin.

    Attributes:
        line: Line number in the file, from 1, or ``None``.
        content: The message, or the error that prevents one.
        key: Identity of the message in its campaign. Default: derived from the message.
    """

    line: int | None
    content: Message | Exception
    key: str | None = attrs.field(default=None, kw_only=True, repr=masked)
