# Generated: change the async class of the same name instead, then run `nox -s generate`.
"""Blocking client and services. Each method waits for the async one of the same name."""

import datetime as dt
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from connectus_async._one_process import Unpicklable
from connectus_async.answer import Answer
from connectus_async.bulk.options import DEFAULT_CONCURRENCY, DEFAULT_PATIENCE, DEFAULT_SETTLE
from connectus_async.bulk.outcomes import BlockingOutcome, BulkSummary, Reconciliation
from connectus_async.bulk.progress import Progress
from connectus_async.config import Config
from connectus_async.ledger.records import Loaded
from connectus_async.ledger.states import State
from connectus_async.otp.limits import DEFAULT_PER_PREFIX, DEFAULT_PER_RECIPIENT, OtpLimit
from connectus_async.otp.records import OtpCheck, OtpReceipt
from connectus_async.products.account import Account
from connectus_async.products.clients import BalanceChange, SubClient, SubClients
from connectus_async.products.deliveries import Delivery
from connectus_async.products.email import EmailBalance, EmailReceipt, EmailStatusReport
from connectus_async.products.messages import Message, Row
from connectus_async.products.product import Product
from connectus_async.products.short_links import LinkEvents, ShortLink
from connectus_async.products.sms import BlockingSmsReceipt, SmsReport, SmsStatusReport
from connectus_async.products.whatsapp import (
    WhatsAppConversation,
    WhatsAppReceipt,
    WhatsAppStatusReport,
)

if TYPE_CHECKING:
    import ssl
    from os import PathLike

    from connectus_async.fallback import FallbackReceipt
    from connectus_async.instrumentation import CallHook, EventHook
    from connectus_async.otp.storage import BlockingOtpStorage, OtpStorage
    from connectus_async.recipients.quiet_hours import QuietHours
    from connectus_async.recipients.suppression import SuppressionList
    from connectus_async.sync._bridge import Bridge, BulkBridge, OtpBridge


class Service:
    """Calls of one product. Use the services of a client, as in ``connectus.sms``."""

    def __init__(self, bridge: "Bridge") -> None:
        self._bridge = bridge


class AccountService(Service):
    """Call on the account, as ``connectus.account``."""

    def get(self) -> Account:
        """Get the account that the credentials belong to.

        Returns:
            The account.

        Raises:
            AuthenticationError: The credentials are wrong.
            RequestError: The request failed.

        Source: ``GET /account``.

        Example:
            connectus.account.get().name
        """
        return self._bridge.runner.call(self._bridge.client.account.get)


class ClientsService(Service):
    """Calls on sub-clients, as ``connectus.clients``."""

    def list(self) -> SubClients:
        """List the sub-clients with their balances, and the unassigned balances.

        Returns:
            The sub-clients and the unassigned balances.

        Raises:
            RequestError: The request failed.

        Source: ``GET /clients``.

        Example:
            connectus.clients.list().free_email_balance
        """
        return self._bridge.runner.call(self._bridge.client.clients.list)

    def get(self, id: str) -> SubClient:
        """Get a sub-client.

        Args:
            id: ``id_unique`` of the sub-client.

        Returns:
            The sub-client.

        Raises:
            InvalidArgumentError: The identifier is not valid.
            NotFoundError: The API knows no such sub-client.
            RequestError: The request failed.

        Source: ``GET /clients/:id``.

        Example:
            client = connectus.clients.create("Colegio Darwin")
            connectus.clients.get(client.id_unique).name
        """
        return self._bridge.runner.call(self._bridge.client.clients.get, id)

    def create(self, name: str) -> SubClient:
        """Create a sub-client.

        Args:
            name: Name, on one line.

        Returns:
            The new sub-client.

        Raises:
            InvalidArgumentError: The name is not valid. Nothing was sent.
            RequestError: ``.outcome`` says whether the sub-client may have been created.

        Source: ``POST /clients``.

        Example:
            connectus.clients.create("Colegio Darwin").id_unique
        """
        return self._bridge.runner.call(self._bridge.client.clients.create, name)

    def update(self, id: str, name: str) -> SubClient:
        """Rename a sub-client.

        Args:
            id: ``id_unique`` of the sub-client.
            name: New name, on one line.

        Returns:
            The renamed sub-client.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            NotFoundError: The API knows no such sub-client.
            RequestError: ``.outcome`` says whether it may have been renamed.

        Source: ``PATCH /clients/:id``.

        Example:
            client = connectus.clients.create("Colegio Darwin")
            connectus.clients.update(client.id_unique, "Colegio Charles Darwin")
        """
        return self._bridge.runner.call(self._bridge.client.clients.update, id, name)

    def add_balance(
        self, id: str, amount: int, product: Product | int, *, id_country: int | None = None
    ) -> BalanceChange:
        """Assign unassigned balance of the account to a sub-client.

        Args:
            id: ``id_unique`` of the sub-client.
            amount: Number of messages, above zero.
            product: Product whose balance changes.
            id_country: Country, by the number in `list`. Required for SMS, refused for other
                products.

        Returns:
            The API's answer, in a sentence.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            NotFoundError: The API knows no such sub-client.
            RequestError: ``.outcome`` says whether the balance may have changed.

        Source: ``POST /clients/:id/add_balance``.

        Example:
            client = connectus.clients.create("Colegio Darwin")
            connectus.clients.add_balance(client.id_unique, 28, Product.SMS, id_country=1)
        """
        return self._bridge.runner.call(
            self._bridge.client.clients.add_balance, id, amount, product, id_country=id_country
        )

    def remove_balance(
        self, id: str, amount: int, product: Product | int, *, id_country: int | None = None
    ) -> BalanceChange:
        """Take balance back from a sub-client.

        Args:
            id: ``id_unique`` of the sub-client.
            amount: Number of messages, above zero.
            product: Product whose balance changes.
            id_country: Country, as in `add_balance`.

        Returns:
            The API's answer, in a sentence.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            NotFoundError: The API knows no such sub-client.
            RequestError: ``.outcome`` says whether the balance may have changed.

        Source: ``POST /clients/:id/remove_balance``.

        Example:
            client = connectus.clients.create("Colegio Darwin")
            connectus.clients.add_balance(client.id_unique, 28, Product.EMAIL)
            connectus.clients.remove_balance(client.id_unique, 8, Product.EMAIL)
        """
        return self._bridge.runner.call(
            self._bridge.client.clients.remove_balance, id, amount, product, id_country=id_country
        )


class DeliveriesService(Service):
    """Calls on deliveries, as ``connectus.deliveries``."""

    def create(
        self, name: str, deliver_at: dt.datetime | str, id_product: Product | int
    ) -> Delivery:
        """Create a delivery.

        Args:
            name: Name, on one line.
            deliver_at: Time of execution. An aware datetime is converted to the client's
                ``time_zone``. A naive one, or text of the form ``YYYY-MM-DD HH:MM:SS``, is sent as
                it is. Times that the clocks of that zone show twice or never are refused: the API
                takes no offset.
            id_product: Product. A plain number is sent as it is.

        Returns:
            The delivery. Pass its ``id`` to `SmsService.send` and others as ``id_delivery``.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            ConfigurationError: The datetime is aware, and this machine does not know
                ``time_zone``.
            RequestError: ``.outcome`` says whether the delivery may have been created.

        Source: ``POST /deliveries``.

        Example:
            connectus.deliveries.create("Navidad", "2099-12-24 09:00:00", Product.SMS)
        """
        return self._bridge.runner.call(
            self._bridge.client.deliveries.create, name, deliver_at, id_product
        )

    def get(self, id: str) -> Delivery:
        """Get a delivery.

        Args:
            id: ``id`` of the delivery.

        Returns:
            The delivery.

        Raises:
            InvalidArgumentError: The identifier is not valid.
            NotFoundError: The API knows no such delivery.
            RequestError: The request failed.

        Source: ``GET /deliveries/:id``.

        Example:
            delivery = connectus.deliveries.create("Navidad", "2099-12-24 09:00:00", 1)
            connectus.deliveries.get(delivery.id).name
        """
        return self._bridge.runner.call(self._bridge.client.deliveries.get, id)

    def update(
        self, id: str, *, name: str | None = None, deliver_at: dt.datetime | str | None = None
    ) -> Delivery:
        """Rename or reschedule a delivery that was not executed yet.

        Args:
            id: ``id`` of the delivery.
            name: New name, on one line. Default: unchanged.
            deliver_at: New time, as in `create`. Default: unchanged.

        Returns:
            The changed delivery.

        Raises:
            InvalidArgumentError: An argument is not valid, or there is nothing to change.
            NotFoundError: The API knows no such delivery.
            RequestError: ``.outcome`` says whether the delivery may have been changed.

        Source: ``PATCH /deliveries/:id``.

        Example:
            delivery = connectus.deliveries.create("Navidad", "2099-12-24 09:00:00", 1)
            connectus.deliveries.update(delivery.id, deliver_at="2099-12-25 09:00:00")
        """
        return self._bridge.runner.call(
            self._bridge.client.deliveries.update, id, name=name, deliver_at=deliver_at
        )


class EmailService(Service):
    """Email calls, as ``connectus.email``."""

    def send(
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
            connectus.email.send(
                "ana@example.com", "Hola", "<h1>Hola</h1>", src_email="contacto@empresa.cl"
            )
        """
        return self._bridge.runner.call(
            self._bridge.client.email.send,
            dst_email,
            subject,
            email_content,
            src_email=src_email,
            id_delivery=id_delivery,
            id_client=id_client,
        )

    def send_otp(
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
            connectus.email.send_otp(
                "ana@example.com", "Tu clave", "<b>493021</b>", src_email="contacto@empresa.cl"
            )
        """
        return self._bridge.runner.call(
            self._bridge.client.email.send_otp,
            dst_email,
            subject,
            email_content,
            src_email=src_email,
        )

    def status(self, id: str) -> EmailStatusReport:
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
            receipt = connectus.email.send(
                "ana@example.com", "Hola", "<h1>Hola</h1>", src_email="contacto@empresa.cl"
            )
            connectus.email.status(receipt.id).status
        """
        return self._bridge.runner.call(self._bridge.client.email.status, id)

    def balance(self) -> EmailBalance:
        """Get the balance of emails.

        Returns:
            The balance, as a number of emails.

        Raises:
            RequestError: The request failed.

        Source: ``GET /email/balance``.

        Example:
            connectus.email.balance().balance
        """
        return self._bridge.runner.call(self._bridge.client.email.balance)


class ShortLinksService(Service):
    """Calls on short links, as ``connectus.short_links``."""

    def create(self, link: str) -> ShortLink:
        """Create a short link. The account must have the option enabled.

        Args:
            link: Target: a URL that begins with ``https://`` or ``http://``.

        Returns:
            The short link.

        Raises:
            InvalidArgumentError: The link is not valid. Nothing was sent.
            RequestError: ``.outcome`` says whether the short link may have been created.

        Source: ``POST /short_link``.

        Example:
            connectus.short_links.create("https://www.connectus.cl").short_link
        """
        return self._bridge.runner.call(self._bridge.client.short_links.create, link)

    def events(self, short_link: str) -> LinkEvents:
        """Count the clicks of a short link.

        Args:
            short_link: Short link from `create`, such as ``cnct.us/13neyY``, or only its code.

        Returns:
            The target and the number of clicks.

        Raises:
            InvalidArgumentError: The short link is not valid.
            NotFoundError: The API knows no such short link.
            RequestError: The request failed.

        Source: ``GET /short_link/:code``.

        Example:
            created = connectus.short_links.create("https://www.connectus.cl")
            connectus.short_links.events(created.short_link).clicks
        """
        return self._bridge.runner.call(self._bridge.client.short_links.events, short_link)


class SmsService(Service):
    """SMS calls, as ``connectus.sms``."""

    def send(
        self,
        dst_number: str | int,
        sms_content: str,
        *,
        src_number: str | int | None = None,
        id_delivery: str | None = None,
        id_client: str | None = None,
    ) -> BlockingSmsReceipt:
        """Send one SMS.

        Args:
            dst_number: Recipient: 8 to 15 digits, country code first. ``+``, blanks and dashes are
                removed. The client does not check that the number exists.
            sms_content: Text. Connectus bills one SMS for every 160 characters or part of them;
                see `segments`.
            src_number: Sender: one of the account's numbers. Default: the account's default
                number.
            id_delivery: ``id`` of a delivery, from `DeliveriesService.create`. Default: the
                account's default delivery.
            id_client: ``id_unique`` of the sub-client that pays. Default: the account pays.

        Returns:
            The receipt. Its ``id`` is ``None`` if the API gave none.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            RequestError: ``.outcome`` says whether the SMS may have been sent. The client
                retries only while it is certain that it was not.

        Source: ``POST /sms/send_individual``.

        Example:
            receipt = connectus.sms.send("+56 9 8768 8060", "Hola")
            receipt.id
        """
        receipt = self._bridge.runner.call(
            self._bridge.client.sms.send,
            dst_number,
            sms_content,
            src_number=src_number,
            id_delivery=id_delivery,
            id_client=id_client,
        )
        return self._bridge.blocking(receipt)

    def send_otp(
        self,
        dst_number: str | int,
        sms_content: str,
        *,
        src_number: str | int | None = None,
        save_content: Literal["hash"] | None = None,
    ) -> BlockingSmsReceipt:
        """Send a one-time password. It has its own route, which costs more than `send`.

        Args:
            dst_number: Recipient: 8 to 15 digits, country code first.
            sms_content: Text with the password.
            src_number: Sender: one of the account's numbers. Default: the account's default number.
            save_content: ``"hash"`` makes Connectus keep only a hash of the text. Default: it keeps
                the text.

        Returns:
            The receipt.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            RequestError: ``.outcome`` says whether the SMS may have been sent.

        Source: ``POST /sms/send_otp``.

        Example:
            connectus.sms.send_otp("56987688060", "Tu clave: 493021", save_content="hash")
        """
        receipt = self._bridge.runner.call(
            self._bridge.client.sms.send_otp,
            dst_number,
            sms_content,
            src_number=src_number,
            save_content=save_content,
        )
        return self._bridge.blocking(receipt)

    def status(self, id: str) -> SmsStatusReport:
        """Get the status of an SMS.

        Args:
            id: The ``id`` of the receipt.

        Returns:
            The report, with an SMPP status.

        Raises:
            InvalidArgumentError: The identifier is not valid.
            NotFoundError: The API knows no such SMS.
            RequestError: The request failed.

        Source: ``GET /sms/:id``.

        Example:
            receipt = connectus.sms.send("56987688060", "Hola")
            report = connectus.sms.status(receipt.id)
            report.status is SmppStatus.DELIVRD
        """
        return self._bridge.runner.call(self._bridge.client.sms.status, id)

    def by_delivery(self, delivery_id: str) -> SmsReport:
        """List the SMS of a delivery.

        Args:
            delivery_id: ``id`` of a delivery, from `DeliveriesService.create`.

        Returns:
            The report. The API does not document its rows; each keeps all fields in ``raw``.

        Raises:
            InvalidArgumentError: The identifier is not valid.
            RequestError: The request failed.

        Source: ``GET /sms/delivery_info``.

        Example:
            delivery = connectus.deliveries.create("Navidad", "2099-12-24 09:00:00", 1)
            connectus.sms.send("56987688060", "Hola", id_delivery=delivery.id)
            connectus.sms.by_delivery(delivery.id).messages
        """
        return self._bridge.runner.call(self._bridge.client.sms.by_delivery, delivery_id)

    def by_date(self, begin_date: dt.date | str, end_date: dt.date | str) -> SmsReport:
        """List the SMS of a range of days.

        Args:
            begin_date: First day: a date, text of the form ``YYYY-MM-DD``, or an aware datetime,
                which is converted to the client's ``time_zone``.
            end_date: Last day, inclusive, in the same forms.

        Returns:
            The report. The API does not document its rows; each keeps all fields in ``raw``.

        Raises:
            InvalidArgumentError: A date is not valid, or the range ends before it begins.
            RequestError: The request failed.

        Source: ``GET /sms/date_report``.

        Example:
            connectus.sms.by_date("2026-07-01", "2026-07-31").messages
        """
        return self._bridge.runner.call(self._bridge.client.sms.by_date, begin_date, end_date)


class WhatsAppService(Service):
    """WhatsApp calls, as ``connectus.whatsapp``."""

    def send(
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
            connectus.whatsapp.send("56987688060", "Hola", src_number="56999944837")
        """
        return self._bridge.runner.call(
            self._bridge.client.whatsapp.send,
            dst_number,
            whatsapp_content,
            src_number=src_number,
            id_delivery=id_delivery,
            id_client=id_client,
        )

    def status(self, message_id: str) -> WhatsAppStatusReport:
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
            receipt = connectus.whatsapp.send(
                "56987688060", "Hola", src_number="56999944837"
            )
            connectus.whatsapp.status(receipt.id).status
        """
        return self._bridge.runner.call(self._bridge.client.whatsapp.status, message_id)

    def messages(self, src_number: str | int, dst_number: str | int) -> WhatsAppConversation:
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
            connectus.whatsapp.send("56987688060", "Hola", src_number="56999944837")
            connectus.whatsapp.messages("56999944837", "56987688060").messages
        """
        return self._bridge.runner.call(
            self._bridge.client.whatsapp.messages, src_number, dst_number
        )


class WhatsAppQrGroupsService(Service):
    """Calls on groups, as ``connectus.whatsapp_qr.groups``. A group is identified by its name."""

    def create(
        self, name: str, numbers: Iterable[str | int], options: Mapping[str, Any] | None = None
    ) -> Answer:
        """Create a group.

        Args:
            name: Name, on one line.
            numbers: 1 to 1,024 members, country code first.
            options: JSON object of options, which the API does not document. Default: empty.

        Returns:
            The answer, which the API does not document: JSON in ``raw``.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            RequestError: ``.outcome`` says whether the group may have been created.

        Source: ``POST /create-group``.

        Example:
            connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112"])
        """
        return self._bridge.runner.call(
            self._bridge.client.whatsapp_qr.groups.create, name, numbers, options
        )

    def add_participants(self, group_name: str, numbers: Iterable[str | int]) -> Answer:
        """Add numbers to a group.

        Args:
            group_name: Name of the group.
            numbers: 1 to 1,024 numbers, country code first.

        Returns:
            The answer, which the API does not document: JSON in ``raw``.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            RequestError: ``.outcome`` says whether they may have been added.

        Source: ``POST /add-participants``.

        Example:
            connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112"])
            connectus.whatsapp_qr.groups.add_participants("Vecinos", ["34624477715"])
        """
        return self._bridge.runner.call(
            self._bridge.client.whatsapp_qr.groups.add_participants, group_name, numbers
        )

    def remove_participants(self, group_name: str, numbers: Iterable[str | int]) -> Answer:
        """Remove numbers from a group.

        Args:
            group_name: Name of the group.
            numbers: 1 to 1,024 numbers, country code first.

        Returns:
            The answer, which the API does not document: JSON in ``raw``.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            RequestError: ``.outcome`` says whether they may have been removed.

        Source: ``POST /remove-participants``.

        Example:
            connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112", "34624477715"])
            connectus.whatsapp_qr.groups.remove_participants("Vecinos", ["34624477715"])
        """
        return self._bridge.runner.call(
            self._bridge.client.whatsapp_qr.groups.remove_participants, group_name, numbers
        )

    def invite_link(self, group_name: str) -> Answer:
        """Create a link that lets people join a group.

        Args:
            group_name: Name of the group.

        Returns:
            The answer, which the API does not document: JSON in ``raw``.

        Raises:
            InvalidArgumentError: The name is not valid.
            RequestError: The request failed.

        Source: ``GET /generate-invite-link``, with a body.

        Example:
            connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112"])
            connectus.whatsapp_qr.groups.invite_link("Vecinos").raw
        """
        return self._bridge.runner.call(
            self._bridge.client.whatsapp_qr.groups.invite_link, group_name
        )

    def make_admins(self, group_name: str, numbers: Iterable[str | int]) -> Answer:
        """Make members of a group administrators.

        Args:
            group_name: Name of the group.
            numbers: 1 to 1,024 numbers of members, country code first.

        Returns:
            The answer, which the API does not document: JSON in ``raw``.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            RequestError: ``.outcome`` says whether it may have taken effect.

        Source: ``POST /make-group-admins``.

        Example:
            connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112"])
            connectus.whatsapp_qr.groups.make_admins("Vecinos", ["584141924112"])
        """
        return self._bridge.runner.call(
            self._bridge.client.whatsapp_qr.groups.make_admins, group_name, numbers
        )

    def demote_admins(self, group_name: str, numbers: Iterable[str | int]) -> Answer:
        """Make administrators of a group ordinary members.

        Args:
            group_name: Name of the group.
            numbers: 1 to 1,024 numbers of administrators, country code first.

        Returns:
            The answer, which the API does not document: JSON in ``raw``.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            RequestError: ``.outcome`` says whether it may have taken effect.

        Source: ``POST /demote-group-admins``.

        Example:
            connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112"])
            connectus.whatsapp_qr.groups.make_admins("Vecinos", ["584141924112"])
            connectus.whatsapp_qr.groups.demote_admins("Vecinos", ["584141924112"])
        """
        return self._bridge.runner.call(
            self._bridge.client.whatsapp_qr.groups.demote_admins, group_name, numbers
        )

    def update_info(
        self, group_name: str, *, new_subject: str | None = None, new_description: str | None = None
    ) -> Answer:
        """Change the name or the description of a group.

        Args:
            group_name: Current name of the group.
            new_subject: New name, on one line. Default: unchanged.
            new_description: New description. Default: unchanged.

        Returns:
            The answer, which the API does not document: JSON in ``raw``.

        Raises:
            InvalidArgumentError: An argument is not valid, or there is nothing to change.
            RequestError: ``.outcome`` says whether it may have been changed.

        Source: ``POST /update-group-info``.

        Example:
            connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112"])
            connectus.whatsapp_qr.groups.update_info("Vecinos", new_subject="Vecinas")
        """
        return self._bridge.runner.call(
            self._bridge.client.whatsapp_qr.groups.update_info,
            group_name,
            new_subject=new_subject,
            new_description=new_description,
        )

    def send(self, group_name: str, message: str) -> Answer:
        """Send a message to a group.

        Args:
            group_name: Name of the group.
            message: Text.

        Returns:
            The answer, which the API does not document: JSON in ``raw``.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            RequestError: ``.outcome`` says whether the message may have been sent.

        Source: ``POST /send-message-to-group``.

        Example:
            connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112"])
            connectus.whatsapp_qr.groups.send("Vecinos", "Hola")
        """
        return self._bridge.runner.call(
            self._bridge.client.whatsapp_qr.groups.send, group_name, message
        )

    def last_messages(self, group_name: str) -> Answer:
        """Get the last messages of a group.

        Args:
            group_name: Name of the group.

        Returns:
            The answer, which the API does not document: JSON in ``raw``.

        Raises:
            InvalidArgumentError: The name is not valid.
            RequestError: The request failed.

        Source: ``GET /get-last-group-messages``, with a body.

        Example:
            connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112"])
            connectus.whatsapp_qr.groups.last_messages("Vecinos").raw
        """
        return self._bridge.runner.call(
            self._bridge.client.whatsapp_qr.groups.last_messages, group_name
        )


class WhatsAppQrMessagesService(Service):
    """Calls on messages to numbers, as ``connectus.whatsapp_qr.messages``."""

    def send(self, number: str | int, message: str) -> Answer:
        """Send a message to a number.

        Args:
            number: Recipient: 8 to 15 digits, country code first.
            message: Text.

        Returns:
            The answer, which the API does not document: JSON in ``raw``.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            RequestError: ``.outcome`` says whether the message may have been sent.

        Source: ``POST /send``.

        Example:
            connectus.whatsapp_qr.messages.send("584141992998", "Hola")
        """
        return self._bridge.runner.call(
            self._bridge.client.whatsapp_qr.messages.send, number, message
        )

    def last(self, number: str | int) -> Answer:
        """Get the last messages to and from a number.

        Args:
            number: 8 to 15 digits, country code first.

        Returns:
            The answer, which the API does not document: JSON in ``raw``.

        Raises:
            InvalidArgumentError: The number is not valid.
            RequestError: The request failed.

        Source: ``GET /get-last-messages``, with a body.

        Example:
            connectus.whatsapp_qr.messages.send("584141992998", "Hola")
            connectus.whatsapp_qr.messages.last("584141992998").raw
        """
        return self._bridge.runner.call(self._bridge.client.whatsapp_qr.messages.last, number)


class WhatsAppQrService(Service):
    """WhatsApp QR calls, as ``connectus.whatsapp_qr``.

    Attributes:
        groups: Calls on groups.
        messages: Calls on messages to numbers.
    """

    def __init__(self, bridge: "Bridge") -> None:
        super().__init__(bridge)
        self.groups = WhatsAppQrGroupsService(bridge)
        self.messages = WhatsAppQrMessagesService(bridge)

    def qr(self) -> Answer:
        """Get the QR code for the phone to scan.

        Returns:
            The answer, which the API does not document. An image is in ``response.body``.

        Raises:
            RequestError: The request failed.

        Source: ``GET /qr``.

        Example:
            connectus.whatsapp_qr.qr().response.body
        """
        return self._bridge.runner.call(self._bridge.client.whatsapp_qr.qr)

    def status(self) -> Answer:
        """Get the connection status of the phone.

        Returns:
            The answer, which the API does not document: JSON in ``raw``.

        Raises:
            RequestError: The request failed.

        Source: ``GET /status``.

        Example:
            connectus.whatsapp_qr.status().raw
        """
        return self._bridge.runner.call(self._bridge.client.whatsapp_qr.status)


class Bulk(Unpicklable):
    """Sender of many messages. Get one with ``connectus.bulk()`` and use it with ``with``.

    Leaving the ``with`` early, by ``break``, an exception or Ctrl-C, pulls no further
    message, waits for the answers to the messages in flight, and counts them all in the summary.
    The others stay queued.

    Attributes:
        summary: Count of all outcomes so far.
    """

    def __init__(self, bridge: "BulkBridge") -> None:
        self._bridge = bridge
        self.summary = bridge.summary

    def __enter__(self) -> Self:
        self._bridge.enter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bridge.exit(kind, error, traceback)

    def stream(self, messages: Iterable[Message | Row] | None = None) -> Iterator[BlockingOutcome]:
        """Send messages, and yield the outcome of each.

        Args:
            messages: `Sms`, `Email` or `WhatsApp` messages in any mixture, or `Row`, as an iterable
                that may block. It is pulled as messages are sent, never ahead of them, in the
                thread that waits for their outcomes. If
                left out, the messages that are queued in the ledger are sent; with ``wait``, those
                in quiet hours when these end. With
                ``edited="abort"`` or ``"remaining"`` it is loaded to its end first, as by `load`
                with ``replaces``.

        Yields:
            One `MessageOutcome` for each message, in the order of completion.

        Raises:
            ConnectusError: Every further message would fail too: wrong credentials, an exhausted
                balance, a closed client, an API that is out of reach, a ledger that cannot be
                written. Raised after the outcomes of all messages that were pulled; the rest of
                the source is not pulled.
            ConfigurationError: With ``edited="abort"``: recipients may have got another text of
                this ledger already. Nothing was sent.
            Exception: An error of the source, after the outcomes of its messages so far.

        Example:
            with connectus.bulk() as bulk:
                for outcome in bulk.stream([Sms("56987688060", "Hola")]):
                    print(outcome.state)
        """
        return self._bridge.runner.iterate(self._bridge.stream, self._bridge.pulled(messages))

    def run(
        self,
        messages: Iterable[Message | Row] | None = None,
        *,
        on_outcome: Callable[[BlockingOutcome], object] | None = None,
    ) -> BulkSummary:
        """Send messages, and return the count of their outcomes.

        Args:
            messages: As in `stream`.
            on_outcome: Called with the outcome of each message, one at a time, in the
                thread that called `run`. It may use the client itself.

        Returns:
            The count of all outcomes of this sender.

        Raises:
            ConnectusError: As in `stream`.

        Example:
            with connectus.bulk() as bulk:
                summary = bulk.run([Sms("56987688060", "Hola")])
            summary.accepted
        """
        return self._bridge.runner.call(
            self._bridge.sender.run,
            self._bridge.pulled(messages),
            on_outcome=self._bridge.called("on_outcome", on_outcome),
        )

    def load(
        self,
        messages: Iterable[Message | Row],
        *,
        replaces: bool = False,
        on_row: Callable[[Row, Loaded], object] | None = None,
    ) -> int:
        """Record messages in the ledger without sending them; `stream` and `run` send them later.

        Rows that cannot become a message, duplicates and suppressed recipients are recorded as
        skipped, with their lines. Messages that are in the ledger already, by their key or the
        recipient's identity, stay as they are if they may have been sent; otherwise they take the
        content that they have now, and if that is another one, they wait again.

        Args:
            messages: As in `stream`. It is read to its end.
            replaces: Whether to skip messages that earlier calls left queued and that this source
                does not have: after a text was corrected, nobody gets the old one as well.
            on_row: Called with each row and its result.

        Returns:
            The number of rows.

        Raises:
            ConfigurationError: There is no ledger. With ``edited="abort"``: recipients may have
                got another text of this ledger already; the error has their number, and nothing
                was sent.
            LedgerError: The ledger cannot be written.
            Exception: An error of the source. Load the same source again to resume.

        Example:
            with connectus.bulk(ledger="navidad.db") as bulk:
                bulk.load([Sms("56987688060", "Hola")])
                bulk.run()
        """
        return self._bridge.runner.call(
            self._bridge.sender.load,
            self._bridge.pulled(messages),
            replaces=replaces,
            on_row=self._bridge.called("on_row", on_row),
        )

    def reconcile(self, *, settle: float = DEFAULT_SETTLE) -> Reconciliation:
        """Look for the messages whose outcome is unknown in the API's reports.

        Args:
            settle: Seconds after the last attempt until a report is taken to be complete, and
                between two reports. Default 60. The first report is fetched no earlier than the
                client's timeout and 10 seconds after the attempt began: a request may still arrive
                until then, even if it was given up. With a ledger in a database, add its lease of
                10 seconds.

        Returns:
            The number of messages that were accepted, and the states of the others. With
            ``on_unknown="resend_if_absent"``, absent messages are queued again. An absence is
            proven only if the same report shows messages of this ledger that were accepted before
            and after. Without that proof a message stays unknown; ``reasons`` says what would prove
            it.

        Raises:
            ConfigurationError: There is no ledger, or a stream is under way.
            LedgerError: The ledger cannot be written.

        Source: ``GET /sms/delivery_info``, ``GET /sms/date_report``, ``GET /whatsapp/messages``.

        Example:
            with connectus.bulk(ledger="navidad.db") as bulk:
                bulk.run([Sms("56987688060", "Hola")])
                bulk.reconcile(settle=30).accepted
        """
        return self._bridge.runner.call(self._bridge.sender.reconcile, settle=settle)

    def counts(self) -> Mapping[State, int]:
        """Count all messages of the ledger, those of earlier runs included.

        Returns:
            The number of messages by state; states without any are left out.

        Raises:
            ConfigurationError: There is no ledger.
            LedgerError: The ledger cannot be read.

        Example:
            with connectus.bulk(ledger="navidad.db") as bulk:
                bulk.run([Sms("56987688060", "Hola")])
                (bulk.counts())[State.ACCEPTED]
        """
        return self._bridge.runner.call(self._bridge.sender.counts)

    def spent(self) -> int:
        """Sum the messages that the campaign took from the balance, or may have taken.

        Returns:
            The number of billed SMS, plus one for each email and WhatsApp message.

        Raises:
            ConfigurationError: There is no ledger.
            LedgerError: The ledger cannot be read.

        Example:
            with connectus.bulk(ledger="navidad.db") as bulk:
                bulk.run([Sms("56987688060", "Hola")])
                bulk.spent()
        """
        return self._bridge.runner.call(self._bridge.sender.spent)

    def note(self, **values: str) -> None:
        """Record metadata of the campaign in the ledger.

        Args:
            values: Texts by name. Reports show ``source``, the name of the file of recipients, and
                ``stopped``, why the campaign stopped last, which is empty once it goes on.

        Raises:
            ConfigurationError: There is no ledger.
            LedgerError: The ledger cannot be written.

        Example:
            with connectus.bulk(ledger="navidad.db") as bulk:
                bulk.note(source="recipients.csv")
                bulk.run([Sms("56987688060", "Hola")])
        """
        self._bridge.runner.call(self._bridge.sender.note, **values)

    def pause(self) -> None:
        """Send no further message until `resume`. Messages in flight are finished.

        A campaign that was paused from another terminal is paused until it is continued there.

        Example:
            with connectus.bulk() as bulk:
                bulk.pause()
                bulk.resume()
                bulk.run([Sms("56987688060", "Hola")])
        """
        self._bridge.tell(self._bridge.sender.pause)

    def resume(self) -> None:
        """Send messages again after `pause`.

        Example:
            with connectus.bulk() as bulk:
                bulk.pause()
                bulk.resume()
                bulk.run([Sms("56987688060", "Hola")])
        """
        self._bridge.tell(self._bridge.sender.resume)

    def cancel(self) -> None:
        """Stop the present stream. It ends when the messages in flight are finished.

        The others stay queued in the ledger, or in the source.

        Example:
            with connectus.bulk() as bulk:
                for outcome in bulk.stream([Sms("56987688060", "Hola")]):
                    bulk.cancel()
        """
        self._bridge.tell(self._bridge.sender.cancel)

    def set_rate(self, rate: float | None) -> None:
        """Change the rate limit, at any time. An order from another terminal overrides it.

        Args:
            rate: Maximum messages or segments per second, as ``rate_unit`` says; ``None`` for as
                many as the API takes.

        Raises:
            ConfigurationError: It is not above zero.

        Example:
            with connectus.bulk(rate=10) as bulk:
                bulk.set_rate(50)
                bulk.run([Sms("56987688060", "Hola")])
        """
        self._bridge.tell(self._bridge.sender.set_rate, rate)

    def set_concurrency(self, concurrency: int) -> None:
        """Change the maximum number of messages in flight, at any time.

        Args:
            concurrency: From 1 to the ``concurrency`` of ``bulk()``.

        Raises:
            ConfigurationError: It is not in that range.

        Example:
            with connectus.bulk() as bulk:
                bulk.set_concurrency(8)
                bulk.run([Sms("56987688060", "Hola")])
        """
        self._bridge.tell(self._bridge.sender.set_concurrency, concurrency)

    def progress(self) -> Progress:
        """Return the present progress and pace.

        Returns:
            The figures of this moment; they do not change later.

        Example:
            with connectus.bulk() as bulk:
                bulk.run([Sms("56987688060", "Hola")])
                bulk.progress().summary.accepted
        """
        return self._bridge.tell(self._bridge.sender.progress)

    def watch(self, seconds: float = 0.5) -> Iterator[Progress]:
        """Yield the progress at intervals, until the sender is left.

        Args:
            seconds: Length of an interval.

        Yields:
            The progress of each moment. The last one comes after the sender was left.

        Raises:
            ConfigurationError: ``seconds`` is not above zero.

        Example:
            with connectus.bulk() as bulk:
                for progress in bulk.watch():
                    print(progress.rate)
                    break
                bulk.run([Sms("56987688060", "Hola")])
        """
        return self._bridge.runner.iterate(self._bridge.sender.watch, seconds)


class OneTimePasswords:
    """One-time passwords by SMS or email. ``connectus.otp()`` makes it.

    Example:
        otp = connectus.otp()
        otp.send_sms("56987688060")
        if otp.verify("56987688060", "493021"):
            ...
    """

    def __init__(self, bridge: "OtpBridge") -> None:
        self._bridge = bridge

    def send_sms(self, dst_number: str | int, *, src_number: str | int | None = None) -> OtpReceipt:
        """Send a new code by SMS. It replaces the one before, if that was still valid.

        Connectus is told to keep only a hash of the text.

        Args:
            dst_number: Recipient: 8 to 15 digits, country code first, or a number of `region`.
            src_number: Sender: one of the account's numbers. Default: the account's default number.

        Returns:
            The receipt.

        Raises:
            InvalidArgumentError: An argument is not valid, or the number is of a country that is
                not one of `countries`. Nothing was sent.
            OtpLimitError: A limit does not let it be sent now. Nothing was sent.
            OtpStorageError: The storage cannot be used. Nothing was sent.
            RequestError: ``.outcome`` says whether the SMS may have been sent. If it may, the code
                is valid, and counts for the limits.

        Source: ``POST /sms/send_otp``.

        Example:
            connectus.otp().send_sms("+56 9 8768 8060")
        """
        return self._bridge.runner.call(
            self._bridge.passwords.send_sms, dst_number, src_number=src_number
        )

    def send_email(self, dst_email: str, *, src_email: str) -> OtpReceipt:
        """Send a new code by email. It replaces the one before, if that was still valid.

        Args:
            dst_email: Recipient: one address.
            src_email: Sender: one of the account's addresses.

        Returns:
            The receipt.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            OtpLimitError: A limit does not let it be sent now. Nothing was sent.
            OtpStorageError: The storage cannot be used. Nothing was sent.
            RequestError: ``.outcome`` says whether the email may have been sent. If it may, the
                code is valid, and counts for the limits.

        Source: ``POST /email/send_otp_email``.

        Example:
            connectus.otp().send_email("ana@example.com", src_email="tienda@example.com")
        """
        return self._bridge.runner.call(
            self._bridge.passwords.send_email, dst_email, src_email=src_email
        )

    def verify(self, recipient: str | int, code: str) -> OtpCheck:
        """Check a code that somebody typed. A valid code is accepted once.

        ``WRONG`` uses an attempt, ``VALID`` the code. Tell people the same for all results that are
        not valid: who has an account is none of their business.

        Args:
            recipient: The number or address that the code was sent to, in any spelling.
            code: The code as it was typed; blanks and hyphens do not count.

        Returns:
            The result. Only `OtpCheck.VALID` is true in an ``if``.

        Raises:
            InvalidArgumentError: The recipient is neither a number nor an address.
            OtpStorageError: The storage cannot be used. No attempt was used.

        Example:
            if otp.verify("56987688060", "493 021"):
                ...
        """
        return self._bridge.runner.call(self._bridge.passwords.verify, recipient, code)


class Connectus:
    """Client of the Connectus API for code that blocks.

    Use it with ``with``, or call `close` when done. It connects with the first call. Threads
    may share it, and a forked process connects anew.

    Attributes:
        sms: SMS, one-time passwords, status and reports.
        email: Email, one-time passwords, status and balance.
        whatsapp: WhatsApp messages from the account's numbers, status and conversations.
        clients: Sub-clients and their balances.
        short_links: Short links and their clicks.
        account: Details of the account.
        deliveries: Deliveries: named batches of messages that can be scheduled.
        whatsapp_qr: WhatsApp through a phone that scanned a QR code.

    Example:
        with Connectus(api_user="…", api_key="…") as connectus:
            receipt = connectus.sms.send("56987688060", "Hola")
    """

    def __init__(
        self,
        api_user: str | None = None,
        api_key: str | None = None,
        *,
        qr_token: str | None = None,
        base_url: str | None = None,
        qr_base_url: str | None = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        max_retries: int | None = None,
        backoff_base: float | None = None,
        backoff_cap: float | None = None,
        retry_after_cap: float | None = None,
        max_connections: int | None = None,
        keepalive_timeout: float | None = None,
        max_response_bytes: int | None = None,
        time_zone: str | None = None,
        ssl_context: "ssl.SSLContext | None" = None,
        ca_file: "str | PathLike[str] | None" = None,
        proxy: str | None = None,
        on_call: "CallHook | None" = None,
    ) -> None:
        """Create a client. It makes no request yet.

        Args:
            api_user: User name of the API. Default: ``CONNECTUS_API_USER``.
            api_key: Key of the API. Default: ``CONNECTUS_API_KEY``.
            qr_token: Bearer token of the WhatsApp QR host. Default: ``CONNECTUS_QR_TOKEN``.
            base_url: URL of the API. Default: ``CONNECTUS_BASE_URL``, or the public one.
            qr_base_url: URL of the WhatsApp QR host. Default: ``CONNECTUS_QR_BASE_URL``, or the
                public one.
            timeout: Maximum seconds of one try, from start to end. Default 30.
            connect_timeout: Maximum seconds to connect after name resolution, including TLS;
                through a proxy, including all of its steps. Default 5.
            max_retries: Maximum number of retries of a call that is safe to repeat. Default 2.
            backoff_base: Maximum seconds of the random pause before the first retry. It doubles
                with each retry. Default 0.5.
            backoff_cap: Maximum seconds of any such pause. Default 8.
            retry_after_cap: Maximum ``Retry-After``, in seconds, that a call waits for. With a
                longer one it fails at once. Default 60.
            max_connections: Maximum number of open connections. Default 100.
            keepalive_timeout: Seconds for which an idle connection is kept. Keep it below the
                server's: a message on a connection that the server is closing ends as unknown.
                Default 4.
            max_response_bytes: Maximum size of an answer, in bytes. Default 16 MiB.
            time_zone: IANA name of the zone that aware datetimes are converted to, since the API's
                dates have no offset. Default: ``CONNECTUS_TIME_ZONE``, or ``America/Santiago``.
            ssl_context: TLS settings. Default: those of the system.
            ca_file: Path of a PEM file with certificate authorities to trust in addition to the
                system's. Default: ``CONNECTUS_CA_FILE``.
            proxy: URL of an HTTP proxy, such as ``http://user:password@proxy.example.com:3128``;
                ``"none"`` for no proxy. Default: ``CONNECTUS_PROXY``, or the usual ``HTTPS_PROXY``,
                ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, which do not apply to this machine.
            on_call: Function that watches each attempt at a call; see
                `connectus_async.instrumentation`. It must be quick. Default: none.

        Raises:
            ConfigurationError: A setting is missing or not valid. The error names it.
        """
        config = Config.from_environment(
            api_user=api_user,
            api_key=api_key,
            qr_token=qr_token,
            base_url=base_url,
            qr_base_url=qr_base_url,
            timeout=timeout,
            connect_timeout=connect_timeout,
            max_retries=max_retries,
            backoff_base=backoff_base,
            backoff_cap=backoff_cap,
            retry_after_cap=retry_after_cap,
            max_connections=max_connections,
            keepalive_timeout=keepalive_timeout,
            max_response_bytes=max_response_bytes,
            time_zone=time_zone,
            ssl_context=ssl_context,
            ca_file=ca_file,
            proxy=proxy,
            on_call=on_call,
        )
        from connectus_async.sync._bridge import Bridge  # noqa: PLC0415 - brings asyncio, aiohttp

        self._use(Bridge(config))

    def _use(self, bridge: "Bridge") -> None:
        self._bridge = bridge
        self.sms = SmsService(bridge)
        self.email = EmailService(bridge)
        self.whatsapp = WhatsAppService(bridge)
        self.clients = ClientsService(bridge)
        self.short_links = ShortLinksService(bridge)
        self.account = AccountService(bridge)
        self.deliveries = DeliveriesService(bridge)
        self.whatsapp_qr = WhatsAppQrService(bridge)

    def with_options(
        self,
        *,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        max_retries: int | None = None,
    ) -> Self:
        """Return a client with other limits that shares the connections of this one.

        Args:
            timeout: Maximum seconds of one try. Default: unchanged.
            connect_timeout: Maximum seconds to connect. Default: unchanged.
            max_retries: Maximum number of retries. Default: unchanged.

        Returns:
            The copy. Closing either client closes both.

        Raises:
            ConfigurationError: An option is not valid.

        Example:
            connectus.with_options(timeout=5, max_retries=0).account.get()
        """
        copy = object.__new__(type(self))
        copy._use(
            self._bridge.with_options(
                timeout=timeout, connect_timeout=connect_timeout, max_retries=max_retries
            )
        )
        return copy

    def bulk(
        self,
        *,
        ledger: "str | PathLike[str] | None" = None,
        campaign: str = "",
        concurrency: int = DEFAULT_CONCURRENCY,
        rate: float | None = None,
        rate_unit: Literal["messages", "segments"] = "messages",
        identity: Literal["message", "recipient"] = "message",
        on_unknown: Literal["hold", "resend_if_absent", "resend"] = "hold",
        edited: Literal["abort", "remaining", "everyone"] = "everyone",
        suppression: "SuppressionList | None" = None,
        quiet_hours: "QuietHours | None" = None,
        expires_at: dt.datetime | None = None,
        budget: int | None = None,
        forget_content: bool = False,
        patience: float = DEFAULT_PATIENCE,
        wait: bool = False,
        on_event: "EventHook | None" = None,
    ) -> "Bulk":
        """Make a bulk sender. It sends many messages with bounded concurrency.

        Args:
            ledger: Path of the file that records the campaign, message by message, so that it can
                resume after a crash without sending anything twice. Only one sender at a time can
                have it open. Or an address ``postgresql://…``, with the extra ``postgres``: several
                senders, also of several machines, can have that open. Default: no ledger; a crash
                forgets who was reached.
            campaign: Name of the campaign. Needed where several campaigns send the same message,
                and with a database, unless its address ends in ``?campaign=…``.
            concurrency: Maximum number of concurrent messages, up to the client's
                ``max_connections``. It falls by itself while the API is slow or fails.
            rate: Maximum messages or segments per second. Default: as many as the API accepts.
            rate_unit: Unit of `rate`: ``"messages"``, or ``"segments"`` for billed SMS.
            identity: How duplicates are recognised: by ``"message"`` (recipient and content) or by
                ``"recipient"``. Only one of several duplicates is sent. Spellings of one number or
                address are one recipient, except in a ledger made by an older version.
            on_unknown: Treatment of a message that may have been sent: ``"hold"`` never sends it
                again; ``"resend_if_absent"`` sends it again if `Bulk.reconcile` did not find it;
                ``"resend"`` sends it again when the ledger is next opened, so that a person may get
                it twice.
            edited: Treatment of recipients who may have got another text of the same ledger that
                the source no longer has: ``"abort"`` sends nothing and raises; ``"remaining"``
                leaves them out; ``"everyone"`` sends to them as well, as a campaign with several
                texts for one person needs. The first two read the whole source before the first
                message is sent.
            suppression: Recipients who must get nothing. It is checked again right before each
                message. While its file cannot be read, nothing is sent; after ten seconds the
                campaign stops.
            quiet_hours: Hours, in the recipient's time zone, in which nothing is sent. Messages due
                then stay queued, or wait: see `wait`.
            expires_at: Aware datetime from which on the remaining messages are skipped. Default:
                never.
            budget: Maximum balance that the campaign may spend in total, in messages (in billed SMS
                for SMS). Default: no limit.
            forget_content: ``True`` makes the ledger keep only a hash of the text of accepted
                messages.
            patience: Seconds without any answer but 429 after which the campaign stops. Default 60.
            wait: ``True`` makes `Bulk.stream` and `Bulk.run`, called without messages, wait for the
                end of quiet hours, and send these messages then. It needs a ledger. Default:
                messages due in quiet hours get an outcome, and stay queued.
            on_event: Function that is told of the course of the campaign: of messages, without
                their recipients, of its pace, of delays; see `connectus_async.instrumentation`. It
                must be quick. Sender processes do not call it. Default: none.

        Returns:
            The bulk sender, for use with ``with``.

        Raises:
            ConfigurationError: An option is not valid. The error names it.
            LedgerError: On entering: the ledger is in use, damaged, or of another campaign.

        Example:
            messages = [Sms("56987688060", "Hola"), Sms("56987688061", "Hola")]
            with connectus.bulk() as bulk:
                for outcome in bulk.stream(messages):
                    print(outcome.state, outcome.id)
        """
        bridge = self._bridge.bulk(
            ledger=ledger,
            campaign=campaign,
            concurrency=concurrency,
            rate=rate,
            rate_unit=rate_unit,
            identity=identity,
            on_unknown=on_unknown,
            edited=edited,
            suppression=suppression,
            quiet_hours=quiet_hours,
            expires_at=expires_at,
            budget=budget,
            forget_content=forget_content,
            patience=patience,
            wait=wait,
            on_event=on_event,
        )
        return Bulk(bridge)

    def send(
        self, messages: "Sequence[Message]", *, delivered_within: float | None = None
    ) -> "FallbackReceipt":
        """Send one of several messages: the first that a channel accepts.

        The next one is sent only if this one certainly reached nobody: it was rejected, not sent,
        or will not be delivered. After an error with an unknown outcome nothing more is sent, since
        the person may have this one.

        Args:
            messages: `Sms`, `Email` and `WhatsApp` messages to one person, best first.
            delivered_within: Seconds to wait for the delivery of an SMS. One that is not delivered
                by then may still be, so nothing more is sent. Default: accepted is enough.

        Returns:
            The receipt.

        Raises:
            InvalidArgumentError: A message is not valid. Nothing was sent.
            AllChannelsFailedError: All failed for certain. It has the error of each.
            RequestError: A message may have been sent. Those after it were not.

        Example:
            sms = Sms("56987688060", "Tu pedido va en camino.")
            email = Email(
                "ana@example.com", "Tu pedido", "Va en camino.", src_email="tienda@example.com"
            )
            receipt = connectus.send([sms, email], delivered_within=120)
        """
        return self._bridge.runner.call(
            self._bridge.client.send, messages, delivered_within=delivered_within
        )

    def otp(
        self,
        *,
        text: str = "Tu clave es {code}. Vence en {minutes} minutos.",
        subject: str = "Tu clave",
        digits: int = 6,
        valid_for: float = 600,
        attempts: int = 5,
        resend_after: float = 30,
        per_recipient: OtpLimit = DEFAULT_PER_RECIPIENT,
        per_prefix: OtpLimit | None = DEFAULT_PER_PREFIX,
        per_country: OtpLimit | None = None,
        countries: "Collection[str] | None" = None,
        region: str | None = None,
        purpose: str = "",
        storage: "OtpStorage | BlockingOtpStorage | None" = None,
        secret: str | bytes | None = None,
        clock: "Callable[[], float]" = time.time,
    ) -> "OneTimePasswords":
        """Make one-time passwords, which it sends by SMS or email and checks.

        `connectus_async.otp` describes what they protect from, and what they do not.

        Args:
            text: Text of the SMS and the email. ``{code}`` stands for the code, ``{minutes}`` for
                the minutes for which it is valid.
            subject: Subject of the email.
            digits: Number of digits of a code, 4 to 10.
            valid_for: Seconds for which a code is valid.
            attempts: Maximum number of attempts at a code.
            resend_after: Minimum seconds between two codes to a recipient.
            per_recipient: Maximum codes to a recipient. Default: 5 in ten minutes.
            per_prefix: Maximum codes to numbers that differ in their last three digits only.
                Default: 20 an hour.
            per_country: Maximum codes to a country. It needs the extra ``phone``. Default: no
                limit.
            countries: ISO codes of the only countries whose numbers get codes, such as ``{"CL"}``.
                It needs the extra ``phone``. Default: all.
            region: ISO code of the country of numbers that are written without ``+`` and country
                code. It needs the extra ``phone``. Default: none.
            purpose: Name that keeps codes apart, such as ``"login"`` and ``"payment"``: one is not
                valid for the other, and limits count by purpose.
            storage: Storage of codes and counts. Default: in the memory of this process.
            secret: Key of the hashes in the storage, at least 16 bytes. All who share a storage
                need the same. Default: one derived from ``api_key``.
            clock: The time, in seconds since 1970; for tests.

        Returns:
            The one-time passwords.

        Raises:
            ConfigurationError: An option is not valid. The error names it.

        Example:
            otp = connectus.otp(text="Tienda Sur: {code} es tu clave.", countries={"CL"})
            otp.send_sms("56987688060")
        """
        bridge = self._bridge.otp(
            text=text,
            subject=subject,
            digits=digits,
            valid_for=valid_for,
            attempts=attempts,
            resend_after=resend_after,
            per_recipient=per_recipient,
            per_prefix=per_prefix,
            per_country=per_country,
            countries=countries,
            region=region,
            purpose=purpose,
            storage=storage,
            secret=secret,
            clock=clock,
        )
        return OneTimePasswords(bridge)

    def close(self) -> None:
        """Close the connections. A request in progress ends with an unknown outcome."""
        self._bridge.runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._bridge.config.base_url}>"
