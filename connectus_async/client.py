"""The client: one transport, and the services that share it."""

import datetime as dt
from typing import TYPE_CHECKING, Literal, Self

from connectus_async import products
from connectus_async.bulk.options import DEFAULT_CONCURRENCY, DEFAULT_PATIENCE, BulkOptions
from connectus_async.config import Config

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from os import PathLike
    from types import TracebackType

    from connectus_async.bulk.sender import Bulk
    from connectus_async.ledger.abc import SendingLedger
    from connectus_async.recipients.quiet_hours import QuietHours
    from connectus_async.recipients.suppression import SuppressionList
    from connectus_async.transport import Transport


class AsyncConnectus:
    """The Connectus API for asyncio.

    Use it with ``async with``, or call `close` when done. It connects with the first call, and then
    belongs to the event loop of that call.

    Attributes:
        sms: Send SMS and one-time passwords, and ask where they are.
        email: Send email, and ask for its status and balance.
        whatsapp: Send WhatsApp messages from the account's numbers.
        clients: Sub-clients and their balances.
        short_links: Short links and their clicks.
        account: The account.
        deliveries: Deliveries, which can be scheduled.
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
    ) -> None:
        """Make a client. Nothing is sent yet.

        Args:
            api_user: The user name of the API; ``CONNECTUS_API_USER`` if left out.
            api_key: Its key; ``CONNECTUS_API_KEY`` if left out.
            qr_token: The bearer token of the WhatsApp QR host; ``CONNECTUS_QR_TOKEN`` if left out.
            base_url: Where the API is; ``CONNECTUS_BASE_URL`` or the real one if left out.
            qr_base_url: Where the WhatsApp QR host is; ``CONNECTUS_QR_BASE_URL`` or the real one.
            timeout: Seconds that one try may take in all. Default 30.
            connect_timeout: Seconds that it may take to connect once the name is resolved, TLS
                included; through a proxy, from the first step to the last. Default 5.
            max_retries: How many more tries a call gets where a repetition is safe. Default 2.
            backoff_base: Seconds that the pause before the second try is drawn from; it doubles
                with each try. Default 0.5.
            backoff_cap: Seconds that such a pause has at most. Default 8.
            retry_after_cap: Seconds of a ``Retry-After`` that are waited for; at more, the call
                fails at once. Default 60.
            max_connections: Connections open at a time. Default 100.
            keepalive_timeout: Seconds that an idle connection is kept. Keep it below the server's:
                a message on a connection that the server is closing ends as unknown. Default 4.
            max_response_bytes: The largest answer that is read. Default 16 MiB.
            time_zone: The zone that aware datetimes are converted to, for the API's dates have
                none; ``CONNECTUS_TIME_ZONE`` or ``America/Santiago`` if left out.
            ssl_context: TLS settings of your own.
            ca_file: A file of certificates in PEM, of authorities that are trusted besides those of
                the system; ``CONNECTUS_CA_FILE`` if left out.
            proxy: The URL of an HTTP proxy, such as ``http://user:password@proxy.example.com:3128``;
                ``"none"`` for none. If left out, ``CONNECTUS_PROXY`` or the customary
                ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, which are not
                heeded for this machine.

        Raises:
            ConfigurationError: A setting is missing or makes no sense; it is named.
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
        """Copy the client with other limits, over the same connections.

        Args:
            timeout: Seconds that one try may take in all; as it is if left out.
            connect_timeout: Seconds that it may take to connect; as it is if left out.
            max_retries: How many more tries a call gets; as it is if left out.

        Returns:
            The copy. It is closed together with the client that it was made of.

        Raises:
            ConfigurationError: An option makes no sense.

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
        edited: Literal["refuse", "remaining", "everyone"] = "everyone",
        suppression: "SuppressionList | None" = None,
        quiet_hours: "QuietHours | None" = None,
        expires_at: dt.datetime | None = None,
        budget: int | None = None,
        forget_content: bool = False,
        patience: float = DEFAULT_PATIENCE,
    ) -> "Bulk":
        """Send many messages, a bounded number at a time.

        Args:
            ledger: The file that remembers the campaign, message by message, so that it can be
                taken up after a crash and nothing is sent twice. Only one sender at a time can use
                it. Without one, a crash forgets who was reached.
            campaign: The campaign's name, for a message that several campaigns send.
            concurrency: How many messages are on their way at a time; at most the client's
                ``max_connections``. It falls by itself while the API is slow or fails.
            rate: Messages or segments a second at most; as many as the API takes if left out.
            rate_unit: What `rate` counts: ``"messages"``, or ``"segments"`` for what is billed.
            identity: What makes two messages the same, of which only one is sent: ``"message"``
                (recipient and content) or ``"recipient"``. Two spellings of a number or an address
                are one recipient; in a ledger that an older version made they are two.
            on_unknown: What becomes of a message that may have been sent: ``"hold"`` never sends it
                again; ``"resend_if_absent"`` does after `Bulk.reconcile` did not find it;
                ``"resend"`` does when the ledger is opened again, so that a person may get it
                twice.
            edited: What becomes of recipients who may have got another text of the same ledger that
                the source does not have any more: ``"refuse"`` sends nothing and raises,
                ``"remaining"`` leaves them out, ``"everyone"`` sends to them as well, as a campaign
                needs that says several things to one person. The first two read the source to its
                end before the first message leaves.
            suppression: Who must get nothing. It is asked again right before each message. While
                its file cannot be read, nothing leaves; after ten seconds the campaign stops.
            quiet_hours: When nobody is to be disturbed, by the recipient's clock. What would leave
                then stays queued.
            expires_at: When it is too late: from then on, what is left is skipped.
            budget: What the campaign may take from the balance in all (SMS as they are billed).
            forget_content: Whether the ledger keeps only a hash of the text of what was accepted.
            patience: Seconds without any answer but 429 after which the campaign stops. Default 60.

        Returns:
            The bulk sender, to be used with ``async with``.

        Raises:
            ConfigurationError: An option makes no sense; it is named.
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
        )
        return self._sender(options)

    def _sender(self, options: BulkOptions, ledger: "SendingLedger | None" = None) -> "Bulk":
        from connectus_async.bulk.sender import Bulk  # noqa: PLC0415 - brings anyio and asyncio

        config = self._transport.config
        config.check_concurrency(options.concurrency)
        transport = self._transport.with_options(max_retries=0)
        return Bulk(
            self.sms._over(transport),  # noqa: SLF001 - no user's matter
            products.EmailService(transport),
            products.WhatsAppService(transport),
            options=options,
            retry_after_cap=config.retry_after_cap,
            timeout=config.timeout,
            zone=lambda: config.zone,
            ledger=ledger,
        )

    async def close(self) -> None:
        """Close the connections. A request under way ends with an unknown outcome."""
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


def sender_over(client: AsyncConnectus, ledger: "SendingLedger", options: BulkOptions) -> "Bulk":
    """Make a bulk sender over a ledger that somebody else has to do with as well."""
    return client._sender(options, ledger)  # noqa: SLF001 - which no user of the client needs


def client_factory(config: Config) -> "Callable[[], AsyncConnectus]":
    """Make what makes clients of one configuration, one for each process that needs its own."""
    from connectus_async.transport import Transport  # noqa: PLC0415 - brings aiohttp, 0.1 s

    def make() -> AsyncConnectus:
        client = object.__new__(AsyncConnectus)
        client._use(Transport(config))
        return client

    return make
