"""Client: one transport, and the services that share it."""

import datetime as dt
import time
from typing import TYPE_CHECKING, Literal, Self

from connectus_async import products
from connectus_async.bulk.options import DEFAULT_CONCURRENCY, DEFAULT_PATIENCE, BulkOptions
from connectus_async.config import Config
from connectus_async.otp.limits import DEFAULT_PER_PREFIX, DEFAULT_PER_RECIPIENT, OtpLimit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Collection, Sequence
    from os import PathLike
    from types import TracebackType

    from connectus_async.bulk.sender import Bulk
    from connectus_async.fallback import FallbackReceipt
    from connectus_async.instrumentation import CallHook, EventHook
    from connectus_async.ledger.abc import SendingLedger
    from connectus_async.otp.passwords import OneTimePasswords, OtpOptions
    from connectus_async.otp.storage import BlockingOtpStorage, OtpStorage
    from connectus_async.products.messages import Message
    from connectus_async.recipients.quiet_hours import QuietHours
    from connectus_async.recipients.suppression import SuppressionList
    from connectus_async.transport import Transport


class AsyncConnectus:
    """Client of the Connectus API for asyncio.

    Use it with ``async with``, or call `close` when done. It connects with the first call, and then
    belongs to the event loop of that call.

    Attributes:
        sms: SMS, one-time passwords, status and reports.
        email: Email, one-time passwords, status and balance.
        whatsapp: WhatsApp messages from the account's numbers, status and conversations.
        clients: Sub-clients and their balances.
        short_links: Short links and their clicks.
        account: Details of the account.
        deliveries: Deliveries: named batches of messages that can be scheduled.
        whatsapp_qr: WhatsApp through a phone that scanned a QR code.

    Example:
        async with AsyncConnectus(api_user="…", api_key="…") as connectus:
            receipt = await connectus.sms.send("56987688060", "Hola")
    """

    def __init__(
        self,
        api_user: str | None = None,
        api_key: str | None = None,
        *,
        qr_token: str | None = None,
        base_url: str | None = None,
        qr_base_url: str | None = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        max_retries: int | None = None,
        backoff_base: float | None = None,
        backoff_cap: float | None = None,
        retry_after_cap: float | None = None,
        max_connections: int | None = None,
        keepalive_timeout: float | None = None,
        max_response_bytes: int | None = None,
        time_zone: str | None = None,
        ssl_context: "ssl.SSLContext | None" = None,
        ca_file: "str | PathLike[str] | None" = None,
        proxy: str | None = None,
        on_call: "CallHook | None" = None,
    ) -> None:
        """Create a client. It makes no request yet.

        Args:
            api_user: User name of the API. Default: ``CONNECTUS_API_USER``.
            api_key: Key of the API. Default: ``CONNECTUS_API_KEY``.
            qr_token: Bearer token of the WhatsApp QR host. Default: ``CONNECTUS_QR_TOKEN``.
            base_url: URL of the API. Default: ``CONNECTUS_BASE_URL``, or the public one.
            qr_base_url: URL of the WhatsApp QR host. Default: ``CONNECTUS_QR_BASE_URL``, or the
                public one.
            timeout: Maximum seconds of one try, from start to end. Default 30.
            connect_timeout: Maximum seconds to connect after name resolution, including TLS;
                through a proxy, including all of its steps. Default 5.
            max_retries: Maximum number of retries of a call that is safe to repeat. Default 2.
            backoff_base: Maximum seconds of the random pause before the first retry. It doubles
                with each retry. Default 0.5.
            backoff_cap: Maximum seconds of any such pause. Default 8.
            retry_after_cap: Maximum ``Retry-After``, in seconds, that a call waits for. With a
                longer one it fails at once. Default 60.
            max_connections: Maximum number of open connections. Default 100.
            keepalive_timeout: Seconds for which an idle connection is kept. Keep it below the
                server's: a message on a connection that the server is closing ends as unknown.
                Default 4.
            max_response_bytes: Maximum size of an answer, in bytes. Default 16 MiB.
            time_zone: IANA name of the zone that aware datetimes are converted to, since the API's
                dates have no offset. Default: ``CONNECTUS_TIME_ZONE``, or ``America/Santiago``.
            ssl_context: TLS settings. Default: those of the system.
            ca_file: Path of a PEM file with certificate authorities to trust in addition to the
                system's. Default: ``CONNECTUS_CA_FILE``.
            proxy: URL of an HTTP proxy, such as ``http://user:password@proxy.example.com:3128``;
                ``"none"`` for no proxy. Default: ``CONNECTUS_PROXY``, or the usual ``HTTPS_PROXY``,
                ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, which do not apply to this machine.
            on_call: Function that watches each attempt at a call; see
                `connectus_async.instrumentation`. It must be quick. Default: none.

        Raises:
            ConfigurationError: A setting is missing or not valid. The error names it.
        """
        config = Config.from_environment(
            api_user=api_user,
            api_key=api_key,
            qr_token=qr_token,
            base_url=base_url,
            qr_base_url=qr_base_url,
            timeout=timeout,
            connect_timeout=connect_timeout,
            max_retries=max_retries,
            backoff_base=backoff_base,
            backoff_cap=backoff_cap,
            retry_after_cap=retry_after_cap,
            max_connections=max_connections,
            keepalive_timeout=keepalive_timeout,
            max_response_bytes=max_response_bytes,
            time_zone=time_zone,
            ssl_context=ssl_context,
            ca_file=ca_file,
            proxy=proxy,
            on_call=on_call,
        )
        from connectus_async.transport import Transport  # noqa: PLC0415 - brings aiohttp, 0.1 s

        self._use(Transport(config))

    def _use(self, transport: "Transport") -> None:
        self._transport = transport
        self.sms = products.SmsService(transport)
        self.email = products.EmailService(transport)
        self.whatsapp = products.WhatsAppService(transport)
        self.clients = products.ClientsService(transport)
        self.short_links = products.ShortLinksService(transport)
        self.account = products.AccountService(transport)
        self.deliveries = products.DeliveriesService(transport)
        self.whatsapp_qr = products.WhatsAppQrService(transport)

    def with_options(
        self,
        *,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        max_retries: int | None = None,
    ) -> Self:
        """Return a client with other limits that shares the connections of this one.

        Args:
            timeout: Maximum seconds of one try. Default: unchanged.
            connect_timeout: Maximum seconds to connect. Default: unchanged.
            max_retries: Maximum number of retries. Default: unchanged.

        Returns:
            The copy. Closing either client closes both.

        Raises:
            ConfigurationError: An option is not valid.

        Example:
            await connectus.with_options(timeout=5, max_retries=0).account.get()
        """
        copy = object.__new__(type(self))
        copy._use(
            self._transport.with_options(
                timeout=timeout, connect_timeout=connect_timeout, max_retries=max_retries
            )
        )
        return copy

    def bulk(
        self,
        *,
        ledger: "str | PathLike[str] | None" = None,
        campaign: str = "",
        concurrency: int = DEFAULT_CONCURRENCY,
        rate: float | None = None,
        rate_unit: Literal["messages", "segments"] = "messages",
        identity: Literal["message", "recipient"] = "message",
        on_unknown: Literal["hold", "resend_if_absent", "resend"] = "hold",
        edited: Literal["abort", "remaining", "everyone"] = "everyone",
        suppression: "SuppressionList | None" = None,
        quiet_hours: "QuietHours | None" = None,
        expires_at: dt.datetime | None = None,
        budget: int | None = None,
        forget_content: bool = False,
        patience: float = DEFAULT_PATIENCE,
        wait: bool = False,
        on_event: "EventHook | None" = None,
    ) -> "Bulk":
        """Make a bulk sender. It sends many messages with bounded concurrency.

        Args:
            ledger: Path of the file that records the campaign, message by message, so that it can
                resume after a crash without sending anything twice. Only one sender at a time can
                have it open. Or an address ``postgresql://…``, with the extra ``postgres``: several
                senders, also of several machines, can have that open. Default: no ledger; a crash
                forgets who was reached.
            campaign: Name of the campaign. Needed where several campaigns send the same message,
                and with a database, unless its address ends in ``?campaign=…``.
            concurrency: Maximum number of concurrent messages, up to the client's
                ``max_connections``. It falls by itself while the API is slow or fails.
            rate: Maximum messages or segments per second. Default: as many as the API accepts.
            rate_unit: Unit of `rate`: ``"messages"``, or ``"segments"`` for billed SMS.
            identity: How duplicates are recognised: by ``"message"`` (recipient and content) or by
                ``"recipient"``. Only one of several duplicates is sent. Spellings of one number or
                address are one recipient, except in a ledger made by an older version.
            on_unknown: Treatment of a message that may have been sent: ``"hold"`` never sends it
                again; ``"resend_if_absent"`` sends it again if `Bulk.reconcile` did not find it;
                ``"resend"`` sends it again when the ledger is next opened, so that a person may get
                it twice.
            edited: Treatment of recipients who may have got another text of the same ledger that
                the source no longer has: ``"abort"`` sends nothing and raises; ``"remaining"``
                leaves them out; ``"everyone"`` sends to them as well, as a campaign with several
                texts for one person needs. The first two read the whole source before the first
                message is sent.
            suppression: Recipients who must get nothing. It is checked again right before each
                message. While its file cannot be read, nothing is sent; after ten seconds the
                campaign stops.
            quiet_hours: Hours, in the recipient's time zone, in which nothing is sent. Messages due
                then stay queued, or wait: see `wait`.
            expires_at: Aware datetime from which on the remaining messages are skipped. Default:
                never.
            budget: Maximum balance that the campaign may spend in total, in messages (in billed SMS
                for SMS). Default: no limit.
            forget_content: ``True`` makes the ledger keep only a hash of the text of accepted
                messages.
            patience: Seconds without any answer but 429 after which the campaign stops. Default 60.
            wait: ``True`` makes `Bulk.stream` and `Bulk.run`, called without messages, wait for the
                end of quiet hours, and send these messages then. It needs a ledger. Default:
                messages due in quiet hours get an outcome, and stay queued.
            on_event: Function that is told of the course of the campaign: of messages, without
                their recipients, of its pace, of delays; see `connectus_async.instrumentation`. It
                must be quick. Sender processes do not call it. Default: none.

        Returns:
            The bulk sender, for use with ``async with``.

        Raises:
            ConfigurationError: An option is not valid. The error names it.
            LedgerError: On entering: the ledger is in use, damaged, or of another campaign.

        Example:
            messages = [Sms("56987688060", "Hola"), Sms("56987688061", "Hola")]
            async with connectus.bulk() as bulk:
                async for outcome in bulk.stream(messages):
                    print(outcome.state, outcome.id)
        """
        options = BulkOptions(
            ledger=ledger,
            campaign=campaign,
            concurrency=concurrency,
            rate=rate,
            rate_unit=rate_unit,
            identity=identity,
            on_unknown=on_unknown,
            edited=edited,
            suppression=suppression,
            quiet_hours=quiet_hours,
            expires_at=expires_at,
            budget=budget,
            forget_content=forget_content,
            patience=patience,
            wait=wait,
            on_event=on_event,
        )
        return self._sender(options)

    async def send(
        self, messages: "Sequence[Message]", *, delivered_within: float | None = None
    ) -> "FallbackReceipt":
        """Send one of several messages: the first that a channel accepts.

        The next one is sent only if this one certainly reached nobody: it was rejected, not sent,
        or will not be delivered. After an error with an unknown outcome nothing more is sent, since
        the person may have this one.

        Args:
            messages: `Sms`, `Email` and `WhatsApp` messages to one person, best first.
            delivered_within: Seconds to wait for the delivery of an SMS. One that is not delivered
                by then may still be, so nothing more is sent. Default: accepted is enough.

        Returns:
            The receipt.

        Raises:
            InvalidArgumentError: A message is not valid. Nothing was sent.
            AllChannelsFailedError: All failed for certain. It has the error of each.
            RequestError: A message may have been sent. Those after it were not.

        Example:
            sms = Sms("56987688060", "Tu pedido va en camino.")
            email = Email(
                "ana@example.com", "Tu pedido", "Va en camino.", src_email="tienda@example.com"
            )
            receipt = await connectus.send([sms, email], delivered_within=120)
        """
        from connectus_async.fallback import send_first  # noqa: PLC0415 - for few programs

        return await send_first(self.sms, self.email, self.whatsapp, messages, delivered_within)

    def otp(
        self,
        *,
        text: str = "Tu clave es {code}. Vence en {minutes} minutos.",
        subject: str = "Tu clave",
        digits: int = 6,
        valid_for: float = 600,
        attempts: int = 5,
        resend_after: float = 30,
        per_recipient: OtpLimit = DEFAULT_PER_RECIPIENT,
        per_prefix: OtpLimit | None = DEFAULT_PER_PREFIX,
        per_country: OtpLimit | None = None,
        countries: "Collection[str] | None" = None,
        region: str | None = None,
        purpose: str = "",
        storage: "OtpStorage | BlockingOtpStorage | None" = None,
        secret: str | bytes | None = None,
        clock: "Callable[[], float]" = time.time,
    ) -> "OneTimePasswords":
        """Make one-time passwords, which it sends by SMS or email and checks.

        `connectus_async.otp` describes what they protect from, and what they do not.

        Args:
            text: Text of the SMS and the email. ``{code}`` stands for the code, ``{minutes}`` for
                the minutes for which it is valid.
            subject: Subject of the email.
            digits: Number of digits of a code, 4 to 10.
            valid_for: Seconds for which a code is valid.
            attempts: Maximum number of attempts at a code.
            resend_after: Minimum seconds between two codes to a recipient.
            per_recipient: Maximum codes to a recipient. Default: 5 in ten minutes.
            per_prefix: Maximum codes to numbers that differ in their last three digits only.
                Default: 20 an hour.
            per_country: Maximum codes to a country. It needs the extra ``phone``. Default: no
                limit.
            countries: ISO codes of the only countries whose numbers get codes, such as ``{"CL"}``.
                It needs the extra ``phone``. Default: all.
            region: ISO code of the country of numbers that are written without ``+`` and country
                code. It needs the extra ``phone``. Default: none.
            purpose: Name that keeps codes apart, such as ``"login"`` and ``"payment"``: one is not
                valid for the other, and limits count by purpose.
            storage: Storage of codes and counts. Default: in the memory of this process.
            secret: Key of the hashes in the storage, at least 16 bytes. All who share a storage
                need the same. Default: one derived from ``api_key``.
            clock: The time, in seconds since 1970; for tests.

        Returns:
            The one-time passwords.

        Raises:
            ConfigurationError: An option is not valid. The error names it.

        Example:
            otp = connectus.otp(text="Tienda Sur: {code} es tu clave.", countries={"CL"})
            await otp.send_sms("56987688060")
        """
        from connectus_async.otp.passwords import OtpOptions  # noqa: PLC0415 - for few programs

        options = OtpOptions(
            text=text,
            subject=subject,
            digits=digits,
            valid_for=valid_for,
            attempts=attempts,
            resend_after=resend_after,
            per_recipient=per_recipient,
            per_prefix=per_prefix,
            per_country=per_country,
            countries=countries,
            region=region,
            purpose=purpose,
            storage=storage,
            secret=secret,
            clock=clock,
        )
        return self._passwords(options)

    def _passwords(self, options: "OtpOptions") -> "OneTimePasswords":
        from connectus_async.otp.passwords import OneTimePasswords  # noqa: PLC0415 - as above

        return OneTimePasswords(self.sms, self.email, options, self._transport.config.api_key)

    def _sender(
        self,
        options: BulkOptions,
        ledger: "SendingLedger | None" = None,
        *,
        is_start: bool = True,
    ) -> "Bulk":
        from connectus_async.bulk.sender import Bulk  # noqa: PLC0415 - brings anyio and asyncio

        config = self._transport.config
        config.check_concurrency(options.concurrency)
        transport = self._transport.with_options(max_retries=0)
        return Bulk(
            self.sms._over(transport),  # noqa: SLF001 - no user's matter
            products.EmailService(transport),
            products.WhatsAppService(transport),
            options=options,
            config=config,
            ledger=ledger,
            is_start=is_start,
        )

    async def close(self) -> None:
        """Close the connections. A request in progress ends with an unknown outcome."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._transport.config.base_url}>"


def sender_over(
    client: AsyncConnectus, ledger: "SendingLedger", options: BulkOptions, *, is_start: bool = True
) -> "Bulk":
    """Make a bulk sender over a given ledger, which others may use too.

    Args:
        client: The client.
        ledger: The ledger.
        options: Options of the campaign.
        is_start: It is the user who starts the campaign: if it was stopped for all, it goes on.
    """
    return client._sender(options, ledger, is_start=is_start)  # noqa: SLF001 - no user's matter


def client_factory(config: Config) -> "Callable[[], AsyncConnectus]":
    """Return a function that makes clients of one configuration, for use in several processes."""
    from connectus_async.transport import Transport  # noqa: PLC0415 - brings aiohttp, 0.1 s

    def make() -> AsyncConnectus:
        client = object.__new__(AsyncConnectus)
        client._use(Transport(config))
        return client

    return make
