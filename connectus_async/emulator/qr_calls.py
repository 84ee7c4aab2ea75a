"""Calls of the WhatsApp QR host: rows of name, method, path and handler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from connectus_async.emulator import params as read
from connectus_async.emulator.groups import Group
from connectus_async.emulator.refusals import NotFoundError, RefusalError
from connectus_async.emulator.state import iso

if TYPE_CHECKING:
    from connectus_async.emulator.params import Params
    from connectus_async.emulator.state import State

Json = dict[str, Any]

_NUMBER: Final = "56999944837"


def _qr(state: State, _: Params) -> Json:
    return {"qr": f"2@{state.new_id()}"}


def _qr_status(_: State, __: Params) -> Json:
    return {"status": "CONNECTED", "number": _NUMBER}


def _groups_create(state: State, params: Params) -> Json:
    name, numbers = read.line(params, "name"), read.destinations(params, "numbers")
    read.optional(read.mapping, params, "options")
    _require_free_name(state, "name", name)
    group = Group(state.new_id(), name, [])
    group.add(numbers)
    state.qr_phone.groups[name] = group
    return _group_answer(group)


def _groups_add(state: State, params: Params) -> Json:
    group = _group(state, params)
    group.add(read.destinations(params, "numbers"))
    return _group_answer(group)


def _groups_remove(state: State, params: Params) -> Json:
    group = _group(state, params)
    group.remove(_members(group, params))
    return _group_answer(group)


def _groups_promote(state: State, params: Params) -> Json:
    group = _group(state, params)
    group.promote(_members(group, params))
    return _group_answer(group)


def _groups_demote(state: State, params: Params) -> Json:
    group = _group(state, params)
    group.demote(_members(group, params))
    return _group_answer(group)


def _groups_invite_link(state: State, params: Params) -> Json:
    return {"inviteLink": f"https://chat.whatsapp.com/{_group(state, params).id}"}


def _groups_update_info(state: State, params: Params) -> Json:
    group = _group(state, params)
    subject = read.optional(read.line, params, "newSubject")
    description = read.optional(read.text, params, "newDescription")
    if subject is None and description is None:
        raise RefusalError(subject="newSubject", reason="or newDescription is missing")
    if subject is not None and subject != group.name:
        _require_free_name(state, "newSubject", subject)
        state.qr_phone.rename(group, subject)
    if description is not None:
        group.description = description
    return _group_answer(group)


def _groups_send(state: State, params: Params) -> Json:
    group = _group(state, params)
    message = state.send_by_qr(group.name, read.text(params, "message"), group.id)
    return {"id": message.id}


def _groups_last_messages(state: State, params: Params) -> Json:
    return _qr_messages(state, _group(state, params).id)


def _group(state: State, params: Params) -> Group:
    try:
        return state.qr_phone.groups[read.line(params, "groupName")]
    except KeyError:
        raise NotFoundError(field="groupName") from None


def _members(group: Group, params: Params) -> list[str]:
    numbers = read.destinations(params, "numbers")
    if not set(numbers) <= set(group.participants):
        raise RefusalError(subject="numbers", reason="must be participants of the group")
    return numbers


def _require_free_name(state: State, field: str, name: str) -> None:
    if name in state.qr_phone.groups:
        raise RefusalError(field, "is the name of another group")


def _group_answer(group: Group) -> Json:
    return {
        "id": group.id,
        "groupName": group.name,
        "description": group.description,
        "participants": group.participants,
        "admins": group.admins,
    }


def _qr_messages_send(state: State, params: Params) -> Json:
    number = read.destination(params, "number")
    return {"id": state.send_by_qr(number, read.text(params, "message"), number).id}


def _qr_messages_last(state: State, params: Params) -> Json:
    return _qr_messages(state, read.destination(params, "number"))


def _qr_messages(state: State, conversation: str) -> Json:
    return {
        "messages": [
            {
                "id": message.id,
                "from": _NUMBER,
                "to": message.recipient,
                "message": message.content,
                "created_at": iso(message.time),
            }
            for message in state.qr_phone.last(conversation)
        ]
    }


ROWS: Final = (
    ("whatsapp_qr.qr", "GET", "/qr", _qr),
    ("whatsapp_qr.status", "GET", "/status", _qr_status),
    ("whatsapp_qr.groups.create", "POST", "/create-group", _groups_create),
    ("whatsapp_qr.groups.add_participants", "POST", "/add-participants", _groups_add),
    ("whatsapp_qr.groups.remove_participants", "POST", "/remove-participants", _groups_remove),
    ("whatsapp_qr.groups.invite_link", "GET", "/generate-invite-link", _groups_invite_link),
    ("whatsapp_qr.groups.make_admins", "POST", "/make-group-admins", _groups_promote),
    ("whatsapp_qr.groups.demote_admins", "POST", "/demote-group-admins", _groups_demote),
    ("whatsapp_qr.groups.update_info", "POST", "/update-group-info", _groups_update_info),
    ("whatsapp_qr.groups.send", "POST", "/send-message-to-group", _groups_send),
    ("whatsapp_qr.groups.last_messages", "GET", "/get-last-group-messages", _groups_last_messages),
    ("whatsapp_qr.messages.send", "POST", "/send", _qr_messages_send),
    ("whatsapp_qr.messages.last", "GET", "/get-last-messages", _qr_messages_last),
)
