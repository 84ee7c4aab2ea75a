"""Comparison of SMS identifiers. Pure.

The API gives identifiers of 32 hexadecimal digits. They are numbers: one in capitals, as a proxy, a
database or a new version of the platform may write it, is the same. In any other identifier, case
may matter, so it stays as it is.
"""

import re
from typing import Final

_NUMBER: Final = re.compile(
    r"[0-9A-Fa-f]{32,}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
)


def is_number(id_sms: str) -> bool:
    """Return ``True`` if an identifier is a hexadecimal number, in which case does not matter.

    >>> is_number("C7925E64955445BBBE0AE39339B9514C"), is_number("aB3")
    (True, False)
    """
    return _NUMBER.fullmatch(id_sms) is not None


def folded(id_sms: str) -> str:
    """Return the form of an identifier in which it is compared.

    >>> folded("C7925E64955445BBBE0AE39339B9514C"), folded("aB3")
    ('c7925e64955445bbbe0ae39339b9514c', 'aB3')
    """
    return id_sms.lower() if is_number(id_sms) else id_sms
