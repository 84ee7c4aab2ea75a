"""Hooks: functions of the user's that watch the calls of a client and the course of a campaign.

`AsyncConnectus` and `Connectus` take an ``on_call``, ``bulk()`` an ``on_event``.

Hooks run in the event loop that sends, between two steps of it; for the blocking client that is a
thread of its own. They must be quick, and must not wait: everything else waits for them. An error
in a hook changes nothing for the message. The first one is logged, with its traceback; the hook is
called again for the next call or event.

No record has a number, an address, a text, an identifier or a credential.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import attrs

from connectus_async.errors import ConfigurationError, Outcome

if TYPE_CHECKING:
    from connectus_async.bulk.progress import DelayCause
    from connectus_async.ledger.states import SkipReason, State


@attrs.frozen(kw_only=True)
class CallStarted:
    """One attempt at a call, before its request is written.

    Attributes:
        call: Method and path, with names in place of identifiers: ``"POST /sms/send_individual"``,
            ``"GET /sms/{id}"``.
        method: HTTP method.
        url: URL without query, with names in place of identifiers.
        host: Host name or IP address of the API.
        port: Port of the API.
        attempt: Number of the attempt at this call, from 1.
        request_bytes: Size of the request's body, in bytes.
        headers: Header fields to add to the request, such as ``traceparent``; empty at first. They
            must be ASCII, and not one of the client's own; otherwise none of them is sent, as after
            any error of a hook.
    """

    call: str
    method: str
    url: str
    host: str
    port: int
    attempt: int
    request_bytes: int
    headers: dict[str, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class CallEnded:
    """End of an attempt at a call.

    Attributes:
        started: Its start.
        outcome: Outcome of the request.
        status: HTTP status code, or ``None`` without a status line.
        error: Name of the error's class, such as ``"RateLimitError"``; ``"CancelledError"`` if the
            caller gave it up; ``None`` for a success.
        seconds: Seconds from its start to its end, waiting for a connection included.
        response_bytes: Size of the response's body as it was transferred, in bytes; ``None``
            without a response.
    """

    started: CallStarted
    outcome: Outcome
    status: int | None
    error: str | None
    seconds: float
    response_bytes: int | None


CallHook: TypeAlias = Callable[[CallStarted], Callable[[CallEnded], object] | None]
"""A hook for calls: called before each attempt, it returns what to call at the end of it, or
``None``."""


@attrs.frozen(kw_only=True)
class MessageBegun:
    """A message of a campaign is about to be sent. A message that is tried again begins again.

    Attributes:
        channel: ``"sms"``, ``"email"`` or ``"whatsapp"``.
        ledger_seconds: Seconds until the ledger had recorded on disk that it is in flight;
            ``None`` without a ledger.
    """

    channel: str
    ledger_seconds: float | None


@attrs.frozen(kw_only=True)
class MessageEnded:
    """A message of a campaign has its outcome. One that was not begun may have one too.

    Attributes:
        channel: ``"sms"``, ``"email"`` or ``"whatsapp"``; ``None`` for a row without a valid
            message.
        state: Its state.
        outcome: Outcome of the last request for it; ``not_sent`` if there was none.
        skipped: Reason for ``State.SKIPPED``.
        error: Name of the error's class if it was not accepted.
    """

    channel: str | None
    state: "State"
    outcome: Outcome
    skipped: "SkipReason | None" = None
    error: str | None = None


@attrs.frozen(kw_only=True)
class Pace:
    """Pace of a campaign: at the start of a run, twice a second, and at its end.

    Attributes:
        in_flight: Number of messages in flight.
        queued: Messages of the ledger without an outcome yet, in flight ones included: those of the
            start less those that ended since. ``None`` if the run sends messages that it is given,
            or shares the ledger with other senders.
        rate: Measured rate, in messages or segments per second.
        rate_limit: Present rate limit in the same unit; ``None`` for none.
        concurrency_limit: Present maximum number of messages in flight.
        delays: Causes of present delays, such as a 429 or quiet hours.
    """

    in_flight: int
    queued: int | None
    rate: float
    rate_limit: float | None
    concurrency_limit: int
    delays: "tuple[DelayCause, ...]" = ()


@attrs.frozen(kw_only=True)
class RunEnded:
    """The end of a run: its messages have their outcomes, or it was stopped.

    Attributes:
        stopped_by: Name of the class of the error that stopped it; ``None`` without one.
    """

    stopped_by: str | None


BulkEvent: TypeAlias = MessageBegun | MessageEnded | Pace | RunEnded
EventHook: TypeAlias = Callable[[BulkEvent], object]
"""A hook for the events of a campaign."""


def checked_hook(setting: str, hook: object) -> None:
    """Check an optional hook.

    Raises:
        ConfigurationError: It is not a function, or an async one, which nobody would wait for.
    """
    if hook is None:
        return
    import inspect  # noqa: PLC0415 - rarely needed

    if not callable(hook):
        raise ConfigurationError(setting, "must be a function")
    if inspect.iscoroutinefunction(hook) or inspect.iscoroutinefunction(type(hook).__call__):
        raise ConfigurationError(setting, "must be a plain function, not async")
