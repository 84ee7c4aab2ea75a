"""SMS: messages, one-time passwords, status and reports."""

import datetime as dt
import weakref
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypeAlias

import attrs

from connectus_async import arguments
from connectus_async.answer import MESSAGE_ID_KEYS, Answer, Record, from_keys, from_rows
from connectus_async.errors import (
    AuthenticationError,
    ConfigurationError,
    InvalidArgumentError,
    PermissionDeniedError,
    RequestError,
)
from connectus_async.products._service import Service, given
from connectus_async.products.sms_statuses import SmppStatus, SmsStatus, webhook_status
from connectus_async.redaction import api_constant, masked, personal

if TYPE_CHECKING:
    from connectus_async.transport import Transport


@attrs.frozen
class Sms:
    """An SMS for the bulk sender. The fields are the arguments of `SmsService.send`.

    ``dst_number`` must have its country code: without it, a number of Chile is one of Iran. The
    client does not check that the number exists.
    """

    dst_number: str | int = attrs.field(repr=masked)
    sms_content: str = attrs.field(repr=masked)
    src_number: str | int | None = attrs.field(default=None, kw_only=True, repr=masked)
    id_delivery: str | None = attrs.field(default=None, kw_only=True)
    id_client: str | None = attrs.field(default=None, kw_only=True)

    def body(self) -> dict[str, Any]:
        """Check the fields and return the body of the request.

        Raises:
            InvalidArgumentError: A field is not valid. The error names it.
        """
        body: dict[str, Any] = {
            "dst_number": int(arguments.phone_number("dst_number", self.dst_number)),
            "sms_content": arguments.sms_content("sms_content", self.sms_content),
        }
        if self.src_number is not None:
            body["src_number"] = arguments.source_number("src_number", self.src_number)
        if self.id_delivery is not None:
            body["id_delivery"] = arguments.identifier("id_delivery", self.id_delivery)
        if self.id_client is not None:
            body["id_client"] = arguments.identifier("id_client", self.id_client)
        return body


Wait: TypeAlias = Callable[[str, float | None], Any]
"""Waits for the final status of an SMS, by its id, for a number of seconds at most."""


class _Awaitable(Answer):
    """An answer that comes with a function to wait by.

    The function is no field: it is neither compared, shown, copied nor pickled.
    """

    __slots__ = ("_wait",)
    _wait: Wait

    def _awaited_by(self, wait: Wait | None) -> Self:
        """Set the function, once, before anybody else has the answer."""
        object.__setattr__(self, "_wait", wait)
        return self


@attrs.frozen(kw_only=True)
class SmsReceipt(_Awaitable):
    """Receipt of an SMS that the API accepted.

    Attributes:
        id: Identifier for `SmsService.status`, or ``None`` if the API gave none.
        status: Status in the API's words, or ``None``.
    """

    id: str | None = from_keys(*MESSAGE_ID_KEYS)
    status: str | None = api_constant()

    def delivered(self, *, timeout: float | None = None) -> Coroutine[Any, Any, bool]:
        """Wait until the SMS is delivered or has failed for good. With the blocking client, block.

        While a `connectus_async.tracking.Tracker` is entered for the client's ``sms`` that sent the
        SMS, the tracker answers. Otherwise the API is asked, first after 2 seconds, then less and
        less often.

        Args:
            timeout: Maximum seconds to wait; no limit if left out.

        Returns:
            ``True`` if it was delivered; ``False`` if it never will be.

        Raises:
            DeliveryTimeoutError: It had no final status in time. It may still be delivered.
            InvalidArgumentError: The API gave the SMS no ``id``.
            ConfigurationError: The receipt is a copy, or no event loop runs in this thread. Let a
                tracker follow its ``id`` instead.
            RequestError: The API refuses to answer, for instance because of wrong credentials.

        Example:
            receipt = await connectus.sms.send("56987688060", "Hola")
            if not await receipt.delivered(timeout=60):
                print("not delivered")
        """
        coroutine: Coroutine[Any, Any, bool] = self._delivered(timeout)
        return coroutine

    def _delivered(self, timeout: float | None) -> Any:
        id_sms = trackable_id(self)
        wait: Wait | None = getattr(self, "_wait", None)
        if wait is None:
            raise _not_here()
        return wait(id_sms, timeout)


@attrs.frozen(kw_only=True, eq=False)
class BlockingSmsReceipt(SmsReceipt):
    """A receipt of the blocking client: its `delivered` blocks, and returns a bool."""

    def delivered(  # type: ignore[override]  # noqa: D102 - as above
        self, *, timeout: float | None = None
    ) -> bool:
        was_delivered: bool = self._delivered(timeout)
        return was_delivered

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SmsReceipt) and (self.id, self.status) == (other.id, other.status)

    __hash__ = SmsReceipt.__hash__


def _not_here() -> ConfigurationError:
    return ConfigurationError(
        "receipt", "cannot be awaited here: have a tracking.Tracker follow its id"
    )


def trackable_id(sms: SmsReceipt | str) -> str:
    """Return the identifier by which an SMS can be followed.

    Raises:
        InvalidArgumentError: The API gave the SMS none.
    """
    id_sms = sms.id if isinstance(sms, SmsReceipt) else sms
    if id_sms is None:
        raise InvalidArgumentError("id", "the API gave this SMS none: it cannot be followed")
    return arguments.identifier("id", id_sms)


class Tracking(Protocol):
    """Follows SMS to their final status, with other sources than the API."""

    def delivered(self, sms: str, *, timeout: float | None = None) -> Coroutine[Any, Any, bool]:
        """Wait until an SMS is delivered or has failed for good."""
        ...


@attrs.frozen(kw_only=True)
class SmsStatusReport(Answer):
    """Status of an SMS.

    Attributes:
        status: SMPP status, or ``None``.
    """

    status: SmppStatus | None = None


@attrs.frozen(kw_only=True)
class SentSms(Record):
    """A row of a report. The API does not document it; ``raw`` has all of its fields.

    Attributes:
        id: Identifier of the SMS.
        status: Status in the API's words.
        src_number: Number of the sender, in digits.
        dst_number: Number of the recipient, in digits.
        sms_content: Text.
        id_delivery: Identifier of its delivery.
        created_at: Time at which the API accepted it.
    """

    id: str | None = from_keys(*MESSAGE_ID_KEYS)
    status: str | None = api_constant()
    src_number: str | None = personal()
    dst_number: str | None = personal()
    sms_content: str | None = personal()
    id_delivery: str | None = None
    created_at: dt.datetime | None = None


@attrs.frozen(kw_only=True)
class SmsReport(Answer):
    """The SMS of a delivery or of a range of days.

    Attributes:
        messages: One row for each SMS, in the order of the API.
    """

    messages: tuple[SentSms, ...] = from_rows()


class SmsService(Service):
    """SMS calls, as ``connectus.sms``."""

    _tracker: Tracking | None = None
    _receipt: type[SmsReceipt] = SmsReceipt
    _blocking_wait: weakref.WeakMethod[Wait] | None = None

    async def send(
        self,
        dst_number: str | int,
        sms_content: str,
        *,
        src_number: str | int | None = None,
        id_delivery: str | None = None,
        id_client: str | None = None,
    ) -> SmsReceipt:
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
            receipt = await connectus.sms.send("+56 9 8768 8060", "Hola")
            receipt.id
        """
        sms = Sms(
            dst_number,
            sms_content,
            src_number=src_number,
            id_delivery=id_delivery,
            id_client=id_client,
        )
        return await self._send_body(sms.body())

    async def _send_body(self, body: Mapping[str, Any] | bytes) -> SmsReceipt:
        """Send a body of `Sms.body`, or its JSON."""
        receipt = await self._post("/sms/send_individual", self._receipt, body)
        return receipt._awaited_by(self._wait())  # noqa: SLF001 - the one who makes it

    async def send_otp(
        self,
        dst_number: str | int,
        sms_content: str,
        *,
        src_number: str | int | None = None,
        save_content: Literal["hash"] | None = None,
    ) -> SmsReceipt:
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
            await connectus.sms.send_otp("56987688060", "Tu clave: 493021", save_content="hash")
        """
        if save_content not in (None, "hash"):
            raise InvalidArgumentError("save_content", 'must be "hash" or left out')
        body = given(
            dst_number=int(arguments.phone_number("dst_number", dst_number)),
            sms_content=arguments.sms_content("sms_content", sms_content),
            src_number=arguments.source_number("src_number", src_number),
            save_content=save_content,
        )
        receipt = await self._post("/sms/send_otp", self._receipt, body)
        return receipt._awaited_by(self._wait())  # noqa: SLF001 - as above

    async def status(self, id: str) -> SmsStatusReport:
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
            receipt = await connectus.sms.send("56987688060", "Hola")
            report = await connectus.sms.status(receipt.id)
            report.status is SmppStatus.DELIVRD
        """
        return await self._get("/sms/{id}", SmsStatusReport, id=arguments.identifier("id", id))

    async def by_delivery(self, delivery_id: str) -> SmsReport:
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
            delivery = await connectus.deliveries.create("Navidad", "2099-12-24 09:00:00", 1)
            await connectus.sms.send("56987688060", "Hola", id_delivery=delivery.id)
            (await connectus.sms.by_delivery(delivery.id)).messages
        """
        query = {"delivery_id": arguments.identifier("delivery_id", delivery_id)}
        return await self._get("/sms/delivery_info", SmsReport, query=query)

    async def by_date(self, begin_date: dt.date | str, end_date: dt.date | str) -> SmsReport:
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
            (await connectus.sms.by_date("2026-07-01", "2026-07-31")).messages
        """
        begin = arguments.date("begin_date", await self._local("begin_date", begin_date))
        end = arguments.date("end_date", await self._local("end_date", end_date))
        if end < begin:
            raise InvalidArgumentError("end_date", "is before begin_date")
        query = {"begin_date": begin, "end_date": end}
        return await self._get("/sms/date_report", SmsReport, query=query)

    async def _local(self, field: str, day: dt.date | str) -> dt.date | str:
        if isinstance(day, dt.datetime) and day.tzinfo is not None:
            return arguments.in_zone(field, day, await self._transport.zone())
        return day

    def _over(self, transport: "Transport") -> "SmsService":
        """Make a service over another transport, with receipts of the same kind."""
        service = SmsService(transport)
        service._receipt, service._blocking_wait = self._receipt, self._blocking_wait
        return service

    def _give_blocking_receipts(self, wait: Wait) -> None:
        """Give receipts that wait by a method. The service does not keep its object alive."""
        self._receipt = BlockingSmsReceipt
        self._blocking_wait = weakref.WeakMethod(wait)

    def _wait(self) -> Wait | None:
        return self._delivered if self._blocking_wait is None else self._blocking_wait()

    def _delivered(self, id_sms: str, timeout: float | None) -> Coroutine[Any, Any, bool]:
        from connectus_async.products import sms_polling  # noqa: PLC0415 - brings asyncio

        if not sms_polling.is_async():
            raise _not_here()
        if self._tracker is not None:
            return self._tracker.delivered(id_sms, timeout=timeout)
        return sms_polling.is_delivered(partial(ask, self), id_sms, timeout)


async def ask(sms: SmsService, id_sms: str) -> SmsStatus | None:
    """Ask the API for the status of an SMS, in the words of webhooks.

    Returns:
        The status; ``None`` if the answer gives none, no answer came, or the identifier cannot be
        sent. If the API does not find the SMS, it may not find it yet.

    Raises:
        AuthenticationError: The credentials are wrong.
        PermissionDeniedError: The credentials do not allow it.
        ClientClosedError: The client was closed.
    """
    try:
        report = await sms.status(id_sms)
    except (AuthenticationError, PermissionDeniedError):
        raise
    except (RequestError, InvalidArgumentError):
        return None
    return webhook_status(report.status)
