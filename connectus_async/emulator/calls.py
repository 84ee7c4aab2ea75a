"""Table of the API's calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from connectus_async.emulator import platform_calls, qr_calls

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectus_async.emulator.params import Params
    from connectus_async.emulator.state import State

API_PREFIX: Final = "/api_v3"
QR_PREFIX: Final = "/qr_host"
INBOX_PATH: Final = "/inbox/"


@frozen
class Call:
    """A row of the table; `path` is relative to the prefix that stands for the host."""

    prefix: str
    name: str
    method: str
    path: str
    answer: Callable[[State, Params], dict[str, Any]]

    @property
    def params_in_body(self) -> bool:
        """``True`` if parameters are a JSON body; the QR host expects one for GET as well."""
        return self.prefix == QR_PREFIX or self.method != "GET"


CALLS: Final = (
    *(Call(API_PREFIX, *row) for row in platform_calls.ROWS),
    *(Call(QR_PREFIX, *row) for row in qr_calls.ROWS),
)
CALL_NAMES: Final = frozenset(call.name for call in CALLS)
CLEAR: Final = Call("", "inbox.clear", "DELETE", "", lambda state, _: state.clear())
"""A change that no client can make, for the journal."""
