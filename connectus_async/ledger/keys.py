"""Keys of messages: two messages with the same key are duplicates.

Recipients are compared in one spelling, and nothing else is done with it: what is sent is what was
given. A person who opted out as ``+52 55 1234 5678`` did so as ``+52 1 55 1234 5678`` too, since
the same phone rings for both.
"""

import hashlib
import unicodedata
from binascii import b2a_base64
from typing import Final

import attrs

from connectus_async import arguments

KEY_BYTES: Final = 15
"""Among ten million messages two have the same key with a chance of 4 in 10^23."""

_BRAZIL_WITHOUT_NINTH: Final = frozenset("689")
"""The first digit of mobiles from before the ninth (Anatel, 2012 to 2016). Landlines begin with 2
to 5, and 70 and 77 to 79 were radios that never got one: their numbers are somebody else's."""

_BRAZIL_SEVENS: Final = frozenset("123456")
_ARGENTINA_AREAS: Final = frozenset("123")
_PUNYCODE: Final = "xn--"
_IDEOGRAPHIC_FULL_STOP: Final = "\u3002"


@attrs.frozen
class KeyMaker:
    """Maker of the keys of a campaign.

    Attributes:
        campaign: Its name: two campaigns may send the same message to the same recipient.
        by_recipient: Each recipient gets one message at most, whatever it says.
        by_spelling: Two spellings of a recipient are two recipients, but for capitals. The keys of
            older ledgers were made in this way, and have to be found again.
    """

    campaign: str
    by_recipient: bool
    by_spelling: bool = False

    def key(self, kind: str, recipient: str, content: list[str]) -> str:
        """Make the key of a message."""
        who = recipient.casefold() if self.by_spelling else recipient_key(recipient)
        parts = [self.campaign, kind, who]
        if not self.by_recipient:
            parts += content
        document = "\0".join(parts).encode()
        digest = hashlib.blake2b(document, digest_size=KEY_BYTES).digest()
        return b2a_base64(digest, newline=False).decode()

    @staticmethod
    def given(key: str) -> str:
        """Make a key of the user's own.

        Raises:
            InvalidArgumentError: It cannot be one.
        """
        return f"key: {arguments.identifier('key', key)}"


def recipient_key(recipient: str) -> str:
    """Write a recipient in the spelling in which recipients are compared.

    A mobile of Argentina has the 9 after its country code and no 15, one of Brazil its ninth digit,
    a number of Mexico no 1. An address has small letters, composed, and no punycode in its domain.
    The number or address need not exist.

    Args:
        recipient: The digits of a number with its country code, or an email address.

    >>> recipient_key("5215512345678"), recipient_key("541123456789"), recipient_key("551187654321")
    ('525512345678', '5491123456789', '5511987654321')
    >>> recipient_key("Ana@xn--and-6ma2c.cl")
    'ana@ñandú.cl'
    """
    if "@" in recipient:
        return _address(recipient)
    size = len(recipient)
    if size == 12:
        return _with_mobile_digit(recipient)
    if size == 13 and recipient.startswith("521"):
        return f"52{recipient[3:]}"
    if size == 14 and recipient.startswith("54"):
        return _without_fifteen(recipient)
    return recipient


def spellings(key: str) -> list[str]:
    """List all spellings of a number of which `recipient_key` makes this one.

    >>> spellings("525512345678"), spellings("5511987654321"), spellings("56987688060")
    (['525512345678', '5215512345678'], ['5511987654321', '551187654321'], ['56987688060'])
    """
    written = [key]
    if key.startswith("52"):
        written.append(f"521{key[2:]}")
    elif key.startswith("549"):
        written.append(f"54{key[3:]}")
        written += [f"54{key[3:end]}15{key[end:]}" for end in (5, 6, 7)]  # after the area
    elif key.startswith("55"):
        written.append(f"{key[:4]}{key[5:]}")
    return [digits for digits in written if recipient_key(digits) == key]


def _without_fifteen(digits: str) -> str:
    """Write a mobile of Argentina with the 9, not with the 15 that follows the area at home."""
    for end in (4, 5, 6):  # of the area, which has two to four digits; only one can be it
        if digits[end : end + 2] == "15" and (end == 4) == (digits[2:4] == "11"):
            return f"549{digits[2:end]}{digits[end + 2 :]}"
    return digits


def _with_mobile_digit(digits: str) -> str:
    country, first = digits[:2], digits[4]
    if country == "54" and digits[2] in _ARGENTINA_AREAS:
        return f"549{digits[2:]}"
    was_mobile = first in _BRAZIL_WITHOUT_NINTH or (first == "7" and digits[5] in _BRAZIL_SEVENS)
    if country == "55" and was_mobile:
        return f"{digits[:4]}9{digits[4:]}"
    return digits


def _address(address: str) -> str:
    folded = address.casefold()
    if folded.isascii() and _PUNYCODE not in folded:
        return folded.removesuffix(".")
    local, _, domain = address.rpartition("@")
    return f"{_folded('NFC', local)}@{_domain(domain)}"


def _domain(domain: str) -> str:
    labels = _folded("NFKC", domain).replace(_IDEOGRAPHIC_FULL_STOP, ".").removesuffix(".")
    return ".".join(map(_label, labels.split(".")))


def _label(label: str) -> str:
    """Decode a part of a domain; one that is no punycode of letters stays as it is."""
    if not label.startswith(_PUNYCODE):
        return label
    try:
        letters = label.removeprefix(_PUNYCODE).encode("ascii").decode("punycode")
    except ValueError:
        return label
    return _folded("NFKC", letters) if letters and letters.isprintable() else label


def _folded(form: str, text: str) -> str:
    normal = unicodedata.normalize(form, text)  # type: ignore[arg-type]
    return unicodedata.normalize(form, normal.casefold())  # type: ignore[arg-type]
