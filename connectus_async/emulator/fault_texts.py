"""Faults written as a line of text, such as ``sms.send=status:500,share=0.1``. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from attrs import field, frozen

from connectus_async.emulator.faults import Fault, check_placing

if TYPE_CHECKING:
    from collections.abc import Callable

_MAKERS: Final[dict[str, Callable[..., Fault]]] = {
    "delay": Fault.delay,
    "reset_before": Fault.reset_before,
    "reset_after": Fault.reset_after,
    "half_answer": Fault.half_answer,
    "status": Fault.status,
    "too_many": Fault.too_many,
    "garbage": Fault.garbage,
    "timeout": Fault.timeout,
    "queue": Fault.queue,
}
FAULT_NAMES: Final = tuple(_MAKERS)
_VALUES: Final[dict[str, tuple[type[int | float], bool]]] = {
    "delay": (float, True),
    "status": (int, True),
    "too_many": (int, False),
    "queue": (float, True),
}
"""The number after the colon: its type, and whether it has to be there."""
_OPTIONS: Final[dict[str, type[int | float]]] = {"share": float, "times": int, "at_a_time": int}
_FLAGS: Final = frozenset({"acted"})
_OF_ONE_FAULT: Final = {"acted": "status", "at_a_time": "queue"}
_LONGEST: Final = 86_400


@frozen
class FaultText:
    """A fault that can be placed.

    Attributes:
        fault: The fault.
        route: The client's method that it affects; None for all.
        share: The share of those requests that it affects.
        times: Maximum requests to affect; None for no limit.
    """

    fault: Fault = field(eq=False)
    route: str | None
    share: float
    times: int | None

    @classmethod
    def parse(cls, text: str) -> FaultText:
        """Read ``[CALL=]FAULT[:NUMBER][,OPTION]...``; without a call, all are affected.

        ======================= ==========================================================
        fault                   effect
        ======================= ==========================================================
        ``delay:SECONDS``       acts and responds later
        ``reset_before``        resets the connection without acting
        ``reset_after``         acts, and resets the connection
        ``half_answer``         acts, and closes the connection after half of the response
        ``status:CODE``         responds with the code; with ``,acted`` it acts first
        ``too_many[:SECONDS]``  responds with 429 and this Retry-After, without acting
        ``garbage``             acts, and responds with a page instead of JSON
        ``timeout``             acts, and never responds
        ``queue:SECONDS``       processes one request at a time; ``,at_a_time=4`` four
        ======================= ==========================================================

        Each takes ``,share=0.1`` for a tenth of the requests, and ``,times=3`` for three at most.

        Raises:
            ValueError: The text is not a fault; the sentence says what is wrong.
        """
        head, *options = (part.strip() for part in text.split(","))
        named, _, written = head.rpartition("=")
        route = None if named.strip() in {"", "*"} else named.strip()
        name, _, value = written.strip().partition(":")
        if name not in _MAKERS:
            raise ValueError(f"fault must be one of {', '.join(FAULT_NAMES)}, not {name!r}")
        given = _options(name, options)
        share, times = given.pop("share", 1.0), given.pop("times", None)
        check_placing(route, share, times)
        fault = _MAKERS[name](*_value(name, value), **_arguments(name, given))
        return cls(fault, route, share, times)


def _value(name: str, value: str) -> list[float]:
    if name not in _VALUES:
        if value:
            raise ValueError(f"{name} takes no number, not {value!r}")
        return []
    type_, needed = _VALUES[name]
    if not value and not needed:
        return []
    return [_number(name, value, type_)]


def _options(name: str, options: list[str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for option in options:
        key, equals, value = option.partition("=")
        known = key in (_OPTIONS if equals else _FLAGS)
        if not known or _OF_ONE_FAULT.get(key, name) != name:
            raise ValueError(f"{option!r} is not an option of {name}")
        given[key] = _number(key, value, _OPTIONS[key]) if equals else True
    return given


def _arguments(name: str, given: dict[str, Any]) -> dict[str, Any]:
    return {"at_a_time": 1, **given} if name == "queue" else given


def _number(name: str, value: str, type_: type[int | float]) -> float:
    try:
        number = type_(value)
    except ValueError:
        number = -1
    if not 0 <= number <= _LONGEST:
        kind = "a whole number" if type_ is int else "a number"
        raise ValueError(f"{name} must be {kind} from 0 to {_LONGEST}, not {value!r}")
    return cast("float", number)
