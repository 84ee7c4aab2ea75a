"""How a campaign is sent: what its options say, and what its ledger keeps of them for `resume`."""

import datetime as dt
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import attrs

from connectus_async.bulk.options import DEFAULT_CONCURRENCY
from connectus_async.errors import ConfigurationError, LedgerError
from connectus_async.ledger.states import OnUnknown
from connectus_async.recipients.phone_numbers import checker
from connectus_async.recipients.quiet_hours import QuietHours
from connectus_async.recipients.suppression import SuppressionList


@attrs.frozen(kw_only=True)
class Settings:
    """The options of ``bulk send`` that a later ``bulk resume`` has to obey as well.

    Attributes:
        campaign: The campaign's name.
        identity: What makes two messages the same.
        concurrency: Messages on their way at a time.
        rate: Messages or segments a second.
        rate_unit: What the rate counts.
        on_unknown: What becomes of messages that may have been sent.
        suppress: The path of the suppression list.
        quiet_hours: Such as ``21:00-08:00``.
        expires_at: When it is too late, in ISO 8601.
        budget: What the campaign may take from the balance.
        forget_content: Whether only a hash of the text is kept of what was accepted.
        region: The country of numbers without country code, on the suppression list too.
        processes: How many processes send.
    """

    campaign: str = ""
    identity: str = "message"
    concurrency: int = DEFAULT_CONCURRENCY
    rate: float | None = None
    rate_unit: str = "messages"
    on_unknown: str = "hold"
    suppress: str | None = None
    quiet_hours: str | None = None
    expires_at: str | None = None
    budget: int | None = None
    forget_content: bool = False
    region: str | None = None
    processes: int = 1

    @classmethod
    def read(cls, ledger: Path, facts: Mapping[str, str], **given: Any) -> Self:
        """Take those that are on record in a ledger, and those that are given now."""
        try:
            recorded = json.loads(facts.get("settings", "{}"))
            known = {name: recorded[name] for name in attrs.fields_dict(cls) if name in recorded}
        except (ValueError, TypeError):
            raise LedgerError(ledger.name, "its settings cannot be read: it is damaged") from None
        named = {"campaign": facts.get("name", ""), "identity": facts.get("identity", "message")}
        now = {name: value for name, value in given.items() if value is not None}
        return cls(**{**known, **named, **now})

    def written(self) -> str:
        """Write them for the ledger.

        To send again what may have been sent is a word for one time: a later command that is
        silent about it holds what was left unknown since.
        """
        is_word = self.on_unknown == OnUnknown.RESEND
        return json.dumps(attrs.asdict(attrs.evolve(self, on_unknown="hold") if is_word else self))

    def options(self, ledger: Path | None) -> dict[str, Any]:
        """Make what `AsyncConnectus.bulk` takes; blocking, for it reads the suppression list.

        Raises:
            ConfigurationError: The quiet hours make no sense, or need a library; or there are more
                processes than messages at a time.
            InvalidArgumentError: The suppression list cannot be read.
        """
        self._check_processes()
        return {
            "ledger": ledger,
            "campaign": self.campaign,
            "identity": self.identity,
            "concurrency": self.concurrency,
            "rate": self.rate,
            "rate_unit": self.rate_unit,
            "on_unknown": self.on_unknown,
            "suppression": self._suppression(),
            "quiet_hours": self.hours(),
            "expires_at": dt.datetime.fromisoformat(self.expires_at) if self.expires_at else None,
            "budget": self.budget,
            "forget_content": self.forget_content,
        }

    def hours(self) -> QuietHours | None:
        """Make the quiet hours.

        Raises:
            ConfigurationError: They make no sense, or need a library.
        """
        return QuietHours.parse(self.quiet_hours) if self.quiet_hours else None

    def _check_processes(self) -> None:
        if self.processes > self.concurrency:
            raise ConfigurationError(
                "processes", f"must be at most the concurrency, which is {self.concurrency}"
            )
        if self.processes > 1 and sys.platform == "win32":
            raise ConfigurationError("processes", "must be 1 on Windows")

    def _suppression(self) -> SuppressionList | None:
        if self.suppress is None:
            return None
        return SuppressionList.read(self.suppress, to_digits=checker(self.region))
