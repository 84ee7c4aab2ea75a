"""Preflight of a campaign: counts, costs and balances, before its first message is sent."""

import datetime as dt
import enum
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from connectus_async.recipients.columns import folded
from connectus_async.recipients.number_patterns import LineType
from connectus_async.recipients.plain_sms import Composed
from connectus_async.recipients.quiet_hours import NUMBERS_REMEMBERED, QuietHours, block_start
from connectus_async.redaction import one_line
from connectus_async.segmentation import Segments, has_gsm7, is_one_sms, segments
from connectus_async.transliteration import to_gsm7

DEFAULT_EXAMPLES: Final = 20
CHARACTERS_SHOWN: Final = 10
MAX_SENTENCE_CHARACTERS: Final = 300
UNKNOWN_COUNTRY: Final = "unknown"
LINES_NAMED: Final = 5
GROUPS_NAMED: Final = 20
FIRST_MESSAGES: Final = 3

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
class SkippedAlike:
    """The rows skipped for one reason with the same sentence.

    Attributes:
        sentence: The sentence; empty for rows with still other ones than are named.
        count: The number of rows.
        lines: The lines of the first rows; rows without a line are left out.
    """

    sentence: str
    count: int
    lines: tuple[int, ...]


@attrs.frozen
class Skipped:
    """The rows skipped for one reason.

    Attributes:
        count: The number of rows.
        examples: A sentence for each of the first rows.
        groups: The rows by sentence, most frequent first.
    """

    count: int
    examples: tuple[str, ...]
    groups: tuple[SkippedAlike, ...]


class Finding(enum.StrEnum):
    """Something about a message that its sender would want to know."""

    MORE_PARTS = "more_parts"
    """A character that is not in GSM-7 makes it longer."""

    LANDLINE = "landline"
    """Its number is that of a landline, which may not receive it."""

    TOLL_FREE = "toll_free"
    """Its number is toll-free, and receives no SMS."""

    BRACES = "braces"
    """Its text has the name of a column in braces, such as ``{name}``."""


@attrs.frozen(kw_only=True)
class Samples:
    """Messages as they would be sent. Their texts are personal data.

    Attributes:
        first: The first messages.
        longest: The message with the longest text; ``None`` without messages.
        findings: The first message with each finding.
        countries: The first message to each country.
    """

    first: tuple[Row, ...] = attrs.field(default=(), repr=False)
    longest: Row | None = attrs.field(default=None, repr=False)
    findings: Mapping[Finding, Row] = attrs.field(factory=dict, repr=False)
    countries: Mapping[str, Row] = attrs.field(factory=dict, repr=False)


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
        findings: The number of messages with each finding; those without any are left out.
        notes: What the reader of the source found and decided, a sentence each.
        samples: Some of the messages, which are in no other form of the report.
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
    findings: Mapping[Finding, int]
    notes: tuple[str, ...]
    samples: Samples

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
            **{
                name: getattr(self, name)
                for name in attrs.fields_dict(type(self))
                if name != "samples"
            },
            "known": {str(state): count for state, count in self.known.items()},
            "already_sent": self.already_sent,
            "skipped": {
                str(reason): {
                    "count": skipped.count,
                    "examples": list(skipped.examples),
                    "groups": [attrs.asdict(group) for group in skipped.groups],
                }
                for reason, skipped in self.skipped.items()
            },
            "ucs2_characters": [attrs.asdict(cost) for cost in self.ucs2_characters],
            "by_country": None if self.by_country is None else dict(self.by_country),
            "needs": [_need_as_dict(need) for need in self.needs],
            "over_budget": self.over_budget,
            "findings": {str(finding): count for finding, count in self.findings.items()},
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
        columns: The columns of the source, whose names a text should not have in braces.
        notes: Gives what the reader of the source found and decided; see `Source.notes`.

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
        columns: Iterable[str] = (),
        notes: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._examples = examples
        self._quiet_hours = quiet_hours
        self._now = now or dt.datetime.now(dt.UTC)
        self._budget = budget
        self._left = None if budget is None else budget - spent
        find_country = _country_finder()
        self._has_countries = find_country is not None
        self._country_of = find_country or (lambda _: None)
        self._line_type = number_patterns.line_type if self._has_countries else (lambda _: None)
        self._in_braces = _in_braces(columns)
        self._notes = notes
        self._rows = self._in_quiet_hours = 0
        self._known: Counter[State] = Counter()
        self._skipped: Counter[SkipReason] = Counter()
        self._sentences: dict[SkipReason, list[str]] = {}
        self._alike: dict[SkipReason, dict[str, _Alike]] = {}
        self._findings: Counter[Finding] = Counter()
        self._first: list[Composed] = []
        self._longest: Composed | None = None
        self._most_characters = -1
        self._found: dict[Finding, Composed] = {}
        self._to_country: dict[str, Composed] = {}
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
        if skipped is not None:
            alike = _SENTENCES[skipped] if skipped is SkipReason.DUPLICATE else None
            self._skip(row.line, skipped, _sentence(row, skipped, first_line), alike)
        elif known not in (None, State.QUEUED):
            self._known[known] += 1
        else:
            self._add_message(row)

    def add_batch(self, batch: Sequence[Composed], loaded: Sequence[Loaded]) -> None:
        """Add the next rows, with the results of their load."""
        alike: Counter[tuple[str | None, str | None]] = Counter()
        adds_up = self._left is None and self._quiet_hours is None
        first, to_country = self._first, self._to_country
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
                country = self._country_of(entry.recipient)
                alike[country, id_client] += 1
                if line_type := self._line_type(entry.recipient):
                    self._find(item, _OF_LINES[line_type])
                if (
                    len(text) > self._most_characters
                    or len(first) < FIRST_MESSAGES
                    or country not in to_country
                ):
                    self._keep(item, len(text), country)
            else:
                self._add_checked(item, Product.SMS, entry.recipient, (text,), id_client)
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
                reason: Skipped(
                    self._skipped[reason],
                    tuple(self._sentences[reason]),
                    _groups(self._alike[reason]),
                )
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
            findings={it: self._findings[it] for it in Finding if self._findings[it]},
            notes=tuple(self._notes()),
            samples=Samples(
                first=tuple(map(_row_of, self._first)),
                longest=None if self._longest is None else _row_of(self._longest),
                findings={it: _row_of(self._found[it]) for it in Finding if it in self._found},
                countries={country: _row_of(item) for country, item in self._to_country.items()},
            ),
        )

    def _skip(
        self, line: int | None, reason: SkipReason, sentence: str, alike: str | None = None
    ) -> None:
        self._skipped[reason] += 1
        groups = self._alike.setdefault(reason, {})
        named = sentence if alike is None else alike
        if named not in groups and len(groups) >= GROUPS_NAMED:
            named = ""
        groups.setdefault(named, _Alike()).add(line)
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
        product = _PRODUCTS[type(message)]
        self._add_checked(row, product, recipient, texts_of(message), message.id_client)

    def _add_checked(
        self,
        item: Composed,
        product: Product,
        recipient: str,
        texts: Sequence[str],
        id_client: str | None,
    ) -> None:
        counted = segments(texts[0]) if product is Product.SMS else None
        billed = counted.billed if counted else 1
        if self._left is not None:
            if billed > self._left:
                sentence = _SENTENCES[SkipReason.OVER_BUDGET]
                self._skip(_line_of(item), SkipReason.OVER_BUDGET, sentence)
                return
            self._left -= billed
        country = None if product is Product.EMAIL else self._country_of(recipient)
        self._count(product, country, id_client, 1, billed)
        self._keep(item, len(texts[-1]), country)
        if counted is not None and self._count_parts(texts[0], counted):
            self._find(item, Finding.MORE_PARTS)
        if product is not Product.EMAIL and (line_type := self._line_type(recipient)):
            self._find(item, _OF_LINES[line_type])
        if any("{" in text and self._in_braces(text) for text in texts):
            self._find(item, Finding.BRACES)
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

    def _keep(self, item: Composed, characters: int, country: str | None) -> None:
        """Keep a message as a sample, if it is one."""
        if len(self._first) < FIRST_MESSAGES:
            self._first.append(item)
        if characters > self._most_characters:
            self._most_characters, self._longest = characters, item
        if country is not None:
            self._to_country.setdefault(country, item)

    def _find(self, item: Composed, finding: Finding) -> None:
        self._findings[finding] += 1
        self._found.setdefault(finding, item)

    def _count_parts(self, text: str, counted: Segments) -> int:
        """Count the parts of an SMS; return those that it would not have in GSM-7."""
        self._parts += counted.parts
        if not counted.ucs2_only:
            return 0
        extra = 0
        if counted.parts > 1 or not has_gsm7(text):  # one part is as good as it gets
            extra = counted.parts - segments(to_gsm7(text)).parts
        self._ucs2 += 1
        self._extra_parts += extra
        for character in counted.ucs2_only:
            self._forcing[character] += 1
            self._forced_parts[character] += extra
        return extra


@attrs.define
class _Alike:
    count: int = 0
    lines: list[int] = attrs.field(factory=list)

    def add(self, line: int | None) -> None:
        self.count += 1
        if line is not None and len(self.lines) < LINES_NAMED:
            self.lines.append(line)


def _groups(alike: Mapping[str, _Alike]) -> tuple[SkippedAlike, ...]:
    found = (SkippedAlike(name, one.count, tuple(one.lines)) for name, one in alike.items())
    return tuple(sorted(found, key=lambda group: (not group.sentence, -group.count)))


def _row_of(item: Composed) -> Row:
    return item if isinstance(item, Row) else item.row


def _line_of(item: Composed) -> int | None:
    return item.line if isinstance(item, Row) else item.entry.line


def texts_of(message: Message) -> tuple[str, ...]:
    """Return the texts of a message: its subject first, if it has one."""
    if isinstance(message, Email):
        return message.subject, message.email_content
    return (message.sms_content if isinstance(message, Sms) else message.whatsapp_content,)


def _in_braces(columns: Iterable[str]) -> Callable[[str], bool]:
    """Make a function that finds the name of a column in braces in a text, in any spelling."""
    names = {folded(name) for name in columns} - {""}

    def is_found(text: str) -> bool:
        return any(folded(match[1]) in names for match in _BRACED.finditer(text))

    return is_found


_BRACED: Final = re.compile(r"\{([^{}|]+)(?:\|[^{}]*)?\}")
"""A name, which filters of Jinja may follow."""

_OF_LINES: Final = {
    LineType.LANDLINE: Finding.LANDLINE,
    LineType.TOLL_FREE: Finding.TOLL_FREE,
}

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
    SkipReason.HAS_ANOTHER: "the recipient may have got another text of this campaign",
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


def balances(report: PreflightReport, sub_clients: SubClients) -> list[tuple[Need, int | None]]:
    """Find the balance that pays for each need; ``None`` if the API's list does not have it.

    Args:
        report: The report with the needs.
        sub_clients: The answer of ``connectus.clients.list()``.
    """
    return [(need, _balance(need, sub_clients)) for need in report.needs]


def shortfalls(found: Iterable[tuple[Need, int | None]]) -> list[Shortfall]:
    """Choose the needs that their balances do not cover, or may not cover."""
    return [
        Shortfall(need, balance)
        for need, balance in found
        if balance is None or balance < need.amount
    ]


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
    return shortfalls(balances(report, sub_clients))


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
