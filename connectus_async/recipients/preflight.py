"""Preflight of a campaign: counts, costs and balances, before its first message is sent."""

import datetime as dt
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Literal

import attrs

from connectus_async import arguments
from connectus_async.errors import ConfigurationError, InvalidArgumentError, safe_text
from connectus_async.extras import library
from connectus_async.ledger.records import Loaded
from connectus_async.ledger.states import SkipReason, State
from connectus_async.products.clients import ClientBalance, CountryBalance, SubClients
from connectus_async.products.email import Email
from connectus_async.products.messages import Message, Row
from connectus_async.products.product import Product
from connectus_async.products.sms import Sms
from connectus_async.products.whatsapp import WhatsApp
from connectus_async.recipients import number_patterns, phone_numbers
from connectus_async.recipients.plain_sms import Composed
from connectus_async.recipients.quiet_hours import NUMBERS_REMEMBERED, QuietHours, block_start
from connectus_async.redaction import one_line
from connectus_async.segmentation import Segments, has_gsm7, is_one_sms, segments
from connectus_async.transliteration import to_gsm7

DEFAULT_EXAMPLES: Final = 20
CHARACTERS_SHOWN: Final = 10
MAX_SENTENCE_CHARACTERS: Final = 300
UNKNOWN_COUNTRY: Final = "unknown"
UNCHECKED: Final = "phone numbers were not validated: pip install 'connectus-async[phone]'"

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
"""The API's names of the countries of its balances, by ISO 3166 code."""


@attrs.frozen
class Skipped:
    """The rows skipped for one reason.

    Attributes:
        count: The number of rows.
        examples: A sentence for each of the first rows.
    """

    count: int
    examples: tuple[str, ...]


@attrs.frozen
class CharacterCost:
    """The cost of a character that is not in GSM-7.

    Attributes:
        character: The character.
        messages: The number of SMS that have it.
        extra_parts: The additional carrier parts of those SMS, compared with their closest form in
            GSM-7; an SMS with two such characters counts for both.
    """

    character: str = attrs.field(repr=False)
    messages: int
    extra_parts: int


@attrs.frozen
class Need:
    """The amount that a campaign takes from one balance.

    Attributes:
        id_client: The sub-client that pays; ``None`` for the account's unassigned balance.
        product: The product of the balance.
        country: The ISO code of the destination country of SMS, or ``unknown``; ``None`` for all
            countries together: for email and WhatsApp, which have one balance, and for SMS without
            the extra ``phone``.
        amount: The number of SMS billed, or of emails or WhatsApp messages sent.
    """

    id_client: str | None
    product: Product
    country: str | None
    amount: int

    def __str__(self) -> str:
        """Name the balance."""
        payer = f"sub-client {self.id_client}" if self.id_client else "the account"
        country = f" to {self.country}" if self.country else ""
        return f"{_PRODUCT_NAMES[self.product]}{country} of {payer}"


@attrs.frozen
class Shortfall:
    """A need that its balance does not cover, or may not cover.

    Attributes:
        need: The need.
        balance: The balance; ``None`` if the API's list does not have it.
    """

    need: Need
    balance: int | None

    @property
    def missing(self) -> int | None:
        """The number of messages that the balance lacks; ``None`` if it is unknown."""
        return None if self.balance is None else self.need.amount - self.balance

    def __str__(self) -> str:
        """Describe the shortfall in a sentence."""
        if self.missing is None:
            return f"{self.need}: needs {self.need.amount:,}, balance unknown"
        return (
            f"{self.need}: needs {self.need.amount:,}, has {self.balance:,}, lacks {self.missing:,}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Convert it to types that JSON has."""
        return {**_need_as_dict(self.need), "balance": self.balance, "missing": self.missing}


@attrs.frozen(kw_only=True)
class PreflightReport:
    """Forecast of a campaign. Everything below ``skipped`` counts only messages to be sent.

    Attributes:
        rows: All rows of the source.
        to_send: Messages that this run will send.
        known: Rows that an earlier run dealt with and this run does not send, by state.
        skipped: Rows that will not be sent, by reason.
        sms: The number of SMS.
        emails: The number of emails.
        whatsapp: The number of WhatsApp messages.
        billed_sms: SMS billed.
        parts: Parts that carriers split the SMS into.
        ucs2: SMS that a character forces into UCS-2.
        extra_parts: The additional parts of those, compared with their closest form in GSM-7.
        ucs2_characters: The characters that force most SMS into UCS-2, most frequent first.
        by_country: Messages to numbers by ISO code of the country, or ``unknown``; ``None`` without
            the extra ``phone``.
        needs: The amount taken from each balance.
        in_quiet_hours: Messages that cannot be sent now; ``None`` without quiet hours.
        budget: The most that the campaign may take from the balances; ``None`` without a budget.
        seconds: The time that sending takes at the rate; ``None`` without a rate.
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
        """Messages that an earlier run sent or may have sent, and that are not sent again."""
        return sum(count for state, count in self.known.items() if state is not State.SKIPPED)

    @property
    def over_budget(self) -> int | None:
        """Messages that the budget does not cover; ``None`` without a budget."""
        if self.budget is None:
            return None
        skipped = self.skipped.get(SkipReason.OVER_BUDGET)
        return skipped.count if skipped else 0

    def as_dict(self) -> dict[str, Any]:
        """Convert it to types that JSON has."""
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
    """Adds up the forecast of a campaign, row by row, in constant memory.

    Args:
        examples: Maximum examples for each reason to skip a row; further rows are only counted.
        quiet_hours: If given, messages that cannot be sent at `now` are counted.
        now: The current time, with a time zone; by default that of the clock.
        budget: The most that the campaign may take from the balances: SMS as billed, one for each
            email and WhatsApp message.
        spent: The amount it took before.

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
        find_country = _country_finder()
        self._has_countries = find_country is not None
        self._country_of = find_country or (lambda _: None)
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
        """Add the next row. The other arguments come from the ledger's `Loaded`.

        Args:
            row: The row. An error, or a message with an invalid recipient, counts as invalid.
            skipped: The reason to skip it, if any.
            known: The state in which an earlier run left it; a queued message is still to be sent.
            first_line: For a duplicate, the line of the first message.
        """
        self._rows += 1
        if known not in (None, State.QUEUED):
            self._known[known] += 1
        elif skipped is not None:
            self._skip(row.line, skipped, _sentence(row, skipped, first_line))
        else:
            self._add_message(row)

    def add_batch(self, batch: Sequence[Composed], loaded: Sequence[Loaded]) -> None:
        """Add the next rows, with the results of their load."""
        alike: Counter[tuple[str | None, str | None]] = Counter()
        adds_up = self._left is None and self._quiet_hours is None
        for item, result in zip(batch, loaded, strict=True):
            if isinstance(item, Row):
                self.add(item, *result)
                continue
            entry, text, id_client = item
            if result.skipped is not None or result.known not in _TO_SEND:
                self.add(item.row, *result)
                continue
            self._rows += 1
            if adds_up and is_one_sms(text):
                alike[self._country_of(entry.recipient), id_client] += 1
            else:
                self._add_checked(entry.line, Product.SMS, entry.recipient, text, id_client)
        for (country, id_client), count in alike.items():
            self._parts += count
            self._count(Product.SMS, country, id_client, count, count)

    def report(
        self,
        *,
        rate: float | None = None,
        rate_unit: Literal["messages", "segments"] = "messages",
    ) -> PreflightReport:
        """Make the report of the rows so far.

        Args:
            rate: The rate per second.
            rate_unit: The unit of the rate: messages, or SMS as billed.
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
            by_country=dict(self._countries.most_common()) if self._has_countries else None,
            needs=tuple(Need(*need, amount) for need, amount in self._needs.most_common()),
            in_quiet_hours=self._in_quiet_hours if self._quiet_hours else None,
            budget=self._budget,
            seconds=weight / rate if rate else None,
        )

    def _skip(self, line: int | None, reason: SkipReason, sentence: str) -> None:
        self._skipped[reason] += 1
        sentences = self._sentences.setdefault(reason, [])
        if len(sentences) < self._examples:
            place = f"row {self._rows}" if line is None else f"line {line}"
            sentences.append(f"{place}: {sentence}")

    def _add_message(self, row: Row) -> None:
        message = row.content
        if isinstance(message, Exception):
            self._skip(row.line, SkipReason.INVALID, _said(message))
            return
        try:
            recipient = _recipient(message)
        except InvalidArgumentError as error:
            self._skip(row.line, SkipReason.INVALID, str(error))
            return
        text = message.sms_content if isinstance(message, Sms) else None
        self._add_checked(row.line, _PRODUCTS[type(message)], recipient, text, message.id_client)

    def _add_checked(
        self,
        line: int | None,
        product: Product,
        recipient: str,
        text: str | None,
        id_client: str | None,
    ) -> None:
        counted = None if text is None else segments(text)
        billed = counted.billed if counted else 1
        if self._left is not None:
            if billed > self._left:
                self._skip(line, SkipReason.OVER_BUDGET, _SENTENCES[SkipReason.OVER_BUDGET])
                return
            self._left -= billed
        if counted is not None and text is not None:
            self._count_parts(text, counted)
        country = None if product is Product.EMAIL else self._country_of(recipient)
        self._count(product, country, id_client, 1, billed)
        if self._quiet_hours and self._quiet_hours.until(recipient, self._now):
            self._in_quiet_hours += 1

    def _count(
        self,
        product: Product,
        country: str | None,
        id_client: str | None,
        messages: int,
        billed: int,
    ) -> None:
        self._products[product] += messages
        if country is not None:
            self._countries[country] += messages
        balance_of = country if product is Product.SMS else None
        self._needs[id_client, product, balance_of] += billed

    def _count_parts(self, text: str, counted: Segments) -> None:
        self._parts += counted.parts
        if not counted.ucs2_only:
            return
        extra = 0
        if counted.parts > 1 or not has_gsm7(text):  # one part is as good as it gets
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

_TO_SEND: Final = (None, State.QUEUED)

_SENTENCES: Final[Mapping[SkipReason, str]] = {
    SkipReason.INVALID: "is not a valid message",
    SkipReason.DUPLICATE: "the campaign already has the same message",
    SkipReason.SUPPRESSED: "the recipient is on the suppression list",
    SkipReason.EXPIRED: "the message has expired",
    SkipReason.OVER_BUDGET: "the budget does not cover it",
    SkipReason.SUPERSEDED: "the source does not have it any more",
    SkipReason.TOO_OFTEN: "the recipient got as many messages lately as are allowed",
}


def _sentence(row: Row, reason: SkipReason, first_line: int | None) -> str:
    if reason is SkipReason.DUPLICATE and first_line is not None:
        return f"the same message as on line {first_line}"
    if reason is SkipReason.INVALID and isinstance(row.content, Exception):
        return _said(row.content)
    return _SENTENCES[reason]


def _said(error: Exception) -> str:
    """Return the sentence of an error of ours, which has no personal data, or another's type."""
    return one_line(safe_text(error), MAX_SENTENCE_CHARACTERS)


def _recipient(message: Message) -> str:
    if type(message) not in _PRODUCTS:
        raise InvalidArgumentError(
            "message", f"must be Sms, Email or WhatsApp, not {type(message).__name__}"
        )
    if isinstance(message, Email):
        return arguments.email_address("dst_email", message.dst_email)
    return arguments.phone_number("dst_number", message.dst_number)


def _country_finder() -> Callable[[str], str | None] | None:
    """Return a function from a number to its country, if phonenumbers is installed."""
    try:
        library("by_country", "phonenumbers", extra="phone")
    except ConfigurationError:
        return None
    country = lru_cache(NUMBERS_REMEMBERED)(phone_numbers.country)
    head, by_head = number_patterns.LONGEST_CODE, number_patterns.country_of

    def find(digits: str) -> str:
        by_block = by_head(digits[:head]) or country(block_start(digits))
        return by_block or country(digits) or UNKNOWN_COUNTRY

    return find


def compare_balance(report: PreflightReport, sub_clients: SubClients) -> list[Shortfall]:
    """Compare the needs of a campaign with the balances that pay for it.

    Args:
        report: The report with the needs.
        sub_clients: The answer of ``connectus.clients.list()``.

    Returns:
        The needs that are not covered or may not be: a country or sub-client that is missing in the
        answer never counts as covered. If the countries of the SMS are unknown, they are compared
        with the sum of all countries' balances, which is an upper bound.
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
    """Remove accents and case from a name: the API may come to write them."""
    letters = unicodedata.normalize("NFKD", name.strip().casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _need_as_dict(need: Need) -> dict[str, Any]:
    return {**attrs.asdict(need), "product": need.product.name.lower()}


def render(report: PreflightReport, shortfalls: Sequence[Shortfall] | None = None) -> str:
    """Format a report for a terminal, without recipients or texts.

    Args:
        report: The report.
        shortfalls: The result of `compare_balance`; ``None`` if the balance was not looked up.
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
            f"{_number_of(report.parts, 'carrier part')}"
        )
    if report.extra_parts:
        yield (
            f"    {report.ucs2:,} need UCS-2, which costs "
            f"{_number_of(report.extra_parts, 'part')} more than GSM-7"
        )
    for cost in report.ucs2_characters:
        if cost.extra_parts:
            yield (
                f"      {_shown(cost.character)}: in {cost.messages:,} SMS, "
                f"{_number_of(cost.extra_parts, 'part')} more"
            )
    if report.emails:
        yield f"  {_number_of(report.emails, 'email')}"
    if report.whatsapp:
        yield f"  {_number_of(report.whatsapp, 'WhatsApp message')}"


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
    return "an unknown country" if country == UNKNOWN_COUNTRY else country


def _limits(report: PreflightReport) -> Iterator[str]:
    if report.in_quiet_hours is not None:
        yield f"{report.in_quiet_hours:,} now in quiet hours"
    if report.budget is not None:
        yield f"{report.over_budget or 0:,} not covered by the budget of {report.budget:,}"
    if report.seconds is not None:
        yield f"{dt.timedelta(seconds=round(report.seconds))} to send at the given rate"


def _balance_lines(report: PreflightReport, shortfalls: Sequence[Shortfall]) -> Iterator[str]:
    has_countries = report.by_country is not None or not report.sms
    if shortfalls:
        yield "the balance may be too low:"
        yield from (f"  {shortfall}" for shortfall in shortfalls)
    elif has_countries:
        yield "the balance covers it"
    else:
        yield "the balance of all countries together covers it"
    if not has_countries:
        yield "  to compare each country: pip install 'connectus-async[phone]'"
