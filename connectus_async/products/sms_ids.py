"""Spellings of an SMS's identifier that are the same. Pure.

The API shows identifiers of 32 hexadecimal digits. Those are numbers: a proxy, a database or a new
version of the platform may write one in capitals, and it is still that number. Anything else may be
an encoding in which the case tells two SMS apart, and stays as it is.
"""

import re
from typing import Final

_NUMBER: Final = re.compile(
    r"[0-9A-Fa-f]{32,}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
)


def is_number(id_sms: str) -> bool:
    """Tell whether an identifier is a number in hexadecimal digits, of which case says nothing.

    >>> is_number("C7925E64955445BBBE0AE39339B9514C"), is_number("aB3")
    (True, False)
    """
    return _NUMBER.fullmatch(id_sms) is not None


def folded(id_sms: str) -> str:
    """Spell an identifier in the one way in which it is compared.

    >>> folded("C7925E64955445BBBE0AE39339B9514C"), folded("aB3")
    ('c7925e64955445bbbe0ae39339b9514c', 'aB3')
    """
    return id_sms.lower() if is_number(id_sms) else id_sms
