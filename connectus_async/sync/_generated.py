# Generated: change client.py, products/ or bulk/sender.py instead, then run `nox -s generate`.
"""The blocking client and its services: each method waits for the async one of its name."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from connectus_async._one_process import OfOneProcess
from connectus_async.answer import Answer
from connectus_async.bulk.options import DEFAULT_CONCURRENCY, DEFAULT_PATIENCE, DEFAULT_SETTLE
from connectus_async.bulk.outcomes import BlockingOutcome, BulkSummary, Reconciliation
from connectus_async.bulk.progress import Progress
from connectus_async.config import Config
from connectus_async.ledger.records import Loaded
from connectus_async.ledger.states import State
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

    from connectus_async.recipients.quiet_hours import QuietHours
    from connectus_async.recipients.suppression import SuppressionList
    from connectus_async.sync._link import Campaign, Link


class Service:
    """The calls of one product. Get one from the client, as in ``connectus.sms``."""

    def __init__(self, link: "Link") -> None:
        self._link = link


class AccountService(Service):
    """The call on the account, as ``connectus.account``."""

    def get(self) -> Account:
        """Look up the account that the credentials belong to.

        Returns:
            The account.

        Raises:
            AuthenticationError: The credentials are wrong.
            RequestError: The request failed.

        Source: ``GET /account``.

        Example:
            connectus.account.get().name
        """
        return self._link.runner.call(self._link.client.account.get)


class ClientsService(Service):
    """The calls on sub-clients, as ``connectus.clients``."""

    def list(self) -> SubClients:
        """List the sub-clients with their balances, and the balances not assigned to any.

        Returns:
            The sub-clients and the free balances.

        Raises:
            RequestError: The request failed.

        Source: ``GET /clients``.

        Example:
            connectus.clients.list().free_email_balance
        """
        return self._link.runner.call(self._link.client.clients.list)

    def get(self, id: str) -> SubClient:
        """Look up a sub-client.

        Args:
            id: Its ``id_unique``.

        Returns:
            The sub-client.

        Raises:
            InvalidArgumentError: The identifier cannot be sent.
            NotFoundError: There is no such sub-client.
            RequestError: The request failed.

        Source: ``GET /clients/:id``.

        Example:
            client = connectus.clients.create("Colegio Darwin")
            connectus.clients.get(client.id_unique).name
        """
        return self._link.runner.call(self._link.client.clients.get, id)

    def create(self, name: str) -> SubClient:
        """Create a sub-client.

        Args:
            name: Its name: one line.

        Returns:
            The new sub-client.

        Raises:
            InvalidArgumentError: The name cannot be sent; nothing was.
            RequestError: ``.outcome`` tells whether the sub-client may have been created.

        Source: ``POST /clients``.

        Example:
            connectus.clients.create("Colegio Darwin").id_unique
        """
        return self._link.runner.call(self._link.client.clients.create, name)

    def update(self, id: str, name: str) -> SubClient:
        """Rename a sub-client.

        Args:
            id: Its ``id_unique``.
            name: Its new name: one line.

        Returns:
            The sub-client as it is now.

        Raises:
            InvalidArgumentError: An argument cannot be sent; nothing was.
            NotFoundError: There is no such sub-client.
            RequestError: ``.outcome`` tells whether it may have been renamed.

        Source: ``PATCH /clients/:id``.

        Example:
            client = connectus.clients.create("Colegio Darwin")
            connectus.clients.update(client.id_unique, "Colegio Charles Darwin")
        """
        return self._link.runner.call(self._link.client.clients.update, id, name)

    def add_balance(
        self, id: str, amount: int, product: Product | int, *, id_country: int | None = None
    ) -> BalanceChange:
        """Assign some of the account's free balance to a sub-client.

        Args:
            id: Its ``id_unique``.
            amount: How many messages: a whole number above zero.
            product: For which product.
            id_country: For which country; needed for SMS and not taken otherwise. The numbers are
                in `list`.

        Returns:
            The API's sentence about it.

        Raises:
            InvalidArgumentError: An argument cannot be sent; nothing was.
            NotFoundError: There is no such sub-client.
            RequestError: ``.outcome`` tells whether the balance may have changed.

        Source: ``POST /clients/:id/add_balance``.

        Example:
            client = connectus.clients.create("Colegio Darwin")
            connectus.clients.add_balance(client.id_unique, 28, Product.SMS, id_country=1)
        """
        return self._link.runner.call(
            self._link.client.clients.add_balance, id, amount, product, id_country=id_country
        )

    def remove_balance(
        self, id: str, amount: int, product: Product | int, *, id_country: int | None = None
    ) -> BalanceChange:
        """Take balance back from a sub-client.

        Args:
            id: Its ``id_unique``.
            amount: How many messages: a whole number above zero.
            product: For which product.
            id_country: For which country; needed for SMS and not taken otherwise.

        Returns:
            The API's sentence about it.

        Raises:
            InvalidArgumentError: An argument cannot be sent; nothing was.
            NotFoundError: There is no such sub-client.
            RequestError: ``.outcome`` tells whether the balance may have changed.

        Source: ``POST /clients/:id/remove_balance``.

        Example:
            client = connectus.clients.create("Colegio Darwin")
            connectus.clients.add_balance(client.id_unique, 28, Product.EMAIL)
            connectus.clients.remove_balance(client.id_unique, 8, Product.EMAIL)
        """
        return self._link.runner.call(
            self._link.client.clients.remove_balance, id, amount, product, id_country=id_country
        )


class DeliveriesService(Service):
    """The calls on deliveries, as ``connectus.deliveries``."""

    def create(
        self, name: str, deliver_at: dt.datetime | str, id_product: Product | int
    ) -> Delivery:
        """Create a delivery to put messages in.

        Args:
            name: Its name: one line.
            deliver_at: When to execute it. An aware datetime is converted to the client's
                ``time_zone``; a naive one, or text of the form ``YYYY-MM-DD HH:MM:SS``, is sent as
                it stands. The hour that comes twice there, or not at all, is refused: the API takes
                no offset.
            id_product: What it is for. A plain number is sent as it is.

        Returns:
            The delivery; its ``id`` is what `SmsService.send` and the others take as
            ``id_delivery``.

        Raises:
            InvalidArgumentError: An argument cannot be sent; nothing was.
            ConfigurationError: This machine does not know ``time_zone``, which an aware
                datetime needs.
            RequestError: ``.outcome`` tells whether the delivery may have been created.

        Source: ``POST /deliveries``.

        Example:
            connectus.deliveries.create("Navidad", "2099-12-24 09:00:00", Product.SMS)
        """
        return self._link.runner.call(
            self._link.client.deliveries.create, name, deliver_at, id_product
        )

    def get(self, id: str) -> Delivery:
        """Look up a delivery.

        Args:
            id: The identifier that `create` gave.

        Returns:
            The delivery.

        Raises:
            InvalidArgumentError: The identifier cannot be sent.
            NotFoundError: There is no such delivery.
            RequestError: The request failed.

        Source: ``GET /deliveries/:id``.

        Example:
            delivery = connectus.deliveries.create("Navidad", "2099-12-24 09:00:00", 1)
            connectus.deliveries.get(delivery.id).name
        """
        return self._link.runner.call(self._link.client.deliveries.get, id)

    def update(
        self, id: str, *, name: str | None = None, deliver_at: dt.datetime | str | None = None
    ) -> Delivery:
        """Rename or reschedule a delivery that was not executed yet.

        Args:
            id: The identifier that `create` gave.
            name: Its new name; left as it is if left out.
            deliver_at: Its new time, as in `create`; left as it is if left out.

        Returns:
            The delivery as it is now.

        Raises:
            InvalidArgumentError: An argument cannot be sent, or there is nothing to change.
            NotFoundError: There is no such delivery.
            RequestError: ``.outcome`` tells whether the delivery may have been changed.

        Source: ``PATCH /deliveries/:id``.

        Example:
            delivery = connectus.deliveries.create("Navidad", "2099-12-24 09:00:00", 1)
            connectus.deliveries.update(delivery.id, deliver_at="2099-12-25 09:00:00")
        """
        return self._link.runner.call(
            self._link.client.deliveries.update, id, name=name, deliver_at=deliver_at
        )


class EmailService(Service):
    """The email calls, as ``connectus.email``."""

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
            connectus.email.send(
                "ana@example.com", "Hola", "<h1>Hola</h1>", src_email="contacto@empresa.cl"
            )
        """
        return self._link.runner.call(
            self._link.client.email.send,
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
            connectus.email.send_otp(
                "ana@example.com", "Tu clave", "<b>493021</b>", src_email="contacto@empresa.cl"
            )
        """
        return self._link.runner.call(
            self._link.client.email.send_otp, dst_email, subject, email_content, src_email=src_email
        )

    def status(self, id: str) -> EmailStatusReport:
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
            receipt = connectus.email.send(
                "ana@example.com", "Hola", "<h1>Hola</h1>", src_email="contacto@empresa.cl"
            )
            connectus.email.status(receipt.id).status
        """
        return self._link.runner.call(self._link.client.email.status, id)

    def balance(self) -> EmailBalance:
        """Ask how many emails can still be sent.

        Returns:
            The balance, in emails.

        Raises:
            RequestError: The request failed.

        Source: ``GET /email/balance``.

        Example:
            connectus.email.balance().balance
        """
        return self._link.runner.call(self._link.client.email.balance)


class ShortLinksService(Service):
    """The calls on short links, as ``connectus.short_links``."""

    def create(self, link: str) -> ShortLink:
        """Shorten a link. The account must have the option enabled.

        Args:
            link: A URL that begins with ``https://`` or ``http://``.

        Returns:
            The short link.

        Raises:
            InvalidArgumentError: The link cannot be sent; nothing was.
            RequestError: ``.outcome`` tells whether the short link may have been created.

        Source: ``POST /short_link``.

        Example:
            connectus.short_links.create("https://www.connectus.cl").short_link
        """
        return self._link.runner.call(self._link.client.short_links.create, link)

    def events(self, short_link: str) -> LinkEvents:
        """Count the clicks of a short link.

        Args:
            short_link: What `create` gave, such as ``cnct.us/13neyY``, or only the code at its
                end. The code is what is sent.

        Returns:
            Where it leads, and its clicks.

        Raises:
            InvalidArgumentError: The short link cannot be sent.
            NotFoundError: There is no such short link.
            RequestError: The request failed.

        Source: ``GET /short_link/:code``.

        Example:
            created = connectus.short_links.create("https://www.connectus.cl")
            connectus.short_links.events(created.short_link).clicks
        """
        return self._link.runner.call(self._link.client.short_links.events, short_link)


class SmsService(Service):
    """The SMS calls, as ``connectus.sms``."""

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
            dst_number: Who gets it: 8 to 15 digits, country code first. ``+``, blanks and dashes
                are taken off. Whether there is such a number is not looked at.
            sms_content: The text. Each started 160 characters are billed as one SMS; see
                `segments`.
            src_number: One of the account's numbers to send it from; the account's default if
                left out.
            id_delivery: The delivery that it is to belong to, of `DeliveriesService.create`; the
                default delivery if left out.
            id_client: The sub-client that pays (its ``id_unique``); the account if left out.

        Returns:
            The receipt. Its ``id`` is ``None`` if the API accepted the SMS without naming it.

        Raises:
            InvalidArgumentError: An argument cannot be sent; nothing was.
            RequestError: ``.outcome`` tells whether the SMS may have been sent. It is sent again
                by itself only while that is certain not to be so.

        Source: ``POST /sms/send_individual``.

        Example:
            receipt = connectus.sms.send("+56 9 8768 8060", "Hola")
            receipt.id
        """
        receipt = self._link.runner.call(
            self._link.client.sms.send,
            dst_number,
            sms_content,
            src_number=src_number,
            id_delivery=id_delivery,
            id_client=id_client,
        )
        return self._link.blocking(receipt)

    def send_otp(
        self,
        dst_number: str | int,
        sms_content: str,
        *,
        src_number: str | int | None = None,
        save_content: Literal["hash"] | None = None,
    ) -> BlockingSmsReceipt:
        """Send a one-time password, on a route of its own that costs more than `send`.

        Args:
            dst_number: Who gets it: 8 to 15 digits, country code first.
            sms_content: The text with the password.
            src_number: One of the account's numbers to send it from.
            save_content: ``"hash"`` if Connectus is to keep only a hash of the text.

        Returns:
            The receipt.

        Raises:
            InvalidArgumentError: An argument cannot be sent; nothing was.
            RequestError: ``.outcome`` tells whether the SMS may have been sent.

        Source: ``POST /sms/send_otp``.

        Example:
            connectus.sms.send_otp("56987688060", "Tu clave: 493021", save_content="hash")
        """
        receipt = self._link.runner.call(
            self._link.client.sms.send_otp,
            dst_number,
            sms_content,
            src_number=src_number,
            save_content=save_content,
        )
        return self._link.blocking(receipt)

    def status(self, id: str) -> SmsStatusReport:
        """Ask where an SMS is.

        Args:
            id: The identifier of its receipt.

        Returns:
            The report, with ``status`` in the words of SMPP.

        Raises:
            InvalidArgumentError: The identifier cannot be sent.
            NotFoundError: There is no such SMS.
            RequestError: The request failed.

        Source: ``GET /sms/:id``.

        Example:
            receipt = connectus.sms.send("56987688060", "Hola")
            report = connectus.sms.status(receipt.id)
            report.status is SmppStatus.DELIVRD
        """
        return self._link.runner.call(self._link.client.sms.status, id)

    def by_delivery(self, delivery_id: str) -> SmsReport:
        """List the SMS of a delivery.

        Args:
            delivery_id: The identifier that `DeliveriesService.create` gave.

        Returns:
            The report. The API does not document it; each row keeps all of its fields in ``raw``.

        Raises:
            InvalidArgumentError: The identifier cannot be sent.
            RequestError: The request failed.

        Source: ``GET /sms/delivery_info``.

        Example:
            delivery = connectus.deliveries.create("Navidad", "2099-12-24 09:00:00", 1)
            connectus.sms.send("56987688060", "Hola", id_delivery=delivery.id)
            connectus.sms.by_delivery(delivery.id).messages
        """
        return self._link.runner.call(self._link.client.sms.by_delivery, delivery_id)

    def by_date(self, begin_date: dt.date | str, end_date: dt.date | str) -> SmsReport:
        """List the SMS of a range of days.

        Args:
            begin_date: The first day, as a date or ``YYYY-MM-DD``; of an aware datetime, the day
                that it is in the client's ``time_zone``.
            end_date: The last day, which is included.

        Returns:
            The report. The API does not document it; each row keeps all of its fields in ``raw``.

        Raises:
            InvalidArgumentError: A date cannot be read, or the range ends before it begins.
            RequestError: The request failed.

        Source: ``GET /sms/date_report``.

        Example:
            connectus.sms.by_date("2026-07-01", "2026-07-31").messages
        """
        return self._link.runner.call(self._link.client.sms.by_date, begin_date, end_date)


class WhatsAppService(Service):
    """The WhatsApp calls, as ``connectus.whatsapp``."""

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
            dst_number: Who gets it: 8 to 15 digits, country code first. ``+``, blanks and dashes
                are taken off.
            whatsapp_content: The text.
            src_number: One of the account's WhatsApp numbers to send it from.
            id_delivery: The delivery that it is to belong to (product 3, not yet executed).
            id_client: The sub-client that pays (its ``id_unique``); the account if left out.

        Returns:
            The receipt. Its ``id`` is ``None`` if the API accepted the message without naming it.

        Raises:
            InvalidArgumentError: An argument cannot be sent; nothing was.
            RequestError: ``.outcome`` tells whether the message may have been sent. It is sent
                again by itself only while that is certain not to be so.

        Source: ``POST /whatsapp/send_message``.

        Example:
            connectus.whatsapp.send("56987688060", "Hola", src_number="56999944837")
        """
        return self._link.runner.call(
            self._link.client.whatsapp.send,
            dst_number,
            whatsapp_content,
            src_number=src_number,
            id_delivery=id_delivery,
            id_client=id_client,
        )

    def status(self, message_id: str) -> WhatsAppStatusReport:
        """Ask where a WhatsApp message is.

        Args:
            message_id: The identifier of its receipt.

        Returns:
            The report. The API does not document it; ``raw`` has all of it.

        Raises:
            InvalidArgumentError: The identifier cannot be sent.
            NotFoundError: There is no such message.
            RequestError: The request failed.

        Source: ``GET /whatsapp/status``.

        Example:
            receipt = connectus.whatsapp.send(
                "56987688060", "Hola", src_number="56999944837"
            )
            connectus.whatsapp.status(receipt.id).status
        """
        return self._link.runner.call(self._link.client.whatsapp.status, message_id)

    def messages(self, src_number: str | int, dst_number: str | int) -> WhatsAppConversation:
        """List the messages between one of the account's numbers and another.

        Args:
            src_number: The account's number.
            dst_number: The other number.

        Returns:
            The conversation. The API does not document it; each message keeps all of its fields
            in ``raw``.

        Raises:
            InvalidArgumentError: A number cannot be sent.
            RequestError: The request failed.

        Source: ``GET /whatsapp/messages``.

        Example:
            connectus.whatsapp.send("56987688060", "Hola", src_number="56999944837")
            connectus.whatsapp.messages("56999944837", "56987688060").messages
        """
        return self._link.runner.call(self._link.client.whatsapp.messages, src_number, dst_number)


class WhatsAppQrGroupsService(Service):
    """The calls on groups, as ``connectus.whatsapp_qr.groups``. A group goes by its name."""

    def create(
        self, name: str, numbers: Iterable[str | int], options: Mapping[str, Any] | None = None
    ) -> Answer:
        """Create a group.

        Args:
            name: Its name: one line.
            numbers: Who is in it: at least one number, country code first.
            options: Options of the API, which it does not document; none if left out.

        Returns:
            The answer as it came.

        Raises:
            InvalidArgumentError: An argument cannot be sent; nothing was.
            RequestError: ``.outcome`` tells whether the group may have been created.

        Source: ``POST /create-group``.

        Example:
            connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112"])
        """
        return self._link.runner.call(
            self._link.client.whatsapp_qr.groups.create, name, numbers, options
        )

    def add_participants(self, group_name: str, numbers: Iterable[str | int]) -> Answer:
        """Add numbers to a group.

        Args:
            group_name: The group.
            numbers: The numbers, country code first.

        Returns:
            The answer as it came.

        Raises:
            InvalidArgumentError: An argument cannot be sent; nothing was.
            RequestError: ``.outcome`` tells whether they may have been added.

        Source: ``POST /add-participants``.

        Example:
            connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112"])
            connectus.whatsapp_qr.groups.add_participants("Vecinos", ["34624477715"])
        """
        return self._link.runner.call(
            self._link.client.whatsapp_qr.groups.add_participants, group_name, numbers
        )

    def remove_participants(self, group_name: str, numbers: Iterable[str | int]) -> Answer:
        """Take numbers out of a group.

        Args:
            group_name: The group.
            numbers: The numbers, country code first.

        Returns:
            The answer as it came.

        Raises:
            InvalidArgumentError: An argument cannot be sent; nothing was.
            RequestError: ``.outcome`` tells whether they may have been removed.

        Source: ``POST /remove-participants``.

        Example:
            connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112", "34624477715"])
            connectus.whatsapp_qr.groups.remove_participants("Vecinos", ["34624477715"])
        """
        return self._link.runner.call(
            self._link.client.whatsapp_qr.groups.remove_participants, group_name, numbers
        )

    def invite_link(self, group_name: str) -> Answer:
        """Make a link that lets people join a group.

        Args:
            group_name: The group.

        Returns:
            The answer as it came.

        Raises:
            InvalidArgumentError: The name cannot be sent.
            RequestError: The request failed.

        Source: ``GET /generate-invite-link``, with a body.

        Example:
            connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112"])
            connectus.whatsapp_qr.groups.invite_link("Vecinos").raw
        """
        return self._link.runner.call(self._link.client.whatsapp_qr.groups.invite_link, group_name)

    def make_admins(self, group_name: str, numbers: Iterable[str | int]) -> Answer:
        """Make members of a group its administrators.

        Args:
            group_name: The group.
            numbers: The members' numbers, country code first.

        Returns:
            The answer as it came.

        Raises:
            InvalidArgumentError: An argument cannot be sent; nothing was.
            RequestError: ``.outcome`` tells whether it may have been done.

        Source: ``POST /make-group-admins``.

        Example:
            connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112"])
            connectus.whatsapp_qr.groups.make_admins("Vecinos", ["584141924112"])
        """
        return self._link.runner.call(
            self._link.client.whatsapp_qr.groups.make_admins, group_name, numbers
        )

    def demote_admins(self, group_name: str, numbers: Iterable[str | int]) -> Answer:
        """Make administrators of a group plain members.

        Args:
            group_name: The group.
            numbers: The administrators' numbers, country code first.

        Returns:
            The answer as it came.

        Raises:
            InvalidArgumentError: An argument cannot be sent; nothing was.
            RequestError: ``.outcome`` tells whether it may have been done.

        Source: ``POST /demote-group-admins``.

        Example:
            connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112"])
            connectus.whatsapp_qr.groups.make_admins("Vecinos", ["584141924112"])
            connectus.whatsapp_qr.groups.demote_admins("Vecinos", ["584141924112"])
        """
        return self._link.runner.call(
            self._link.client.whatsapp_qr.groups.demote_admins, group_name, numbers
        )

    def update_info(
        self, group_name: str, *, new_subject: str | None = None, new_description: str | None = None
    ) -> Answer:
        """Rename a group, or describe it anew.

        Args:
            group_name: The group, by its present name.
            new_subject: Its new name: one line; left as it is if left out.
            new_description: Its new description; left as it is if left out.

        Returns:
            The answer as it came.

        Raises:
            InvalidArgumentError: An argument cannot be sent, or there is nothing to change.
            RequestError: ``.outcome`` tells whether it may have been changed.

        Source: ``POST /update-group-info``.

        Example:
            connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112"])
            connectus.whatsapp_qr.groups.update_info("Vecinos", new_subject="Vecinas")
        """
        return self._link.runner.call(
            self._link.client.whatsapp_qr.groups.update_info,
            group_name,
            new_subject=new_subject,
            new_description=new_description,
        )

    def send(self, group_name: str, message: str) -> Answer:
        """Send a message to a group.

        Args:
            group_name: The group.
            message: The text.

        Returns:
            The answer as it came.

        Raises:
            InvalidArgumentError: An argument cannot be sent; nothing was.
            RequestError: ``.outcome`` tells whether the message may have been sent.

        Source: ``POST /send-message-to-group``.

        Example:
            connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112"])
            connectus.whatsapp_qr.groups.send("Vecinos", "Hola")
        """
        return self._link.runner.call(
            self._link.client.whatsapp_qr.groups.send, group_name, message
        )

    def last_messages(self, group_name: str) -> Answer:
        """Fetch the last messages of a group.

        Args:
            group_name: The group.

        Returns:
            The answer as it came.

        Raises:
            InvalidArgumentError: The name cannot be sent.
            RequestError: The request failed.

        Source: ``GET /get-last-group-messages``, with a body.

        Example:
            connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112"])
            connectus.whatsapp_qr.groups.last_messages("Vecinos").raw
        """
        return self._link.runner.call(
            self._link.client.whatsapp_qr.groups.last_messages, group_name
        )


class WhatsAppQrMessagesService(Service):
    """The calls on messages to numbers, as ``connectus.whatsapp_qr.messages``."""

    def send(self, number: str | int, message: str) -> Answer:
        """Send a message to a number.

        Args:
            number: Who gets it, country code first.
            message: The text.

        Returns:
            The answer as it came.

        Raises:
            InvalidArgumentError: An argument cannot be sent; nothing was.
            RequestError: ``.outcome`` tells whether the message may have been sent.

        Source: ``POST /send``.

        Example:
            connectus.whatsapp_qr.messages.send("584141992998", "Hola")
        """
        return self._link.runner.call(self._link.client.whatsapp_qr.messages.send, number, message)

    def last(self, number: str | int) -> Answer:
        """Fetch the last messages to and from a number.

        Args:
            number: The number, country code first.

        Returns:
            The answer as it came.

        Raises:
            InvalidArgumentError: The number cannot be sent.
            RequestError: The request failed.

        Source: ``GET /get-last-messages``, with a body.

        Example:
            connectus.whatsapp_qr.messages.send("584141992998", "Hola")
            connectus.whatsapp_qr.messages.last("584141992998").raw
        """
        return self._link.runner.call(self._link.client.whatsapp_qr.messages.last, number)


class WhatsAppQrService(Service):
    """The WhatsApp QR calls, as ``connectus.whatsapp_qr``.

    Attributes:
        groups: The calls on groups.
        messages: The calls on messages to numbers.
    """

    def __init__(self, link: "Link") -> None:
        super().__init__(link)
        self.groups = WhatsAppQrGroupsService(link)
        self.messages = WhatsAppQrMessagesService(link)

    def qr(self) -> Answer:
        """Fetch the QR code that the phone is to scan.

        Returns:
            The answer as it came; ``response.body`` holds it if it is an image.

        Raises:
            RequestError: The request failed.

        Source: ``GET /qr``.

        Example:
            connectus.whatsapp_qr.qr().response.body
        """
        return self._link.runner.call(self._link.client.whatsapp_qr.qr)

    def status(self) -> Answer:
        """Ask whether a phone is connected.

        Returns:
            The answer as it came.

        Raises:
            RequestError: The request failed.

        Source: ``GET /status``.

        Example:
            connectus.whatsapp_qr.status().raw
        """
        return self._link.runner.call(self._link.client.whatsapp_qr.status)


class Bulk(OfOneProcess):
    """Sends many messages. Get one with ``connectus.bulk()`` and use it with ``with``.

    Leaving the ``with`` early, by ``break``, an exception or Ctrl-C, pulls no further
    messages, waits for the answers of those that are being sent, and counts them all in the
    summary. What has not left by then stays queued.

    Attributes:
        summary: The count of all outcomes so far.
    """

    def __init__(self, campaign: "Campaign") -> None:
        self._campaign = campaign
        self.summary = campaign.summary

    def __enter__(self) -> Self:
        self._campaign.enter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._campaign.exit(kind, error, traceback)

    def stream(self, messages: Iterable[Message | Row] | None = None) -> Iterator[BlockingOutcome]:
        """Send messages, and yield the outcome of each as it is known.

        Args:
            messages: `Sms`, `Email` or `WhatsApp` messages in any mixture, or `Row`, as an iterable
                that may block. It is pulled as messages are sent, never ahead of them, in the
                thread that waits for their outcomes. If
                left out, what waits in the ledger is sent. With ``edited="refuse"`` or
                ``"remaining"`` it is put down to its end first, as by `load` with ``replaces``.

        Yields:
            One `MessageOutcome` for each message, in the order of completion.

        Raises:
            ConnectusError: Every further message would fail too: wrong credentials, an exhausted
                balance, a closed client, an API that is out of reach, a ledger that cannot be
                written. Raised after the outcomes of all messages that were pulled; the rest of
                the source is left alone.
            ConfigurationError: With ``edited="refuse"``: people may have got another text of this
                ledger already. Nothing was sent.
            Exception: What the source itself raised, after the outcomes of what it had given.

        Example:
            with connectus.bulk() as bulk:
                for outcome in bulk.stream([Sms("56987688060", "Hola")]):
                    print(outcome.state)
        """
        return self._campaign.runner.iterate(self._campaign.stream, self._campaign.pulled(messages))

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
            The counts of everything that this sender sent.

        Raises:
            ConnectusError: As in `stream`.

        Example:
            with connectus.bulk() as bulk:
                summary = bulk.run([Sms("56987688060", "Hola")])
            summary.accepted
        """
        return self._campaign.runner.call(
            self._campaign.sender.run,
            self._campaign.pulled(messages),
            on_outcome=self._campaign.called("on_outcome", on_outcome),
        )

    def load(
        self,
        messages: Iterable[Message | Row],
        *,
        replaces: bool = False,
        on_row: Callable[[Row, Loaded], object] | None = None,
    ) -> int:
        """Put messages down in the ledger without sending them; `stream` and `run` do that then.

        Rows that cannot become a message, duplicates and suppressed recipients are put down as
        skipped, with their lines. What the ledger has from before stays as it is.

        Args:
            messages: As in `stream`. It is read to its end.
            replaces: Whether what earlier calls left queued, and this source does not have, is
                skipped: after a text was corrected, nobody is to get the old one as well.
            on_row: Called with each row and what became of it.

        Returns:
            How many rows there were.

        Raises:
            ConfigurationError: There is no ledger. With ``edited="refuse"``: people may have got
                another text of this ledger already; it says how many, and nothing is to be sent.
            LedgerError: The ledger cannot be written.
            Exception: What the source itself raised. Loading the same source again takes it up.

        Example:
            with connectus.bulk(ledger="navidad.db") as bulk:
                bulk.load([Sms("56987688060", "Hola")])
                bulk.run()
        """
        return self._campaign.runner.call(
            self._campaign.sender.load,
            self._campaign.pulled(messages),
            replaces=replaces,
            on_row=self._campaign.called("on_row", on_row),
        )

    def reconcile(self, *, settle: float = DEFAULT_SETTLE) -> Reconciliation:
        """Ask the API's reports what became of the messages whose outcome is unknown.

        Args:
            settle: Seconds after the last attempt before a report is believed to be complete, and
                between two reads. Default 60. The first read is not before the client's timeout and
                10 seconds have passed since the attempt began, for which a request can be on its
                way after it was given up.

        Returns:
            How many turned out to be accepted, and what became of the others. With
            ``on_unknown="resend_if_absent"``, those that are absent are queued again: which is
            proven only where the same report shows messages of this ledger that were accepted
            before and after them. What is not proven stays unknown; ``reasons`` says what would
            prove it.

        Raises:
            ConfigurationError: There is no ledger, or a stream is under way.
            LedgerError: The ledger cannot be written.

        Source: ``GET /sms/delivery_info``, ``GET /sms/date_report``, ``GET /whatsapp/messages``.

        Example:
            with connectus.bulk(ledger="navidad.db") as bulk:
                bulk.run([Sms("56987688060", "Hola")])
                bulk.reconcile(settle=30).accepted
        """
        return self._campaign.runner.call(self._campaign.sender.reconcile, settle=settle)

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
        return self._campaign.runner.call(self._campaign.sender.counts)

    def spent(self) -> int:
        """Add up what the campaign took from the balance, or may have taken.

        Returns:
            SMS as they are billed, and one for each email and WhatsApp message.

        Raises:
            ConfigurationError: There is no ledger.
            LedgerError: The ledger cannot be read.

        Example:
            with connectus.bulk(ledger="navidad.db") as bulk:
                bulk.run([Sms("56987688060", "Hola")])
                bulk.spent()
        """
        return self._campaign.runner.call(self._campaign.sender.spent)

    def note(self, **facts: str) -> None:
        """Put facts of the campaign on record in the ledger.

        Args:
            facts: Texts by name. Reports show ``source``, the name of the file of recipients, and
                ``stopped``, why the campaign stopped last, which is empty once it goes on.

        Raises:
            ConfigurationError: There is no ledger.
            LedgerError: The ledger cannot be written.

        Example:
            with connectus.bulk(ledger="navidad.db") as bulk:
                bulk.note(source="recipients.csv")
                bulk.run([Sms("56987688060", "Hola")])
        """
        self._campaign.runner.call(self._campaign.sender.note, **facts)

    def pause(self) -> None:
        """Let no further message leave until `resume`. What is being sent is finished.

        Example:
            with connectus.bulk() as bulk:
                bulk.pause()
                bulk.resume()
                bulk.run([Sms("56987688060", "Hola")])
        """
        self._campaign.tell(self._campaign.sender.pause)

    def resume(self) -> None:
        """Let messages leave again after `pause`.

        Example:
            with connectus.bulk() as bulk:
                bulk.pause()
                bulk.resume()
                bulk.run([Sms("56987688060", "Hola")])
        """
        self._campaign.tell(self._campaign.sender.resume)

    def cancel(self) -> None:
        """End the stream that is under way, as soon as what is being sent is finished.

        What has not left stays queued in the ledger, or in the source.

        Example:
            with connectus.bulk() as bulk:
                for outcome in bulk.stream([Sms("56987688060", "Hola")]):
                    bulk.cancel()
        """
        self._campaign.tell(self._campaign.sender.cancel)

    def set_rate(self, rate: float | None) -> None:
        """Change the rate while messages are sent.

        Args:
            rate: Messages or segments a second at most, as ``rate_unit`` says; ``None`` for as many
                as the API takes.

        Raises:
            ConfigurationError: It is not above zero.

        Example:
            with connectus.bulk(rate=10) as bulk:
                bulk.set_rate(50)
                bulk.run([Sms("56987688060", "Hola")])
        """
        self._campaign.tell(self._campaign.sender.set_rate, rate)

    def set_concurrency(self, concurrency: int) -> None:
        """Change how many messages are on their way at a time, while they are sent.

        Args:
            concurrency: From 1 to what ``bulk()`` was given.

        Raises:
            ConfigurationError: It is not in that range.

        Example:
            with connectus.bulk() as bulk:
                bulk.set_concurrency(8)
                bulk.run([Sms("56987688060", "Hola")])
        """
        self._campaign.tell(self._campaign.sender.set_concurrency, concurrency)

    def progress(self) -> Progress:
        """Tell how far it is, and how it is paced.

        Returns:
            What holds now; it does not change by itself.

        Example:
            with connectus.bulk() as bulk:
                bulk.run([Sms("56987688060", "Hola")])
                bulk.progress().summary.accepted
        """
        return self._campaign.tell(self._campaign.sender.progress)

    def watch(self, seconds: float = 0.5) -> Iterator[Progress]:
        """Yield the progress again and again, for as long as the sender is entered.

        Args:
            seconds: How long to wait between two.

        Yields:
            What holds at the time. The last one comes when the sender has been left.

        Raises:
            ConfigurationError: ``seconds`` is not above zero.

        Example:
            with connectus.bulk() as bulk:
                for progress in bulk.watch():
                    print(progress.rate)
                    break
                bulk.run([Sms("56987688060", "Hola")])
        """
        return self._campaign.runner.iterate(self._campaign.sender.watch, seconds)


class Connectus:
    """The Connectus API for code that blocks.

    Use it with ``with``, or call `close` when done. It connects with the first call. Threads
    may share it, and a forked process connects anew.

    Attributes:
        sms: Send SMS and one-time passwords, and ask where they are.
        email: Send email, and ask for its status and balance.
        whatsapp: Send WhatsApp messages from the account's numbers.
        clients: Sub-clients and their balances.
        short_links: Short links and their clicks.
        account: The account.
        deliveries: Deliveries, which can be scheduled.
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
    ) -> None:
        """Make a client. Nothing is sent yet.

        Args:
            api_user: The user name of the API; ``CONNECTUS_API_USER`` if left out.
            api_key: Its key; ``CONNECTUS_API_KEY`` if left out.
            qr_token: The bearer token of the WhatsApp QR host; ``CONNECTUS_QR_TOKEN`` if left out.
            base_url: Where the API is; ``CONNECTUS_BASE_URL`` or the real one if left out.
            qr_base_url: Where the WhatsApp QR host is; ``CONNECTUS_QR_BASE_URL`` or the real one.
            timeout: Seconds that one try may take in all. Default 30.
            connect_timeout: Seconds that it may take to connect once the name is resolved, TLS
                included; through a proxy, from the first step to the last. Default 5.
            max_retries: How many more tries a call gets where a repetition is safe. Default 2.
            backoff_base: Seconds that the pause before the second try is drawn from; it doubles
                with each try. Default 0.5.
            backoff_cap: Seconds that such a pause has at most. Default 8.
            retry_after_cap: Seconds of a ``Retry-After`` that are waited for; at more, the call
                fails at once. Default 60.
            max_connections: Connections open at a time. Default 100.
            keepalive_timeout: Seconds that an idle connection is kept. Keep it below the server's:
                a message on a connection that the server is closing ends as unknown. Default 4.
            max_response_bytes: The largest answer that is read. Default 16 MiB.
            time_zone: The zone that aware datetimes are converted to, for the API's dates have
                none; ``CONNECTUS_TIME_ZONE`` or ``America/Santiago`` if left out.
            ssl_context: TLS settings of your own.
            ca_file: A file of certificates in PEM, of authorities that are trusted besides those of
                the system; ``CONNECTUS_CA_FILE`` if left out.
            proxy: The URL of an HTTP proxy, such as ``http://user:password@proxy.example.com:3128``;
                ``"none"`` for none. If left out, ``CONNECTUS_PROXY`` or the customary
                ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, which are not
                heeded for this machine.

        Raises:
            ConfigurationError: A setting is missing or makes no sense; it is named.
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
        )
        from connectus_async.sync._link import Link  # noqa: PLC0415 - brings asyncio, aiohttp

        self._use(Link(config))

    def _use(self, link: "Link") -> None:
        self._link = link
        self.sms = SmsService(link)
        self.email = EmailService(link)
        self.whatsapp = WhatsAppService(link)
        self.clients = ClientsService(link)
        self.short_links = ShortLinksService(link)
        self.account = AccountService(link)
        self.deliveries = DeliveriesService(link)
        self.whatsapp_qr = WhatsAppQrService(link)

    def with_options(
        self,
        *,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        max_retries: int | None = None,
    ) -> Self:
        """Copy the client with other limits, over the same connections.

        Args:
            timeout: Seconds that one try may take in all; as it is if left out.
            connect_timeout: Seconds that it may take to connect; as it is if left out.
            max_retries: How many more tries a call gets; as it is if left out.

        Returns:
            The copy. It is closed together with the client that it was made of.

        Raises:
            ConfigurationError: An option makes no sense.

        Example:
            connectus.with_options(timeout=5, max_retries=0).account.get()
        """
        copy = object.__new__(type(self))
        copy._use(
            self._link.with_options(
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
        edited: Literal["refuse", "remaining", "everyone"] = "everyone",
        suppression: "SuppressionList | None" = None,
        quiet_hours: "QuietHours | None" = None,
        expires_at: dt.datetime | None = None,
        budget: int | None = None,
        forget_content: bool = False,
        patience: float = DEFAULT_PATIENCE,
    ) -> "Bulk":
        """Send many messages, a bounded number at a time.

        Args:
            ledger: The file that remembers the campaign, message by message, so that it can be
                taken up after a crash and nothing is sent twice. Only one sender at a time can use
                it. Without one, a crash forgets who was reached.
            campaign: The campaign's name, for a message that several campaigns send.
            concurrency: How many messages are on their way at a time; at most the client's
                ``max_connections``. It falls by itself while the API is slow or fails.
            rate: Messages or segments a second at most; as many as the API takes if left out.
            rate_unit: What `rate` counts: ``"messages"``, or ``"segments"`` for what is billed.
            identity: What makes two messages the same, of which only one is sent: ``"message"``
                (recipient and content) or ``"recipient"``. Two spellings of a number or an address
                are one recipient; in a ledger that an older version made they are two.
            on_unknown: What becomes of a message that may have been sent: ``"hold"`` never sends it
                again; ``"resend_if_absent"`` does after `Bulk.reconcile` did not find it;
                ``"resend"`` does when the ledger is opened again, so that a person may get it
                twice.
            edited: What becomes of recipients who may have got another text of the same ledger that
                the source does not have any more: ``"refuse"`` sends nothing and raises,
                ``"remaining"`` leaves them out, ``"everyone"`` sends to them as well, as a campaign
                needs that says several things to one person. The first two read the source to its
                end before the first message leaves.
            suppression: Who must get nothing. It is asked again right before each message. While
                its file cannot be read, nothing leaves; after ten seconds the campaign stops.
            quiet_hours: When nobody is to be disturbed, by the recipient's clock. What would leave
                then stays queued.
            expires_at: When it is too late: from then on, what is left is skipped.
            budget: What the campaign may take from the balance in all (SMS as they are billed).
            forget_content: Whether the ledger keeps only a hash of the text of what was accepted.
            patience: Seconds without any answer but 429 after which the campaign stops. Default 60.

        Returns:
            The bulk sender, to be used with ``with``.

        Raises:
            ConfigurationError: An option makes no sense; it is named.
            LedgerError: On entering: the ledger is in use, damaged, or of another campaign.

        Example:
            messages = [Sms("56987688060", "Hola"), Sms("56987688061", "Hola")]
            with connectus.bulk() as bulk:
                for outcome in bulk.stream(messages):
                    print(outcome.state, outcome.id)
        """
        work = self._link.campaign(
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
        )
        return Bulk(work)

    def close(self) -> None:
        """Close the connections. A request under way ends with an unknown outcome."""
        self._link.runner.close()

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
        return f"<{type(self).__name__} {self._link.config.base_url}>"
