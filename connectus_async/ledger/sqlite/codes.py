"""Short forms of what every message has, as the tables keep it, and SQL that writes them out."""

from collections.abc import Mapping
from typing import Final

from connectus_async.ledger.states import MAY_BE_SENT, State
from connectus_async.ledger.texts import storable

STATES: Final = (
    State.ACCEPTED,
    State.REJECTED,
    State.SKIPPED,
    State.QUEUED,
    State.IN_FLIGHT,
    State.UNKNOWN,
    State.HELD,
)
"""A state is its place here. SQLite takes no byte for 0 and 1, which most messages end with."""

CODES: Final[Mapping[str, int]] = {state: code for code, state in enumerate(STATES)}
ACCEPTED, REJECTED, SKIPPED, QUEUED, IN_FLIGHT, UNKNOWN, HELD = range(len(STATES))
ANSWERED: Final = REJECTED
"""The highest code of an answer of the API; only messages above it can change."""

SENT_OR_MAYBE: Final = ", ".join(str(CODES[state]) for state in sorted(MAY_BE_SENT))

KINDS: Final = ("invalid", "sms", "email", "whatsapp")
"""A kind is its place here; others are kept as texts."""

PREFIXES: Final = {
    "sms": '{"sms_content":',
    "email": '{"email_content":',
    "whatsapp": '{"whatsapp_content":',
}
"""Beginnings of bodies. A body is kept without it: it begins with the quotation mark of a text."""

_BEGINNINGS: Final = {kind: f'{prefix}"' for kind, prefix in PREFIXES.items()}

KIND_CODES: Final = {kind: code for code, kind in enumerate(KINDS)}
EPOCH: Final = 1_577_836_800
TICKS: Final = 100_000
"""Times are ticks since 2020: fine enough to tell what came first, in six bytes until 2064."""

MOST_DIGITS: Final = 18
"""Of a number that is sure to be an integer of SQLite."""


def short_recipient(recipient: str) -> int | str:
    """Shorten a recipient: digits are a number, if that number has the same digits."""
    is_number = recipient.isdigit() and recipient.isascii() and recipient[0] != "0"
    return int(recipient) if is_number and len(recipient) <= MOST_DIGITS else recipient


def short_body(kind: str, body: str) -> str:
    """Shorten a body."""
    beginning = _BEGINNINGS.get(kind)
    if beginning is None or not body.startswith(beginning):
        return body
    return body[len(beginning) - 1 :]


def short_id(provider_id: str) -> str | bytes:
    """Shorten an identifier of the API: hexadecimal digits are bytes, in small letters."""
    try:
        digits = bytes.fromhex(provider_id)
    except ValueError:
        return storable(provider_id)
    return digits if digits.hex() == provider_id else storable(provider_id)


def ticks(moment: float) -> int:
    """Shorten a Unix time. An odd number is never halfway between two milliseconds."""
    return int((moment - EPOCH) * TICKS) | 1


def _case(column: str, names: dict[int, str], rest: str) -> str:
    cases = " ".join(f"WHEN {code} THEN '{name}'" for code, name in names.items())
    return f"CASE {column} {cases} ELSE {rest} END"


def _code_of(column: str, codes: Mapping[str, int], rest: str) -> str:
    cases = " ".join(f"WHEN '{name}' THEN {code}" for name, code in codes.items())
    return f"CASE {column} {cases} ELSE {rest} END"


def state_name(column: str) -> str:
    """Write out a state."""
    return _case(column, dict(enumerate(STATES[:-1])), f"'{STATES[-1]}'")


def state_code(column: str) -> str:
    """Shorten the name of a state; another text is refused, as NULL."""
    return _code_of(column, CODES, "NULL")


def kind_name(column: str) -> str:
    """Write out a kind."""
    return _case(column, dict(enumerate(KINDS)), column)


def kind_code(column: str) -> str:
    """Shorten the name of a kind."""
    return _code_of(column, KIND_CODES, column)


def recipient_text(column: str) -> str:
    """Write out a recipient."""
    return f"CAST({column} AS TEXT)"


def body_text(kind: str, body: str) -> str:
    """Write out a body."""
    cases = " ".join(
        f"WHEN {KIND_CODES[name]} THEN '{prefix}'" for name, prefix in PREFIXES.items()
    )
    return f"""CASE WHEN substr({body}, 1, 1) = '"' THEN CASE {kind} {cases} ELSE '' END || {body} \
ELSE {body} END"""


def id_text(column: str) -> str:
    """Write out an identifier of the API."""
    return f"CASE typeof({column}) WHEN 'blob' THEN lower(hex({column})) ELSE {column} END"


def moment(column: str) -> str:
    """Write a time out, as Unix seconds."""
    return f"({column}) / {TICKS}.0 + {EPOCH}"


def tick_count(column: str) -> str:
    """Shorten a Unix time."""
    return f"({column} - {EPOCH}) * {TICKS}.0"
