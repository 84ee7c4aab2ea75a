"""Channels: the check, the key, the form in a ledger and the delivery of each kind of message."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

import attrs

from connectus_async import _json
from connectus_async.errors import InvalidArgumentError
from connectus_async.ledger.keys import KeyMaker
from connectus_async.ledger.records import Entry
from connectus_async.products.email import Email, EmailService
from connectus_async.products.messages import Message, Receipt
from connectus_async.products.sms import Sms, SmsService
from connectus_async.products.whatsapp import WhatsApp, WhatsAppService
from connectus_async.segmentation import billed_segments

LARGE: Final = 2**18
"""Least characters of a large message: to serialize one holds up the event loop."""


@attrs.frozen
class Channel:
    """One kind of message.

    Attributes:
        kind: Name of the kind in a ledger.
        message: Type of the message.
        recipient: Field with the recipient.
        content: Fields that make two messages to one recipient different.
        send: Call that sends a body.
        is_number: Whether the recipient is a JSON number on the wire.
    """

    kind: str
    message: type[Message]
    recipient: str
    content: tuple[str, ...]
    send: Callable[[bytes], Coroutine[Any, Any, Receipt]] = attrs.field(repr=False)
    is_number: bool = False

    def entry(
        self, message: Message, line: int | None, key: str | None, key_maker: "KeyMaker"
    ) -> Entry:
        """Check a message and make its entry.

        Raises:
            InvalidArgumentError: The message cannot be sent; the error names the field.
        """
        body = message.body()
        content = [*map(body.__getitem__, self.content)]
        recipient = str(body.pop(self.recipient))
        key = key_maker.key(self.kind, recipient, content) if key is None else key_maker.given(key)
        billed = billed_segments(content[0]) if self.message is Sms else 1
        return Entry(key, line, self.kind, recipient, _json.dumps(body).decode(), billed)

    def restored(self, entry: Entry) -> Message:
        """Make the message of an entry."""
        fields = _json.loads(entry.body.encode())
        return self.message(**{self.recipient: entry.recipient, **fields})

    def deliver(self, entry: Entry) -> Coroutine[Any, Any, Receipt]:
        """Send the message of an entry. Its body was checked, and is JSON without the recipient."""
        number = self.is_number and _is_json_number(entry.recipient)
        value = entry.recipient if number else self._as_json(entry.recipient)
        return self.send(f'{{"{self.recipient}":{value},{entry.body[1:]}'.encode())

    def _as_json(self, recipient: str) -> str:
        return _json.dumps(int(recipient) if self.is_number else recipient).decode()


def _is_json_number(text: str) -> bool:
    """Tell whether digits are a number in JSON as they stand, as nearly all are."""
    return text.isascii() and text.isdigit() and text[0] != "0"


def channels(
    sms: SmsService, email: EmailService, whatsapp: WhatsAppService
) -> Mapping[type[Message], Channel]:
    """Make the channels of some services, by type of message."""
    send_sms, send_email, send_whatsapp = (
        service._send_body  # noqa: SLF001 - these bodies were checked
        for service in (sms, email, whatsapp)
    )
    found = (
        Channel("sms", Sms, "dst_number", ("sms_content",), send_sms, is_number=True),
        Channel("email", Email, "dst_email", ("email_content", "subject"), send_email),
        Channel("whatsapp", WhatsApp, "dst_number", ("whatsapp_content",), send_whatsapp),
    )
    return {channel.message: channel for channel in found}


def entry_of(
    known: Mapping[type[Message], Channel],
    content: Message | Exception,
    line: int | None,
    key: str | None,
    key_maker: KeyMaker,
) -> Entry:
    """Check an item of a source and make its entry.

    Raises:
        InvalidArgumentError: It is no message, or cannot be sent.
        Exception: The error in the place of a message.
    """
    channel = known.get(type(content))  # type: ignore[arg-type]  # an error has none
    if channel is None:
        if isinstance(content, Exception):
            raise content
        raise InvalidArgumentError(
            "message", f"must be Sms, Email or WhatsApp, not {type(content).__name__}"
        )
    return channel.entry(content, line, key, key_maker)  # type: ignore[arg-type]  # as above
