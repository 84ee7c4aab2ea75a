"""WhatsApp from the account's own numbers: messages, status and conversations."""

import datetime as dt
from collections.abc import Coroutine, Mapping
from typing import Any

import attrs

from connectus_async import arguments
from connectus_async.answer import MESSAGE_ID_KEYS, Answer, Record, from_keys, from_rows
from connectus_async.products._service import Service, given
from connectus_async.redaction import api_constant, masked, personal


@attrs.frozen
class WhatsApp:
    """A WhatsApp message for the bulk sender. Its fields are those of `WhatsAppService.send`."""

    dst_number: str | int = attrs.field(repr=masked)
    whatsapp_content: str = attrs.field(repr=masked)
    src_number: str | int = attrs.field(kw_only=True, repr=masked)
    id_delivery: str | None = attrs.field(default=None, kw_only=True)
    id_client: str | None = attrs.field(default=None, kw_only=True)

    def body(self) -> dict[str, Any]:
        """Check the fields and return the body of the request.

        Raises:
            InvalidArgumentError: A field is not valid. The error names it.
        """
        return given(
            src_number=arguments.phone_number("src_number", self.src_number),
            dst_number=arguments.phone_number("dst_number", self.dst_number),
            whatsapp_content=arguments.whatsapp_content("whatsapp_content", self.whatsapp_content),
            id_delivery=arguments.optional_identifier("id_delivery", self.id_delivery),
            id_client=arguments.optional_identifier("id_client", self.id_client),
        )


@attrs.frozen(kw_only=True)
class WhatsAppReceipt(Answer):
    """Receipt of a WhatsApp message that the API accepted.

    Attributes:
        id: Identifier for `WhatsAppService.status`, or ``None`` if the API gave none.
        status: Status in the API's words, or ``None``.
    """

    id: str | None = from_keys(*MESSAGE_ID_KEYS)
    status: str | None = api_constant()


@attrs.frozen(kw_only=True)
class WhatsAppStatusReport(Answer):
    """Status of a WhatsApp message.

    Attributes:
        status: Status in the API's words, which are not documented.
    """

    status: str | None = api_constant()


@attrs.frozen(kw_only=True)
class WhatsAppMessage(Record):
    """A message of a conversation. The API does not document its fields; ``raw`` has all of them.

    Attributes:
        id: Identifier of the message.
        status: Status in the API's words.
        src_number: Number of the sender, in digits.
        dst_number: Number of the recipient, in digits.
        whatsapp_content: Text.
        created_at: Time at which the API accepted it.
    """

    id: str | None = from_keys(*MESSAGE_ID_KEYS)
    status: str | None = api_constant()
    src_number: str | None = personal()
    dst_number: str | None = personal()
    whatsapp_content: str | None = personal()
    created_at: dt.datetime | None = None


@attrs.frozen(kw_only=True)
class WhatsAppConversation(Answer):
    """The messages between two numbers.

    Attributes:
        messages: Messages in the order of the API.
    """

    messages: tuple[WhatsAppMessage, ...] = from_rows()


class WhatsAppService(Service):
    """WhatsApp calls, as ``connectus.whatsapp``."""

    async def send(
        self,
        dst_number: str | int,
        whatsapp_content: str,
        *,
        src_number: str | int,
        id_delivery: str | None = None,
        id_client: str | None = None,
    ) -> WhatsAppReceipt:
        """Send one WhatsApp message.

        Args:
            dst_number: Recipient: 8 to 15 digits, country code first. ``+``, blanks and dashes are
                removed.
            whatsapp_content: Text.
            src_number: Sender: one of the account's WhatsApp numbers.
            id_delivery: ``id`` of a delivery of product 3 that was not executed yet. Default: none.
            id_client: ``id_unique`` of the sub-client that pays. Default: the account pays.

        Returns:
            The receipt. Its ``id`` is ``None`` if the API gave none.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            RequestError: ``.outcome`` says whether the message may have been sent. The
                client retries only while it is certain that it was not.

        Source: ``POST /whatsapp/send_message``.

        Example:
            await connectus.whatsapp.send("56987688060", "Hola", src_number="56999944837")
        """
        message = WhatsApp(
            dst_number,
            whatsapp_content,
            src_number=src_number,
            id_delivery=id_delivery,
            id_client=id_client,
        )
        return await self._send_body(message.body())

    def _send_body(self, body: Mapping[str, Any] | bytes) -> Coroutine[Any, Any, WhatsAppReceipt]:
        """Send a body of `WhatsApp.body`, or its JSON."""
        return self._post("/whatsapp/send_message", WhatsAppReceipt, body)

    async def status(self, message_id: str) -> WhatsAppStatusReport:
        """Get the status of a WhatsApp message.

        Args:
            message_id: The ``id`` of the receipt.

        Returns:
            The report. The API does not document it; ``raw`` has all of it.

        Raises:
            InvalidArgumentError: The identifier is not valid.
            NotFoundError: The API knows no such message.
            RequestError: The request failed.

        Source: ``GET /whatsapp/status``.

        Example:
            receipt = await connectus.whatsapp.send(
                "56987688060", "Hola", src_number="56999944837"
            )
            (await connectus.whatsapp.status(receipt.id)).status
        """
        query = {"message_id": arguments.identifier("message_id", message_id)}
        return await self._get("/whatsapp/status", WhatsAppStatusReport, query=query)

    async def messages(self, src_number: str | int, dst_number: str | int) -> WhatsAppConversation:
        """List the messages between one of the account's numbers and another.

        Args:
            src_number: One of the account's WhatsApp numbers.
            dst_number: The other number.

        Returns:
            The conversation. The API does not document it; each message keeps all fields in
            ``raw``.

        Raises:
            InvalidArgumentError: A number is not valid.
            RequestError: The request failed.

        Source: ``GET /whatsapp/messages``.

        Example:
            await connectus.whatsapp.send("56987688060", "Hola", src_number="56999944837")
            (await connectus.whatsapp.messages("56999944837", "56987688060")).messages
        """
        query = {
            "src_number": arguments.phone_number("src_number", src_number),
            "dst_number": arguments.phone_number("dst_number", dst_number),
        }
        return await self._get("/whatsapp/messages", WhatsAppConversation, query=query)
