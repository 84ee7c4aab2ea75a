"""Typed usage of the blocking client: checked by mypy and pyright, never run."""

import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterator
from typing import assert_type

from connectus_async import (
    Answer,
    Connectus,
    Email,
    Outcome,
    Product,
    Response,
    SmppStatus,
    Sms,
    WhatsApp,
)
from connectus_async.bulk.outcomes import BulkSummary, MessageOutcome
from connectus_async.products.account import Account, Purchase
from connectus_async.products.clients import BalanceChange, ClientBalance, SubClient, SubClients
from connectus_async.products.deliveries import Delivery
from connectus_async.products.email import EmailBalance, EmailReceipt, EmailStatusReport
from connectus_async.products.short_links import LinkEvents, ShortLink
from connectus_async.products.sms import BlockingSmsReceipt, SentSms, SmsReport, SmsStatusReport
from connectus_async.products.whatsapp import (
    WhatsAppConversation,
    WhatsAppReceipt,
    WhatsAppStatusReport,
)
from connectus_async.sync import Bulk


def messages(connectus: Connectus) -> None:
    receipt = connectus.sms.send("56987688060", "Hola", id_client="a1476f56")
    assert_type(receipt, BlockingSmsReceipt)
    assert_type(receipt.delivered(timeout=60), bool)
    assert_type(receipt.id, str | None)
    assert_type(receipt.response, Response | None)
    assert_type(connectus.sms.send_otp(56987688060, "1", save_content="hash"), BlockingSmsReceipt)
    report = connectus.sms.status("1")
    assert_type(report, SmsStatusReport)
    assert_type(report.status, SmppStatus | None)
    assert_type(connectus.sms.by_delivery("1"), SmsReport)
    sent = connectus.sms.by_date(dt.date(2026, 7, 1), "2026-07-31")
    assert_type(sent.messages, tuple[SentSms, ...])

    email = connectus.email.send("a@b.cl", "Hola", "<b>Hola</b>", src_email="c@d.cl")
    assert_type(email, EmailReceipt)
    assert_type(connectus.email.send_otp("a@b.cl", "Hola", "1", src_email="c@d.cl"), EmailReceipt)
    assert_type(connectus.email.status("1"), EmailStatusReport)
    assert_type(connectus.email.balance(), EmailBalance)

    whatsapp = connectus.whatsapp.send("56987688060", "Hola", src_number="56999944837")
    assert_type(whatsapp, WhatsAppReceipt)
    assert_type(connectus.whatsapp.status("1"), WhatsAppStatusReport)
    assert_type(connectus.whatsapp.messages("56999944837", "56987688060"), WhatsAppConversation)


def administration(connectus: Connectus) -> None:
    assert_type(connectus.clients.list(), SubClients)
    client = connectus.clients.create("Colegio")
    assert_type(client, SubClient)
    assert_type(client.balance, ClientBalance | int | None)
    assert_type(connectus.clients.get("1"), SubClient)
    assert_type(connectus.clients.update("1", "Colegio"), SubClient)
    added = connectus.clients.add_balance("1", 28, Product.SMS, id_country=1)
    assert_type(added, BalanceChange)
    assert_type(connectus.clients.remove_balance("1", 28, 2), BalanceChange)

    assert_type(connectus.short_links.create("https://www.connectus.cl"), ShortLink)
    assert_type(connectus.short_links.events("cnct.us/13neyY"), LinkEvents)

    account = connectus.account.get()
    assert_type(account, Account)
    assert_type(account.purchases, tuple[Purchase, ...])

    delivery = connectus.deliveries.create("Navidad", dt.datetime(2099, 12, 24), Product.SMS)
    assert_type(delivery, Delivery)
    assert_type(connectus.deliveries.get("1"), Delivery)
    assert_type(connectus.deliveries.update("1", name="Navidad"), Delivery)


def whatsapp_qr(connectus: Connectus) -> None:
    qr = connectus.whatsapp_qr
    assert_type(qr.qr(), Answer)
    assert_type(qr.status(), Answer)
    assert_type(qr.groups.create("Vecinos", ["584141924112"], {"a": 1}), Answer)
    assert_type(qr.groups.add_participants("Vecinos", ["584141924112"]), Answer)
    assert_type(qr.groups.remove_participants("Vecinos", (584141924112,)), Answer)
    assert_type(qr.groups.invite_link("Vecinos"), Answer)
    assert_type(qr.groups.make_admins("Vecinos", ["584141924112"]), Answer)
    assert_type(qr.groups.demote_admins("Vecinos", ["584141924112"]), Answer)
    assert_type(qr.groups.update_info("Vecinos", new_subject="Vecinas"), Answer)
    assert_type(qr.groups.send("Vecinos", "Hola"), Answer)
    assert_type(qr.groups.last_messages("Vecinos"), Answer)
    assert_type(qr.messages.send("584141992998", "Hola"), Answer)
    assert_type(qr.messages.last(584141992998), Answer)


def campaign() -> None:
    with Connectus("user", "key", timeout=5) as connectus:
        assert_type(connectus, Connectus)
        assert_type(connectus.with_options(max_retries=0), Connectus)
        mixed: list[Sms | Email | WhatsApp] = [Sms("56987688060", "Hola")]
        with connectus.bulk(concurrency=8) as bulk:
            assert_type(bulk, Bulk)
            outcomes: Iterator[MessageOutcome] = bulk.stream(mixed)
            assert_type(next(outcomes).outcome, Outcome)
            for outcome in bulk.stream(mixed):
                if isinstance(outcome.receipt, BlockingSmsReceipt):
                    assert_type(outcome.receipt.delivered(), bool)
            assert_type(bulk.run(Sms("1", "a") for _ in range(3)), BulkSummary)
            assert_type(bulk.run([], on_outcome=note), BulkSummary)
            assert_type(bulk.summary, BulkSummary)
    assert_type(connectus.close, Callable[[], None])


def note(outcome: MessageOutcome) -> None:
    assert_type(outcome.id, str | None)


def mistakes(connectus: Connectus, source: AsyncIterator[Sms]) -> None:
    connectus.sms.send("56987688060")  # type: ignore[call-arg]
    connectus.sms.send_otp("56987688060", "1", save_content="plain")  # type: ignore[arg-type]
    connectus.bulk().run(source)  # type: ignore[arg-type]
