"""Record of a recipient's codes, and the changes of it. Pure."""

import datetime as dt
import enum
import json
from collections.abc import Sequence
from hmac import compare_digest
from typing import Final, Self

import attrs

CLOCK_TOLERANCE: Final = 60.0
"""Seconds by which the clocks of machines may differ."""

NO_DIGEST: Final = ""


class OtpCheck(enum.StrEnum):
    """Result of a check. Only ``VALID`` is true in an ``if``."""

    VALID = "valid"
    """It is the code; it is accepted this once."""

    WRONG = "wrong"
    """It is not the code."""

    EXPIRED = "expired"
    """No code is valid: none was sent, or it expired, was used, or was replaced."""

    EXHAUSTED = "exhausted"
    """All attempts at the code were used: send another."""

    def __bool__(self) -> bool:
        return self is OtpCheck.VALID


@attrs.frozen
class OtpReceipt:
    """Receipt of a one-time password.

    Attributes:
        id: The API's identifier of the SMS or email, if its answer has one.
        expires_at: Time from which on the code is not valid, in UTC.
        resend_at: Earliest time of another code, in UTC.
    """

    id: str | None
    expires_at: dt.datetime
    resend_at: dt.datetime


@attrs.frozen
class Record:
    """What a storage knows of a recipient.

    Attributes:
        sent: Times of the last codes, in seconds since 1970.
        digest: Keyed hash of the code that may be valid; empty without one.
        expires_at: Time from which on it is not valid.
        attempts: Number of answered attempts at it.
    """

    sent: Sequence[float] = ()
    digest: str = attrs.field(default=NO_DIGEST, repr=False)
    expires_at: float = 0.0
    attempts: int = 0

    @classmethod
    def read(cls, stored: bytes | None) -> Self:
        """Read what `written` wrote; nothing is an empty record."""
        return cls() if stored is None else cls(*json.loads(stored))

    def written(self) -> bytes:
        """Write it for a storage."""
        return json.dumps(attrs.astuple(self)).encode()

    def issued(self, digest: str, now: float, *, valid_for: float, remembered: float) -> "Record":
        """Replace its code.

        Args:
            digest: Keyed hash of the new code.
            now: The time.
            valid_for: Seconds for which the code is valid.
            remembered: Seconds after which the time of an older code is forgotten.
        """
        recent = [time for time in self.sent if time > now - remembered]
        return Record([*recent, now], digest, now + valid_for)

    def checked(self, digest: str, now: float, attempts: int) -> tuple[OtpCheck, "Record"]:
        """Check a code.

        Args:
            digest: Keyed hash of the code.
            now: The time.
            attempts: Maximum number of attempts at a code.

        Returns:
            The result, and the record afterwards; the result counts once that is stored.
        """
        is_right = compare_digest(digest, self.digest or "0" * len(digest))
        if not self.digest or not self._is_current(now):
            return OtpCheck.EXPIRED, attrs.evolve(self, digest=NO_DIGEST)
        if self.attempts >= attempts:
            return OtpCheck.EXHAUSTED, self
        if is_right:
            return OtpCheck.VALID, attrs.evolve(self, digest=NO_DIGEST)
        return OtpCheck.WRONG, attrs.evolve(self, attempts=self.attempts + 1)

    def _is_current(self, now: float) -> bool:
        return self.sent[-1] - CLOCK_TOLERANCE <= now < self.expires_at


NOBODY: Final = Record([0.0], "0" * 64).written()
"""Stands for a record that is not there, so that a check takes as long."""
