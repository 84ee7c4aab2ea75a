"""Content of a message in a ledger, and the hash that stands for it once it is forgotten."""

import hashlib
from typing import Final

from connectus_async import _json

ROUTE: Final = ("id_delivery", "id_client", "src_number")
"""The fields of a message that decide which report shows it."""

HASH: Final = "hash"
"""The field of a body whose content was forgotten."""


def route_of(body: str) -> tuple[str | None, ...]:
    """Read the fields of a body that decide which report shows the message.

    >>> route_of('{"sms_content":"Hola","id_client":"7"}')
    (None, '7', None)
    """
    fields = _json.loads(body.encode())
    return tuple(fields.get(name) for name in ROUTE)


def content_hash(body: str) -> str:
    """Hash the body of an entry."""
    return hashlib.blake2b(body.encode(), digest_size=16).hexdigest()


def is_same(one: tuple[str, str, str], other: tuple[str, str, str]) -> bool:
    """Tell whether two messages are the same, by their kinds, recipients and bodies.

    >>> is_same(("sms", "1", '{"a":"b"}'), ("sms", "1", '{"a": "b"}'))
    True
    """
    if one == other or one[:2] != other[:2]:
        return one == other
    bodies = one[2], other[2]
    return all(bodies) and _json.loads(bodies[0].encode()) == _json.loads(bodies[1].encode())


def hashed(body: str) -> str:
    """Replace the content of a body by its hash, which reports can still be compared with.

    The route stays, since it decides which report shows the message.
    """
    route = zip(ROUTE, route_of(body), strict=True)
    kept = {name: value for name, value in route if value is not None}
    return _json.dumps(kept | {HASH: content_hash(body)}).decode()
