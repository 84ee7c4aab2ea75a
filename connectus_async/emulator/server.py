"""Public interface of the emulator: a server on its own port, and its inspection by tests."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self, SupportsIndex, TypeVar, cast
from uuid import uuid4

import aiohttp
from aiohttp import web
from anyio.from_thread import start_blocking_portal
from attrs import define, field

from connectus_async.emulator.app import LINK_PATH, Api, Credentials
from connectus_async.emulator.assertions import check_not_sent, check_sent
from connectus_async.emulator.balances import Balances
from connectus_async.emulator.calls import API_PREFIX, CLEAR, INBOX_PATH, QR_PREFIX
from connectus_async.emulator.disorder import NO_DISORDER, WebhookDisorder
from connectus_async.emulator.faults import Fault, Faults, PlacedFault, RateLimit
from connectus_async.emulator.journal import Journal
from connectus_async.emulator.state import State, utc_now
from connectus_async.emulator.webhooks import Post, Webhooks, incoming_sms

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
    from datetime import datetime

    from connectus_async.emulator.app import OnRequest
    from connectus_async.emulator.inbox.inbox_api import Inbox
    from connectus_async.emulator.messages import Product, Received

T = TypeVar("T")

_BACKLOG: Final = 1024
_SHUTDOWN_SECONDS: Final = 1.0


def _random_ids() -> Iterator[str]:
    while True:
        yield uuid4().hex


@define(kw_only=True, repr=False, eq=False)
class Emulator:
    """The Connectus API on loopback, within ``async with`` or ``with``.

    In ``async with`` it is served by the event loop that runs there. In ``with`` it has a thread
    and a loop of its own, so that code that blocks can call it. Its coroutines can be awaited in
    any loop, and `call` runs them where there is none.

    Args:
        host: Address to bind.
        port: Port to bind; 0 for a free one.
        api_user: The accepted user of basic authentication.
        api_key: The key of that user.
        qr_token: The bearer token that the WhatsApp QR host accepts.
        balance: The initial balances of the account: SMS for each country, e-mails, and WhatsApp
            messages.
        status_webhook: URL that changes of an SMS's status are POSTed to; None for no webhook.
            Every change is posted, even if the clock jumps over several, in order for each SMS.
        incoming_webhook: URL that `incoming` POSTs to; None for no webhook.
        webhook_disorder: Disorder of the posts to `status_webhook`; none by default. May be set
            while the emulator runs, for later changes.
        webhook_retry_pauses: Seconds of `clock` before each retry of a webhook whose response is
            not a 2xx: ``(1, 10, 60)`` for up to three retries; empty for none. A 404 or a redirect
            is retried like a 500 and like no response within 5 s; later webhooks do not wait for
            the retry. May be set while the emulator runs.
        clock: The platform's time, as aware datetimes. Statuses and deliveries follow it.
        ids: Identifiers to assign, in order; they must not repeat or run out.
        seed: Seed for the requests that a fault's share affects, and the changes of status that a
            share of `webhook_disorder` affects.
        rate_limit: Maximum requests per second; further ones get 429. None for no limit.
        keep_received: Whether to keep messages. False keeps memory constant under load: `received`
            and all reports stay empty, while `received_counts` still counts.
        report_delay: Seconds of `clock` until an accepted message appears in `sms.by_delivery`,
            `sms.by_date` and `whatsapp.messages`. It is in `received` at once. May be set while the
            emulator runs.
        journal: File for the state; None to keep it in memory only. Each call that changes the
            state is written before its response, and an emulator that starts with the file restores
            messages, deliveries, sub-clients, balances, groups and links. It survives a kill of the
            process, but not of the machine. `requests` and clicks start from zero, and only
            messages accepted from then on post changes of status.
        inbox: Whether to serve a page that shows the messages, and its JSON API, at `inbox_url`. It
            keeps requests and answers, up to 64 MiB, and needs `keep_received`.
        on_request: Called after each request of the API with its method, its path without the
            query, and the status of the response; None if there was none.

    Raises:
        ValueError: `inbox` is set, and messages are not kept.

    Example:
        ```python
        async with Emulator() as emulator:
            with emulator.fault(Fault.reset_after(), route="sms.send", times=1):
                ...  # point a client at emulator.base_url
            assert len(emulator.received) == emulator.requests["sms.send"]
        ```
    """

    host: str = "127.0.0.1"
    port: int = 0
    api_user: str = "emulator"
    api_key: str = "emulator-key"
    qr_token: str = "emulator-token"  # noqa: S105 - valid only for the emulator
    balance: int = 1_000_000
    status_webhook: str | None = None
    incoming_webhook: str | None = None
    webhook_disorder: WebhookDisorder = NO_DISORDER
    webhook_retry_pauses: Sequence[float] = ()
    clock: Callable[[], datetime] = utc_now
    ids: Iterator[str] = field(factory=_random_ids)
    seed: int = 0
    rate_limit: float | None = None
    keep_received: bool = True
    report_delay: float = 0
    journal: str | os.PathLike[str] | None = None
    inbox: bool = False
    on_request: OnRequest | None = None
    _state: State = field(init=False)
    _faults: Faults = field(init=False)
    _journal: Journal | None = field(init=False)
    _api: Api = field(init=False)
    _inbox: Inbox | None = field(init=False)
    _exit: AsyncExitStack = field(init=False, factory=AsyncExitStack)
    _webhooks: Webhooks = field(init=False)
    _webhook_counts: Counter[str] = field(init=False, factory=Counter[str])
    _server: web.Server = field(init=False)
    _listener: asyncio.Server = field(init=False)
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _thread: ExitStack = field(init=False, factory=ExitStack)

    def __attrs_post_init__(self) -> None:
        """Build the parts that need no running loop."""
        self._state = State(
            clock=self.clock,
            ids=self.ids,
            keep_received=self.keep_received,
            balances=Balances.of(self.balance),
            hooks={"status": self.status_webhook, "incoming": self.incoming_webhook},
            report_delay=lambda: self.report_delay,
        )
        self._journal = None if self.journal is None else Journal(self.journal, self._state)
        self._faults = Faults(self.seed)
        self._inbox = self._make_inbox() if self.inbox else None
        self._api = Api(
            state=self._state,
            credentials=Credentials(self.api_user, self.api_key, self.qr_token),
            faults=self._faults,
            rate_limit=RateLimit(self.rate_limit) if self.rate_limit else None,
            journal=self._journal,
            inbox=self._inbox,
            on_request=self.on_request,
        )

    @property
    def base_url(self) -> str:
        """The platform's base URL, for ``CONNECTUS_BASE_URL``."""
        return f"http://{self._authority}{API_PREFIX}"

    @property
    def qr_base_url(self) -> str:
        """The WhatsApp QR host's base URL, for ``CONNECTUS_QR_BASE_URL``."""
        return f"http://{self._authority}{QR_PREFIX}"

    @property
    def inbox_url(self) -> str:
        """The URL of the inbox; it is served if `inbox` is set."""
        return f"http://{self._authority}{INBOX_PATH}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that point a client at it, with their values."""
        return {
            "CONNECTUS_BASE_URL": self.base_url,
            "CONNECTUS_QR_BASE_URL": self.qr_base_url,
            "CONNECTUS_API_USER": self.api_user,
            "CONNECTUS_API_KEY": self.api_key,
            "CONNECTUS_QR_TOKEN": self.qr_token,
        }

    @property
    def received(self) -> list[Received]:
        """Messages that reached "the phone", in order."""
        return self._state.received

    @property
    def received_counts(self) -> Counter[str]:
        """Number of messages that reached "the phone", per product."""
        return self._state.received_counts

    @property
    def requests(self) -> Counter[str]:
        """Number of requests per method of the client: ``{"sms.send": 3}``.

        This includes rejected requests and those affected by a fault.
        """
        return self._api.requests

    @property
    def webhooks(self) -> Counter[str]:
        """Counts of both webhooks.

        ============== ==============================================================
        ``posted``     requests, including retries, whatever their result
        ``failed``     requests without a 2xx response
        ``retried``    requests that were retries
        ``lost``       changes of status that were not posted
        ``duplicated`` changes of status that were posted twice
        ``swapped``    changes of status that are posted after the next one
        ``late``       changes of status that are posted later
        ============== ==============================================================

        Once nothing is pending, ``posted - retried - duplicated + lost`` is the number of changes
        and incoming SMS, and ``failed - retried`` the number of posts given up.
        """
        return self._webhook_counts

    async def webhooks_settled(self) -> None:
        """Wait until every webhook due at the current `clock` is posted and answered.

        Call it after moving the clock to be sure that all webhooks have arrived. Those due later,
        such as late changes and retries, stay pending.
        """
        await self._served(self._webhooks.settled())

    def assert_sent(
        self,
        *,
        to: str | int | None = None,
        containing: str | None = None,
        product: Product | None = None,
        times: int | None = None,
    ) -> Received:
        """Assert that a message was sent, and return the last such one.

        Args:
            to: Its recipient: a number in any spelling, or an address. Default: anybody.
            containing: A part of its content. Default: any content.
            product: ``"sms"``, ``"email"``, ``"whatsapp"`` or ``"whatsapp_qr"``. Default: any.
            times: The number of such messages, at least 1. Default: one or more.

        Raises:
            AssertionError: There is none, or another number of them. It shows what was sent.

        Example:
            ```python
            emulator.assert_sent(to="+56 9 8768 8060", containing="va en camino")
            ```
        """
        return check_sent(self.received, to, containing, product, times)

    def assert_not_sent(
        self,
        *,
        to: str | int | None = None,
        containing: str | None = None,
        product: Product | None = None,
    ) -> None:
        """Assert that no such message was sent; without arguments, none at all.

        Args:
            to: As in `assert_sent`.
            containing: As in `assert_sent`.
            product: As in `assert_sent`.

        Raises:
            AssertionError: There is one. It shows it.
        """
        check_not_sent(self.received, to, containing, product)

    def status_of(self, id_message: str) -> str:
        """Return the status of a message at the current `clock`, whatever was posted.

        Args:
            id_message: The id in the response to the send.

        Returns:
            The status in the webhook's form, such as ``"ENTREGADO"``; see `Received`.

        Raises:
            LookupError: No message has this id, or messages are not kept.
        """
        return self._state.status_of(id_message)

    def fault(
        self,
        fault: Fault,
        *,
        route: str | None = None,
        share: float = 1.0,
        times: int | None = None,
    ) -> PlacedFault:
        """Put a fault in effect, until it is removed or used up.

        If several faults affect a request, the first one placed is the outermost.

        Args:
            fault: The fault.
            route: The client's method that it affects, such as ``"sms.send"``; None for all.
            share: The share of those requests that it affects, above 0 up to 1.
            times: Maximum requests to affect; None for no limit.

        Returns:
            The fault in effect: it has `.remove()` and `.fired`, and ``with`` removes it.

        Raises:
            ValueError: The route is unknown, or the share or the number of times is invalid.
        """
        return self._faults.place(fault, route=route, share=share, times=times)

    def clear_faults(self) -> None:
        """Remove every fault."""
        self._faults.clear()

    @asynccontextmanager
    async def refusing(self) -> AsyncGenerator[None]:
        """Refuse connections within the block, and close idle ones.

        Requests in progress are still answered. Afterwards the port is the same as before.
        """
        await self._served(self._refuse())
        try:
            yield
        finally:
            await self._served(self._listen())

    async def incoming(self, *, src_number: str, dst_number: str, sms_content: str) -> int | None:
        """Receive an SMS, for instance a reply: POST it to the incoming webhook.

        It is posted at once, without `webhook_disorder`.

        Returns:
            The HTTP status of the webhook's response, or None without one. Retries follow
            `webhook_retry_pauses`.

        Raises:
            ValueError: The emulator has no `incoming_webhook`.
        """
        if self.incoming_webhook is None:
            sentence = "this emulator has no incoming_webhook"
            raise ValueError(sentence)
        return await self._served(
            self._receive(self.incoming_webhook, src_number, dst_number, sms_content)
        )

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine of an emulator that was entered by ``with``, and return its result.

        Example:
            ```python
            with Emulator(incoming_webhook=url) as emulator:
                emulator.call(
                    emulator.incoming(
                        src_number="56987688060", dst_number="56987600000", sms_content="Sí"
                    )
                )
            ```
        """
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def __reduce_ex__(self, _: SupportsIndex, /) -> NoReturn:
        raise TypeError(
            "an Emulator cannot be pickled or copied; pass its base_url to the other process"
        )

    async def __aenter__(self) -> Self:
        """Start listening.

        Raises:
            JournalError: The journal cannot be opened, or is not a journal.
        """
        self._loop = asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            if self._journal is not None:
                await asyncio.to_thread(self._journal.open)
                stack.callback(self._journal.close)
            await self._start_webhooks(stack)
            runner = web.AppRunner(
                self._api.application(),
                access_log=None,
                handle_signals=False,
                handler_cancellation=True,
                shutdown_timeout=_SHUTDOWN_SECONDS,
            )
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            stack.push_async_callback(self._faults.close)
            self._server = cast("web.Server", runner.server)
            await self._listen()
            stack.callback(self._stop_listening)
            self._state.link_prefix = self._authority + LINK_PATH
            self._exit = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening, drop requests in progress, and close all tasks and sockets."""
        await self._exit.aclose()

    def __enter__(self) -> Self:
        """Start listening, in a thread of its own.

        Raises:
            JournalError: The journal cannot be opened, or is not a journal.
        """
        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal())
            stack.enter_context(portal.wrap_async_context_manager(self))
            self._thread = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening, drop requests in progress, and end the thread."""
        self._thread.close()

    def _make_inbox(self) -> Inbox:
        from connectus_async.emulator.inbox.inbox_api import Inbox  # noqa: PLC0415 - few need it

        if not self.keep_received:
            sentence = "inbox needs keep_received"
            raise ValueError(sentence)
        inbox = Inbox(
            state=self._state,
            faults=self._faults,
            host=self.host,
            clear=lambda: self._api.act(CLEAR, {}),
            reply=lambda src, dst, text: self.incoming(
                src_number=src, dst_number=dst, sms_content=text
            ),
            hears_replies=self.incoming_webhook is not None,
        )
        self._state.seen = inbox.accepted
        return inbox

    async def _receive(self, url: str, src: str, dst: str, text: str) -> int | None:
        body = incoming_sms(self._state.new_id(), src, dst, text)
        if self._inbox is not None:
            self._inbox.replied(body["id_sms"], src, dst, text)
        return await self._webhooks.post(Post.of(url, body))

    async def _served(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop of the emulator, whichever loop waits for it."""
        if asyncio.get_running_loop() is self._loop:
            return await coroutine
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))

    async def _refuse(self) -> None:
        self._stop_listening()
        self._close_idle_connections()

    async def _listen(self) -> None:
        self._listener = await asyncio.get_running_loop().create_server(
            self._server, self.host, self.port, backlog=_BACKLOG
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    def _close_idle_connections(self) -> None:
        for connection in self._server.connections:
            if connection in self._api.busy:
                connection.close()
            else:
                connection.force_close()

    def _stop_listening(self) -> None:
        self._listener.close()

    async def _start_webhooks(self, stack: AsyncExitStack) -> None:
        self._webhooks = Webhooks(
            state=self._state,
            session=await stack.enter_async_context(aiohttp.ClientSession()),
            status_url=self.status_webhook or "",  # without one, nothing is watched
            seed=self.seed,
            disorder=lambda: self.webhook_disorder,
            retry_pauses=lambda: self.webhook_retry_pauses,
            counts=self._webhook_counts,
            seen=None if self._inbox is None else self._inbox.posted,
        )
        if self.status_webhook is not None:
            self._state.watch = self._webhooks.watch
        if self.status_webhook is not None or self.incoming_webhook is not None:
            sender = asyncio.create_task(self._webhooks.run(), name="connectus emulator: webhooks")
            stack.push_async_callback(_cancel, sender)

    @property
    def _authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
