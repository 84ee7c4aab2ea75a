"""Results of the checks of `connectus doctor`."""

import threading
from collections.abc import Callable
from enum import StrEnum
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple, TypeVar

LIMIT: Final = 10.0
"""Seconds for each step of a check."""

T = TypeVar("T")


class Level(StrEnum):
    """Result of a check."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Check(NamedTuple):
    """A check and its result.

    Attributes:
        name: Subject of the check.
        level: Result.
        found: Finding, without secrets.
        advice: What to do; empty if there is nothing to do.
    """

    name: str
    level: Level
    found: str
    advice: str = ""


def within(seconds: float, function: Callable[..., T], *args: Any) -> T:
    """Call a function that may block for longer; its thread is left behind then.

    Raises:
        TimeoutError: It takes longer.
    """
    results: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def call() -> None:
        try:
            results.put((function(*args), None))
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            results.put((None, error))

    threading.Thread(target=call, daemon=True).start()
    try:
        result, error = results.get(timeout=seconds)
    except Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]
