"""Arguments and options that commands share, and their checks."""

import datetime as dt
import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from connectus_async.arguments import MAX_EMAIL_CHARACTERS, link
from connectus_async.bulk.options import PlainForm, ledger_place
from connectus_async.cli.language import gettext as _
from connectus_async.cli.language import translated
from connectus_async.cli.translated_help import OVERRIDES
from connectus_async.errors import ConfigurationError, InvalidArgumentError
from connectus_async.ledger import LEDGER_SUFFIX, parse_address
from connectus_async.workers.campaign_options import FORMS

if TYPE_CHECKING:
    from connectus_async.cli.credentials import Choice
    from connectus_async.recipients.sources import Reading

MAX_CONCURRENCY: Final = 400
"""Each message under way needs a connection, and many systems allow a process 1,024 files."""

STANDARD_INPUT: Final = "-"

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

Check = Callable[[click.Context, click.Parameter, Any], Any]

_NETWORK: Final = f"{__name__}.network"
_FINISH: Final = f"{__name__}.finish"
_METRICS: Final = f"{__name__}.metrics"
_READING: Final = f"{__name__}.reading"
_CREDENTIALS: Final = f"{__name__}.credentials"
_ACCOUNT: Final = f"{__name__}.account"

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
src_number_option = click.option("--src-number", help="Number of the account to send from.")


def chained(*options: Decorator) -> Decorator:
    """Make one decorator of several options."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _remembered(name: str, read: Check | None = None) -> Check:
    """Make a callback that keeps the values of options under a name of the command's context."""

    def remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        found = value if read is None else read(context, parameter, value)
        if found is not None:
            context.meta.setdefault(name, {})[parameter.name] = found

    return remember


def _settings(name: str) -> dict[str, Any]:
    """Give the values that the present command was given, and that were kept under a name."""
    context = click.get_current_context(silent=True)
    return {} if context is None else dict(context.meta.get(name, {}))


def _choose_credentials(
    context: click.Context, _parameter: click.Parameter, profile: str | None
) -> None:
    """Choose before there is an event loop, which files and a keyring would block."""
    if context.resilient_parsing:
        return
    from connectus_async.cli.credentials import chosen  # noqa: PLC0415 - not for completion

    try:
        context.meta[_CREDENTIALS] = chosen(profile)
    except ConfigurationError as error:
        if profile is None:
            raise
        raise click.BadParameter(translated(error.problem)) from None


network_options = chained(
    click.option(
        "--proxy",
        expose_value=False,
        callback=_remembered(_NETWORK),
        help="HTTP proxy, such as http://127.0.0.1:3128, or none.  [default: CONNECTUS_PROXY, "
        "HTTPS_PROXY]",
    ),
    click.option(
        "--ca-file",
        type=click.Path(exists=True, dir_okay=False),
        expose_value=False,
        callback=_remembered(_NETWORK),
        help="PEM certificates to trust besides the system's.  [default: CONNECTUS_CA_FILE]",
    ),
)


def profile_option(**declaration: Any) -> Decorator:
    """Make the option that names a profile."""
    return click.option(
        "--profile",
        metavar="NAME",
        help="Name of a profile of `connectus login`.  [default: CONNECTUS_PROFILE, or default]",
        **declaration,
    )


connection_options = chained(
    profile_option(expose_value=False, callback=_choose_credentials),
    network_options,
)
"""Options of the connection to the API; `connection` has their values."""


other_account_option = click.option(
    "--other-account",
    is_flag=True,
    expose_value=False,
    callback=_remembered(_ACCOUNT),
    help="Go on though the campaign was sent with another account or --profile.",
)


def takes_any_account() -> bool:
    """Tell whether the present command may go on with another account."""
    return bool(_settings(_ACCOUNT).get("other_account"))


def credentials() -> "Choice | None":
    """Give the credentials that were chosen for the present command; ``None`` if it needs none."""
    context = click.get_current_context(silent=True)
    return None if context is None else context.meta.get(_CREDENTIALS)


def of_reading(read: Check | None = None) -> Check:
    """Make a callback of an option that says how the file of recipients is read."""
    return _remembered(_READING, read)


def reading() -> "Reading":
    """Tell how the file of recipients is read, as the present command was given."""
    from connectus_async.recipients.sources import Reading  # noqa: PLC0415 - not for completion

    return Reading(**_settings(_READING))


def network() -> dict[str, Any]:
    """Settings of the network that the present command was given."""
    return _settings(_NETWORK)


def connection() -> dict[str, Any]:
    """Settings of a client that the present command was given.

    Raises:
        ConfigurationError: It has no credentials.
    """
    from connectus_async.cli.credentials import Place, check_pair, missing  # noqa: PLC0415 - as above

    choice = credentials()
    if choice is None:
        return network()
    if choice.place is Place.NOWHERE:
        raise missing()
    if choice.place is not Place.PROFILE:
        check_pair()
    return {**choice.settings, **network()}


def _fail_share(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> float | None:
    """Read a share such as 2%."""
    if value is None:
        return None
    try:
        percent = float(value.removesuffix("%"))
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= 100:
        raise click.BadParameter(_("must be a percentage such as 2%"))
    return percent / 100


def finish_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for the end of a campaign; `finish_settings` has their values."""
    return chained(
        click.option(
            "--on-finish",
            expose_value=False,
            callback=_remembered(_FINISH),
            metavar="COMMAND",
            help="Run this when the campaign ends, however it does, with the summary as JSON on"
            " standard input.",
        ),
        click.option(
            "--webhook-on-finish",
            expose_value=False,
            callback=_remembered(_FINISH, url),
            metavar="URL",
            help="Post the summary as JSON to this URL then; it has no personal data.",
        ),
        click.option(
            "--fail-above",
            expose_value=False,
            callback=_remembered(_FINISH, _fail_share),
            metavar="PERCENT",
            help="End with code 4 only if more than this share of the messages was rejected or"
            " invalid, such as 2%.  [default: 0%]",
        ),
    )(command)


def _listening(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> tuple[str, int] | None:
    """Read a port, or a host and a port."""
    if value is None:
        return None
    host, colon, port = value.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    is_port = port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65_536
    if not is_port or (colon and not host):
        raise click.BadParameter(_("must be a port such as 9464, or an address and a port"))
    return host or "127.0.0.1", int(port)


def metrics_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for the metrics of a campaign; `metrics_settings` has their values."""
    return chained(
        click.option(
            "--metrics",
            expose_value=False,
            callback=_remembered(_METRICS, _listening),
            metavar="[HOST:]PORT",
            help="Serve metrics for Prometheus at this port while it sends; to this machine alone,"
            " unless an address is given.",
        ),
        click.option(
            "--metrics-file",
            type=click.Path(path_type=Path, dir_okay=False),
            expose_value=False,
            callback=_remembered(_METRICS),
            help="Write them to this file every 15 seconds and at the end, for the textfile"
            " collector of node_exporter, which reads files that end in .prom.",
        ),
    )(command)


def metrics_settings() -> dict[str, Any]:
    """Settings for the metrics that the present command was given."""
    return _settings(_METRICS)


def finish_settings() -> dict[str, Any]:
    """Settings for the end of the campaign that the present command was given."""
    return _settings(_FINISH)


def campaign_option(
    name: str, *, resumes: bool = False, choices: Sequence[str] | None = None
) -> Decorator:
    """Make the command-line option of an option of a campaign.

    Args:
        name: Its plain name.
        resumes: Whether the command resumes a campaign, whose recorded value it overrides.
        choices: Its values, if the command takes fewer than others.
    """
    form: PlainForm = FORMS[name].metadata[PlainForm]
    default = FORMS[name].default
    note = f"  [default: {default}]" if default else ""
    declaration: dict[str, Any] = {
        "help": form.help + (OVERRIDES if resumes else note),
        **_CHECKS.get(name, _check_of(form, choices or form.choices)),
    }
    return click.option("--" + name.replace("_", "-"), **declaration)


def campaign_options(*, resumes: bool = False) -> Decorator:
    """Make the command-line options of a campaign.

    Args:
        resumes: Whether the command resumes a campaign: then fixed options are left out.
    """
    return chained(
        *(
            campaign_option(name, resumes=resumes)
            for name, field in FORMS.items()
            if not (resumes and field.metadata[PlainForm].is_fixed)
        )
    )


def _check_of(form: PlainForm, choices: Sequence[str]) -> dict[str, Any]:
    if choices:
        return {"type": click.Choice(choices)}
    checks: dict[type, dict[str, Any]] = {
        str: {},
        bool: {"is_flag": True},
        int: {"type": click.IntRange(1)},
        float: {"type": click.FloatRange(0, min_open=True)},
    }
    return checks[form.kind]


class LedgerPlace(click.Path):
    """Path of a ledger's file, or its address in a database.

    Args:
        exists: A file must be there.
    """

    def __init__(self, *, exists: bool = False) -> None:
        super().__init__(exists=exists, dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Check it; an address stays as it is."""
        if "://" not in str(value):
            self._check_file(Path(value), param, ctx)
            return super().convert(value, param, ctx)
        try:
            return ledger_place(value)
        except ConfigurationError as error:
            self.fail(translated(error.problem), param, ctx)

    def _check_file(
        self, path: Path, param: click.Parameter | None, ctx: click.Context | None
    ) -> None:
        ledger = path.with_name(path.name + LEDGER_SUFFIX)
        if self.exists and not path.exists():
            self.fail(no_such_file(path), param, ctx)
        if not path.parent.is_dir():
            absent = _("there is no folder {path}: make it, or choose another path")
            self.fail(absent.format(path=path.parent), param, ctx)
        if path.suffix != ".db" and ledger.exists():
            is_none = _("{path} is a file of recipients: its ledger is {ledger}")
            self.fail(is_none.format(path=path, ledger=ledger), param, ctx)


def no_such_file(path: Path) -> str:
    """Say that a file is not there, and which one may be meant."""
    absent = _("there is no file {path}").format(path=path)
    try:
        names = [found.name for found in path.parent.iterdir()]
    except OSError:
        return _("there is no folder {path}").format(path=path.parent)
    near = get_close_matches(path.name, names, n=1)
    if not near:
        return absent
    meant = _("{problem}; did you mean {file}?")
    return meant.format(problem=absent, file=path.with_name(near[0]))


ledger_argument = click.argument("ledger", type=LedgerPlace(exists=True))


AS_STARTED: Final = "as-started"
NOW: Final = "now"
TIMES: Final = ("at", "delivery_at")


class Rate(click.FloatRange):
    """A rate, or the word that ends an order of one."""

    def __init__(self) -> None:
        super().__init__(0, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it; the word stays as it is."""
        if value == AS_STARTED:
            return value
        rate = super().convert(value, param, ctx)
        if not math.isfinite(rate):
            self.fail(_("must be a number, or {word}").format(word=AS_STARTED), param, ctx)
        return rate


def database_address(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Check the address of a database."""
    try:
        parse_address(value)
    except ConfigurationError as error:
        raise click.BadParameter(translated(error.problem)) from None
    return value


def place_of_ledgers(_context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Check the address of a database, or that a folder is there."""
    if "://" in value:
        database_address(_context, parameter, value)
    elif not Path(value).is_dir():
        raise click.BadParameter(_("there is no folder {folder}").format(folder=value))
    return value


def regular_file(
    _context: click.Context, _parameter: click.Parameter, path: Path | None
) -> Path | None:
    """Refuse a file that is not there, a ledger, and a pipe.

    A pipe blocks, and cannot be read again to resume a campaign.
    """
    if path is None:
        return None
    if not path.exists():
        raise click.BadParameter(no_such_file(path))
    if path.name.endswith(LEDGER_SUFFIX):
        raise click.BadParameter(
            _("{path} is a ledger: give the file of recipients, or go on with {command}").format(
                path=path, command=f"connectus bulk resume {shlex.quote(str(path))}"
            )
        )
    if not path.is_file():
        raise click.BadParameter(
            _("{path} is not a regular file; save it as one first").format(path=path)
        )
    return path


def file_or_input(context: click.Context, parameter: click.Parameter, path: Path) -> Path | None:
    """Check a file as `regular_file` does; ``-`` is standard input."""
    return path if str(path) == STANDARD_INPUT else regular_file(context, parameter, path)


def one_character(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> str | None:
    """Read a delimiter."""
    if value is None:
        return None
    value = "\t" if value == "\\t" else value
    if len(value) != 1 or value in '"\r\n':
        raise click.BadParameter(_("must be one character, and no quote; \\t is a tab"))
    return value


def _not_empty(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Refuse an empty address, which would mean every address of the machine."""
    if not value.strip():
        raise click.BadParameter(_("is empty; 0.0.0.0 listens on every address"))
    return value


host_option = click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    callback=_not_empty,
    help="The address to listen on.",
)


def port_option(default: int) -> Decorator:
    """Make the option of a port to listen on."""
    return click.option(
        "--port",
        type=click.IntRange(0, 65_535),
        default=default,
        show_default=True,
        help="The port to listen on; 0 takes a free one.",
    )


def url(_context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Check a URL."""
    try:
        return value if value is None else link(str(parameter.name), value)
    except InvalidArgumentError as error:
        raise click.BadParameter(translated(error.problem)) from None


def moment(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Convert a time to ISO 8601 with its offset."""
    if value is None:
        return None
    found = _aware(value, None)
    return value if dt.datetime.fromisoformat(value).tzinfo else found.isoformat()


def _no_time() -> click.BadParameter:
    return click.BadParameter(
        _('must be a date and a time, such as "2026-12-24 10:00", or 2026-12-24T10:00-03:00')
    )


def _aware(value: str, zone: dt.tzinfo | None) -> dt.datetime:
    """Read a time; without an offset it is of a time zone, or of this machine's."""
    try:
        read = dt.datetime.fromisoformat(value)
        times = [read.replace(fold=fold) for fold in (0, 1)]
        is_local = zone is None or read.tzinfo is not None
        first, second = (
            time.astimezone(zone) if is_local else time.replace(tzinfo=zone) for time in times
        )
    except (ValueError, OverflowError):
        raise _no_time() from None
    if read.tzinfo is not None:
        return first
    if first.utcoffset() != second.utcoffset():
        raise click.BadParameter(
            _(
                "is in an hour in which the clocks change here: say which it is with its offset, "
                "as in {example}"
            ).format(example=first.isoformat())
        )
    return first


def time_zone(_context: click.Context, _parameter: click.Parameter, name: str | None) -> str | None:
    """Check the name of a time zone."""
    if name is not None:
        _zone(name)
    return name


def _zone(name: str) -> dt.tzinfo:
    from connectus_async import tz_database  # noqa: PLC0415 - for few commands

    try:
        return tz_database.zone(name)
    except ConfigurationError as error:
        raise click.BadParameter(translated(error.problem)) from None


def scheduled(
    context: click.Context, _parameter: click.Parameter, value: str | None
) -> dt.datetime | None:
    """Read a time of the zone that ``--zone`` has given, which is eager."""
    if value is None:
        return None
    if ":" not in value:
        raise _no_time()
    name = context.params.get("zone")
    return _aware(value, None if name is None else _zone(name))


def start(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> dt.datetime | str | None:
    """Read a start as `scheduled`; the word that ends a recorded one stays as it is."""
    return NOW if value == NOW else scheduled(context, parameter, value)


def without_zone(given: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out ``--zone``, which the times of a command have read.

    Raises:
        click.UsageError: It has no time.
    """
    rest = {name: value for name, value in given.items() if name != "zone"}
    if given["zone"] and not any(isinstance(rest.get(name), dt.datetime) for name in TIMES):
        raise click.UsageError(_("--zone needs a time, such as --at"))
    return rest


delivery_at_option = click.option(
    "--delivery-at",
    callback=scheduled,
    help="Hand the messages over now, to a delivery of the API that it sends at this time, such as"
    ' "2026-12-24 10:00".',
)


zone_option = click.option(
    "--zone",
    is_eager=True,
    callback=time_zone,
    help="Time zone of a scheduled time, such as America/Santiago.  [default: this machine's]",
)

at_option = click.option(
    "--at",
    callback=start,
    help='Time at which sending starts, such as "2026-12-24 10:00"; it is recorded, and whoever'
    " resumes the campaign waits as well. now ends that.",
)


def naive_moment(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> dt.datetime | None:
    """Read a time, which has no offset where the platform's clocks show it."""
    try:
        return None if value is None else dt.datetime.fromisoformat(value)
    except ValueError:
        raise _no_time() from None


def read_text(field: str, file: TextIO) -> str:
    """Read a text, at most one character more than can be sent.

    Raises:
        InvalidArgumentError: The file is not text.
    """
    try:
        text = file.read(MAX_EMAIL_CHARACTERS + 1)
    except UnicodeDecodeError:
        raise InvalidArgumentError(field, "is not UTF-8 text; save it as UTF-8") from None
    if "\0" in text:
        raise InvalidArgumentError(field, "is not text: it contains a zero byte")
    return text


_CHECKS: Final[Mapping[str, dict[str, Any]]] = {
    "concurrency": {"type": click.IntRange(1, MAX_CONCURRENCY)},
    "suppress": {"type": click.Path(exists=True, dir_okay=False, resolve_path=True)},
    "expires_at": {"callback": moment},
}
"""Checks of options that do not follow from the type."""
