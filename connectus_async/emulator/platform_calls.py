"""Calls of the platform: rows of name, method, path and handler."""

from __future__ import annotations

from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Final

from connectus_async.emulator import params as read
from connectus_async.emulator.balances import COUNTRIES, BalanceKey
from connectus_async.emulator.messages import Product, Received, smpp_status
from connectus_async.emulator.refusals import RefusalError
from connectus_async.emulator.state import (
    DEFAULT_SRC_EMAIL,
    DEFAULT_SRC_NUMBER,
    PLATFORM_ZONE,
    PRODUCTS,
    Client,
    Delivery,
    State,
    iso,
)

if TYPE_CHECKING:
    from datetime import datetime

    from connectus_async.emulator.params import Params

Json = dict[str, Any]

_ID_ACCOUNT: Final = 2311


def _sms_send(state: State, params: Params) -> Json:
    message = state.accept(
        "sms",
        read.destination(params, "dst_number"),
        read.text(params, "sms_content"),
        src=read.optional(read.source, params, "src_number"),
        id_delivery=read.optional(read.identifier, params, "id_delivery"),
        id_client=read.optional(read.identifier, params, "id_client"),
    )
    return {"status": state.status(message), "id_sms": message.id}


def _sms_send_otp(state: State, params: Params) -> Json:
    save_content = read.optional(read.text, params, "save_content")
    if save_content not in {None, "hash"}:
        raise RefusalError(subject="save_content", reason="must be hash")
    message = state.accept(
        "sms",
        read.destination(params, "dst_number"),
        read.text(params, "sms_content"),
        src=read.optional(read.source, params, "src_number"),
        otp=True,
        hashed=save_content is not None,
    )
    return {"status": state.status(message), "id_sms": message.id}


def _sms_status(state: State, params: Params) -> Json:
    return {"status": smpp_status(state.status(state.message(params["id"], "sms", "id")))}


def _sms_by_delivery(state: State, params: Params) -> Json:
    delivery = state.delivery(read.identifier(params, "delivery_id"))
    if PRODUCTS[delivery.id_product] != "sms":
        raise RefusalError(subject="delivery_id", reason="is of another product")
    return {"data": [_sms_row(state, message) for message in state.reported(delivery.messages)]}


def _sms_by_date(state: State, params: Params) -> Json:
    begin, end = read.day(params, "begin_date"), read.day(params, "end_date")
    if end < begin:
        raise RefusalError(subject="end_date", reason="is before begin_date")
    return {"data": [_sms_row(state, message) for message in state.sms_between(begin, end)]}


def _sms_row(state: State, message: Received) -> Json:
    return {
        "id_sms": message.id,
        "status": state.status(message),
        "src_number": message.src,
        "dst_number": message.recipient,
        "sms_content": message.stored_content,
        "id_delivery": message.id_delivery,
        "id_client": message.id_client,
        "created_at": iso(message.time),
    }


def _email_send(state: State, params: Params) -> Json:
    message = state.accept(
        "email",
        read.email(params, "dst_email"),
        read.text(params, "email_content"),
        subject=read.line(params, "subject"),
        src=read.optional(read.email, params, "src_email"),
        id_delivery=read.optional(read.identifier, params, "id_delivery"),
        id_client=read.optional(read.identifier, params, "id_client"),
    )
    return {"id": message.id}


def _email_send_otp(state: State, params: Params) -> Json:
    message = state.accept(
        "email",
        read.email(params, "dst_email"),
        read.text(params, "email_content"),
        subject=read.line(params, "subject"),
        src=read.optional(read.email, params, "src_email"),
        otp=True,
    )
    return {"id": message.id}


def _email_status(state: State, params: Params) -> Json:
    return {"status": state.status(state.message(params["id"], "email", "id"))}


def _email_balance(state: State, _: Params) -> Json:
    return {"balance": state.balances.email}


def _whatsapp_send(state: State, params: Params) -> Json:
    message = state.accept(
        "whatsapp",
        read.destination(params, "dst_number"),
        read.text(params, "whatsapp_content"),
        src=read.optional(read.source, params, "src_number"),
        id_delivery=read.optional(read.identifier, params, "id_delivery"),
        id_client=read.optional(read.identifier, params, "id_client"),
    )
    return {"status": state.status(message), "message_id": message.id}


def _whatsapp_status(state: State, params: Params) -> Json:
    message = state.message(read.identifier(params, "message_id"), "whatsapp", "message_id")
    return {"status": state.status(message)}


def _whatsapp_messages(state: State, params: Params) -> Json:
    messages = state.conversation(
        read.source(params, "src_number"), read.destination(params, "dst_number")
    )
    return {
        "data": [
            {
                "message_id": message.id,
                "status": state.status(message),
                "src_number": message.src,
                "dst_number": message.recipient,
                "whatsapp_content": message.content,
                "id_delivery": message.id_delivery,
                "created_at": iso(message.time),
            }
            for message in messages
        ]
    }


def _clients_list(state: State, _: Params) -> Json:
    return {
        "data": {
            "free_sms_balance_by_country": state.balances.sms_by_country,
            "free_email_balance": state.balances.email,
            "free_whatsapp_balance": state.balances.whatsapp,
            "clients": [
                {
                    "name": client.name,
                    "id_unique": client.id_unique,
                    "created_at": iso(client.created_at),
                    "updated_at": iso(client.updated_at),
                    "balance": {
                        "sms_balance": client.balances.sms_by_country,
                        "email_balance": client.balances.email,
                        "whatsapp_balance": client.balances.whatsapp,
                    },
                }
                for client in state.clients.values()
            ],
        }
    }


def _clients_get(state: State, params: Params) -> Json:
    return _client(state.client(params["id"]))


def _clients_create(state: State, params: Params) -> Json:
    return _client(state.create_client(read.line(params, "name")))


def _clients_update(state: State, params: Params) -> Json:
    return _client(state.rename_client(params["id"], read.line(params, "name")))


def _client(client: Client) -> Json:
    return {
        "id": client.id,
        "id_account": _ID_ACCOUNT,
        "name": client.name,
        "balance": client.balances.total,
        "avatar": None,
        "id_unique": client.id_unique,
        "deleted": "F",
        "created_at": _long_date(client.created_at),
        "updated_at": _long_date(client.updated_at),
    }


def _clients_add_balance(state: State, params: Params) -> Json:
    state.add_balance(params["id"], _balance_key(params), read.amount(params, "amount"))
    return {"message": "Balance added successfully"}


def _clients_remove_balance(state: State, params: Params) -> Json:
    state.remove_balance(params["id"], _balance_key(params), read.amount(params, "amount"))
    return {"message": "Balance removed successfully"}


def _balance_key(params: Params) -> BalanceKey:
    product = _product(params, "product")
    if product != "sms":
        return product, None
    id_country = read.amount(params, "id_country")
    if id_country not in COUNTRIES:
        raise RefusalError(subject="id_country", reason="is unknown")
    return product, id_country


def _product(params: Params, name: str) -> Product:
    product = PRODUCTS.get(read.amount(params, name))
    if product is None:
        raise RefusalError(name, "must be 1 (SMS), 2 (email) or 3 (WhatsApp)")
    return product


def _short_links_create(state: State, params: Params) -> Json:
    return {"short_link": state.create_link(read.link(params, "link"))}


def _short_links_events(state: State, params: Params) -> Json:
    short_link = state.short_link(read.text(params, "short_link"))
    return {"link": short_link.link, "clicks": short_link.clicks}


def _account_get(state: State, _: Params) -> Json:
    return {
        "id_account": "84f71863b7f64738aabc97afed7cd54d",
        "name": "Emulated SpA",
        "country": "Chile",
        "phone": 56990324203,
        "email": DEFAULT_SRC_EMAIL,
        "sms_status_hook_url": state.hooks.get("status"),
        "sms_incoming_hook_url": state.hooks.get("incoming"),
        "purchases": [
            {
                "status": "COMPLETED",
                "payment_method": "TRANSFER",
                "country": "Chile",
                "price": 1000000,
                "price_with_tax": 1190000,
                "datetime": "02-01-26 09:00:00",
                "currency": "CLP",
                "id_purchase": "9b625dac70654fb58f1250702aab4355",
            }
        ],
        "users": [
            {
                "name": "Administrator",
                "type": "ADMIN",
                "phone": None,
                "email": DEFAULT_SRC_EMAIL,
                "banned": False,
            }
        ],
        "src_numbers": [
            {"src_number": int(DEFAULT_SRC_NUMBER), "is_default": True, "country": "Chile"}
        ],
        "src_emails": [{"src_email": DEFAULT_SRC_EMAIL, "is_default": True, "is_verified": True}],
    }


def _deliveries_create(state: State, params: Params) -> Json:
    fields = read.mapping(params, "delivery")
    _product(fields, "id_product")
    delivery = state.create_delivery(
        read.line(fields, "name"),
        read.moment(fields, "deliver_at"),
        read.amount(fields, "id_product"),
    )
    return _delivery(state, delivery)


def _deliveries_get(state: State, params: Params) -> Json:
    return _delivery(state, state.delivery(params["id"]))


def _deliveries_update(state: State, params: Params) -> Json:
    fields = read.mapping(params, "delivery")
    name = read.optional(read.line, fields, "name")
    deliver_at = read.optional(read.moment, fields, "deliver_at")
    if name is None and deliver_at is None:
        raise RefusalError(subject="name", reason="or deliver_at is missing")
    return _delivery(state, state.update_delivery(params["id"], name, deliver_at))


def _delivery(state: State, delivery: Delivery) -> Json:
    return {
        "id_delivery": delivery.id_delivery,
        "name": delivery.name,
        "deliver_at": str(delivery.deliver_at.replace(tzinfo=None)),
        "id_product": delivery.id_product,
        "status": "EJECUTADO" if state.executed(delivery) else "PROGRAMADO",
    }


def _long_date(moment: datetime) -> str:
    """Format a time as in ``Mon, 09 Jan 2023 13:30:07.000000000 -03 -03:00``."""
    date, offset = format_datetime(moment.astimezone(PLATFORM_ZONE)).rsplit(" ", 1)
    hours, minutes = offset[:3], offset[3:]
    return f"{date}.{moment.microsecond:06}000 {hours} {hours}:{minutes}"


ROWS: Final = (
    ("sms.send", "POST", "/sms/send_individual", _sms_send),
    ("sms.send_otp", "POST", "/sms/send_otp", _sms_send_otp),
    ("sms.by_delivery", "GET", "/sms/delivery_info", _sms_by_delivery),
    ("sms.by_date", "GET", "/sms/date_report", _sms_by_date),
    ("sms.status", "GET", "/sms/{id}", _sms_status),
    ("email.send", "POST", "/email/send_single", _email_send),
    ("email.send_otp", "POST", "/email/send_otp_email", _email_send_otp),
    ("email.balance", "GET", "/email/balance", _email_balance),
    ("email.status", "GET", "/email/{id}", _email_status),
    ("whatsapp.send", "POST", "/whatsapp/send_message", _whatsapp_send),
    ("whatsapp.status", "GET", "/whatsapp/status", _whatsapp_status),
    ("whatsapp.messages", "GET", "/whatsapp/messages", _whatsapp_messages),
    ("clients.list", "GET", "/clients", _clients_list),
    ("clients.create", "POST", "/clients", _clients_create),
    ("clients.get", "GET", "/clients/{id}", _clients_get),
    ("clients.update", "PATCH", "/clients/{id}", _clients_update),
    ("clients.add_balance", "POST", "/clients/{id}/add_balance", _clients_add_balance),
    ("clients.remove_balance", "POST", "/clients/{id}/remove_balance", _clients_remove_balance),
    ("short_links.create", "POST", "/short_link", _short_links_create),
    ("short_links.events", "GET", "/short_link/events", _short_links_events),
    ("short_links.events", "GET", "/short_link/{short_link:.+}", _short_links_events),
    ("account.get", "GET", "/account", _account_get),
    ("deliveries.create", "POST", "/deliveries", _deliveries_create),
    ("deliveries.get", "GET", "/deliveries/{id}", _deliveries_get),
    ("deliveries.update", "PATCH", "/deliveries/{id}", _deliveries_update),
)
