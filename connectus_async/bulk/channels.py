"""How each kind of message is checked, told from others, kept and sent."""

import hashlib
from binascii import b2a_base64
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

import attrs

from connectus_async import _json, arguments
from connectus_async.errors import InvalidArgumentError
from connectus_async.ledger.keys import recipient_key
from connectus_async.ledger.records import Entry
from connectus_async.products.email import Email, EmailService
from connectus_async.products.messages import Message, Receipt
from connectus_async.products.sms import Sms, SmsService
from connectus_async.products.whatsapp import WhatsApp, WhatsAppService
from connectus_async.segmentation import billed_segments

KEY_BYTES: Final = 15
"""Among ten million messages two have the same key with a chance of 4 in 10^23."""


LARGE: Final = 2**18
"""Characters from which on a message takes so long to write down that others wait for it."""


@attrs.frozen
class Channel:
    """One kind of message.

    Attributes:
        kind: Its name in a ledger.
        message: Its type.
        recipient: The field that says who gets it.
        content: The fields that make two messages to one recipient different.
        send: The call that sends its body.
        is_number: Whether the recipient goes on the wire as a JSON number.
    """

    kind: str
    message: type[Message]
    recipient: str
    content: tuple[str, ...]
    send: Callable[[bytes], Coroutine[Any, Any, Receipt]] = attrs.field(repr=False)
    is_number: bool = False

    def entry(self, message: Message, line: int | None, key: str | None, salt: "KeyMaker") -> Entry:
        """Check a message and write it down.

        Raises:
            InvalidArgumentError: It cannot be sent; the field is named.
        """
        body = message.body()
        content = [body[name] for name in self.content]
        recipient = str(body.pop(self.recipient))
        key = salt.given(key) if key is not None else salt.key(self.kind, recipient, content)
        billed = billed_segments(content[0]) if self.message is Sms else 1
        return Entry(key, line, self.kind, recipient, _json.dumps(body).decode(), billed)

    def restored(self, entry: Entry) -> Message:
        """Make the message of an entry again."""
        fields = _json.loads(entry.body.encode())
        return self.message(**{self.recipient: entry.recipient, **fields})

    def deliver(self, entry: Entry) -> Coroutine[Any, Any, Receipt]:
        """Send what an entry holds: it was checked, and the rest of its body is JSON already."""
        recipient = entry.recipient
        value = int(recipient) if self.is_number else _json.dumps(recipient).decode()
        return self.send(f'{{"{self.recipient}":{value},{entry.body[1:]}'.encode())


@attrs.frozen
class KeyMaker:
    """What makes the keys of a campaign.

    Attributes:
        campaign: Its name: two campaigns may send the same message to the same recipient.
        by_recipient: Whether each recipient gets one message at most, whatever it says.
        by_spelling: Two spellings of a recipient are two, but for capitals. So were the
            keys of older ledgers made, which have to be found again.
    """

    campaign: str
    by_recipient: bool
    by_spelling: bool = False

    def key(self, kind: str, recipient: str, content: list[str]) -> str:
        """Make the key of a message."""
        who = recipient.casefold() if self.by_spelling else recipient_key(recipient)
        parts = [self.campaign, kind, who]
        if not self.by_recipient:
            parts += content
        document = "\0".join(parts).encode()
        digest = hashlib.blake2b(document, digest_size=KEY_BYTES).digest()
        return b2a_base64(digest, newline=False).decode()

    @staticmethod
    def given(key: str) -> str:
        """Make a key of the user's own.

        Raises:
            InvalidArgumentError: It cannot be one.
        """
        return f"key: {arguments.identifier('key', key)}"


def channels(
    sms: SmsService, email: EmailService, whatsapp: WhatsAppService
) -> Mapping[type[Message], Channel]:
    """Make the channels over some services, by the type of message."""
    send_sms, send_email, send_whatsapp = (
        service._send_body  # noqa: SLF001 - who else has bodies that were checked
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
    salt: KeyMaker,
) -> Entry:
    """Check what a source gave, and write it down.

    Raises:
        InvalidArgumentError: It is no message, or cannot be sent.
        Exception: The error that stands in a message's place.
    """
    if isinstance(content, Exception):
        raise content
    channel = known.get(type(content))
    if channel is None:
        raise InvalidArgumentError(
            "message", f"must be Sms, Email or WhatsApp, not {type(content).__name__}"
        )
    return channel.entry(content, line, key, salt)
