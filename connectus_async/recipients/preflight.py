"""What a campaign is going to be, known before its first message leaves: counts, costs, needs."""

import datetime as dt
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Literal

import attrs

from connectus_async import arguments
from connectus_async.errors import ConfigurationError, ConnectusError, InvalidArgumentError
from connectus_async.extras import library
from connectus_async.ledger.states import SkipReason, State
from connectus_async.products.clients import ClientBalance, CountryBalance, SubClients
from connectus_async.products.email import Email
from connectus_async.products.messages import Message, Row
from connectus_async.products.product import Product
from connectus_async.products.sms import Sms
from connectus_async.products.whatsapp import WhatsApp
from connectus_async.recipients import phone_numbers
from connectus_async.recipients.quiet_hours import NUMBERS_REMEMBERED, QuietHours, neighbour
from connectus_async.segmentation import Segments, segments
from connectus_async.transliteration import to_gsm7

DEFAULT_EXAMPLES: Final = 20
CHARACTERS_SHOWN: Final = 10
MAX_SENTENCE_CHARACTERS: Final = 300
UNKNOWN_COUNTRY: Final = "unknown"
UNCHECKED: Final = (
    "whether there are such numbers was not checked: pip install 'connectus-async[phone]'"
)

COUNTRY_NAMES: Final[Mapping[str, str]] = {
    "AR": "Argentina",
    "BO": "Bolivia",
    "BR": "Brasil",
    "CL": "Chile",
    "CO": "Colombia",
    "CR": "Costa Rica",
    "EC": "Ecuador",
    "GT": "Guatemala",
    "MX": "Mexico",
    "PE": "Peru",
    "PY": "Paraguay",
    "US": "Estados Unidos",
    "UY": "Uruguay",
}
"""The countries of the balances in the API's words, by their ISO 3166 codes."""


@attrs.frozen
class Skipped:
    """The rows that are skipped for one reason.

    Attributes:
        count: How many they are.
        examples: A sentence for each of the first of them.
    """

    count: int
    examples: tuple[str, ...]


@attrs.frozen
class CharacterCost:
    """What a character costs that GSM-7 does not have.

    Attributes:
        character: It.
        messages: How many SMS have it.
        extra_parts: How many carrier parts those SMS take more than they would in GSM-7's closest
            form; an SMS with two such characters counts for both.
    """

    character: str = attrs.field(repr=False)
    messages: int
    extra_parts: int


@attrs.frozen
class Need:
    """What a campaign takes from one balance.

    Attributes:
        id_client: The sub-client that pays; ``None`` for the account's unassigned balance.
        product: For what.
        country: The ISO code of the country that an SMS goes to, or ``unknown``; ``None`` for all
            countries together: for email and WhatsApp, which have one balance, and for SMS without
            the extra ``phone``.
        amount: How many SMS are billed, or how many emails or WhatsApp messages are sent.
    """

    id_client: str | None
    product: Product
    country: str | None
    amount: int

    def __str__(self) -> str:
        """Say whose balance of what it is."""
        payer = f"sub-client {self.id_client}" if self.id_client else "the account"
        country = f" to {self.country}" if self.country else ""
        return f"{_PRODUCT_NAMES[self.product]}{country} of {payer}"


@attrs.frozen
class Shortfall:
    """A need that its balance does not cover, or of which that cannot be told.

    Attributes:
        need: What is needed.
        balance: What there is; ``None`` if the API's list does not say.
    """

    need: Need
    balance: int | None

    @property
    def missing(self) -> int | None:
        """How many messages the balance lacks; ``None`` if that cannot be told."""
        return None if self.balance is None else self.need.amount - self.balance

    def __str__(self) -> str:
        """Say it in a sentence."""
        if self.missing is None:
            return f"{self.need}: needs {self.need.amount:,}, cannot tell what there is"
        return (
            f"{self.need}: needs {self.need.amount:,}, has {self.balance:,}, lacks {self.missing:,}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Write it as JSON has it."""
        return {**_need_as_dict(self.need), "balance": self.balance, "missing": self.missing}


@attrs.frozen(kw_only=True)
class PreflightReport:
    """What a campaign is going to be. Everything below ``skipped`` is about what is to be sent.

    Attributes:
        rows: All rows of the source.
        to_send: Messages that this run is going to send.
        known: Rows that an earlier run dealt with, and that this one does not send, by their state.
        skipped: Rows that are not going to be sent, by the reason.
        sms: How many of the messages are SMS.
        emails: How many are emails.
        whatsapp: How many are WhatsApp messages.
        billed_sms: SMS on the bill.
        parts: Parts in which carriers take the SMS to the phones.
        ucs2: SMS that a character forces into UCS-2.
        extra_parts: Parts that those take more than they would in GSM-7's closest form.
        ucs2_characters: The characters that force most SMS into UCS-2, most frequent first.
        by_country: Messages to numbers by the ISO code of the country, ``unknown`` among them;
            ``None`` without the extra ``phone``.
        needs: What is taken from each balance.
        in_quiet_hours: Messages that cannot leave now; ``None`` without quiet hours.
        budget: What the campaign may take from the balances; ``None`` without a budget.
        seconds: How long sending takes at the rate; ``None`` without a rate.
    """

    rows: int
    to_send: int
    known: Mapping[State, int]
    skipped: Mapping[SkipReason, Skipped]
    sms: int
    emails: int
    whatsapp: int
    billed_sms: int
    parts: int
    ucs2: int
    extra_parts: int
    ucs2_characters: tuple[CharacterCost, ...] = attrs.field(repr=False)
    by_country: Mapping[str, int] | None
    needs: tuple[Need, ...]
    in_quiet_hours: int | None
    budget: int | None
    seconds: float | None

    @property
    def already_sent(self) -> int:
        """Messages that were or may have been sent before, and are not sent again."""
        return sum(count for state, count in self.known.items() if state is not State.SKIPPED)

    @property
    def over_budget(self) -> int | None:
        """Messages that the budget does not cover; ``None`` without a budget."""
        if self.budget is None:
            return None
        skipped = self.skipped.get(SkipReason.OVER_BUDGET)
        return skipped.count if skipped else 0

    def as_dict(self) -> dict[str, Any]:
        """Write it as JSON has it."""
        return {
            **{name: getattr(self, name) for name in attrs.fields_dict(type(self))},
            "known": {str(state): count for state, count in self.known.items()},
            "already_sent": self.already_sent,
            "skipped": {
                str(reason): {"count": skipped.count, "examples": list(skipped.examples)}
                for reason, skipped in self.skipped.items()
            },
            "ucs2_characters": [attrs.asdict(cost) for cost in self.ucs2_characters],
            "by_country": None if self.by_country is None else dict(self.by_country),
            "needs": [_need_as_dict(need) for need in self.needs],
            "over_budget": self.over_budget,
        }


class Preflight:
    """Adds up what a campaign is going to be, row by row; its memory does not grow with them.

    Args:
        examples: How many rows are named for each reason to skip one; the others are counted.
        quiet_hours: If given, messages that cannot leave at `now` are counted.
        now: The present moment, with a time zone; the clock's if left out.
        budget: What the campaign may take from the balances: SMS as they are billed, one for each
            email and WhatsApp message.
        spent: What it took before.

    Example:
        >>> preflight = Preflight()
        >>> preflight.add(Row(2, Sms("56987688060", "Hola")))
        >>> preflight.report().billed_sms
        1
    """

    def __init__(
        self,
        *,
        examples: int = DEFAULT_EXAMPLES,
        quiet_hours: QuietHours | None = None,
        now: dt.datetime | None = None,
        budget: int | None = None,
        spent: int = 0,
    ) -> None:
        self._examples = examples
        self._quiet_hours = quiet_hours
        self._now = now or dt.datetime.now(dt.UTC)
        self._budget = budget
        self._left = None if budget is None else budget - spent
        self._country = _country_finder()
        self._rows = self._in_quiet_hours = 0
        self._known: Counter[State] = Counter()
        self._skipped: Counter[SkipReason] = Counter()
        self._sentences: dict[SkipReason, list[str]] = {}
        self._products: Counter[Product] = Counter()
        self._countries: Counter[str] = Counter()
        self._needs: Counter[tuple[str | None, Product, str | None]] = Counter()
        self._parts = self._ucs2 = self._extra_parts = 0
        self._forcing: Counter[str] = Counter()
        self._forced_parts: Counter[str] = Counter()

    def add(
        self,
        row: Row,
        skipped: SkipReason | None = None,
        known: State | None = None,
        first_line: int | None = None,
    ) -> None:
        """Add the next row. What the ledger's `Loaded` says of it are the other arguments.

        Args:
            row: The row. One that is an error, or a message whose recipient is none, is invalid.
            skipped: Why it is not going to be sent, if it is not.
            known: The state in which an earlier run left it; what that left queued is to be sent.
            first_line: For a duplicate, the line on which the message was first.
        """
        self._rows += 1
        if known not in (None, State.QUEUED):
            self._known[known] += 1
        elif skipped is not None:
            self._skip(row, skipped, _sentence(row, skipped, first_line))
        else:
            self._add_message(row)

    def report(
        self,
        *,
        rate: float | None = None,
        rate_unit: Literal["messages", "segments"] = "messages",
    ) -> PreflightReport:
        """Say what was added up so far.

        Args:
            rate: How many are sent a second.
            rate_unit: Of what: of messages, or of SMS as they are billed.
        """
        messages = self._products.total()
        weight = messages if rate_unit == "messages" else self._needs.total()
        return PreflightReport(
            rows=self._rows,
            to_send=messages,
            known={state: self._known[state] for state in State if self._known[state]},
            skipped={
                reason: Skipped(self._skipped[reason], tuple(self._sentences[reason]))
                for reason in SkipReason
                if self._skipped[reason]
            },
            sms=self._products[Product.SMS],
            emails=self._products[Product.EMAIL],
            whatsapp=self._products[Product.WHATSAPP],
            billed_sms=sum(
                amount for (_, kind, _), amount in self._needs.items() if kind is Product.SMS
            ),
            parts=self._parts,
            ucs2=self._ucs2,
            extra_parts=self._extra_parts,
            ucs2_characters=tuple(
                CharacterCost(character, count, self._forced_parts[character])
                for character, count in self._forcing.most_common(CHARACTERS_SHOWN)
            ),
            by_country=dict(self._countries.most_common()) if self._country else None,
            needs=tuple(Need(*need, amount) for need, amount in self._needs.most_common()),
            in_quiet_hours=self._in_quiet_hours if self._quiet_hours else None,
            budget=self._budget,
            seconds=weight / rate if rate else None,
        )

    def _skip(self, row: Row, reason: SkipReason, sentence: str) -> None:
        self._skipped[reason] += 1
        sentences = self._sentences.setdefault(reason, [])
        if len(sentences) < self._examples:
            place = f"row {self._rows}" if row.line is None else f"line {row.line}"
            sentences.append(f"{place}: {sentence}")

    def _add_message(self, row: Row) -> None:
        message = row.content
        if isinstance(message, Exception):
            self._skip(row, SkipReason.INVALID, _said(message))
            return
        try:
            recipient = _recipient(message)
        except InvalidArgumentError as error:
            self._skip(row, SkipReason.INVALID, str(error))
            return
        counted = segments(message.sms_content) if isinstance(message, Sms) else None
        billed = counted.billed if counted else 1
        if self._left is not None and billed > self._left:
            self._skip(row, SkipReason.OVER_BUDGET, _SENTENCES[SkipReason.OVER_BUDGET])
            return
        if self._left is not None:
            self._left -= billed
        if counted is not None and isinstance(message, Sms):
            self._count_parts(message.sms_content, counted)
        self._count(message, recipient, billed)

    def _count(self, message: Message, recipient: str, billed: int) -> None:
        product = _PRODUCTS[type(message)]
        self._products[product] += 1
        country = None
        if product is not Product.EMAIL and self._country is not None:
            country = self._country(recipient) or UNKNOWN_COUNTRY
            self._countries[country] += 1
        balance_of = country if product is Product.SMS else None
        self._needs[message.id_client, product, balance_of] += billed
        if self._quiet_hours and self._quiet_hours.until(recipient, self._now):
            self._in_quiet_hours += 1

    def _count_parts(self, text: str, counted: Segments) -> None:
        self._parts += counted.parts
        if not counted.ucs2_only:
            return
        extra = counted.parts - segments(to_gsm7(text)).parts
        self._ucs2 += 1
        self._extra_parts += extra
        for character in counted.ucs2_only:
            self._forcing[character] += 1
            self._forced_parts[character] += extra


_PRODUCTS: Final[Mapping[type[Message], Product]] = {
    Sms: Product.SMS,
    Email: Product.EMAIL,
    WhatsApp: Product.WHATSAPP,
}
_PRODUCT_NAMES: Final[Mapping[Product, str]] = {
    Product.SMS: "SMS",
    Product.EMAIL: "email",
    Product.WHATSAPP: "WhatsApp",
}

_SENTENCES: Final[Mapping[SkipReason, str]] = {
    SkipReason.INVALID: "cannot be sent as it is",
    SkipReason.DUPLICATE: "the campaign has the same message already",
    SkipReason.SUPPRESSED: "the recipient is on the suppression list",
    SkipReason.EXPIRED: "the time after which it is not to be sent has passed",
    SkipReason.OVER_BUDGET: "the budget does not cover it",
}


def _sentence(row: Row, reason: SkipReason, first_line: int | None) -> str:
    if reason is SkipReason.DUPLICATE and first_line is not None:
        return f"the same message as on line {first_line}"
    if reason is SkipReason.INVALID and isinstance(row.content, Exception):
        return _said(row.content)
    return _SENTENCES[reason]


def _said(error: Exception) -> str:
    """The sentence of one of our errors, which shows nothing personal, or another's type."""
    sentence = str(error) if isinstance(error, ConnectusError) else type(error).__name__
    printable = "".join(sign if sign.isprintable() else "?" for sign in sentence)
    shortened = printable[:MAX_SENTENCE_CHARACTERS]
    return shortened if shortened == printable else f"{shortened}…"


def _recipient(message: Message) -> str:
    if type(message) not in _PRODUCTS:
        raise InvalidArgumentError(
            "message", f"must be Sms, Email or WhatsApp, not {type(message).__name__}"
        )
    if isinstance(message, Email):
        return arguments.email_address("dst_email", message.dst_email)
    return arguments.phone_number("dst_number", message.dst_number)


def _country_finder() -> Callable[[str], str | None] | None:
    """What tells the country of a number, if it is installed."""
    try:
        library("by_country", "phonenumbers", extra="phone")
    except ConfigurationError:
        return None
    country = lru_cache(NUMBERS_REMEMBERED)(phone_numbers.country)
    return lambda digits: country(neighbour(digits)) or country(digits)


def compare_balance(report: PreflightReport, sub_clients: SubClients) -> list[Shortfall]:
    """Compare what a campaign needs with the balances that pay for it.

    Args:
        report: What it needs.
        sub_clients: What ``connectus.clients.list()`` answered.

    Returns:
        The needs that are not covered, and those of which it cannot be told: a country or a
        sub-client that the answer does not have is never taken for enough. Where the countries of
        the SMS are not known, the balances of all of them together are what there is at most.
    """
    found = ((need, _balance(need, sub_clients)) for need in report.needs)
    return [
        Shortfall(need, balance)
        for need, balance in found
        if balance is None or balance < need.amount
    ]


def _balance(need: Need, sub_clients: SubClients) -> int | None:
    balances = _balances(need.id_client, sub_clients)
    if balances is None:
        return None
    if need.product is Product.EMAIL:
        return balances.email_balance
    if need.product is Product.WHATSAPP:
        return balances.whatsapp_balance
    return _sms_balance(need.country, balances.sms_balance)


def _balances(id_client: str | None, sub_clients: SubClients) -> ClientBalance | None:
    if id_client is None:
        return ClientBalance(
            sms_balance=sub_clients.free_sms_balance_by_country,
            email_balance=sub_clients.free_email_balance,
            whatsapp_balance=sub_clients.free_whatsapp_balance,
        )
    for client in sub_clients.clients:
        if client.id_unique == id_client and isinstance(client.balance, ClientBalance):
            return client.balance
    return None


def _sms_balance(country: str | None, balances: Iterable[CountryBalance]) -> int | None:
    if country is None:
        known = [balance.balance for balance in balances if balance.balance is not None]
        return sum(known) if known else None
    name = COUNTRY_NAMES.get(country)
    for balance in balances:
        if name and balance.country_name and _plain(balance.country_name) == _plain(name):
            return balance.balance
    return None


def _plain(name: str) -> str:
    """A name without accents and capitals: the API may learn to write them."""
    letters = unicodedata.normalize("NFKD", name.strip().casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _need_as_dict(need: Need) -> dict[str, Any]:
    return {**attrs.asdict(need), "product": need.product.name.lower()}


def render(report: PreflightReport, shortfalls: Sequence[Shortfall] | None = None) -> str:
    """Write a report for a terminal: no recipient and no text is in it.

    Args:
        report: The report.
        shortfalls: What `compare_balance` found; ``None`` if the balance was not looked up.
    """
    lines = [*_rows_lines(report), *_message_lines(report), *_country_lines(report)]
    lines += [f"  {fact}" for fact in _limits(report)]
    if shortfalls is not None:
        lines += _balance_lines(report, shortfalls)
    return "\n".join(lines)


def _rows_lines(report: PreflightReport) -> Iterator[str]:
    yield f"{_number_of(report.rows, 'row')}, {_number_of(report.to_send, 'message')} to send"
    for state, count in report.known.items():
        yield f"  {count:,} {state.replace('_', ' ')} in an earlier run"
    for reason, skipped in report.skipped.items():
        yield f"  {skipped.count:,} skipped: {reason.replace('_', ' ')}"
        yield from (f"    {example}" for example in skipped.examples)
        if unnamed := skipped.count - len(skipped.examples):
            yield f"    and {unnamed:,} more"


def _message_lines(report: PreflightReport) -> Iterator[str]:
    if report.sms:
        yield (
            f"  {report.sms:,} SMS: {report.billed_sms:,} billed, "
            f"{_number_of(report.parts, 'part')} for the carriers"
        )
    if report.ucs2:
        yield (
            f"    {report.ucs2:,} need UCS-2, which takes "
            f"{_number_of(report.extra_parts, 'part')} more than the closest GSM-7"
        )
    for cost in report.ucs2_characters:
        yield (
            f"      {_shown(cost.character)}: in {cost.messages:,} SMS, "
            f"{_number_of(cost.extra_parts, 'part')} more"
        )
    if report.emails:
        yield f"  {report.emails:,} by email"
    if report.whatsapp:
        yield f"  {report.whatsapp:,} by WhatsApp"


def _number_of(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _shown(character: str) -> str:
    code_point = f"U+{ord(character):04X}"
    name = unicodedata.name(character, "")
    label = f"{code_point} {name}".rstrip()
    return f"{character} ({label})" if character.isprintable() else label


def _country_lines(report: PreflightReport) -> Iterator[str]:
    if report.by_country is None and report.sms + report.whatsapp:
        yield f"  {UNCHECKED}"
    for country, count in (report.by_country or {}).items():
        yield f"  {count:,} to {_country_shown(country)}"


def _country_shown(country: str) -> str:
    return "numbers of an unknown country" if country == UNKNOWN_COUNTRY else country


def _limits(report: PreflightReport) -> Iterator[str]:
    if report.in_quiet_hours is not None:
        yield f"{report.in_quiet_hours:,} in quiet hours now"
    if report.budget is not None:
        yield f"{report.over_budget or 0:,} not covered by the budget of {report.budget:,}"
    if report.seconds is not None:
        yield f"{dt.timedelta(seconds=round(report.seconds))} to send at the set rate"


def _balance_lines(report: PreflightReport, shortfalls: Sequence[Shortfall]) -> Iterator[str]:
    has_countries = report.by_country is not None or not report.sms
    if shortfalls:
        yield "the balance may not cover it:"
        yield from (f"  {shortfall}" for shortfall in shortfalls)
    elif has_countries:
        yield "the balance covers it"
    else:
        yield "the balance of all countries together covers it"
    if not has_countries:
        yield "  to compare it country by country: pip install 'connectus-async[phone]'"
