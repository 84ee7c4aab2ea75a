"""Email: send, one-time passwords, status and balance."""

from collections.abc import Coroutine, Mapping
from typing import Any

import attrs

from connectus_async import arguments
from connectus_async.answer import MESSAGE_ID_KEYS, Answer, from_keys
from connectus_async.products._service import Service, given
from connectus_async.redaction import masked, word


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
        """Check the fields, and make the body of the request that sends them.

        Raises:
            InvalidArgumentError: A field cannot be sent; it is named.
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
    """What the API answers to an email that it accepted.

    Attributes:
        id: The identifier to ask `EmailService.status` with, or ``None`` if the API gave none.
        status: The API's word for what it did, if it says one.
    """

    id: str | None = from_keys(*MESSAGE_ID_KEYS)
    status: str | None = word()


@attrs.frozen(kw_only=True)
class EmailStatusReport(Answer):
    """Where an email is.

    Attributes:
        status: The API's word for it; the words are not documented.
    """

    status: str | None = word()


@attrs.frozen(kw_only=True)
class EmailBalance(Answer):
    """How many emails can still be sent.

    Attributes:
        balance: The number of emails.
    """

    balance: int | None = None


class EmailService(Service):
    """The email calls, as ``connectus.email``."""

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
            dst_email: Who gets it: one address.
            subject: The subject: one line.
            email_content: The HTML of the email.
            src_email: One of the account's addresses to send it from.
            id_delivery: The delivery that it is to belong to (product 2, not yet executed).
            id_client: The sub-client that pays (its ``id_unique``); the account if left out.

        Returns:
            The receipt. Its ``id`` is ``None`` if the API accepted the email without naming it.

        Raises:
            InvalidArgumentError: An argument cannot be sent; nothing was.
            RequestError: ``.outcome`` tells whether the email may have been sent. It is sent again
                by itself only while that is certain not to be so.

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
        """Send what `Email.body` made, or the JSON of it."""
        return self._post("/email/send_single", EmailReceipt, body)

    async def send_otp(
        self, dst_email: str, subject: str, email_content: str, *, src_email: str
    ) -> EmailReceipt:
        """Send a one-time password by email.

        Args:
            dst_email: Who gets it: one address.
            subject: The subject: one line.
            email_content: The HTML with the password.
            src_email: One of the account's addresses to send it from.

        Returns:
            The receipt.

        Raises:
            InvalidArgumentError: An argument cannot be sent; nothing was.
            RequestError: ``.outcome`` tells whether the email may have been sent.

        Source: ``POST /email/send_otp_email``.

        Example:
            await connectus.email.send_otp(
                "ana@example.com", "Tu clave", "<b>493021</b>", src_email="contacto@empresa.cl"
            )
        """
        email = Email(dst_email, subject, email_content, src_email=src_email)
        return await self._post("/email/send_otp_email", EmailReceipt, email.body())

    async def status(self, id: str) -> EmailStatusReport:
        """Ask where an email is.

        Args:
            id: The identifier of its receipt.

        Returns:
            The report, with the API's word in ``status``.

        Raises:
            InvalidArgumentError: The identifier cannot be sent.
            NotFoundError: There is no such email.
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
        """Ask how many emails can still be sent.

        Returns:
            The balance, in emails.

        Raises:
            RequestError: The request failed.

        Source: ``GET /email/balance``.

        Example:
            (await connectus.email.balance()).balance
        """
        return await self._get("/email/balance", EmailBalance)
