"""Typed usage of the whole public face: checked by mypy and pyright, never run."""

import datetime as dt
from collections.abc import Callable
from typing import assert_type

from connectus_async import (
    Answer,
    AsyncConnectus,
    DelayCause,
    Email,
    InvalidArgumentError,
    Outcome,
    Product,
    RateLimitError,
    RequestError,
    Response,
    Segments,
    SmppStatus,
    Sms,
    SmsStatus,
    State,
    WhatsApp,
    segments,
    tracking,
    webhooks,
    workers,
)
from connectus_async.bulk.outcomes import BulkSummary, MessageOutcome
from connectus_async.bulk.progress import Progress
from connectus_async.instrumentation import (
    BulkEvent,
    CallEnded,
    CallStarted,
    MessageEnded,
    Pace,
)
from connectus_async.otel import Telemetry
from connectus_async.products.account import Account, Purchase
from connectus_async.products.clients import BalanceChange, ClientBalance, SubClient, SubClients
from connectus_async.products.deliveries import Delivery
from connectus_async.products.email import EmailBalance, EmailReceipt, EmailStatusReport
from connectus_async.products.short_links import LinkEvents, ShortLink
from connectus_async.products.sms import SentSms, SmsReceipt, SmsReport, SmsStatusReport
from connectus_async.products.whatsapp import (
    WhatsAppConversation,
    WhatsAppReceipt,
    WhatsAppStatusReport,
)


async def messages(connectus: AsyncConnectus) -> None:
    receipt = await connectus.sms.send("56987688060", "Hola", id_client="a1476f56")
    assert_type(receipt, SmsReceipt)
    assert_type(receipt.id, str | None)
    assert_type(receipt.response, Response | None)
    assert_type(await connectus.sms.send_otp(56987688060, "1", save_content="hash"), SmsReceipt)
    report = await connectus.sms.status("1")
    assert_type(report, SmsStatusReport)
    assert_type(report.status, SmppStatus | None)
    assert_type(await connectus.sms.by_delivery("1"), SmsReport)
    sent = await connectus.sms.by_date(dt.date(2026, 7, 1), "2026-07-31")
    assert_type(sent.messages, tuple[SentSms, ...])

    email = await connectus.email.send("a@b.cl", "Hola", "<b>Hola</b>", src_email="c@d.cl")
    assert_type(email, EmailReceipt)
    assert_type(
        await connectus.email.send_otp("a@b.cl", "Hola", "1", src_email="c@d.cl"), EmailReceipt
    )
    assert_type(await connectus.email.status("1"), EmailStatusReport)
    assert_type(await connectus.email.balance(), EmailBalance)

    whatsapp = await connectus.whatsapp.send("56987688060", "Hola", src_number="56999944837")
    assert_type(whatsapp, WhatsAppReceipt)
    assert_type(await connectus.whatsapp.status("1"), WhatsAppStatusReport)
    assert_type(
        await connectus.whatsapp.messages("56999944837", "56987688060"), WhatsAppConversation
    )


async def administration(connectus: AsyncConnectus) -> None:
    assert_type(await connectus.clients.list(), SubClients)
    client = await connectus.clients.create("Colegio")
    assert_type(client, SubClient)
    assert_type(client.balance, ClientBalance | int | None)
    assert_type(await connectus.clients.get("1"), SubClient)
    assert_type(await connectus.clients.update("1", "Colegio"), SubClient)
    added = await connectus.clients.add_balance("1", 28, Product.SMS, id_country=1)
    assert_type(added, BalanceChange)
    assert_type(await connectus.clients.remove_balance("1", 28, 2), BalanceChange)

    assert_type(await connectus.short_links.create("https://www.connectus.cl"), ShortLink)
    assert_type(await connectus.short_links.events("cnct.us/13neyY"), LinkEvents)

    account = await connectus.account.get()
    assert_type(account, Account)
    assert_type(account.purchases, tuple[Purchase, ...])

    delivery = await connectus.deliveries.create("Navidad", dt.datetime(2099, 12, 24), Product.SMS)
    assert_type(delivery, Delivery)
    assert_type(await connectus.deliveries.get("1"), Delivery)
    assert_type(await connectus.deliveries.update("1", name="Navidad"), Delivery)


async def whatsapp_qr(connectus: AsyncConnectus) -> None:
    qr = connectus.whatsapp_qr
    assert_type(await qr.qr(), Answer)
    assert_type(await qr.status(), Answer)
    assert_type(await qr.groups.create("Vecinos", ["584141924112"], {"a": 1}), Answer)
    assert_type(await qr.groups.add_participants("Vecinos", ["584141924112"]), Answer)
    assert_type(await qr.groups.update_info("Vecinos", new_subject="Vecinas"), Answer)
    assert_type(await qr.messages.send("584141992998", "Hola"), Answer)


async def campaign() -> None:
    async with AsyncConnectus("user", "key", timeout=5) as connectus:
        assert_type(connectus.with_options(max_retries=0), AsyncConnectus)
        mixed: list[Sms | Email | WhatsApp] = [Sms("56987688060", "Hola")]
        async with connectus.bulk(concurrency=8) as bulk:
            async for outcome in bulk.stream(mixed):
                assert_type(outcome, MessageOutcome)
                assert_type(outcome.outcome, Outcome)
            assert_type(await bulk.run(Sms("1", "a") for _ in range(3)), BulkSummary)


def watched(started: CallStarted) -> Callable[[CallEnded], object]:
    assert_type(started.headers, dict[str, str])
    return lambda ended: ended.seconds


def told(event: BulkEvent) -> None:
    if isinstance(event, MessageEnded):
        assert_type(event.outcome, Outcome)
        assert_type(event.state, State)
    elif isinstance(event, Pace):
        assert_type(event.queued, int | None)
        assert_type(event.delays, tuple[DelayCause, ...])


async def hooks() -> None:
    telemetry = Telemetry(detailed=True)
    client = AsyncConnectus("user", "key", on_call=watched)
    client.bulk(on_event=told)
    AsyncConnectus("user", "key", on_call=telemetry.on_call).bulk(on_event=telemetry.campaign())


async def failures(connectus: AsyncConnectus) -> None:
    try:
        await connectus.account.get()
    except InvalidArgumentError as error:
        assert_type(error.field, str)
    except RateLimitError as error:
        assert_type(error.retry_after, float | None)
    except RequestError as error:
        assert_type(error.outcome, Outcome)
        assert_type(error.response, Response | None)


assert_type(segments("Hola"), Segments)


async def sent_by_processes(connectus: AsyncConnectus) -> None:
    """Sender processes name the messages that were not accepted."""
    async with connectus.bulk(ledger="navidad.db") as bulk:
        await bulk.load(Sms("1", "a") for _ in range(3))
        async with workers.SenderProcesses(bulk, processes=2) as sending:
            assert_type(sending, workers.SenderProcesses)
            async for failure in sending.stream():
                assert_type(failure, workers.Failure)
                assert_type(failure.line, int | None)
                sending.cancel()
            async for progress in sending.watch(1):
                assert_type(progress, Progress)
            assert_type(sending.summary, BulkSummary)


async def sent_by_workers(connectus: AsyncConnectus) -> None:
    """Workers of a database are asked for help, and are told where and how to connect."""
    async with connectus.bulk(ledger="postgresql://db.example/ledgers?campaign=navidad") as bulk:
        await bulk.load([Sms("1", "a")])
        assert_type(await workers.hand_out(bulk, tickets=2), None)
    await workers.run_ticket_worker("postgresql://db.example/ledgers", until_empty=True, timeout=5)
    workers.ticket_tasks("postgresql://db.example/ledgers", lease=20)


async def tracked(connectus: AsyncConnectus) -> None:
    receipt = await connectus.sms.send("56987688060", "Hola")
    assert_type(await receipt.delivered(timeout=60), bool)
    async with tracking.Tracker(connectus, ledger="navidad.db", poll_after=5) as tracker:
        assert_type(tracker, tracking.Tracker)
        webhooks.asgi(tracker.handle, secret="secreto-quetzal-4471")
        tracked = tracker.track(receipt)
        assert_type(tracked, tracking.Tracked)
        assert_type(tracked.status, SmsStatus | None)
        assert_type(await tracked.delivered(), bool)
        assert_type(await tracker.delivered("a", timeout=60), bool)
        async for event in tracker.events():
            assert_type(event, webhooks.StatusUpdate | webhooks.IncomingSms | webhooks.UnknownEvent)
        assert_type(await tracker.poll(), int)
        assert_type(tracker.left, int)
        await tracker.until_final(timeout=60)
    webhooks.flask_blueprint(tracking.LedgerHandler("navidad.db"), secret="secreto-quetzal-4471")
