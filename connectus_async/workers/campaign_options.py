"""Options of a campaign in plain form: on the command line, and in the ledger for later senders."""

import datetime as dt
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import attrs

from connectus_async.bulk.options import BulkOptions, plain, plain_forms
from connectus_async.errors import ConfigurationError, LedgerError
from connectus_async.ledger import name_of
from connectus_async.ledger.metadata_names import IDENTITY, NAME, SETTINGS
from connectus_async.ledger.states import OnUnknown
from connectus_async.workers.limits import check_processes

if TYPE_CHECKING:
    from connectus_async.recipients.suppression import SuppressionList


@attrs.frozen(kw_only=True)
class CampaignOptions(BulkOptions):
    """Options of the library, and those of the command line alone.

    Attributes:
        region: The country of numbers without country code, on the suppression list too.
        processes: How many processes send.
    """

    region: str | None = attrs.field(
        default=None,
        metadata=plain(help="Country of numbers without country code, such as CL.", is_fixed=True),
    )
    processes: int = attrs.field(
        default=1, metadata=plain(kind=int, help="Sender processes, which share all limits.")
    )

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        check_processes(self.processes, self.concurrency)


FORMS: Final = plain_forms(CampaignOptions)
"""Options of the commands by their plain names."""

RECORDED: Final = (*FORMS, "patience")
"""Names in a ledger. The last is the library's alone."""

_WRITERS: Final[Mapping[str, Callable[[Any], str | None]]] = {
    "suppress": lambda suppression: suppression._file,  # noqa: SLF001 - no matter of its users
    "quiet_hours": lambda quiet_hours: quiet_hours._text,  # noqa: SLF001 - as above
    "expires_at": dt.datetime.isoformat,
}
"""Functions that make plain values of options; ``None`` for one that has no plain form."""

_NOT_PLAIN: Final = {
    "suppress": "must be of a file, read without to_digits, for workers read the file themselves",
    "quiet_hours": "must be of whole minutes, with the fallback zone as it is by default",
}


class Settings:
    """Plain values of the options, as the command line takes them and the ledger records them.

    Args:
        given: Values by plain name; one that is ``None`` counts as left out.
    """

    def __init__(self, **given: Any) -> None:
        self._values: dict[str, Any] = {
            **{name: field.default for name, field in FORMS.items()},
            **{name: value for name, value in given.items() if value is not None},
        }

    @classmethod
    def of(cls, options: BulkOptions) -> Self:
        """Take the values of the library's options.

        Raises:
            ConfigurationError: Another process could not make an option from a plain value.
        """
        fields = plain_forms(BulkOptions)
        values = {name: _plain(name, getattr(options, fields[name].name)) for name in fields}
        if options.patience != attrs.fields(BulkOptions).patience.default:
            values["patience"] = options.patience
        return cls(**values)

    @classmethod
    def read(cls, ledger: Path | str, metadata: Mapping[str, str], **given: Any) -> Self:
        """Take the values that a ledger has recorded, overridden by those given now."""
        try:
            recorded = json.loads(metadata.get(SETTINGS, "{}"))
            known = {name: recorded[name] for name in RECORDED if name in recorded}
        except (ValueError, TypeError):
            raise LedgerError(
                name_of(ledger), "its settings cannot be read: it is damaged"
            ) from None
        fixed = {
            "campaign": metadata.get(NAME, ""),
            "identity": metadata.get(IDENTITY, "message"),
        }
        now = {name: value for name, value in given.items() if value is not None}
        return cls(**{**known, **fixed, **now})

    @property
    def concurrency(self) -> int:
        """Connections that the campaign needs."""
        concurrency: int = self._values["concurrency"]
        return concurrency

    @property
    def campaign(self) -> str:
        """Name of the campaign, which may be empty."""
        name: str = self._values["campaign"]
        return name

    def written(self) -> str:
        """Write the values for the ledger.

        ``resend`` counts once: a later command that does not repeat it holds the messages that have
        become unknown since.
        """
        counts_once = self._values["on_unknown"] == OnUnknown.RESEND
        return json.dumps(self._values | ({"on_unknown": OnUnknown.HOLD} if counts_once else {}))

    def options(self, ledger: Path | str, *, wait: bool = False) -> CampaignOptions:
        """Make the options; blocking, for it reads the suppression list.

        Raises:
            ConfigurationError: An option makes no sense, or needs a library.
            InvalidArgumentError: The suppression list cannot be read.
        """
        values = dict(self._values)
        for name, read in self._readers().items():
            value = values.pop(name)
            values[FORMS[name].name] = read(value) if value else None
        return CampaignOptions(ledger=ledger, wait=wait, **values)

    def _readers(self) -> Mapping[str, Callable[[str], Any]]:
        """Functions that make options of plain values."""
        from connectus_async.recipients.quiet_hours import QuietHours  # noqa: PLC0415 - not to parse

        return {
            "suppress": self._read_suppression,
            "quiet_hours": QuietHours.parse,
            "expires_at": dt.datetime.fromisoformat,
        }

    def _read_suppression(self, path: str) -> "SuppressionList":
        from connectus_async.recipients.phone_numbers import checker  # noqa: PLC0415 - as above
        from connectus_async.recipients.suppression import SuppressionList  # noqa: PLC0415

        return SuppressionList.read(path, to_digits=checker(self._values["region"]))


def _plain(name: str, value: Any) -> Any:
    if value is None or name not in _WRITERS:
        return value
    written = _WRITERS[name](value)
    if written is None:
        raise ConfigurationError(FORMS[name].name, _NOT_PLAIN[name])
    return written
