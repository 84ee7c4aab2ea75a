"""Number formats of workbooks, divided into sections and tokens. Pure."""

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import attrs

MAX_CHARACTERS: Final = 255
"""Excel's own limit of a number format."""

_TOKEN: Final = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|_(?P<width>.)|\*(?P<fill>.)|\[(?P<bracket>[^\]]*)\]'
    r"|(?P<general>General)|(?P<period>AM/PM|A/P)|(?P<date>y+|m+|d+|h+|s+)|(?P<digit>[0#?])"
    r"|(?P<mark>[.,%@/;])|(?P<literal>[-+$():!^&'~{}<>= 1-9]|[^\x00-\x7f])",
    re.IGNORECASE | re.DOTALL,
)
_COLOUR: Final = re.compile(
    r"black|blue|cyan|green|magenta|red|white|yellow|colou?r ?\d+", re.IGNORECASE
)
_CONDITION: Final = re.compile(r"(<=|>=|<>|<|>|=)(-?\d+(?:\.\d+)?)")
_HOLDS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    "<>": operator.ne,
    "=": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
}
_ELAPSED: Final = re.compile(r"h+|m+|s+", re.IGNORECASE)
_SYSTEM: Final = {"f800": "date", "x-sysdate": "date", "f400": "time", "x-systime": "time"}


class UnknownFormError(Exception):
    """A number format has something that is not rendered."""


class CountryNeededError(UnknownFormError):
    """A number format depends on the country, which is not known."""


class Token(NamedTuple):
    """Part of a number format.

    Attributes:
        kind: ``literal``, ``general``, ``period``, ``date``, ``digit``, ``mark`` or ``elapsed``.
        text: What it is written with; the text of a literal.
    """

    kind: str
    text: str


@attrs.frozen
class Section:
    """Part of a number format for the numbers of one sign, or of one condition.

    Attributes:
        tokens: Its tokens.
        place: The language or the country whose conventions it names, as a code of Windows in
            hexadecimal digits or as a tag; empty if it names none.
        system: ``date`` or ``time`` if it stands for the long date or the time of the system.
        condition: How a number is compared, and with which; ``None`` if that is left to its sign.
    """

    tokens: Sequence[Token]
    place: str = ""
    system: str = ""
    condition: tuple[str, float] | None = None

    def is_for(self, number: float) -> bool:
        """Tell whether a number meets its condition."""
        if self.condition is None:
            return True
        comparison, other = self.condition
        return _HOLDS[comparison](number, other)

    @property
    def is_date(self) -> bool:
        """Whether it shows a date or a time."""
        return any(token.kind in {"date", "elapsed", "period"} for token in self.tokens)


def sections(code: str) -> list[Section]:
    """Divide a number format into its sections.

    Args:
        code: The number format, as a workbook stores it.

    Raises:
        UnknownFormError: It has an exponent, or something else that is not rendered.
    """
    if len(code) > MAX_CHARACTERS:
        raise UnknownFormError
    found = [_Sections()]
    for kind, text in _parts(code):
        if (kind, text) == ("mark", ";"):
            found.append(_Sections())
        else:
            found[-1].add(kind, text)
    return [section.made for section in found]


def _parts(code: str) -> Iterator[tuple[str, str]]:
    end = 0
    while end < len(code):
        match = _TOKEN.match(code, end)
        if match is None or match.lastgroup is None:
            raise UnknownFormError
        yield match.lastgroup, match[match.lastgroup]
        end = match.end()


class _Sections:
    """A section while its tokens are added."""

    def __init__(self) -> None:
        self._tokens: list[Token] = []
        self._place = self._system = ""
        self._condition: tuple[str, float] | None = None

    @property
    def made(self) -> Section:
        return Section(tuple(self._tokens), self._place, self._system, self._condition)

    def add(self, kind: str, text: str) -> None:
        if kind == "bracket":
            self._add_bracket(text)
        elif kind == "fill":
            if text != " ":
                raise UnknownFormError
            self._tokens.append(Token("literal", " "))
        elif kind != "width":
            kind = "literal" if kind in {"quoted", "escaped"} else kind
            self._tokens.append(Token(kind, text))

    def _add_bracket(self, text: str) -> None:
        if text.startswith("$"):
            symbol, _, place = text[1:].partition("-")
            self._tokens.append(Token("literal", symbol))
            place = place.partition(",")[0].casefold()
            self._system = _SYSTEM.get(place, self._system)
            self._place = "" if place in _SYSTEM else place or self._place
        elif _ELAPSED.fullmatch(text):
            self._tokens.append(Token("elapsed", text))
        elif condition := _CONDITION.fullmatch(text):
            self._condition = condition[1], float(condition[2])
        elif not _COLOUR.fullmatch(text):
            raise UnknownFormError
