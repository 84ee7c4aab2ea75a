"""Numbers of workbooks as their format shows them: rounded, grouped and between literals. Pure."""

import re
from collections.abc import Iterator, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final

import attrs

from connectus_async.recipients.cells import without_tail
from connectus_async.recipients.sources.workbooks.conventions import Conventions, plain_blanks
from connectus_async.recipients.sources.workbooks.tokens import (
    Section,
    Token,
    UnknownFormError,
)

GENERAL_CHARACTERS: Final = 11
"""Most characters of a number in the general format, with its decimal sign."""

GROUP: Final = 3
_EXACT: Final = Context(prec=400)
_PLACES: Final = frozenset("0#?")
_LAYOUT: Final = re.compile(
    r"(?P<before>L*)(?P<whole>(?P<general>G)|[0#?](?:[0#?,L]*[0#?])?)?"
    r"(?P<point>\.(?P<decimals>[0#?]*))?(?P<thousands>,*)(?P<after>L*)"
)
_BEFORE: Final = re.compile(r" *(?:\+[\d -]*|(?:\d{1,4}|\(\+?\d{1,4}\))[ -]*(?:\d[ -]*)?)?\(?")
"""Literals before the digits of a phone number: a country code, and the digit of mobiles."""

_WITHIN: Final = re.compile(r"[-(). ]*")


_LEAST: Final = attrs.Factory(lambda form: form.places.count("0"), takes_self=True)
_IS_SIMPLE: Final = attrs.Factory(
    lambda form: not (form.scale or form.has_point or form.has_literals) and form.least == 1,
    takes_self=True,
)
_HAS_LITERALS: Final = attrs.Factory(
    lambda form: not _PLACES.issuperset(form.places), takes_self=True
)


@attrs.frozen
class NumberForm:
    """A format of numbers of one sign.

    Attributes:
        before: Literals before the digits.
        places: The places of whole digits, and literals among them.
        decimals: The places of decimals.
        has_point: Whether it shows the decimal sign.
        after: Literals after the digits.
        scale: Power of ten that a number is multiplied by.
        is_grouped: Whether a sign groups the digits.
        is_general: Whether the digits are written in the general format.
        decimal: The decimal sign.
        group: The sign that groups digits.
        least: The least number of whole digits.
        has_literals: Whether there are literals among the places.
        is_simple: Whether a whole number shows its digits and separators alone.
    """

    before: str
    places: Sequence[str]
    decimals: str
    has_point: bool
    after: str
    scale: int
    is_grouped: bool
    is_general: bool
    decimal: str
    group: str
    least: int = attrs.field(init=False, default=_LEAST)
    has_literals: bool = attrs.field(init=False, default=_HAS_LITERALS)
    is_simple: bool = attrs.field(init=False, default=_IS_SIMPLE)

    @property
    def needs_country(self) -> bool:
        """Whether it has separators, and the country is not known."""
        return not self.decimal and (self.is_grouped or self.has_point)

    @property
    def is_plain(self) -> bool:
        """Whether a whole number shows its own digits, and no other sign than its separators."""
        fixed = "".join(self.places).lstrip("#? ")
        around = (self.before + self.after).strip()
        return not (around or self.scale) and (self.is_general or (fixed in {"", "0"}))

    @property
    def is_padded(self) -> bool:
        """Whether a whole number shows its digits as those of a phone number are written."""
        within = "".join(place for place in self.places if place not in _PLACES)
        return (
            bool(self.places)
            and not (self.scale or self.decimals or self.is_grouped or self.after.strip(" )"))
            and _BEFORE.fullmatch(self.before) is not None
            and _WITHIN.fullmatch(within) is not None
        )

    def text(self, number: float) -> str:
        """Write a number that is not negative."""
        if self.is_simple and isinstance(number, int):
            digits = f"{number:,}".replace(",", self.group) if self.is_grouped else str(number)
        elif self.is_general:
            digits = general_text(number).replace(".", self.decimal)
        elif self.places or self.has_point:
            digits = self._digits(number)
        else:
            digits = ""
        return f"{self.before}{digits}{self.after}"

    def _digits(self, number: float) -> str:
        value = Decimal(repr(without_tail(number))).scaleb(self.scale, _EXACT)
        step = Decimal(1).scaleb(-len(self.decimals))
        whole, _, decimals = f"{value.quantize(step, ROUND_HALF_UP, _EXACT):f}".partition(".")
        optional = len(self.decimals) - len(self.decimals.rstrip("#?"))
        kept = decimals.rstrip("0") if optional else decimals
        decimals = decimals[: max(len(kept), len(decimals) - optional)]
        sign = self.decimal if self.has_point else ""
        return self._whole(whole.lstrip("0")) + sign + decimals

    def _whole(self, digits: str) -> str:
        if not self.has_literals:
            digits = digits.zfill(self.least)
            return _grouped(digits, self.group) if self.is_grouped else digits
        return "".join(reversed(list(self._placed(digits))))

    def _placed(self, digits: str) -> Iterator[str]:
        """Write digits into their places, from the last to the first."""
        left = list(digits)
        count = sum(place in _PLACES for place in self.places)
        for place in reversed(self.places):
            if place not in _PLACES:
                yield place[::-1]
                continue
            count -= 1
            yield left.pop() if left else "0" * (place == "0")
            if not count:
                yield from reversed(left)


def _grouped(digits: str, sign: str) -> str:
    if not digits.startswith("0"):
        return f"{int(digits):,}".replace(",", sign) if digits else ""
    first = len(digits) % GROUP
    groups = [digits[:first]] if first else []
    groups += [digits[at : at + GROUP] for at in range(first, len(digits), GROUP)]
    return sign.join(groups)


def general_text(number: float) -> str:
    """Write a number that is not negative as the general format does in a wide cell.

    >>> general_text(1 / 3), general_text(1234.5), general_text(434.9999999999999)
    ('0.333333333', '1234.5', '435')
    """
    value = Decimal(repr(without_tail(number)))
    decimals = max(0, GENERAL_CHARACTERS - 1 - max(1, value.adjusted() + 1))
    written = f"{value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP, _EXACT):f}"
    return written.rstrip("0").rstrip(".") if "." in written else written


def number_form(section: Section, conventions: Conventions | None) -> NumberForm:
    """Read the section of a number format that shows a number.

    Args:
        section: The section.
        conventions: Those of the country, if it is known.

    Raises:
        UnknownFormError: It has something that is not rendered, such as a fraction.
    """
    tokens = section.tokens
    found = _LAYOUT.fullmatch("".join(map(_sign, tokens)))
    if section.system or found is None:
        raise UnknownFormError
    is_general = bool(found["general"])
    places = [token.text for token in tokens[slice(*found.span("whole"))]]
    is_grouped = "," in places
    if is_grouped and any(token.kind == "literal" for token in tokens[slice(*found.span("whole"))]):
        raise UnknownFormError
    return NumberForm(
        before=_literals(tokens[slice(*found.span("before"))]),
        places=[] if is_general else [place for place in places if place != ","],
        decimals=found["decimals"] or "",
        has_point=bool(found["point"]),
        after=_literals(tokens[slice(*found.span("after"))]),
        scale=2 * sum(token.text == "%" for token in tokens) - GROUP * len(found["thousands"]),
        is_grouped=is_grouped,
        is_general=is_general,
        decimal=conventions.decimal if conventions else "",
        group=conventions.group if conventions else "",
    )


def _sign(token: Token) -> str:
    """Stand for a token in a layout."""
    if token.kind == "general" or token == ("mark", "@"):
        return "G"
    if token.kind == "literal" or token == ("mark", "%"):
        return "L"
    return token.text if token.kind in {"digit", "mark"} else "x"


def _literals(tokens: Sequence[Token]) -> str:
    return plain_blanks("".join(token.text for token in tokens))
