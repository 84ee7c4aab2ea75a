"""SMS: send, one-time passwords, status and reports."""

import datetime as dt
import weakref
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

import attrs

from connectus_async import arguments
from connectus_async.answer import MESSAGE_ID_KEYS, Answer, OpenEnum, Record, from_keys, from_rows
from connectus_async.errors import ConfigurationError, InvalidArgumentError
from connectus_async.products._service import Service, given
from connectus_async.redaction import masked, personal, word

if TYPE_CHECKING:
    from connectus_async.transport import Transport


class SmsStatus(OpenEnum):
    """The seven words in which webhooks report on an SMS. A new word becomes a member too."""

    PROGRAMADO = "PROGRAMADO"
    EN_COLA = "EN_COLA"
    NUMERO_INVALIDO = "NUMERO_INVALIDO"
    ENVIADO_A_CARRIER = "ENVIADO_A_CARRIER"
    ESPERANDO_RESPUESTA = "ESPERANDO_RESPUESTA"
    NO_ENTREGABLE = "NO_ENTREGABLE"
    ENTREGADO = "ENTREGADO"

    @property
    def is_final(self) -> bool:
        """Whether it is the end of the way: ENTREGADO, NO_ENTREGABLE or NUMERO_INVALIDO."""
        return self in _FINAL


_FINAL = frozenset({SmsStatus.ENTREGADO, SmsStatus.NO_ENTREGABLE, SmsStatus.NUMERO_INVALIDO})


class SmppStatus(OpenEnum):
    """The SMPP status that `SmsService.status` answers. A new one becomes a member too.

    Attributes:
        code: The number of the SMPP ``command_status``, where the status is one.
    """

    code: int | None

    DELIVRD = "DELIVRD"
    UNDELIV = "UNDELIV"
    ESME_ROK = "ESME_ROK", 0x000
    ESME_RINVMSGLEN = "ESME_RINVMSGLEN", 0x001
    ESME_RINVCMDLEN = "ESME_RINVCMDLEN", 0x002
    ESME_RINVCMDID = "ESME_RINVCMDID", 0x003
    ESME_RINVBNDSTS = "ESME_RINVBNDSTS", 0x004
    ESME_RALYBND = "ESME_RALYBND", 0x005
    ESME_RINVPRTFLG = "ESME_RINVPRTFLG", 0x006
    ESME_RINVREGDLVFLG = "ESME_RINVREGDLVFLG", 0x007
    ESME_RSYSERR = "ESME_RSYSERR", 0x008
    ESME_RINVSRCADR = "ESME_RINVSRCADR", 0x00A
    ESME_RINVDSTADR = "ESME_RINVDSTADR", 0x00B
    ESME_RINVMSGID = "ESME_RINVMSGID", 0x00C
    ESME_RBINDFAIL = "ESME_RBINDFAIL", 0x00D
    ESME_RINVPASWD = "ESME_RINVPASWD", 0x00E
    ESME_RINVSYSID = "ESME_RINVSYSID", 0x00F
    ESME_RCANCELFAIL = "ESME_RCANCELFAIL", 0x011
    ESME_RREPLACEFAIL = "ESME_RREPLACEFAIL", 0x013
    ESME_RMSGQFUL = "ESME_RMSGQFUL", 0x014
    ESME_RINVSERTYP = "ESME_RINVSERTYP", 0x015
    ESME_RINVNUMDESTS = "ESME_RINVNUMDESTS", 0x033
    ESME_RINVDLNAME = "ESME_RINVDLNAME", 0x034
    ESME_RINVDESTFLAG = "ESME_RINVDESTFLAG", 0x040
    ESME_RINVSUBREP = "ESME_RINVSUBREP", 0x042
    ESME_RINVESMCLASS = "ESME_RINVESMCLASS", 0x043
    ESME_RCNTSUBDL = "ESME_RCNTSUBDL", 0x044
    ESME_RSUBMITFAIL = "ESME_RSUBMITFAIL", 0x045
    ESME_RINVSRCTON = "ESME_RINVSRCTON", 0x048
    ESME_RINVSRCNPI = "ESME_RINVSRCNPI", 0x049
    ESME_RINVDSTTON = "ESME_RINVDSTTON", 0x050
    ESME_RINVDSTNPI = "ESME_RINVDSTNPI", 0x051
    ESME_RINVSYSTYP = "ESME_RINVSYSTYP", 0x053
    ESME_RINVREPFLAG = "ESME_RINVREPFLAG", 0x054
    ESME_RINVNUMMSGS = "ESME_RINVNUMMSGS", 0x055
    ESME_RTHROTTLED = "ESME_RTHROTTLED", 0x058
    ESME_RINVSCHED = "ESME_RINVSCHED", 0x061
    ESME_RINVEXPIRY = "ESME_RINVEXPIRY", 0x062
    ESME_RINVDFTMSGID = "ESME_RINVDFTMSGID", 0x063
    ESME_RX_T_APPN = "ESME_RX_T_APPN", 0x064
    ESME_RX_P_APPN = "ESME_RX_P_APPN", 0x065
    ESME_RX_R_APPN = "ESME_RX_R_APPN", 0x066
    ESME_RQUERYFAIL = "ESME_RQUERYFAIL", 0x067
    ESME_RINVTLVSTREAM = "ESME_RINVTLVSTREAM", 0x0C0
    ESME_RTLVNOTALLWD = "ESME_RTLVNOTALLWD", 0x0C1
    ESME_RINVTLVLEN = "ESME_RINVTLVLEN", 0x0C2
    ESME_RMISSINGTLV = "ESME_RMISSINGTLV", 0x0C3
    ESME_RINVTLVVAL = "ESME_RINVTLVVAL", 0x0C4
    ESME_RDELIVERYFAILURE = "ESME_RDELIVERYFAILURE", 0x0FE
    ESME_RUNKNOWNERR = "ESME_RUNKNOWNERR", 0x0FF
    ESME_RSERTYPUNAUTH = "ESME_RSERTYPUNAUTH", 0x100
    ESME_RPROHIBITED = "ESME_RPROHIBITED", 0x101
    ESME_RSERTYPUNAVAIL = "ESME_RSERTYPUNAVAIL", 0x102
    ESME_RSERTYPDENIED = "ESME_RSERTYPDENIED", 0x103
    ESME_RINVDCS = "ESME_RINVDCS", 0x104
    ESME_RINVSRCADDRSUBUNIT = "ESME_RINVSRCADDRSUBUNIT", 0x105
    ESME_RINVDSTADDRSUBUNIT = "ESME_RINVDSTADDRSUBUNIT", 0x106
    ESME_RINVBCASTFREQINT = "ESME_RINVBCASTFREQINT", 0x107
    ESME_RINVBCASTALIAS_NAME = "ESME_RINVBCASTALIAS_NAME", 0x108
    ESME_RINVBCASTAREAFMT = "ESME_RINVBCASTAREAFMT", 0x109
    ESME_RINVNUMBCAST_AREAS = "ESME_RINVNUMBCAST_AREAS", 0x10A
    ESME_RINVBCASTCNTTYPE = "ESME_RINVBCASTCNTTYPE", 0x10B
    ESME_RINVBCASTMSGCLASS = "ESME_RINVBCASTMSGCLASS", 0x10C
    ESME_RBCASTFAIL = "ESME_RBCASTFAIL", 0x10D
    ESME_RBCASTQUERYFAIL = "ESME_RBCASTQUERYFAIL", 0x10E
    ESME_RBCASTCANCELFAIL = "ESME_RBCASTCANCELFAIL", 0x10F
    ESME_RINVBCAST_REP = "ESME_RINVBCAST_REP", 0x110
    ESME_RINVBCASTSRVGRP = "ESME_RINVBCASTSRVGRP", 0x111
    ESME_RINVBCASTCHANIND = "ESME_RINVBCASTCHANIND", 0x112

    def __new__(cls, value: str, code: int | None = None) -> Self:
        """Make a member; the lookup of an existing one is the enum's own."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.code = code
        return member


@attrs.frozen
class Sms:
    """An SMS for the bulk sender. The fields are the arguments of `SmsService.send`.

    The number has its country code. Whether there is such a number is not looked at: without its
    code, one of Chile is one of Iran.
    """

    dst_number: str | int = attrs.field(repr=masked)
    sms_content: str = attrs.field(repr=masked)
    src_number: str | int | None = attrs.field(default=None, kw_only=True, repr=masked)
    id_delivery: str | None = attrs.field(default=None, kw_only=True)
    id_client: str | None = attrs.field(default=None, kw_only=True)

    def body(self) -> dict[str, Any]:
        """Check the fields, and make the body of the request that sends them.

        Raises:
            InvalidArgumentError: A field cannot be sent; it is named.
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


class _Awaited(Answer):
    """An answer that can be waited with, beside its fields: by the one who got it.

    That function is neither compared, nor shown, nor pickled.
    """

    __slots__ = ("_wait",)
    _wait: Callable[[str, float | None], Any]


@attrs.frozen(kw_only=True)
class SmsReceipt(_Awaited):
    """What the API answers to an SMS that it accepted.

    Attributes:
        id: The identifier to ask `SmsService.status` with, or ``None`` if the API gave none.
        status: The API's word for what it did.
    """

    id: str | None = from_keys(*MESSAGE_ID_KEYS)
    status: str | None = word()

    def delivered(self, *, timeout: float | None = None) -> Coroutine[Any, Any, bool]:
        """Wait until the SMS is delivered, or is known not to be. With the blocking client, block.

        It is a `connectus_async.tracking.Tracker` that knows, while one is entered for the client's
        ``sms`` that sent it. Otherwise the API is asked, after 2 seconds and ever less often.

        Args:
            timeout: Seconds to wait at most; without limit if left out.

        Returns:
            Whether it was delivered. ``False`` is final as well.

        Raises:
            DeliveryTimeoutError: It had no final status in time. It may still be delivered.
            InvalidArgumentError: The API gave the SMS no ``id``.
            ConfigurationError: The receipt is a copy, or no event loop runs in this thread: a
                tracker can follow its ``id``.
            RequestError: The API refuses to be asked, for instance for wrong credentials.

        Example:
            receipt = await connectus.sms.send("56987688060", "Hola")
            if not await receipt.delivered(timeout=60):
                print("not delivered")
        """
        from connectus_async.products.sms_polling import is_async  # noqa: PLC0415 - brings asyncio

        id_sms, wait = _awaited(self)
        if not is_async():
            raise _not_here()
        coroutine: Coroutine[Any, Any, bool] = wait(id_sms, timeout)
        return coroutine


@attrs.frozen(kw_only=True, eq=False)
class BlockingSmsReceipt(SmsReceipt):
    """A receipt of the blocking client: its `delivered` blocks, and returns a bool."""

    def delivered(  # type: ignore[override]  # noqa: D102 - as above
        self, *, timeout: float | None = None
    ) -> bool:
        id_sms, wait = _awaited(self)
        was_delivered: bool = wait(id_sms, timeout)
        return was_delivered

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SmsReceipt) and (self.id, self.status) == (other.id, other.status)

    __hash__ = SmsReceipt.__hash__


def _awaited(receipt: SmsReceipt) -> tuple[str, Callable[[str, float | None], Any]]:
    id_sms = trackable_id(receipt)
    wait: Callable[[str, float | None], Any] | None = getattr(receipt, "_wait", None)
    if wait is None:
        raise _not_here()
    return id_sms, wait


def _not_here() -> ConfigurationError:
    return ConfigurationError(
        "receipt", "cannot be awaited here: have a tracking.Tracker follow its id"
    )


def trackable_id(sms: SmsReceipt | str) -> str:
    """Give the identifier by which an SMS can be followed.

    Raises:
        InvalidArgumentError: The API gave it none.
    """
    id_sms = sms.id if isinstance(sms, SmsReceipt) else sms
    if id_sms is None:
        raise InvalidArgumentError("id", "the API gave this SMS none: it cannot be followed")
    return arguments.identifier("id", id_sms)


class Tracking(Protocol):
    """What follows SMS to their final status, with more than the API to ask."""

    async def delivered(self, sms: str, *, timeout: float | None = None) -> bool:  # noqa: ASYNC109
        """Wait until an SMS is delivered, or is known not to be."""
        ...


@attrs.frozen(kw_only=True)
class SmsStatusReport(Answer):
    """Where an SMS is.

    Attributes:
        status: Its SMPP status.
    """

    status: SmppStatus | None = None


@attrs.frozen(kw_only=True)
class SentSms(Record):
    """A row of a report. The API does not document its rows: what it calls otherwise is in ``raw``.

    Attributes:
        id: The identifier of the SMS.
        status: The API's word for where it is.
        src_number: The number it came from, in digits.
        dst_number: The number it went to, in digits.
        sms_content: Its text.
        id_delivery: The delivery it belongs to.
        created_at: When the API took it.
    """

    id: str | None = from_keys(*MESSAGE_ID_KEYS)
    status: str | None = word()
    src_number: str | None = personal()
    dst_number: str | None = personal()
    sms_content: str | None = personal()
    id_delivery: str | None = None
    created_at: dt.datetime | None = None


@attrs.frozen(kw_only=True)
class SmsReport(Answer):
    """The SMS of a delivery or of a range of days.

    Attributes:
        messages: One row an SMS, in the order of the API.
    """

    messages: tuple[SentSms, ...] = from_rows()


class SmsService(Service):
    """The SMS calls, as ``connectus.sms``."""

    _tracker: Tracking | None = None
    _receipt: type[SmsReceipt] = SmsReceipt
    _waiter: Callable[[], Callable[[str, float | None], bool] | None] | None = None

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
        """Send what `Sms.body` made, or the JSON of it."""
        return self._linked(await self._post("/sms/send_individual", self._receipt, body))

    async def send_otp(
        self,
        dst_number: str | int,
        sms_content: str,
        *,
        src_number: str | int | None = None,
        save_content: Literal["hash"] | None = None,
    ) -> SmsReceipt:
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
        return self._linked(await self._post("/sms/send_otp", self._receipt, body))

    async def status(self, id: str) -> SmsStatusReport:
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
            receipt = await connectus.sms.send("56987688060", "Hola")
            report = await connectus.sms.status(receipt.id)
            report.status is SmppStatus.DELIVRD
        """
        return await self._get("/sms/{id}", SmsStatusReport, id=arguments.identifier("id", id))

    async def by_delivery(self, delivery_id: str) -> SmsReport:
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
            delivery = await connectus.deliveries.create("Navidad", "2099-12-24 09:00:00", 1)
            await connectus.sms.send("56987688060", "Hola", id_delivery=delivery.id)
            (await connectus.sms.by_delivery(delivery.id)).messages
        """
        query = {"delivery_id": arguments.identifier("delivery_id", delivery_id)}
        return await self._get("/sms/delivery_info", SmsReport, query=query)

    async def by_date(self, begin_date: dt.date | str, end_date: dt.date | str) -> SmsReport:
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

    def _linked(self, receipt: SmsReceipt) -> SmsReceipt:
        wait = self._delivered if self._waiter is None else self._waiter()
        object.__setattr__(receipt, "_wait", wait)
        return receipt

    def _over(self, transport: "Transport") -> "SmsService":
        """Make a service over another transport, with the receipts of this one."""
        service = SmsService(transport)
        service._receipt, service._waiter = self._receipt, self._waiter
        return service

    def _give_blocking_receipts(self, wait: Callable[[str, float | None], bool]) -> None:
        """Give receipts that wait by a method. It is not kept alive: whose it is may go first."""
        self._receipt = BlockingSmsReceipt
        self._waiter = weakref.WeakMethod(wait)

    async def _delivered(self, id_sms: str, timeout: float | None) -> bool:  # noqa: ASYNC109
        if self._tracker is not None:
            return await self._tracker.delivered(id_sms, timeout=timeout)
        from connectus_async.products import sms_polling  # noqa: PLC0415 - brings asyncio

        status = await sms_polling.final_status(self, id_sms, timeout)
        return status is SmsStatus.ENTREGADO
