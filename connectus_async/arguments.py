"""Checks of arguments before they are sent.

Each takes the name and the value of an argument, and returns the value to send. It raises
`InvalidArgumentError` if the value is not valid; the error names the argument and never shows the
value.
"""

import datetime as dt
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit

from connectus_async.errors import InvalidArgumentError

MAX_SMS_CHARACTERS: Final = 255 * 153
"""Maximum of a concatenated SMS: 255 parts."""

MAX_WHATSAPP_CHARACTERS: Final = 65_536
MAX_EMAIL_CHARACTERS: Final = 10 * 2**20
MAX_LINE_CHARACTERS: Final = 998
"""Maximum line length of an email header (RFC 5322)."""

MAX_EMAIL_ADDRESS_CHARACTERS: Final = 254
MAX_IDENTIFIER_CHARACTERS: Final = 256
MAX_URL_CHARACTERS: Final = 8_192
MAX_GROUP_NUMBERS: Final = 1_024
MAX_AMOUNT: Final = 2**53 - 1
"""Largest whole number that every JSON parser reads exactly."""

ToDigits = Callable[[str, str | int], str]
"""Turns a phone number into its E.164 digits, as `phone_number` does."""

NUMBER_LENGTHS: Final = range(8, 16)
"""Digits of a phone number, with its country code."""

DASHES: Final = "-\N{NON-BREAKING HYPHEN}\N{EN DASH}"
"""Written between the digits of a number. Safe at the start of a set in a regular expression."""

_REVERSING: Final = "\N{RIGHT-TO-LEFT OVERRIDE}"
_PUNCTUATION: Final = dict.fromkeys(map(ord, DASHES))
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_BESIDE_DIGITS: Final = re.compile(rf"[{DASHES}\s()+]+")
_WRITTEN_BY_HAND: Final = re.compile(r"[\d+][-\d ()+]*")
_DECIMAL: Final = re.compile(r"\d+[.,]\d{1,2}|\d{7,}[.,]0+")
_SCIENTIFIC: Final = re.compile(r"\d([.,]\d*)?e\+?\d+", re.IGNORECASE)
_DATE: Final = "%Y-%m-%d"
_DATE_AND_TIME: Final = "%Y-%m-%d %H:%M:%S"


def phone_number(field: str, value: str | int) -> str:
    """Return the E.164 digits of a phone number.

    >>> phone_number("dst_number", "+56 9 8768-8060")
    '56987688060'
    """
    digits = _digits(field, value)
    if len(digits) not in NUMBER_LENGTHS:
        raise InvalidArgumentError(
            field, f"has {len(digits)} digits; with its country code a number has 8 to 15"
        )
    if digits[0] == "0":
        raise InvalidArgumentError(
            field, "begins with 0; write it in international format, country code first"
        )
    return digits


def without_marks(field: str, value: str) -> str:
    r"""Take off what is not seen in a number, as the marks that a phone copies along with it.

    >>> without_marks("dst_number", "\u202a+56 9 8768 8060\u202c")
    '+56 9 8768 8060'
    """
    if value.isascii():
        return value
    if _REVERSING in value:
        raise InvalidArgumentError(
            field, "has an invisible mark that shows its digits in another order; write it anew"
        )
    return "".join(sign for sign in value if unicodedata.category(sign) != "Cf")


def refuse_a_computed_number(field: str, value: str) -> None:
    """Refuse a phone number that a program wrote as a number, such as ``98768806.0``.

    Without the point it would be another phone number; a minus is what is left of a formula such as
    ``+56-987688060``. In a number written by hand, three or more digits follow a single point.

    >>> refuse_a_computed_number("dst_number", "9.8768.8060")
    """
    if _WRITTEN_BY_HAND.fullmatch(value):
        return
    number = _BESIDE_DIGITS.sub("", value)
    if _DECIMAL.fullmatch(number):
        raise InvalidArgumentError(
            field,
            "is a decimal number, as a spreadsheet or pandas writes it; format the column as text",
        )
    if _SCIENTIFIC.fullmatch(number):
        raise InvalidArgumentError(
            field, "is in scientific notation, as a spreadsheet makes it; format the column as text"
        )
    if number and value.lstrip("( ").startswith(tuple(DASHES)):
        raise InvalidArgumentError(
            field, "begins with a minus, as a spreadsheet computes it; format the column as text"
        )


def phone_numbers(field: str, values: Iterable[str | int]) -> list[str]:
    """Check a list of 1 to 1,024 phone numbers. The error gives the index of a wrong one."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InvalidArgumentError(field, "must be a list of numbers")
    numbers = [phone_number(f"{field}[{index}]", value) for index, value in enumerate(values)]
    if not 1 <= len(numbers) <= MAX_GROUP_NUMBERS:
        raise InvalidArgumentError(
            field, f"has {len(numbers)} numbers; 1 to {MAX_GROUP_NUMBERS} can be sent"
        )
    return numbers


def source_number(field: str, value: str | int | None) -> int | str | None:
    """Check the sender of an SMS, which may be a short code.

    The API documents an integer. Text keeps a leading zero.
    """
    if value is None:
        return None
    digits = _digits(field, value)
    if len(digits) > 15:
        raise InvalidArgumentError(field, f"has {len(digits)} digits; a number has at most 15")
    return digits if digits[0] == "0" else int(digits)


def _digits(field: str, value: str | int) -> str:
    if type(value) is str and value.isascii() and value.isdigit():
        return value  # the usual case: the rest takes ten times as long
    if type(value) is int and 0 <= value <= MAX_AMOUNT:
        return str(value)
    value = whole(value)
    if isinstance(value, float | Decimal):
        raise InvalidArgumentError(
            field, "is a decimal number, as a spreadsheet makes them; format the column as text"
        )
    text = without_marks(field, _written(field, value)).strip()
    digits = "".join(text.split()).translate(_PUNCTUATION).removeprefix("+")
    if not digits:
        raise InvalidArgumentError(field, "is empty")
    refuse_a_computed_number(field, text)
    if len(text.splitlines()) > 1:
        raise InvalidArgumentError(field, "has a line break; it may be two numbers")
    if not (digits.isascii() and digits.isdigit()):
        raise InvalidArgumentError(
            field, "has something other than digits (+, blanks and dashes are taken off)"
        )
    return digits


def whole(value: Any) -> Any:
    """Return the int that a `Decimal` is, if it is whole and has all its digits.

    >>> whole(Decimal("56987688060.00")), whole(Decimal("5.7E10")), whole("56987688060")
    (56987688060, Decimal('5.7E+10'), '56987688060')
    """
    if not isinstance(value, Decimal) or not value.is_finite() or abs(value) > MAX_AMOUNT:
        return value
    has_all_digits = int(value.as_tuple().exponent) <= 0
    return int(value) if has_all_digits and value == int(value) else value


def _written(field: str, value: str | int) -> str:
    value = whole(value)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InvalidArgumentError(field, f"must be text or int, not {type(value).__name__}")
    if isinstance(value, int) and not 0 <= value <= MAX_AMOUNT:
        raise InvalidArgumentError(field, f"must be from 0 to {MAX_AMOUNT} where it is an int")
    return str(value)


def text(field: str, value: str, limit: int) -> str:
    """Check a text of at most `limit` characters that must not be blank."""
    if not isinstance(value, str):
        raise InvalidArgumentError(field, f"must be text, not {type(value).__name__}")
    if not value or value.isspace():
        raise InvalidArgumentError(field, "is empty")
    if len(value) > limit:
        raise InvalidArgumentError(
            field, f"has {len(value)} characters; at most {limit} can be sent"
        )
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError as error:
        problem = f"has half a surrogate pair at position {error.start}: it was decoded wrongly"
        raise InvalidArgumentError(field, problem) from None
    return value


def sms_content(field: str, value: str) -> str:
    """Check the text of an SMS."""
    return text(field, value, MAX_SMS_CHARACTERS)


def whatsapp_content(field: str, value: str) -> str:
    """Check the text of a WhatsApp message."""
    return text(field, value, MAX_WHATSAPP_CHARACTERS)


def email_content(field: str, value: str) -> str:
    """Check the HTML or text of an email."""
    return text(field, value, MAX_EMAIL_CHARACTERS)


def line(field: str, value: str) -> str:
    """Check a subject or a name. It has one line, since a line break could forge a header."""
    value = text(field, value, MAX_LINE_CHARACTERS)
    if _CONTROL.search(value):
        raise InvalidArgumentError(field, "has a line break or another control character")
    return value


def email_address(field: str, value: str) -> str:
    """Check the form of one email address."""
    address = line(field, value).strip()
    local, _, domain = address.rpartition("@")
    odd = any(sign in " ,;<>@" or not sign.isprintable() for sign in local + domain)
    if not local or not domain or odd:
        raise InvalidArgumentError(field, "is not one email address of the form name@domain")
    if len(address) > MAX_EMAIL_ADDRESS_CHARACTERS:
        raise InvalidArgumentError(
            field, f"has more than {MAX_EMAIL_ADDRESS_CHARACTERS} characters"
        )
    return address


def identifier(field: str, value: str | int) -> str:
    """Check an identifier of the API, which becomes part of a path or a field."""
    value = line(field, _written(field, value))
    if not value.isprintable():
        raise InvalidArgumentError(field, "has an invisible character: it is no identifier")
    if len(value) > MAX_IDENTIFIER_CHARACTERS:
        raise InvalidArgumentError(
            field, f"has more than {MAX_IDENTIFIER_CHARACTERS} characters: it is no identifier"
        )
    if not value.strip("."):
        raise InvalidArgumentError(field, "has only dots: it is no identifier")
    return value


def optional_identifier(field: str, value: str | int | None) -> str | None:
    """Check an identifier, or pass on ``None``."""
    return None if value is None else identifier(field, value)


def link(field: str, value: str) -> str:
    """Check the target of a short link: an http or https URL."""
    value = text(field, value, MAX_URL_CHARACTERS)
    if not value.startswith(("https://", "http://")) or not value.isprintable() or " " in value:
        raise InvalidArgumentError(field, "must be a URL that begins with https:// or http://")
    if not _names_a_host(value):
        raise InvalidArgumentError(field, "must be a URL that names a host")
    return value


def _names_a_host(url: str) -> bool:
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False


def amount(field: str, value: int) -> int:
    """Check a number of messages: a whole number above zero."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_AMOUNT:
        raise InvalidArgumentError(field, f"must be a whole number from 1 to {MAX_AMOUNT}")
    return value


def json_object(field: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """Check a JSON object, which is sent as it is."""
    from connectus_async import _json  # noqa: PLC0415 - few messages have such an argument

    if not isinstance(value, Mapping):
        raise InvalidArgumentError(field, f"must be a mapping, not {type(value).__name__}")
    try:
        _json.dumps(dict(value))
    except (TypeError, ValueError, RecursionError):
        raise InvalidArgumentError(field, "has something that JSON cannot say") from None
    return dict(value)


def date(field: str, value: dt.date | str) -> str:
    """Check a day, and return it as ``YYYY-MM-DD``."""
    day = value if isinstance(value, dt.date) else _parsed(field, value, _DATE, "2026-07-31")
    return dt.date(day.year, day.month, day.day).isoformat()


def moment(field: str, value: dt.datetime | str) -> dt.datetime:
    """Check a datetime, or parse text of the form ``YYYY-MM-DD HH:MM:SS``."""
    if not isinstance(value, dt.datetime):
        return _parsed(field, value, _DATE_AND_TIME, "2026-07-31 09:30:00")
    if not exists(value):
        raise InvalidArgumentError(field, _skipped(str(value.tzinfo)))
    return value


def date_and_time(field: str, value: dt.datetime, zone: dt.tzinfo | None) -> str:
    """Format a datetime as ``YYYY-MM-DD HH:MM:SS`` in a time zone, without its offset.

    Args:
        field: Name of the argument.
        value: Datetime. A naive one is in the zone already.
        zone: Time zone, or ``None`` if it is not known. Then changes of its clocks are not checked.

    Raises:
        InvalidArgumentError: The clocks of the zone show that time twice or never.
    """
    local = in_zone(field, value, zone).replace(tzinfo=None)
    if zone is not None:
        if not exists(local.replace(tzinfo=zone)):
            raise InvalidArgumentError(field, _skipped(str(zone)))
        if comes_twice(local.replace(tzinfo=zone)):
            raise InvalidArgumentError(
                field,
                f"is in the hour that comes twice in {zone}, when the clocks are put back; the API "
                "takes no offset, so it may mean either: choose a time outside of that hour",
            )
    return local.isoformat(" ", "seconds")


def in_zone(field: str, value: dt.datetime, zone: dt.tzinfo | None) -> dt.datetime:
    """Convert an aware datetime to a zone. A naive one is in it already."""
    if value.tzinfo is None or zone is None:
        return value
    try:
        return value.astimezone(zone)
    except OverflowError:
        raise InvalidArgumentError(field, "is out of the range of dates") from None


def exists(value: dt.datetime) -> bool:
    """Return ``False`` for a time that clocks skip when they are put forward.

    >>> exists(dt.datetime(2026, 7, 31, 9, 30, tzinfo=dt.UTC))
    True
    """
    if value.tzinfo is None:
        return True
    try:
        shown = value.astimezone(dt.UTC).astimezone(value.tzinfo)
    except OverflowError:  # at the ends of the calendar no clocks change
        return True
    return shown.replace(tzinfo=None) == value.replace(tzinfo=None)


def comes_twice(value: dt.datetime) -> bool:
    """Return ``True`` for a time that clocks show twice because they are put back."""
    return value.replace(fold=0).utcoffset() != value.replace(fold=1).utcoffset() and exists(value)


def _skipped(zone: str) -> str:
    return (
        f"does not exist in {zone}, where the clocks are put forward over it: choose a time before "
        "or after that hour"
    )


def _parsed(field: str, value: str, form: str, example: str) -> dt.datetime:
    try:
        return dt.datetime.strptime(value, form)  # noqa: DTZ007 - the API's dates have no time zone
    except (TypeError, ValueError):
        raise InvalidArgumentError(field, f"must be a date of the form {example}") from None
