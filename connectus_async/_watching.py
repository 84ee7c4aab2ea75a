"""Calls of hooks: their errors change nothing, and their header fields are checked."""

import asyncio
import logging
import re
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

from connectus_async._exchange import Endpoint, RawResponse
from connectus_async.call import Call
from connectus_async.errors import Outcome
from connectus_async.instrumentation import CallEnded, CallStarted

_log: Final = logging.getLogger("connectus_async")

MAX_FIELDS: Final = 16
"""Maximum header fields that a hook may add to a request."""

MAX_FIELD_LENGTH: Final = 8_192
"""Maximum characters of the value of such a field; ``baggage`` may have as many."""

RESERVED: Final = frozenset(
    {"connection", "content-length", "expect", "host", "te", "trailer", "transfer-encoding"}
    | {"upgrade", "proxy-authorization", "proxy-connection", "content-encoding"}
)
"""Names of fields that decide how a request is read."""

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_VALUE: Final = re.compile(rf"[!-~](?:[ -~]{{0,{MAX_FIELD_LENGTH - 2}}}[!-~])?")


class Guarded:
    """A hook whose errors change nothing. The first one is logged.

    Args:
        name: Its name, for the log.
        hook: The hook.
    """

    def __init__(self, name: str, hook: Callable[[Any], Any]) -> None:
        self._name = name
        self._hook = hook
        self._has_failed = False

    def __call__(self, record: object) -> Any:
        """Call the hook; return what it returns, or ``None`` after an error."""
        return self.call(self._hook, record)

    def call(self, function: Callable[[Any], Any], record: object) -> Any:
        """Call a function that belongs to the hook, in the same way."""
        try:
            return function(record)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - a hook waits for nothing
            self._failed(error)
            return None

    def _failed(self, error: BaseException) -> None:
        if not self._has_failed:
            self._has_failed = True
            _log.warning(
                "%s failed, which changes nothing for the message; its next errors are not logged",
                self._name,
                exc_info=error,
            )


class WatchedAttempt:
    """One attempt at a call, watched by a hook.

    Args:
        hook: The hook.
        call: The call.
        attempt: Number of the attempt.
        endpoint: The host, with its headers.
        body: The request's body.

    Attributes:
        endpoint: The host, with the headers of this attempt.
    """

    def __init__(
        self, hook: Guarded, call: Call, attempt: int, endpoint: Endpoint, body: bytes | None
    ) -> None:
        host, port = _address(endpoint.base_url)
        self._hook = hook
        self._started = CallStarted(
            call=str(call),
            method=call.method,
            url=endpoint.base_url + call.path,
            host=host,
            port=port,
            attempt=attempt,
            request_bytes=0 if body is None else len(body),
        )
        self._on_end = hook(self._started)
        fields = self._started.headers
        if fields and not hook.call(_checked_fields, (fields, endpoint)):
            fields = {}
        self.endpoint = endpoint.with_fields(fields) if fields else endpoint
        self._began = time.perf_counter()

    def ended(self, raw: RawResponse | None, outcome: Outcome, error: BaseException | None) -> None:
        """Tell the hook how the attempt ended."""
        if self._on_end is None:
            return
        end = CallEnded(
            started=self._started,
            outcome=outcome,
            status=None if raw is None else raw.status,
            error=None if error is None else type(error).__name__,
            seconds=time.perf_counter() - self._began,
            response_bytes=None if raw is None else len(raw.body),
        )
        self._hook.call(self._on_end, end)


@lru_cache(maxsize=8)
def _address(base_url: str) -> tuple[str, int]:
    parts = urlsplit(base_url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _checked_fields(given: tuple[dict[str, str], Endpoint]) -> bool:
    """Check header fields of a hook.

    Raises:
        ValueError: A field cannot be sent.
    """
    fields, endpoint = given
    if len(fields) > MAX_FIELDS:
        raise ValueError(f"a hook may add {MAX_FIELDS} header fields at most")
    for name, value in fields.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError("a header field must be of ASCII, without line breaks")
        if name.lower() in RESERVED or name in endpoint.headers:
            raise ValueError(f"the header field {name} is the client's own")
    return True
