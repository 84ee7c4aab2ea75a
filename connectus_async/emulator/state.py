"""State of the platform: balances, sub-clients, deliveries, messages, links. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final, TypedDict
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from attrs import define, field

from connectus_async.emulator.balances import BalanceKey, Balances, country_of
from connectus_async.emulator.groups import QrPhone
from connectus_async.emulator.messages import Product, Received, billed_segments, status
from connectus_async.emulator.refusals import NotFoundError, RefusalError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from datetime import tzinfo
    from typing import Unpack


def _platform_zone() -> tzinfo:
    try:
        return ZoneInfo("America/Santiago")
    except ZoneInfoNotFoundError:  # Windows has no time zones of its own
        return timezone(timedelta(hours=-4))


PLATFORM_ZONE: Final = _platform_zone()
DEFAULT_SRC_NUMBER: Final = "56442341000"
DEFAULT_SRC_EMAIL: Final = "contacto@example.com"
PRODUCTS: Final[dict[int, Product]] = {1: "sms", 2: "email", 3: "whatsapp"}
_SHORT_ID: Final = 8
"""Length of the ids of sub-clients and short links; all other ids are long."""


class Details(TypedDict, total=False):
    """Further details of a message; see `Received`."""

    src: str | None
    subject: str
    id_delivery: str | None
    id_client: str | None
    otp: bool
    hashed: bool


@define(repr=False, eq=False)
class Client:
    """A sub-client: an accounting account with its own balances."""

    id: int
    id_unique: str
    name: str
    created_at: datetime
    updated_at: datetime
    balances: Balances = field(factory=lambda: Balances.of(0))


@define(repr=False, eq=False)
class Delivery:
    """A batch of messages to be sent at `deliver_at`."""

    id_delivery: str
    name: str
    deliver_at: datetime
    id_product: int
    messages: list[Received] = field(factory=list[Received])


@define(repr=False, eq=False)
class ShortLink:
    """A link, and the number of clicks on its short form."""

    link: str
    clicks: int = 0


def _ignore(_: Received) -> None:
    pass


def _no_delay() -> float:
    return 0


@define(kw_only=True, repr=False, eq=False)
class State:
    """The emulated platform between two requests.

    `watch` is called with each accepted SMS, and again when its delivery is rescheduled. `seen` is
    called with each message of any product.
    `report_delay` returns the seconds from acceptance until a message appears in reports.
    """

    clock: Callable[[], datetime]
    ids: Iterator[str]
    keep_received: bool = True
    balances: Balances
    watch: Callable[[Received], None] = _ignore
    seen: Callable[[Received], None] = _ignore
    report_delay: Callable[[], float] = _no_delay
    hooks: dict[str, str | None] = field(factory=dict[str, str | None])
    link_prefix: str = ""
    received: list[Received] = field(factory=list[Received])
    received_counts: Counter[str] = field(factory=Counter[str])
    qr_phone: QrPhone = field(factory=QrPhone)
    clients: dict[str, Client] = field(factory=dict[str, Client])
    links: dict[str, ShortLink] = field(factory=dict[str, ShortLink])
    _messages: dict[str, Received] = field(factory=dict[str, Received])
    _conversations: defaultdict[tuple[str, str], list[Received]] = field(
        factory=lambda: defaultdict[tuple[str, str], list[Received]](list)
    )
    _deliveries: dict[str, Delivery] = field(factory=dict[str, Delivery])

    def accept(
        self, product: Product, recipient: str, content: str, **details: Unpack[Details]
    ) -> Received:
        """Bill and accept a message, or raise a `RefusalError` and change nothing."""
        id_client, id_delivery = details.get("id_client"), details.get("id_delivery")
        balances = self.client(id_client).balances if id_client else self.balances
        delivery = self._open_delivery(id_delivery, product) if id_delivery else None
        if product == "sms":
            balances.withdraw((product, country_of(recipient)), billed_segments(content))
        else:
            balances.withdraw((product, None), 1)
        message = self._receive(product, recipient, content, details)
        if delivery and self.keep_received:
            delivery.messages.append(message)
        if product == "sms":
            self.watch(message)
        return message

    def send_by_qr(self, recipient: str, content: str, conversation: str) -> Received:
        """Accept a message of the linked phone, to a number or a group, without billing it."""
        message = self._receive("whatsapp_qr", recipient, content, {})
        if self.keep_received:
            self.qr_phone.remember(conversation, message)
        return message

    def message(self, id_message: str, product: Product, field: str) -> Received:
        """Return the message with an id, or raise a `NotFoundError` that names `field`."""
        message = self._messages.get(id_message)
        if message is None or message.product != product:
            raise NotFoundError(field)
        return message

    def any_message(self, id_message: str) -> Received | None:
        """Return the message with an id, of any product."""
        return self._messages.get(id_message)

    def clear(self) -> dict[str, Any]:
        """Forget all messages, as if they had not been kept; balances stay as they are."""
        self.received.clear()
        self._messages.clear()
        self._conversations.clear()
        self.qr_phone.forget()
        for delivery in self._deliveries.values():
            delivery.messages.clear()
        return {}

    def status(self, message: Received) -> str:
        """Return the current status of a message, in the webhook's form."""
        return status(message.recipient, self.due(message), self.clock())

    def status_of(self, id_message: str) -> str:
        """Return the current status of the message with an id, or raise a `LookupError`."""
        message = self.any_message(id_message)
        if message is None:
            sentence = "no message has this id"
            raise LookupError(sentence)
        return self.status(message)

    def due(self, message: Received) -> datetime:
        """Return the time at which a message is sent."""
        if message.id_delivery is None:
            return message.time
        return self._deliveries[message.id_delivery].deliver_at

    def conversation(self, src_number: str, dst_number: str) -> list[Received]:
        """Return the reported WhatsApp messages from one number to another, oldest first."""
        return self.reported(self._conversations.get((src_number, dst_number), []))

    def sms_between(self, begin: date, end: date) -> list[Received]:
        """Return the reported SMS accepted from `begin` to `end`.

        Both are days in the platform's zone, and included.
        """
        start = datetime.combine(begin, time.min, PLATFORM_ZONE)
        stop = datetime.combine(end, time.max, PLATFORM_ZONE)
        sms = (m for m in self.received if m.product == "sms" and start <= m.time <= stop)
        return self.reported(sms)

    def reported(self, messages: Iterable[Received]) -> list[Received]:
        """Return the messages that are old enough to be in a report."""
        seconds = self.report_delay()
        if not seconds:
            return list(messages)
        newest = self.clock() - timedelta(seconds=seconds)
        return [message for message in messages if message.time <= newest]

    def create_client(self, name: str) -> Client:
        """Create a sub-client without balance."""
        now = self.clock()
        client = Client(len(self.clients) + 1, self._short_id(self.clients), name, now, now)
        self.clients[client.id_unique] = client
        return client

    def client(self, id_client: str) -> Client:
        """Return the sub-client with an `id_unique` or `id`, or raise a `NotFoundError`."""
        found = self.clients.get(id_client) or next(
            (client for client in self.clients.values() if str(client.id) == id_client), None
        )
        if found is None:
            raise NotFoundError(field="id_client")
        return found

    def rename_client(self, id_client: str, name: str) -> Client:
        """Rename a sub-client, and return it."""
        client = self.client(id_client)
        client.name, client.updated_at = name, self.clock()
        return client

    def add_balance(self, id_client: str, key: BalanceKey, amount: int) -> None:
        """Move an amount from the account's free balance to a sub-client."""
        client = self.client(id_client)
        self.balances.withdraw(key, amount)
        client.balances.deposit(key, amount)

    def remove_balance(self, id_client: str, key: BalanceKey, amount: int) -> None:
        """Move an amount from a sub-client back to the account's free balance."""
        self.client(id_client).balances.withdraw(key, amount)
        self.balances.deposit(key, amount)

    def create_delivery(self, name: str, deliver_at: datetime, id_product: int) -> Delivery:
        """Create a delivery without messages."""
        delivery = Delivery(next(self.ids), name, deliver_at, id_product)
        self._deliveries[delivery.id_delivery] = delivery
        return delivery

    def delivery(self, id_delivery: str) -> Delivery:
        """Return the delivery with an id, or raise a `NotFoundError`."""
        try:
            return self._deliveries[id_delivery]
        except KeyError:
            raise NotFoundError(field="id_delivery") from None

    @property
    def deliveries(self) -> Collection[Delivery]:
        """All deliveries, in order of creation."""
        return self._deliveries.values()

    def update_delivery(
        self, id_delivery: str, name: str | None, deliver_at: datetime | None
    ) -> Delivery:
        """Rename or reschedule a delivery that is not yet executed."""
        delivery = self._pending_delivery(id_delivery)
        delivery.name = name or delivery.name
        delivery.deliver_at = deliver_at or delivery.deliver_at
        if delivery.id_product == 1:
            for message in delivery.messages:
                self.watch(message)
        return delivery

    def executed(self, delivery: Delivery) -> bool:
        """Tell whether a delivery is executed."""
        return delivery.deliver_at <= self.clock()

    def create_link(self, link: str) -> str:
        """Create a short link, and return it without a scheme."""
        code = self._short_id(self.links)
        self.links[code] = ShortLink(link)
        return self.link_prefix + code

    def short_link(self, short_link: str) -> ShortLink:
        """Return a short link, given in full or as its code."""
        try:
            return self.links[short_link.rpartition("/")[2]]
        except KeyError:
            raise NotFoundError(field="short_link") from None

    def new_id(self) -> str:
        """Return the next long id."""
        return next(self.ids)

    @contextmanager
    def during(self, now: datetime, ids: Iterator[str]) -> Iterator[None]:
        """Fix the clock at `now`, and use `ids`, within the block."""
        before = self.clock, self.ids
        self.clock, self.ids = (lambda: now), ids
        try:
            yield
        finally:
            self.clock, self.ids = before

    def _receive(
        self, product: Product, recipient: str, content: str, details: Details
    ) -> Received:
        default_src = DEFAULT_SRC_EMAIL if product == "email" else DEFAULT_SRC_NUMBER
        message = Received(
            product=product,
            id=next(self.ids),
            recipient=recipient,
            content=content,
            src=details.get("src") or default_src,
            subject=details.get("subject"),
            id_delivery=details.get("id_delivery"),
            id_client=details.get("id_client"),
            otp=details.get("otp", False),
            hashed=details.get("hashed", False),
            time=self.clock(),
        )
        self.received_counts[product] += 1
        if self.keep_received:
            self.received.append(message)
            self._messages[message.id] = message
            if product == "whatsapp":
                self._conversations[message.src, recipient].append(message)
        self.seen(message)
        return message

    def _pending_delivery(self, id_delivery: str) -> Delivery:
        delivery = self.delivery(id_delivery)
        if self.executed(delivery):
            raise RefusalError(subject="id_delivery", reason="has already been executed")
        return delivery

    def _open_delivery(self, id_delivery: str, product: Product) -> Delivery:
        delivery = self._pending_delivery(id_delivery)
        if PRODUCTS[delivery.id_product] != product:
            raise RefusalError(subject="id_delivery", reason="is of another product")
        return delivery

    def _short_id(self, taken: dict[str, Any]) -> str:
        return next(short for id_ in self.ids if (short := id_[-_SHORT_ID:]) not in taken)


def utc_now() -> datetime:
    """Return the real time."""
    return datetime.now(UTC)


def iso(moment: datetime) -> str:
    """Format a time as in ``2019-07-17T01:35:41.000-04:00``."""
    return moment.astimezone(PLATFORM_ZONE).isoformat(timespec="milliseconds")
