"""Arguments and options that commands share, and their checks."""

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

import click

from connectus_async.arguments import MAX_EMAIL_CHARACTERS, link
from connectus_async.bulk.options import PlainForm, ledger_place
from connectus_async.errors import ConfigurationError, InvalidArgumentError
from connectus_async.ledger import parse_address
from connectus_async.workers.campaign_options import FORMS

MAX_CONCURRENCY: Final = 400
"""Each message under way needs a connection, and many systems allow a process 1,024 files."""

LEDGER_SUFFIX: Final = ".ledger.db"
OVERRIDES: Final = " Overrides the value used by `bulk send`."

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
src_number_option = click.option("--src-number", help="Number of the account to send from.")


def chained(*options: Decorator) -> Decorator:
    """Make one decorator of several options."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _remember(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    context.meta.setdefault(__name__, {})[parameter.name] = value


def connection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the connection to the API; `connection` has their values."""
    proxy = click.option(
        "--proxy",
        expose_value=False,
        callback=_remember,
        help="HTTP proxy, such as http://127.0.0.1:3128, or none.  [default: CONNECTUS_PROXY, "
        "HTTPS_PROXY]",
    )
    ca_file = click.option(
        "--ca-file",
        type=click.Path(exists=True, dir_okay=False),
        expose_value=False,
        callback=_remember,
        help="PEM certificates to trust besides the system's.  [default: CONNECTUS_CA_FILE]",
    )
    return proxy(ca_file(command))


def connection() -> dict[str, Any]:
    """Settings of a client that the present command was given."""
    context = click.get_current_context(silent=True)
    return {} if context is None else dict(context.meta.get(__name__, {}))


def _fail_share(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """Read a share such as 2%."""
    if value is None:
        return None
    try:
        percent = float(value.removesuffix("%"))
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= 100:
        raise click.BadParameter("must be a percentage such as 2%")
    return percent / 100


FINISH: Final = f"{__name__}.finish"


def _remember_finish(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    context.meta.setdefault(FINISH, {})[parameter.name] = value


def finish_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for the end of a campaign; `finish_settings` has their values."""
    return chained(
        click.option(
            "--on-finish",
            expose_value=False,
            callback=_remember_finish,
            metavar="COMMAND",
            help="Run this when the campaign ends, however it does, with the summary as JSON on"
            " standard input.",
        ),
        click.option(
            "--webhook-on-finish",
            expose_value=False,
            callback=lambda context, parameter, value: _remember_finish(
                context, parameter, url(context, parameter, value)
            ),
            metavar="URL",
            help="Post the summary as JSON to this URL then; it has no personal data.",
        ),
        click.option(
            "--fail-above",
            expose_value=False,
            callback=lambda context, parameter, value: _remember_finish(
                context, parameter, _fail_share(context, parameter, value)
            ),
            metavar="PERCENT",
            help="End with code 4 only if more than this share of the messages was rejected or"
            " invalid, such as 2%.  [default: 0%]",
        ),
    )(command)


def finish_settings() -> dict[str, Any]:
    """Settings for the end of the campaign that the present command was given."""
    context = click.get_current_context(silent=True)
    return {} if context is None else dict(context.meta.get(FINISH, {}))


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
            return super().convert(value, param, ctx)
        try:
            return ledger_place(value)
        except ConfigurationError as error:
            self.fail(error.problem, param, ctx)


ledger_argument = click.argument("ledger", type=LedgerPlace(exists=True))


AS_STARTED: Final = "as-started"


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
            self.fail(f"must be a number, or {AS_STARTED}", param, ctx)
        return rate


def database_address(_: click.Context, __: click.Parameter, value: str) -> str:
    """Check the address of a database."""
    try:
        parse_address(value)
    except ConfigurationError as error:
        raise click.BadParameter(error.problem) from None
    return value


def regular_file(_: click.Context, __: click.Parameter, path: Path | None) -> Path | None:
    """Refuse a pipe: it blocks, and cannot be read again to resume a campaign."""
    if path is not None and path.exists() and not path.is_file():
        raise click.BadParameter(f"{path} is not a regular file; save it as one first")
    return path


def one_character(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Read a delimiter."""
    if value is None:
        return None
    value = "\t" if value == "\\t" else value
    if len(value) != 1 or value in '"\r\n':
        raise click.BadParameter("must be one character, and no quote; \\t is a tab")
    return value


def _not_empty(_: click.Context, __: click.Parameter, value: str) -> str:
    """Refuse an empty address, which would mean every address of the machine."""
    if not value.strip():
        raise click.BadParameter("is empty; 0.0.0.0 listens on every address")
    return value


host_option = click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    callback=_not_empty,
    help="The address to listen on.",
)


def url(_: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Check a URL."""
    try:
        return value if value is None else link(str(parameter.name), value)
    except InvalidArgumentError as error:
        raise click.BadParameter(error.problem) from None


def moment(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Convert a time to ISO 8601 with its offset."""
    if value is None:
        return None
    try:
        read = dt.datetime.fromisoformat(value)
        first, second = (read.replace(fold=fold).astimezone() for fold in (0, 1))
    except (ValueError, OverflowError):
        raise click.BadParameter("must be a moment such as 2026-12-24T21:00") from None
    if read.tzinfo is not None:
        return value
    if first.utcoffset() != second.utcoffset():
        raise click.BadParameter(
            "is in an hour in which the clocks change here: say which it is with its offset, as in "
            f"{first.isoformat()}"
        )
    return first.isoformat()


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
