"""Description of one API call, from a service to the transport."""

import enum
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import attrs


class Host(enum.Enum):
    """Hosts of the API. Each has its own credentials."""

    PLATFORM = "platform"
    QR = "qr"


@attrs.define
class Call:
    """API call without base URL and credentials. Do not change it once it is made.

    Attributes:
        method: HTTP method.
        path: Path below the base URL, with ``{name}`` in place of an identifier.
        host: Host that answers the call.
        ids: Identifiers in the path, by name.
        query: Query parameters.
        body: JSON object, or bytes that are JSON already.
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
        """``True`` if a repetition changes nothing."""
        return self.method == "GET"

    @property
    def target(self) -> str:
        """Path with identifiers and query, percent-encoded."""
        if not self.ids and not self.query:
            return self.path
        quoted = {name: quote(value, safe="") for name, value in self.ids.items()}
        path = self.path.format_map(quoted)
        return f"{path}?{urlencode(self.query, quote_via=quote)}" if self.query else path
