"""Bridge from the blocking client to the async one behind it: each process has its own."""

import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from inspect import iscoroutinefunction
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, cast, overload

from connectus_async.bulk.options import BulkOptions
from connectus_async.bulk.outcomes import BulkSummary
from connectus_async.client import AsyncConnectus, client_factory
from connectus_async.config import Config
from connectus_async.errors import ConfigurationError, InvalidArgumentError
from connectus_async.sync._own_server import refuse_to_block
from connectus_async.sync._runner import BlockingContext, Runner, called, pulled

if TYPE_CHECKING:
    from connectus_async.bulk.feed import Messages
    from connectus_async.bulk.outcomes import BlockingOutcome
    from connectus_async.bulk.sender import Bulk
    from connectus_async.otp.passwords import OneTimePasswords
    from connectus_async.products.sms import BlockingSmsReceipt, SmsReceipt

P = ParamSpec("P")
T = TypeVar("T")


class Bridge:
    """Access of a blocking client and its services to the async client.

    Args:
        config: The settings.
        original: The bridge whose connections it shares, for a copy of a client.
    """

    def __init__(self, config: Config, original: "Bridge | None" = None) -> None:
        self.config = config
        self.runner: Runner[AsyncConnectus] = (
            original.runner if original else Runner(client_factory(config), AsyncConnectus.close)
        )
        self._is_copy = original is not None
        self._blocking: AsyncConnectus | None = None

    @property
    def client(self) -> AsyncConnectus:
        """Async client of this process. Do not keep it: a fork makes it useless.

        Raises:
            OwnServerError: The caller is in the event loop that serves the API, in a test.
        """
        self.refuse_to_block()
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

    def refuse_to_block(self) -> None:
        """Refuse a call in an event loop that has to answer it.

        Raises:
            OwnServerError: The loop of this thread listens where the API is.
        """
        refuse_to_block(self.config.base_url, self.config.qr_base_url)

    @staticmethod
    def blocking(receipt: "SmsReceipt") -> "BlockingSmsReceipt":
        """Cast a receipt to the type that it has for the type checker."""
        return cast("BlockingSmsReceipt", receipt)

    def _delivered(self, id_sms: str, timeout: float | None) -> bool:
        return self.runner.call(self.client.sms._delivered, id_sms, timeout)  # noqa: SLF001

    def with_options(self, **options: Any) -> Self:
        """Return a bridge with other options over the same connections."""
        return type(self)(self.config.with_options(**options), self)

    def bulk(self, **options: Any) -> "BulkBridge":
        """Return the bridge of a blocking bulk sender."""
        return BulkBridge(self, options)

    def otp(self, **options: Any) -> "OtpBridge":
        """Return the bridge of blocking one-time passwords."""
        return OtpBridge(self, options)


class OtpBridge:
    """Bridge to async one-time passwords: each process has its own, with the same options."""

    def __init__(self, bridge: Bridge, options: Mapping[str, Any]) -> None:
        from connectus_async.otp.passwords import OtpOptions  # noqa: PLC0415 - for few programs

        self.runner = bridge.runner
        self._bridge = bridge
        self._options = OtpOptions(**options)
        self._made: tuple[AsyncConnectus, OneTimePasswords] | None = None

    @property
    def passwords(self) -> "OneTimePasswords":
        """Async one-time passwords of this process."""
        client = self._bridge.client
        if self._made is None or self._made[0] is not client:
            self._made = client, client._passwords(self._options)  # noqa: SLF001 - no user's matter
        return self._made[1]


class BulkBridge:
    """Bridge to an async bulk sender. Entering it makes one, for the process that enters it."""

    def __init__(self, bridge: Bridge, options: Mapping[str, Any]) -> None:
        bridge.config.check_concurrency(BulkOptions(**options).concurrency)
        self.runner = bridge.runner
        self.summary = BulkSummary()
        self._bridge = bridge
        self._options = options
        self._entered: tuple[int, BlockingContext[Bulk], Bulk] | None = None

    @overload
    @staticmethod
    def pulled(messages: "Messages") -> "Messages": ...

    @overload
    @staticmethod
    def pulled(messages: None) -> None: ...

    @staticmethod
    def pulled(messages: "Messages | None") -> "Messages | None":
        """Return the messages such that the caller's thread pulls them."""
        return None if messages is None else pulled(messages)

    @staticmethod
    def called(
        name: str, function: Callable[..., object] | None
    ) -> Callable[..., Coroutine[Any, Any, object]] | None:
        """Return an async callback that runs a plain one in the caller's thread."""
        if iscoroutinefunction(function):
            raise InvalidArgumentError(name, "must be a plain function here, not async")
        return None if function is None else called(function)

    def tell(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a plain method of the sender in the thread of its event loop."""

        async def told() -> T:
            return method(*args, **kwargs)

        return self.runner.call(told)

    @property
    def sender(self) -> "Bulk":
        """Async sender of this process.

        Raises:
            ConfigurationError: It was not entered in this process.
        """
        pid, _, sender = self._entered or (None, None, None)
        if sender is None or pid != os.getpid():
            raise ConfigurationError(
                "bulk", "must be entered first, in this process: with connectus.bulk()"
            )
        return sender

    @property
    def stream(self) -> "Callable[[Messages | None], AsyncIterator[BlockingOutcome]]":
        """Stream of the async sender, cast to outcomes whose receipts block."""
        return cast(
            "Callable[[Messages | None], AsyncIterator[BlockingOutcome]]", self.sender.stream
        )

    def enter(self) -> None:
        """Make an async sender and enter it.

        Raises:
            ConfigurationError: It was entered before, and not left.
            OwnServerError: The loop of this thread listens where the API is.
        """
        self._bridge.refuse_to_block()
        if self._entered is not None and self._entered[0] == os.getpid():
            raise ConfigurationError("bulk", "is entered already: make another with bulk()")
        context = self.runner.context(self._make_sender)
        self._entered = os.getpid(), context, context.__enter__()

    def exit(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Pull no more messages, and wait for those under way."""
        entered, self._entered = self._entered, None
        if entered is not None:
            entered[1].__exit__(kind, error, traceback)

    def _make_sender(self) -> "Bulk":
        sender = self._bridge.client.bulk(**self._options)
        sender.summary = self.summary
        return sender
