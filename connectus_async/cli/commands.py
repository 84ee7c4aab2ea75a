"""The commands: each parses its arguments, calls the client and prints."""

import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, TextIO

import anyio
import click

from connectus_async import AsyncConnectus, __version__
from connectus_async.arguments import MAX_EMAIL_CHARACTERS, link
from connectus_async.bulk.sources import UTF_8, CsvFile
from connectus_async.bulk.templates import Template
from connectus_async.cli.campaign import Campaign
from connectus_async.cli.demo import demo as run_demo
from connectus_async.cli.running import echo, errors_reported, print_json, run
from connectus_async.client import DEFAULT_CONCURRENCY
from connectus_async.config import ENVIRONMENT
from connectus_async.emulator import Emulator
from connectus_async.errors import ConfigurationError, InvalidArgumentError, Outcome
from connectus_async.products.account import Account
from connectus_async.products.email import EmailReceipt
from connectus_async.products.sms import SmsReceipt

MAX_CONCURRENCY: Final = 400
"""Each message under way holds a connection, and processes may often open 1,024 files."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
concurrency_option = click.option(
    "--concurrency",
    type=click.IntRange(1, MAX_CONCURRENCY),
    default=DEFAULT_CONCURRENCY,
    show_default=True,
    help="Messages on their way at a time.",
)
src_number_option = click.option("--src-number", help="One of the account's numbers to send from.")


def _regular_file(_: click.Context, __: click.Parameter, path: Path) -> Path:
    """Refuse a pipe: it blocks, and a campaign's file is read twice."""
    if path.exists() and not path.is_file():
        raise click.BadParameter(f"{path} is not a regular file; save it as one first")
    return path


def _one_character(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    value = "\t" if value == "\\t" else value
    if len(value) != 1 or value in '"\r\n':
        raise click.BadParameter("must be one character, and no quote; \\t is a tab")
    return value


def _not_empty(_: click.Context, __: click.Parameter, value: str) -> str:
    """An empty address would be every address of the machine."""
    if not value.strip():
        raise click.BadParameter("is empty; 0.0.0.0 listens on every address")
    return value


def _url(_: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    try:
        return value if value is None else link(str(parameter.name), value)
    except InvalidArgumentError as error:
        raise click.BadParameter(error.problem) from None


def _text(field: str, file: TextIO) -> str:
    """Read a text, one character more than can be sent at most."""
    try:
        text = file.read(MAX_EMAIL_CHARACTERS + 1)
    except UnicodeDecodeError:
        raise InvalidArgumentError(field, "is not UTF-8 text; save it as UTF-8") from None
    if "\0" in text:
        raise InvalidArgumentError(field, "is not text: it holds a zero byte")
    return text


class _CommandLine(click.Group):
    """Ends with our exit codes wherever it is interrupted, click's parsing included."""

    def invoke(self, ctx: click.Context) -> object:
        with errors_reported(as_json=False, when_interrupted="interrupted; nothing was sent"):
            return super().invoke(ctx)


@click.group(cls=_CommandLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="connectus")
def connectus() -> None:
    """Send SMS and email through Connectus.

    Credentials come from the environment: CONNECTUS_API_USER and CONNECTUS_API_KEY.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a message may have been sent, 130 interrupted.
    """


@connectus.command()
@click.option("--recipients", type=click.IntRange(1), default=10_000, show_default=True)
@concurrency_option
def demo(recipients: int, concurrency: int) -> None:
    """Send a campaign to the built-in emulator; nothing leaves this machine."""
    sys.exit(run_demo(recipients, concurrency))


@connectus.group()
def bulk() -> None:
    """Send to every row of a file."""


@bulk.command("send")
@click.argument("file", type=click.Path(path_type=Path), callback=_regular_file)
@click.option("--text", required=True, help="The SMS; {name} stands for the column 'name'.")
@click.option("--to", default="dst_number", show_default=True, help="The column of the number.")
@src_number_option
@click.option(
    "--delimiter",
    callback=_one_character,
    help="Between two cells; found out from the first line if left out.",
)
@click.option("--encoding", default=UTF_8, show_default=True, help="Of the file.")
@concurrency_option
@json_option
def bulk_send(
    file: Path,
    text: str,
    to: str,
    src_number: str | None,
    delimiter: str | None,
    encoding: str,
    concurrency: int,
    as_json: bool,
) -> None:
    """Send an SMS to every row of a CSV FILE."""

    async def command() -> int:
        template = Template.parse("text", text)
        csv_file = await CsvFile.open(file, encoding=encoding, delimiter=delimiter)
        rows = csv_file.rows(to, template, src_number=src_number)
        async with AsyncConnectus(max_connections=concurrency) as client:
            return await Campaign(csv_file.length, as_json).send(client, rows, concurrency)

    sys.exit(
        run(
            command,
            as_json=as_json,
            when_interrupted="interrupted; without a summary above, nothing was sent",
        )
    )


@connectus.group()
def sms() -> None:
    """Send one SMS."""


@sms.command("send")
@click.argument("dst_number")
@click.argument("sms_content")
@src_number_option
@json_option
def sms_send(
    dst_number: str,
    sms_content: str,
    src_number: str | None,
    as_json: bool,
) -> None:
    """Send SMS_CONTENT to DST_NUMBER."""

    async def command() -> SmsReceipt:
        async with AsyncConnectus() as client:
            return await client.sms.send(dst_number, sms_content, src_number=src_number)

    _print_receipt(run(command, as_json=as_json), as_json=as_json)


@connectus.group()
def email() -> None:
    """Send one email."""


@email.command("send")
@click.argument("dst_email")
@click.option("--subject", required=True, help="One line.")
@click.option("--src-email", required=True, help="One of the account's addresses to send from.")
@click.argument("email_content", type=click.File(encoding=UTF_8))
@json_option
def email_send(
    dst_email: str,
    subject: str,
    src_email: str,
    email_content: TextIO,
    as_json: bool,
) -> None:
    """Send the HTML in the file EMAIL_CONTENT to DST_EMAIL; - reads it from standard input."""
    with errors_reported(as_json=as_json, when_interrupted="interrupted; nothing was sent"):
        html = _text("email_content", email_content)

    async def command() -> EmailReceipt:
        async with AsyncConnectus() as client:
            return await client.email.send(dst_email, subject, html, src_email=src_email)

    _print_receipt(run(command, as_json=as_json), as_json=as_json)


@connectus.command()
@json_option
def account(as_json: bool) -> None:
    """Show the account and what it can send from."""

    async def command() -> Account:
        async with AsyncConnectus() as client:
            return await client.account.get()

    found = run(command, as_json=as_json, when_interrupted="interrupted")
    if as_json:
        print_json(found.raw)
    else:
        _print_account(found)


@connectus.command()
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    callback=_not_empty,
    help="The address to listen on.",
)
@click.option("--port", type=click.IntRange(0, 65_535), default=8_037, show_default=True)
@click.option("--status-webhook", callback=_url, help="The URL to post status changes to.")
@click.option("--incoming-webhook", callback=_url, help="The URL to post replies to.")
@click.option(
    "--rate-limit", type=click.IntRange(1), help="Requests a second; more are answered 429."
)
@json_option
def emulator(
    host: str,
    port: int,
    status_webhook: str | None,
    incoming_webhook: str | None,
    rate_limit: int | None,
    as_json: bool,
) -> None:
    """Run an emulator of the API; Ctrl-C stops it."""
    server = Emulator(
        host=host,
        port=port,
        status_webhook=status_webhook,
        incoming_webhook=incoming_webhook,
        rate_limit=rate_limit,
    )

    async def command() -> None:
        try:
            async with server:
                _print_environment(server, as_json=as_json)
                await anyio.sleep_forever()
        except (OSError, UnicodeError) as error:
            raise _cannot_listen(host, port, error) from None

    run(command, as_json=as_json, when_interrupted="the emulator has stopped")


def _print_environment(server: Emulator, *, as_json: bool) -> None:
    """Print what a client of the emulator is to have in its environment."""
    settings = {
        "base_url": server.base_url,
        "qr_base_url": server.qr_base_url,
        "api_user": server.api_user,
        "api_key": server.api_key,
        "qr_token": server.qr_token,
    }
    variables = {ENVIRONMENT[name]: value for name, value in settings.items()}
    if as_json:
        print_json(variables)
        return
    echo("\n".join(f"export {name}={value}" for name, value in variables.items()))


def _print_receipt(receipt: SmsReceipt | EmailReceipt, *, as_json: bool) -> None:
    with suppress(OSError):  # nobody takes the output, but the message was accepted
        if as_json:
            print_json({"outcome": Outcome.ACCEPTED, "id": receipt.id, "status": receipt.status})
        else:
            echo(f"accepted, id {receipt.id}" if receipt.id else "accepted, without an id")


def _print_account(found: Account) -> None:
    lines = [f"{found.name} ({found.country})", f"id_account: {found.id_account}"]
    for number in found.src_numbers:
        default = ", default" if number.is_default else ""
        lines.append(f"src_number: {number.src_number} ({number.country}{default})")
    for address in found.src_emails:
        verified = "verified" if address.is_verified else "not verified"
        lines.append(f"src_email: {address.src_email} ({verified})")
    echo("\n".join(lines))


def _cannot_listen(host: str, port: int, error: OSError | UnicodeError) -> ConfigurationError:
    if isinstance(error, UnicodeError | socket.gaierror):
        return ConfigurationError("host", f"{host} is not an address of this machine")
    reason = os.strerror(error.errno).lower() if error.errno else str(error)
    return ConfigurationError(
        "port", f"cannot listen on {host}:{port}: {reason}; choose another (0 takes a free one)"
    )
