"""One of several messages to a person, by the first channel that accepts it."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from connectus_async.errors import (
    AllChannelsFailedError,
    ConnectusError,
    DeliveryTimeoutError,
    InvalidArgumentError,
    RequestError,
    UndeliveredError,
)
from connectus_async.products.email import Email, EmailService
from connectus_async.products.messages import Message, Receipt
from connectus_async.products.sms import Sms, SmsReceipt, SmsService
from connectus_async.products.whatsapp import WhatsApp, WhatsAppService

Send: TypeAlias = Callable[[dict[str, Any]], Coroutine[Any, Any, Receipt]]
Delivered: TypeAlias = Callable[[str, float | None], Coroutine[Any, Any, bool]]


@attrs.frozen
class FallbackReceipt:
    """Receipt of the message that was accepted, of those given to `AsyncConnectus.send`.

    Attributes:
        index: Its place among the messages, from 0.
        id: The API's identifier, if its answer has one.
        delivered: ``True`` if it is an SMS that was delivered in time; ``None`` if not known.
        failures: The error of each message before it.
    """

    index: int
    id: str | None
    delivered: bool | None
    failures: tuple[ConnectusError, ...] = ()


async def send_first(
    sms: SmsService,
    email: EmailService,
    whatsapp: WhatsAppService,
    messages: Sequence[Message],
    delivered_within: float | None,
) -> FallbackReceipt:
    """Send messages in their order, until one is accepted; see `AsyncConnectus.send`."""
    send_sms, send_email, send_whatsapp = (
        service._send_body  # noqa: SLF001 - these bodies were checked
        for service in (sms, email, whatsapp)
    )
    channels = {Sms: send_sms, Email: send_email, WhatsApp: send_whatsapp}
    delivered = sms._delivered  # noqa: SLF001 - a receipt of the blocking client would block
    failures: list[ConnectusError] = []
    for index, (send, body) in enumerate(_checked(channels, messages)):
        try:
            receipt = await send(body)
            is_delivered = await _is_delivered(delivered, receipt, delivered_within)
        except UndeliveredError as error:
            failures.append(error)
        except RequestError as error:
            if error.may_have_acted:
                raise
            failures.append(error)
        else:
            return FallbackReceipt(index, receipt.id, is_delivered, tuple(failures))
    raise AllChannelsFailedError(tuple(failures))


def _checked(
    channels: Mapping[type[Message], Send], messages: Sequence[Message]
) -> list[tuple[Send, dict[str, Any]]]:
    """Check all messages before the first is sent."""
    if not isinstance(messages, Sequence) or not messages:
        raise InvalidArgumentError("messages", "must be a list of at least one message")
    checked = []
    for index, message in enumerate(messages):
        send = channels.get(type(message))
        if send is None:
            problem = f"must be Sms, Email or WhatsApp, not {type(message).__name__}"
            raise InvalidArgumentError(f"messages[{index}]", problem)
        checked.append((send, message.body()))
    return checked


async def _is_delivered(
    delivered: Delivered, receipt: Receipt, seconds: float | None
) -> bool | None:
    """Wait until an SMS is delivered; ``None`` if that cannot be known.

    Raises:
        UndeliveredError: It never will be.
    """
    if seconds is None or not isinstance(receipt, SmsReceipt) or receipt.id is None:
        return None
    try:
        is_delivered = await delivered(receipt.id, seconds)
    except (DeliveryTimeoutError, RequestError):  # it was accepted, and may still be delivered
        return None
    if not is_delivered:
        raise UndeliveredError
    return True
