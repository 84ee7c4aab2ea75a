"""One call of the API, described: what a service hands to the transport."""

import enum
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import attrs


class Host(enum.Enum):
    """The two hosts of the API; each has credentials of its own."""

    PLATFORM = "platform"
    QR = "qr"


@attrs.define
class Call:
    """A call, before it is given a base URL and credentials. It is not changed once it is made.

    Attributes:
        method: The HTTP method.
        path: The path below the base URL, with ``{name}`` where an identifier goes.
        host: The host that answers it.
        ids: The identifiers in the path, by name.
        query: The query parameters.
        body: What is sent as JSON; bytes are JSON already.
    """

    method: str
    path: str
    host: Host
    ids: Mapping[str, str] = attrs.field(repr=False)
    query: Mapping[str, str] = attrs.field(repr=False)
    body: Mapping[str, Any] | bytes | None = attrs.field(repr=False)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_idempotent(self) -> bool:
        """Whether a repetition changes nothing."""
        return self.method == "GET"

    @property
    def target(self) -> str:
        """The path with its identifiers, and the query, percent-encoded."""
        if not self.ids and not self.query:
            return self.path
        quoted = {name: quote(value, safe="") for name, value in self.ids.items()}
        path = self.path.format_map(quoted)
        return f"{path}?{urlencode(self.query, quote_via=quote)}" if self.query else path
