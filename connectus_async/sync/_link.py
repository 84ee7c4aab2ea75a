"""The way from a blocking client to the async one behind it: each process has one of its own."""

import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from inspect import iscoroutinefunction
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast, overload

from connectus_async.bulk.feed import Messages
from connectus_async.bulk.options import BulkOptions
from connectus_async.bulk.outcomes import BlockingOutcome, BulkSummary
from connectus_async.bulk.sender import Bulk
from connectus_async.client import AsyncConnectus, client_factory
from connectus_async.config import Config
from connectus_async.errors import ConfigurationError, InvalidArgumentError
from connectus_async.products.sms import BlockingSmsReceipt, SmsReceipt
from connectus_async.sync._runner import Held, Runner, called, pulled

P = ParamSpec("P")
T = TypeVar("T")


class Link:
    """What a blocking client and its services share.

    Args:
        config: The settings.
        original: The link that it shares the connections of, if it is that of a copy.
    """

    def __init__(self, config: Config, original: "Link | None" = None) -> None:
        self.config = config
        self.runner: Runner[AsyncConnectus] = (
            original.runner if original else Runner(client_factory(config), AsyncConnectus.close)
        )
        self._is_copy = original is not None
        self._blocking: AsyncConnectus | None = None

    @property
    def client(self) -> AsyncConnectus:
        """The async client of this process. Do not keep it: a fork makes it useless."""
        client = self.runner.owned
        if self._is_copy:
            client = client.with_options(
                timeout=self.config.timeout,
                connect_timeout=self.config.connect_timeout,
                max_retries=self.config.max_retries,
            )
        elif client is self._blocking:
            return client
        else:
            self._blocking = client
        client.sms._give_blocking_receipts(self._delivered)  # noqa: SLF001 - no user's matter
        return client

    @staticmethod
    def blocking(receipt: SmsReceipt) -> BlockingSmsReceipt:
        """Tell the type checker what the client's receipts are."""
        return cast("BlockingSmsReceipt", receipt)

    def _delivered(self, id_sms: str, timeout: float | None) -> bool:
        return self.runner.call(self.client.sms._delivered, id_sms, timeout)  # noqa: SLF001

    def with_options(self, **options: Any) -> Self:
        """Make a link of other options over the same connections."""
        return type(self)(self.config.with_options(**options), self)

    def campaign(self, **options: Any) -> "Campaign":
        """Make what a blocking bulk sender works through."""
        return Campaign(self, options)


class Campaign:
    """The async sender behind a blocking one: made when entered, for the process that enters it."""

    def __init__(self, link: Link, options: Mapping[str, Any]) -> None:
        link.config.check_concurrency(BulkOptions(**options).concurrency)
        self.runner = link.runner
        self.summary = BulkSummary()
        self._link = link
        self._options = options
        self._entered: tuple[int, Held[Bulk], Bulk] | None = None

    @overload
    @staticmethod
    def pulled(messages: Messages) -> Messages: ...

    @overload
    @staticmethod
    def pulled(messages: None) -> None: ...

    @staticmethod
    def pulled(messages: Messages | None) -> Messages | None:
        """Have the messages, if there are any, pulled in the thread of the caller."""
        return None if messages is None else pulled(messages)

    @staticmethod
    def called(
        name: str, function: Callable[..., object] | None
    ) -> Callable[..., Coroutine[Any, Any, object]] | None:
        """Make a plain callback, if there is one, an async one that runs in the caller's thread."""
        if iscoroutinefunction(function):
            raise InvalidArgumentError(name, "must be a plain function here, not async")
        return None if function is None else called(function)

    def tell(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a plain method of the sender on its own thread."""

        async def told() -> T:
            return method(*args, **kwargs)

        return self.runner.call(told)

    @property
    def sender(self) -> Bulk:
        """The async sender of this process.

        Raises:
            ConfigurationError: It was not entered, or not in this process.
        """
        pid, _, sender = self._entered or (None, None, None)
        if sender is None or pid != os.getpid():
            raise ConfigurationError(
                "bulk", "must be entered first, in this process: with connectus.bulk()"
            )
        return sender

    @property
    def stream(self) -> Callable[[Messages | None], AsyncIterator[BlockingOutcome]]:
        """The stream of the async sender, the receipts of which block."""
        return cast(
            "Callable[[Messages | None], AsyncIterator[BlockingOutcome]]", self.sender.stream
        )

    def enter(self) -> None:
        """Make a sender and enter it.

        Raises:
            ConfigurationError: It is entered already.
        """
        if self._entered is not None and self._entered[0] == os.getpid():
            raise ConfigurationError("bulk", "is entered already: make another with bulk()")
        held = self.runner.hold(self._make_sender)
        self._entered = os.getpid(), held, held.__enter__()

    def exit(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Pull no further messages, and wait for those under way."""
        entered, self._entered = self._entered, None
        if entered is not None:
            entered[1].__exit__(kind, error, traceback)

    def _make_sender(self) -> Bulk:
        sender = self._link.client.bulk(**self._options)
        sender.summary = self.summary
        return sender
