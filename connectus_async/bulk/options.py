"""Options of a campaign, checked."""

import datetime as dt
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import attrs

from connectus_async import arguments
from connectus_async.errors import ConfigurationError
from connectus_async.ledger import is_address, name_of, parse_address
from connectus_async.ledger.states import Edited, OnUnknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectus_async.recipients.quiet_hours import QuietHours
    from connectus_async.recipients.suppression import SuppressionList

DEFAULT_CONCURRENCY: Final = 64
DEFAULT_PATIENCE: Final = 60.0
DEFAULT_SETTLE: Final = 60.0

Identity = Literal["message", "recipient"]
RateUnit = Literal["messages", "segments"]


@attrs.frozen(kw_only=True)
class PlainForm:
    """Form of an option on a command line, and in a ledger for the next who resumes the campaign.

    Attributes:
        help: Description for a command line.
        kind: Type of the plain value.
        name: Its name; that of the option if left out.
        choices: The values that it can have, if they are few.
        is_fixed: Whether it keeps the recorded value when the campaign is resumed.
    """

    help: str
    kind: type[str | int | float] = str
    name: str | None = None
    choices: tuple[str, ...] = ()
    is_fixed: bool = False


def plain(**form: Any) -> "Mapping[object, PlainForm]":
    """Make the metadata of an option with a plain form. One without is for the library alone."""
    return {PlainForm: PlainForm(**form)}


def plain_forms(options: type["BulkOptions"]) -> "Mapping[str, attrs.Attribute[Any]]":
    """Find the options that have a plain form, by their plain names."""
    return {
        form.name or field.name: field
        for field in attrs.fields(options)
        if (form := field.metadata.get(PlainForm)) is not None
    }


def _one_of(*values: str) -> Any:
    def check(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if value not in values:
            raise ConfigurationError(attribute.name, f"must be one of {', '.join(values)}")

    return check


def _above_zero(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    check_above_zero(attribute.name, value)


def check_above_zero(setting: str, value: object) -> None:
    """Check an optional setting.

    Raises:
        ConfigurationError: It is not a number above zero.
    """
    if value is None:
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value < float("inf"):  # type: ignore[operator]
        raise ConfigurationError(setting, "must be a number above zero")


def _whole(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if value != attribute.default and not is_whole:
        raise ConfigurationError(attribute.name, "must be a whole number")


def _given(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value is None:
        raise ConfigurationError(attribute.name, "must be a number above zero")


def _suppression_list(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    """Refuse a plain container: it would compare numbers as they are spelled."""
    if not hasattr(value, "refresh"):
        raise ConfigurationError(
            attribute.name, "must be a SuppressionList: use SuppressionList.read(path)"
        )


def _quiet_hours(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if not hasattr(value, "until"):
        raise ConfigurationError(
            attribute.name, 'must be QuietHours, such as QuietHours.parse("21:00-08:00")'
        )


def _aware(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value is None:
        return
    if not isinstance(value, dt.datetime) or value.tzinfo is None:
        raise ConfigurationError(attribute.name, "must be a datetime with a time zone")
    if not arguments.exists(value):
        raise ConfigurationError(attribute.name, "is in an hour that does not exist in its zone")


def _on_unknown(value: str) -> OnUnknown:
    try:
        return OnUnknown(value)
    except ValueError:
        raise ConfigurationError("on_unknown", f"must be one of {', '.join(OnUnknown)}") from None


def _edited(value: str) -> Edited:
    try:
        return Edited(value)
    except ValueError:
        raise ConfigurationError("edited", f"must be one of {', '.join(Edited)}") from None


def _text(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    try:
        is_text = isinstance(value, str) and b"\0" not in value.encode()
    except UnicodeError:
        is_text = False
    if not is_text:
        raise ConfigurationError(attribute.name, "must be text, and whole characters")


def ledger_place(value: object) -> Path | str | None:
    """Check the path or the address of a ledger.

    Raises:
        ConfigurationError: It is neither.
    """
    if value is None:
        return None
    if is_address(value):
        parse_address(value)
        return value
    if not isinstance(value, str | os.PathLike):
        raise ConfigurationError("ledger", "must be a path or an address")
    _check_is_no_url(value)
    path = Path(value)
    try:
        is_name = b"\0" not in os.fsencode(path)
    except UnicodeError:
        is_name = False
    if not is_name:
        raise ConfigurationError("ledger", "has a character that no file can have in its name")
    if not path.name:
        raise ConfigurationError("ledger", "must be the path of a file")
    _check_name(path)
    return path


def _check_is_no_url(value: str | os.PathLike[str]) -> None:
    if isinstance(value, str) and "://" in value:
        raise ConfigurationError("ledger", "must be a path, or an address postgresql://…")


def _shown(ledger: Path | str | None) -> str:
    """Write a ledger for the `repr` of its options: an address may have a password."""
    return repr(name_of(ledger) if isinstance(ledger, str) else ledger)


def _check_name(path: Path) -> None:
    """Refuse names that SQLite or a shell interprets.

    Raises:
        ConfigurationError: The name is one of those.
    """
    name = str(path)
    if name == ":memory:":
        problem = "in memory forgets who was reached: leave it out, or name a file"
    elif name[:5].lower() == "file:":
        problem = "must be the path of a file, not an address that begins with file:"
    elif name != name.strip() or path.name != path.name.strip():
        problem = "begins or ends with a blank or a line break: take it off"
    elif name[0] == "~" and len(path.parts) > 1:
        problem = "begins with ~, which only a shell expands: write the folder out"
    else:
        return
    raise ConfigurationError("ledger", problem)


def _campaign(ledger: str, given: str) -> str:
    """Find the name of a campaign, which its database may have among others."""
    addressed = parse_address(ledger).campaign
    name = given or addressed
    if not name:
        raise ConfigurationError("campaign", "is needed, or ?campaign=… in the ledger's address")
    if addressed not in {None, name}:
        raise ConfigurationError("campaign", "is another one than in the ledger's address")
    return name


@attrs.frozen(kw_only=True)
class BulkOptions:
    """Options of a campaign. ``AsyncConnectus.bulk`` documents each."""

    ledger: Path | str | None = attrs.field(default=None, converter=ledger_place, repr=_shown)
    campaign: str = attrs.field(
        default="",
        validator=_text,
        metadata=plain(
            help="Name that tells campaigns with the same messages apart.", is_fixed=True
        ),
    )
    concurrency: int = attrs.field(
        default=DEFAULT_CONCURRENCY,
        validator=_whole,
        metadata=plain(kind=int, help="Maximum concurrent messages."),
    )
    rate: float | None = attrs.field(
        default=None,
        validator=_above_zero,
        metadata=plain(kind=float, help="Maximum messages or segments a second."),
    )
    rate_unit: RateUnit = attrs.field(
        default="messages",
        validator=_one_of(*get_args(RateUnit)),
        metadata=plain(choices=get_args(RateUnit), help="Unit of the rate."),
    )
    identity: Identity = attrs.field(
        default="message",
        validator=_one_of(*get_args(Identity)),
        metadata=plain(
            choices=get_args(Identity), help="How duplicates are recognised.", is_fixed=True
        ),
    )
    on_unknown: OnUnknown = attrs.field(
        default=OnUnknown.HOLD,
        converter=_on_unknown,
        metadata=plain(
            choices=tuple(choice.value for choice in OnUnknown),
            help="Treatment of messages that may have been sent.",
        ),
    )
    edited: Edited = attrs.field(default=Edited.EVERYONE, converter=_edited)
    suppression: "SuppressionList | None" = attrs.field(
        default=None,
        validator=attrs.validators.optional(_suppression_list),
        metadata=plain(
            name="suppress", help="File of numbers and addresses that must get nothing."
        ),
    )
    quiet_hours: "QuietHours | None" = attrs.field(
        default=None,
        validator=attrs.validators.optional(_quiet_hours),
        metadata=plain(
            help="Hours without messages by the recipient's clock, such as 21:00-08:00."
        ),
    )
    expires_at: dt.datetime | None = attrs.field(
        default=None,
        validator=_aware,
        metadata=plain(help='Time from which nothing more is sent, such as "2026-12-24 10:00".'),
    )
    budget: int | None = attrs.field(
        default=None,
        validator=[_whole, _above_zero],
        metadata=plain(kind=int, help="Maximum SMS billed in all."),
    )
    forget_content: bool = attrs.field(
        default=False,
        metadata=plain(
            kind=bool, help="Keep only a hash of the text of accepted messages.", is_fixed=True
        ),
    )
    patience: float = attrs.field(default=DEFAULT_PATIENCE, validator=[_given, _above_zero])
    wait: bool = False

    def __attrs_post_init__(self) -> None:
        if isinstance(self.ledger, str):
            object.__setattr__(self, "campaign", _campaign(self.ledger, self.campaign))
        if self.ledger is not None:
            return
        if self.on_unknown is OnUnknown.RESEND_IF_ABSENT:
            raise ConfigurationError("on_unknown", "resend_if_absent needs a ledger")
        if self.edited is not Edited.EVERYONE:
            raise ConfigurationError("edited", f"{self.edited} needs a ledger")
        if self.forget_content:
            raise ConfigurationError("forget_content", "makes sense with a ledger only")
        if self.wait:
            raise ConfigurationError("wait", "needs a ledger")
