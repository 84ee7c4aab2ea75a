"""Storage of one-time passwords: the protocol, and one in memory."""

import time
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Final, Protocol, TypeVar

from connectus_async.errors import ConnectusError

T = TypeVar("T")

FEW: Final = 1_024
"""Entries below which it does not pay to look for expired ones."""


class OtpStorageError(ConnectusError):
    """The storage cannot be used.

    Attributes:
        problem: The problem.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"storage of one-time passwords: {self.problem}"


class OtpStorage(Protocol):
    """Values by key, for a time. Implement it over Redis or a database that your machines share.

    A key has up to 64 letters and digits; a value some hundred bytes. Neither has a number, an
    address or a code.

    Example:
        class RedisOtpStorage:
            REPLACE = '''
                local now = redis.call("GET", KEYS[1])
                if (now or "") ~= ARGV[1] then return 0 end
                if ARGV[2] == "" then redis.call("DEL", KEYS[1])
                else redis.call("SET", KEYS[1], ARGV[2], "PX", ARGV[3]) end
                return 1'''

            def __init__(self, redis):
                self.redis = redis

            async def get(self, key):
                return await self.redis.get(key)

            async def replace(self, key, old, new, seconds):
                return bool(
                    await self.redis.eval(
                        self.REPLACE, 1, key, old or b"", new or b"", int(seconds * 1_000)
                    )
                )
    """

    async def get(self, key: str) -> bytes | None:
        """Get the value of a key; ``None`` without one, or if its time is over."""

    async def replace(self, key: str, old: bytes | None, new: bytes | None, seconds: float) -> bool:
        """Replace a value if it is still the old one, in one step that nobody can come between.

        Args:
            key: The key.
            old: The value that it must have; ``None`` for no value.
            new: The new value; ``None`` removes it.
            seconds: The time to keep it, in seconds. It may be kept longer.

        Returns:
            Whether it was the old one, and was replaced.
        """
        ...


class BlockingOtpStorage(Protocol):
    """The same with methods that block, such as those of Django's models.

    They are called in worker threads.

    Example:
        class DjangoOtpStorage:  # Code: key, a primary key; value, a BinaryField; until, a datetime
            def get(self, key):
                found = Code.objects.filter(key=key, until__gt=now()).first()
                return found and bytes(found.value)

            def replace(self, key, old, new, seconds):
                rows = Code.objects.filter(key=key)
                rows.filter(until__lte=now()).delete()
                if new is None:
                    return bool(rows.filter(value=old).delete()[0]) if old else not rows.exists()
                until = now() + timedelta(seconds=seconds)
                if old is not None:
                    return bool(rows.filter(value=old).update(value=new, until=until))
                return Code.objects.get_or_create(
                    key=key, defaults={"value": new, "until": until}
                )[1]
    """

    def get(self, key: str) -> bytes | None:
        """See `OtpStorage.get`."""

    def replace(self, key: str, old: bytes | None, new: bytes | None, seconds: float) -> bool:
        """See `OtpStorage.replace`."""
        ...


class MemoryOtpStorage:
    """Storage in the memory of one process: for tests, and for a server of a single process."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[bytes, float]] = {}
        self._next_purge = FEW

    async def get(self, key: str) -> bytes | None:
        """See `OtpStorage.get`."""
        return self._get(key)

    async def replace(self, key: str, old: bytes | None, new: bytes | None, seconds: float) -> bool:
        """See `OtpStorage.replace`."""
        if self._get(key) != old:
            return False
        if new is None:
            self._entries.pop(key, None)
        else:
            self._entries[key] = new, time.monotonic() + seconds
        if len(self._entries) > self._next_purge:
            self._purge()
        return True

    def _get(self, key: str) -> bytes | None:
        value, until = self._entries.get(key, (None, 0.0))
        return value if time.monotonic() < until else None

    def _purge(self) -> None:
        now = time.monotonic()
        self._entries = {key: entry for key, entry in self._entries.items() if now < entry[1]}
        self._next_purge = max(FEW, 2 * len(self._entries))


def without_blocking(storage: OtpStorage | BlockingOtpStorage) -> OtpStorage:
    """Return a storage whose methods do not block the event loop."""
    if iscoroutinefunction(storage.get):
        return storage  # type: ignore[return-value]
    return _InThreads(storage)  # type: ignore[arg-type]


class _InThreads:
    def __init__(self, storage: BlockingOtpStorage) -> None:
        self._storage = storage

    async def get(self, key: str) -> bytes | None:
        return await _run(self._storage.get, key)

    async def replace(self, key: str, old: bytes | None, new: bytes | None, seconds: float) -> bool:
        return await _run(self._storage.replace, key, old, new, seconds)


async def _run(function: Callable[..., T], *args: object) -> T:
    from anyio.to_thread import run_sync  # noqa: PLC0415 - brings asyncio; the names here are for all

    return await run_sync(function, *args)
