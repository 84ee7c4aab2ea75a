"""Limits of codes: so many to a recipient, a range of numbers or a country in a time. Pure."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from connectus_async.errors import ConfigurationError, ConnectusError

SLOTS: Final = 12
"""Parts of a limit's time, each with a count: more would take more storage, fewer forget later."""


@attrs.frozen
class OtpLimit:
    """Maximum number of codes in a time.

    Attributes:
        most: Number of codes, at least 1.
        seconds: The time, in seconds.

    Raises:
        ConfigurationError: Either is not a positive number.

    Example:
        >>> OtpLimit(20, 3_600)
        OtpLimit(most=20, seconds=3600)
    """

    most: int
    seconds: float

    def __attrs_post_init__(self) -> None:
        if type(self.most) is not int or self.most < 1:
            raise ConfigurationError("most", "must be a whole number, at least 1")
        if not (isinstance(self.seconds, int | float) and 0 < self.seconds < math.inf):
            raise ConfigurationError("seconds", "must be a positive number")


DEFAULT_PER_RECIPIENT: Final = OtpLimit(5, 600)
DEFAULT_PER_PREFIX: Final = OtpLimit(20, 3_600)


class OtpLimitError(ConnectusError):
    """A limit does not let a code be sent now. Nothing was sent.

    Attributes:
        limit: The option that limits it: ``resend_after``, ``per_recipient``, ``per_prefix`` or
            ``per_country``.
        retry_after: Seconds after which it may be sent.
    """

    def __init__(self, limit: str, retry_after: float) -> None:
        super().__init__(limit, retry_after)
        self.limit = limit
        self.retry_after = retry_after

    def __str__(self) -> str:
        return (
            f"too many codes were asked for ({self.limit}); nothing was sent: wait"
            f" {math.ceil(self.retry_after)} s"
        )


def wait_of_recipient(
    sent: Sequence[float], limit: OtpLimit, resend_after: float, now: float
) -> tuple[str, float] | None:
    """Find the limit that a recipient has to wait for, and the seconds; ``None`` if there is none.

    Args:
        sent: Times of the last codes.
        limit: Maximum codes to a recipient.
        resend_after: Seconds between two of them.
        now: The time.
    """
    recent = sorted(time for time in sent if time > now - limit.seconds)
    if len(recent) >= limit.most:
        return "per_recipient", recent[-limit.most] + limit.seconds - now
    if sent and (wait := max(sent) + resend_after - now) > 0:
        return "resend_after", wait
    return None


@attrs.frozen
class Counts:
    """Codes of many recipients in the parts of a time. A part that has begun counts as a whole.

    Attributes:
        of: The number of codes by the number of the part.
    """

    of: Mapping[int, int] = attrs.field(factory=dict)

    @classmethod
    def read(cls, stored: bytes | None) -> "Counts":
        """Read what `written` wrote; nothing is no codes."""
        return cls() if stored is None else cls({int(k): v for k, v in json.loads(stored).items()})

    def written(self) -> bytes:
        """Write them for a storage."""
        return json.dumps(dict(self.of)).encode()

    def wait(self, limit: OtpLimit, now: float) -> float:
        """Seconds until one more code is within a limit; 0 if it is now."""
        oldest = _part(limit, now - limit.seconds)
        counted = sorted((part, count) for part, count in self.of.items() if part >= oldest)
        excess = sum(count for _, count in counted) + 1 - limit.most
        wait = 0.0
        for part, count in counted:
            if excess <= 0:
                break
            excess -= count
            wait = (part + 1) * limit.seconds / SLOTS + limit.seconds - now
        return wait

    def changed(self, limit: OtpLimit, now: float, by: int) -> "Counts":
        """Count one more code at a time, or one less."""
        oldest, part = _part(limit, now - limit.seconds), _part(limit, now)
        kept = {it: count for it, count in self.of.items() if it >= oldest}
        return Counts({**kept, part: max(kept.get(part, 0) + by, 0)})


def _part(limit: OtpLimit, time: float) -> int:
    return math.floor(time * SLOTS / limit.seconds)
