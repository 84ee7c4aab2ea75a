"""Messages of the emulator as JSON. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from connectus_async.emulator.inbox.sms_parts import sms_parts
from connectus_async.emulator.messages import billed_segments, changes, next_change

if TYPE_CHECKING:
    from connectus_async.emulator.messages import Received
    from connectus_async.emulator.state import Delivery, State

_BEGINNING: Final = 160
_LONGEST_BUBBLE: Final = 10_000
_NEWEST_DELIVERIES: Final = 200


def row(state: State, message: Received) -> dict[str, Any]:
    """Return a message as a line of a list.

    ``seconds_to_change`` is the time until its status changes; None if it is final.
    """
    now = state.clock()
    change = next_change(message.recipient, state.due(message), now)
    return {
        "id": message.id,
        "channel": message.product,
        "recipient": message.recipient,
        "beginning": message.content[:_BEGINNING],
        "subject": message.subject,
        "state": state.status(message),
        "seconds_to_change": None if change is None else (change - now).total_seconds(),
        "time": message.time.isoformat(),
        "delivery": message.id_delivery,
        "otp": message.otp,
    }


def whole(state: State, message: Received) -> dict[str, Any]:
    """Return a message with its content, its parts if it is an SMS, and the line of its states."""
    is_sms = message.product == "sms"
    return {
        **row(state, message),
        "content": message.content,
        "sender": message.src,
        "client": message.id_client,
        "hashed": message.hashed,
        "sms": sms_parts(message.content) if is_sms else None,
        "billed": billed_segments(message.content) if is_sms else 1,
        "states": _states(state, message),
    }


def bubble(state: State, message: Received) -> dict[str, Any]:
    """Return a message as a conversation shows it: an email without its content."""
    if message.product == "email":
        return row(state, message)
    content = message.content[:_LONGEST_BUBBLE]
    is_sms = message.product == "sms"
    return {
        **row(state, message),
        "content": content,
        "sms": sms_parts(content) if is_sms else None,
    }


def _states(state: State, message: Received) -> list[dict[str, Any]]:
    now, due = state.clock(), state.due(message)
    waiting = [(message.time, "PROGRAMADO")] if due > message.time else []
    return [
        {"time": time.isoformat(), "state": name, "reached": time <= now}
        for time, name in [*waiting, *changes(message.recipient, due)]
    ]


def balances(state: State) -> dict[str, Any]:
    """Return the free balances of the account."""
    return {
        "sms": state.balances.sms_by_country,
        "email": state.balances.email,
        "whatsapp": state.balances.whatsapp,
    }


def deliveries(state: State) -> list[dict[str, Any]]:
    """Return the newest deliveries, the newest first."""
    newest = list(state.deliveries)[-_NEWEST_DELIVERIES:]
    return [_delivery(state, delivery) for delivery in reversed(newest)]


def _delivery(state: State, delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id_delivery,
        "name": delivery.name,
        "deliver_at": delivery.deliver_at.isoformat(),
        "executed": state.executed(delivery),
        "messages": len(delivery.messages),
    }
