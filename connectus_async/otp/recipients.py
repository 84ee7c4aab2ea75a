"""Recipients of one-time passwords, in the spelling in which they are told apart. Pure.

`recipient_key` finds whoever may be the same person, so that nobody gets a message twice or against
their will. A code proves that somebody is a certain person, so two addresses that may belong to two
people have to stay two here: ``straße.de`` is not ``strasse.de``.
"""

import unicodedata
from typing import Final

from connectus_async.ledger.keys import recipient_key

_PUNYCODE: Final = "xn--"
_IDEOGRAPHIC_FULL_STOP: Final = "\u3002"
_SMALL: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
"""Of ASCII only: other capitals, such as the Kelvin sign, have the small letter of a stranger."""


def otp_recipient(recipient: str) -> str:
    """Write a recipient in the spelling that all spellings of it share, and nobody else's.

    Numbers are as in `recipient_key`, since the same phone rings. An address has small letters from
    a to z, composed; its domain has small letters, and no punycode.

    Args:
        recipient: The digits of a number with its country code, or an email address.

    >>> otp_recipient("Ana@xn--and-6ma2c.cl"), otp_recipient("ana@STRAßE.de")
    ('ana@ñandú.cl', 'ana@straße.de')
    """
    if "@" not in recipient:
        return recipient_key(recipient)
    local, _, domain = recipient.rpartition("@")
    labels = domain.replace(_IDEOGRAPHIC_FULL_STOP, ".").removesuffix(".").split(".")
    return f"{_composed(local.translate(_SMALL))}@{'.'.join(map(_label, labels))}"


def _label(label: str) -> str:
    """Decode a part of a domain, if it is punycode as a registry gives it out."""
    small = unicodedata.normalize("NFKC", label).lower()
    if not small.startswith(_PUNYCODE):
        return _composed(small)
    code = small.removeprefix(_PUNYCODE)
    try:
        letters = code.encode("ascii").decode("punycode")
    except ValueError:
        return small
    is_usual = not letters.isascii() and letters == unicodedata.normalize("NFKC", letters).lower()
    return letters if is_usual else small


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)
