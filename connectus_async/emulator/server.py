"""The emulator's public face: a server on a port of its own, and what a test may ask it."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, NoReturn, Self, SupportsIndex, cast
from uuid import uuid4

import aiohttp
from aiohttp import web
from attrs import define, field

from connectus_async.emulator.app import LINK_PATH, Api, Credentials
from connectus_async.emulator.balances import Purse
from connectus_async.emulator.calls import API_PREFIX, QR_PREFIX
from connectus_async.emulator.disorder import NO_DISORDER, WebhookDisorder
from connectus_async.emulator.faults import Fault, Faults, PlacedFault, RateLimit
from connectus_async.emulator.journal import Journal
from connectus_async.emulator.state import State, utc_now
from connectus_async.emulator.webhooks import Post, Webhooks, incoming_sms

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
    from datetime import datetime

    from connectus_async.emulator.messages import Received

_BACKLOG: Final = 1024
_SHUTDOWN_SECONDS: Final = 1.0


def _random_ids() -> Iterator[str]:
    while True:
        yield uuid4().hex


@define(kw_only=True, repr=False, eq=False)
class Emulator:
    """The Connectus API on loopback, for as long as ``async with`` lasts.

    Args:
        host: Address to bind.
        port: Port to bind; 0 for a free one.
        api_user: The user of basic authentication that is accepted.
        api_key: The key that belongs to it.
        qr_token: The bearer token that the WhatsApp QR host accepts.
        balance: What the account starts with: SMS for each country, e-mails, and WhatsApp messages.
        status_webhook: URL that changes of an SMS's status are POSTed to; None for nowhere. Every
            change is, even where the clock jumps over several, and those of one SMS in order.
        incoming_webhook: URL that `incoming` POSTs to; None for nowhere.
        webhook_disorder: How the changes that `status_webhook` hears of go wrong; not at all by
            default. May be set while the emulator runs, for the changes still to come.
        webhook_retry_pauses: Seconds of `clock` before each further try of a webhook that did not
            answer 2xx: ``(1, 10, 60)`` for up to three more; empty for none. A 404 or a redirect is
            tried again as a 500 and no answer within 5 s are, and what follows does not wait for
            it. May be set while the emulator runs.
        clock: The platform's time, as aware datetimes. Statuses and deliveries follow it.
        ids: Identifiers to hand out, in order; they must not repeat or run out.
        seed: What decides which requests a fault's share strikes, and which changes of status
            a share of `webhook_disorder`.
        rate_limit: Requests a second, past which the answer is 429; None for no limit.
        keep_received: Whether messages are remembered. False keeps memory flat under load:
            `received` and every report stay empty, and `received_counts` still counts.
        report_delay: Seconds of `clock` until an accepted message is in the answers of
            `sms.by_delivery`, `sms.by_date` and `whatsapp.messages`. It is in `received` at once.
            May be set while the emulator runs.
        journal: File to remember in; None for memory alone. Every call that changes something is
            a line of it before it is answered, and an emulator that starts with the file knows
            what the last one knew: messages, deliveries, sub-clients, balances, groups, links. It
            survives a kill of the process, not of the machine. `requests` and clicks begin anew,
            and changes of status are told of new messages only.

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
    qr_token: str = "emulator-token"  # noqa: S105 - opens nothing but the emulator
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
    _state: State = field(init=False)
    _faults: Faults = field(init=False)
    _journal: Journal | None = field(init=False)
    _api: Api = field(init=False)
    _exit: AsyncExitStack = field(init=False, factory=AsyncExitStack)
    _webhooks: Webhooks = field(init=False)
    _webhook_counts: Counter[str] = field(init=False, factory=Counter[str])
    _server: web.Server = field(init=False)
    _listener: asyncio.Server = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Build what needs no running loop."""
        self._state = State(
            clock=self.clock,
            ids=self.ids,
            keep_received=self.keep_received,
            purse=Purse.of(self.balance),
            hooks={"status": self.status_webhook, "incoming": self.incoming_webhook},
            report_delay=lambda: self.report_delay,
        )
        self._journal = None if self.journal is None else Journal(self.journal, self._state)
        self._faults = Faults(self.seed)
        self._api = Api(
            state=self._state,
            credentials=Credentials(self.api_user, self.api_key, self.qr_token),
            faults=self._faults,
            rate_limit=RateLimit(self.rate_limit) if self.rate_limit else None,
            journal=self._journal,
        )

    @property
    def base_url(self) -> str:
        """The platform's base URL, what ``CONNECTUS_BASE_URL`` wants."""
        return f"http://{self._authority}{API_PREFIX}"

    @property
    def qr_base_url(self) -> str:
        """The WhatsApp QR host's base URL, what ``CONNECTUS_QR_BASE_URL`` wants."""
        return f"http://{self._authority}{QR_PREFIX}"

    @property
    def received(self) -> list[Received]:
        """Each message that reached 'the phone', in order."""
        return self._state.received

    @property
    def received_counts(self) -> Counter[str]:
        """How many messages reached 'the phone', per product."""
        return self._state.received_counts

    @property
    def requests(self) -> Counter[str]:
        """How many requests came, per method of the client: ``{"sms.send": 3}``.

        Refused ones and those that met a fault count as well.
        """
        return self._api.requests

    @property
    def webhooks(self) -> Counter[str]:
        """What was done to both webhooks so far.

        ============== ==============================================================
        ``posted``     requests, whatever became of them; further tries count as well
        ``failed``     those of them that got no 2xx
        ``retried``    those of them that were not the first try
        ``lost``       changes of status that were not posted
        ``duplicated`` changes of status that were posted twice
        ``swapped``    changes of status that are posted after the next one
        ``late``       changes of status that are posted later
        ============== ==============================================================

        So where nothing waits any more, ``posted - retried - duplicated + lost`` is the number of
        changes and replies, and ``failed - retried`` that of the posts given up.
        """
        return self._webhook_counts

    async def webhooks_settled(self) -> None:
        """Wait until every webhook that is due, as `clock` stands, was posted and answered.

        Once a test has moved the clock, nothing else is needed to know that all of it arrived. What
        is due later stays so: a change that is late, the next try of one that failed.
        """
        await self._webhooks.settled()

    def status_of(self, id_message: str) -> str:
        """The status of a message as `clock` stands, whatever the webhook was told.

        Args:
            id_message: The id that the answer to the send named.

        Returns:
            The webhook's word, such as ``"ENTREGADO"``; see `Received`.

        Raises:
            LookupError: No message has this id, or messages are not remembered.
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

        Where several strike one request, the first placed is the outermost.

        Args:
            fault: What happens.
            route: The client's method that it happens to, such as ``"sms.send"``; None for all.
            share: Which share of those requests it happens to, above 0 up to 1.
            times: How often it happens at most; None for without end.

        Returns:
            The fault in effect: it has `.remove()` and `.fired`, and ``with`` removes it.

        Raises:
            ValueError: No such route, or a share or number of times that makes no sense.
        """
        return self._faults.place(fault, route=route, share=share, times=times)

    def clear_faults(self) -> None:
        """Remove every fault."""
        self._faults.clear()

    @asynccontextmanager
    async def refusing(self) -> AsyncGenerator[None]:
        """Refuse connections for as long as the block lasts, and close the idle ones.

        What is under way is still answered. Afterwards the port is the same as before.
        """
        self._stop_listening()
        self._let_go_of_connections()
        try:
            yield
        finally:
            await self._listen()

    async def incoming(self, *, src_number: str, dst_number: str, sms_content: str) -> int | None:
        """Receive an SMS, a reply for instance: POST it to the incoming webhook.

        It is posted at once, whatever `webhook_disorder` says.

        Returns:
            The status that the webhook answered, or None when it did not answer. Further tries come
            as `webhook_retry_pauses` says.

        Raises:
            ValueError: The emulator has no `incoming_webhook`.
        """
        if self.incoming_webhook is None:
            sentence = "this emulator has no incoming_webhook"
            raise ValueError(sentence)
        body = incoming_sms(self._state.new_id(), src_number, dst_number, sms_content)
        return await self._webhooks.post(Post.of(self.incoming_webhook, body))

    def __reduce_ex__(self, _: SupportsIndex, /) -> NoReturn:
        raise TypeError(
            "an Emulator cannot be pickled or copied: hand its base_url to the other process"
        )

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            JournalError: The journal cannot be opened, or is another kind of file.
        """
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
        """Stop listening, drop what is under way, and leave neither task nor socket."""
        await self._exit.aclose()

    async def _listen(self) -> None:
        self._listener = await asyncio.get_running_loop().create_server(
            self._server, self.host, self.port, backlog=_BACKLOG
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    def _let_go_of_connections(self) -> None:
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
            status_url=self.status_webhook or "",  # watches nothing without one
            seed=self.seed,
            disorder=lambda: self.webhook_disorder,
            retry_pauses=lambda: self.webhook_retry_pauses,
            counts=self._webhook_counts,
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
