"""Entries of the ledger for ordinary rows of SMS, made in one pass.

An ordinary row has a cell with a number that needs no explanation, and a value in each cell that
its template names. Its entry is the one that the composer and the bulk sender make together, with a
third of the work. Any other row is left to them.
"""

from json.encoder import encode_basestring
from typing import Final, NamedTuple

from connectus_async import arguments
from connectus_async.errors import InvalidArgumentError
from connectus_async.ledger.keys import KeyMaker
from connectus_async.ledger.records import Entry
from connectus_async.products.messages import Row
from connectus_async.products.sms import Sms
from connectus_async.recipients.cells import written_value
from connectus_async.recipients.composer import Composer
from connectus_async.recipients.sources import Line
from connectus_async.recipients.templates import Template
from connectus_async.segmentation import billed_segments

_NUMBER: Final = "56987688060"
_TEXT: Final = "Hola"


class PlainSms(NamedTuple):
    """An SMS that was composed.

    Attributes:
        entry: Its entry.
        text: Its text.
        id_client: The sub-client that pays.
    """

    entry: Entry
    text: str
    id_client: str | None

    @property
    def row(self) -> Row:
        """The row as the composer makes it, without the fields that all rows share."""
        sms = Sms(self.entry.recipient, self.text, id_client=self.id_client)
        return Row(self.entry.line, sms)


Composed = Row | PlainSms
"""What is made of a row of a source."""


def example(composer: Composer) -> Sms | None:
    """Make an example of the SMS of a composer; ``None`` if it makes no ordinary ones."""
    fixed = composer.fixed
    if composer.kind != "sms" or fixed is None or type(composer.sms_content) is not Template:
        return None
    return Sms(_NUMBER, _TEXT, **fixed)


class PlainRows:
    """Makes SMS of the ordinary rows of a source.

    Args:
        composer: The composer of all rows.
        key_maker: The maker of the keys of the campaign.
        sms: The `example` of the composer.
        body: The body of its entry.
    """

    def __init__(self, composer: Composer, key_maker: KeyMaker, sms: Sms, body: str) -> None:
        self._composer = composer
        self._to = composer.recipient
        self._digits = composer.normalise or arguments.phone_number
        self._transliterate = composer.transliterate
        self._key_maker = key_maker
        self._id_client = sms.id_client
        self._before, _, self._after = body.partition(encode_basestring(_TEXT))

    def sms(self, line: Line) -> PlainSms | None:
        """Make the SMS of a row; ``None`` if the composer has to look at the row."""
        cells = line.cells
        try:
            cell = cells[self._to]  # type: ignore[index]
            number = cell.strip() if type(cell) is str else written_value(self._to, cell)
            recipient = self._digits(self._to, number)  # type: ignore[arg-type]
            text = self._composer.sms_content.fill(cells)  # type: ignore[union-attr, arg-type]
            if self._transliterate is not None:
                text = self._transliterate(text)
            text = arguments.sms_content("sms_content", text)
            own_key = self._composer.key_of(cells)  # type: ignore[arg-type]
            key = (
                self._key_maker.key("sms", recipient, [text])
                if own_key is None
                else self._key_maker.given(own_key)
            )
        except (InvalidArgumentError, TypeError, KeyError):
            return None
        if not _is_number(recipient):
            return None
        body = f"{self._before}{encode_basestring(text)}{self._after}"
        entry = Entry(key, line.number, "sms", recipient, body, billed_segments(text))
        return PlainSms(entry, text, self._id_client)


def _is_number(digits: str) -> bool:
    """Tell whether the call that sends an SMS takes digits as they are."""
    return (
        len(digits) in arguments.NUMBER_LENGTHS
        and digits.isascii()
        and digits.isdigit()
        and digits[0] != "0"
    )
