"""Email: messages, one-time passwords, status and balance."""

from collections.abc import Coroutine, Mapping
from typing import Any

import attrs

from connectus_async import arguments
from connectus_async.answer import MESSAGE_ID_KEYS, Answer, from_keys
from connectus_async.products._service import Service, given
from connectus_async.redaction import api_constant, masked


@attrs.frozen
class Email:
    """An email for the bulk sender. The fields are the arguments of `EmailService.send`."""

    dst_email: str = attrs.field(repr=masked)
    subject: str = attrs.field(repr=masked)
    email_content: str = attrs.field(repr=masked)
    src_email: str = attrs.field(kw_only=True, repr=masked)
    id_delivery: str | None = attrs.field(default=None, kw_only=True)
    id_client: str | None = attrs.field(default=None, kw_only=True)

    def body(self) -> dict[str, Any]:
        """Check the fields and return the body of the request.

        Raises:
            InvalidArgumentError: A field is not valid. The error names it.
        """
        return given(
            dst_email=arguments.email_address("dst_email", self.dst_email),
            src_email=arguments.email_address("src_email", self.src_email),
            subject=arguments.line("subject", self.subject),
            email_content=arguments.email_content("email_content", self.email_content),
            id_delivery=arguments.optional_identifier("id_delivery", self.id_delivery),
            id_client=arguments.optional_identifier("id_client", self.id_client),
        )


@attrs.frozen(kw_only=True)
class EmailReceipt(Answer):
    """Receipt of an email that the API accepted.

    Attributes:
        id: Identifier for `EmailService.status`, or ``None`` if the API gave none.
        status: Status in the API's words, or ``None``.
    """

    id: str | None = from_keys(*MESSAGE_ID_KEYS)
    status: str | None = api_constant()


@attrs.frozen(kw_only=True)
class EmailStatusReport(Answer):
    """Status of an email.

    Attributes:
        status: Status in the API's words, which are not documented.
    """

    status: str | None = api_constant()


@attrs.frozen(kw_only=True)
class EmailBalance(Answer):
    """Balance of emails.

    Attributes:
        balance: Number of emails that can still be sent.
    """

    balance: int | None = None


class EmailService(Service):
    """Email calls, as ``connectus.email``."""

    async def send(
        self,
        dst_email: str,
        subject: str,
        email_content: str,
        *,
        src_email: str,
        id_delivery: str | None = None,
        id_client: str | None = None,
    ) -> EmailReceipt:
        """Send one email.

        Args:
            dst_email: Recipient: one address.
            subject: Subject, on one line.
            email_content: HTML or plain text.
            src_email: Sender: one of the account's addresses.
            id_delivery: ``id`` of a delivery of product 2 that was not executed yet. Default: none.
            id_client: ``id_unique`` of the sub-client that pays. Default: the account pays.

        Returns:
            The receipt. Its ``id`` is ``None`` if the API gave none.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            RequestError: ``.outcome`` says whether the email may have been sent. The client
                retries only while it is certain that it was not.

        Source: ``POST /email/send_single``.

        Example:
            await connectus.email.send(
                "ana@example.com", "Hola", "<h1>Hola</h1>", src_email="contacto@empresa.cl"
            )
        """
        email = Email(
            dst_email,
            subject,
            email_content,
            src_email=src_email,
            id_delivery=id_delivery,
            id_client=id_client,
        )
        return await self._send_body(email.body())

    def _send_body(self, body: Mapping[str, Any] | bytes) -> Coroutine[Any, Any, EmailReceipt]:
        """Send a body of `Email.body`, or its JSON."""
        return self._post("/email/send_single", EmailReceipt, body)

    async def send_otp(
        self, dst_email: str, subject: str, email_content: str, *, src_email: str
    ) -> EmailReceipt:
        """Send a one-time password by email.

        Args:
            dst_email: Recipient: one address.
            subject: Subject, on one line.
            email_content: HTML or plain text with the password.
            src_email: Sender: one of the account's addresses.

        Returns:
            The receipt.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            RequestError: ``.outcome`` says whether the email may have been sent.

        Source: ``POST /email/send_otp_email``.

        Example:
            await connectus.email.send_otp(
                "ana@example.com", "Tu clave", "<b>493021</b>", src_email="contacto@empresa.cl"
            )
        """
        email = Email(dst_email, subject, email_content, src_email=src_email)
        return await self._post("/email/send_otp_email", EmailReceipt, email.body())

    async def status(self, id: str) -> EmailStatusReport:
        """Get the status of an email.

        Args:
            id: The ``id`` of the receipt.

        Returns:
            The report, with a status in the API's words.

        Raises:
            InvalidArgumentError: The identifier is not valid.
            NotFoundError: The API knows no such email.
            RequestError: The request failed.

        Source: ``GET /email/:id``.

        Example:
            receipt = await connectus.email.send(
                "ana@example.com", "Hola", "<h1>Hola</h1>", src_email="contacto@empresa.cl"
            )
            (await connectus.email.status(receipt.id)).status
        """
        return await self._get("/email/{id}", EmailStatusReport, id=arguments.identifier("id", id))

    async def balance(self) -> EmailBalance:
        """Get the balance of emails.

        Returns:
            The balance, as a number of emails.

        Raises:
            RequestError: The request failed.

        Source: ``GET /email/balance``.

        Example:
            (await connectus.email.balance()).balance
        """
        return await self._get("/email/balance", EmailBalance)
