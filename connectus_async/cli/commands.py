"""The commands: each parses its arguments, calls the client and prints."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import click

from connectus_async import AsyncConnectus, __version__
from connectus_async.bulk.sources import UTF_8, CsvFile
from connectus_async.bulk.templates import Template
from connectus_async.cli.campaign import Campaign
from connectus_async.cli.demo import demo as run_demo
from connectus_async.cli.running import print_json, run
from connectus_async.client import DEFAULT_CONCURRENCY
from connectus_async.config import ENVIRONMENT
from connectus_async.emulator import Emulator
from connectus_async.errors import ConfigurationError, Outcome
from connectus_async.products.account import Account
from connectus_async.products.email import EmailReceipt
from connectus_async.products.sms import SmsReceipt

Command = Callable[..., Any]

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
concurrency_option = click.option(
    "--concurrency",
    type=click.IntRange(1),
    default=DEFAULT_CONCURRENCY,
    show_default=True,
    help="Messages on their way at a time.",
)
src_number_option = click.option("--src-number", help="One of the account's numbers to send from.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
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

    async def command() -> int:
        return await run_demo(recipients, concurrency)

    run(command)


@connectus.group()
def bulk() -> None:
    """Send to every row of a file."""


@bulk.command("send")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--text", required=True, help="The SMS; {name} stands for the column 'name'.")
@click.option("--to", default="dst_number", show_default=True, help="The column of the number.")
@src_number_option
@click.option("--delimiter", help="Between two cells; found out from the first line if left out.")
@click.option("--encoding", default=UTF_8, show_default=True, help="Of the file.")
@concurrency_option
@json_option
def bulk_send(  # noqa: PLR0913 - one parameter for each option
    file: Path,
    text: str,
    to: str,
    src_number: str | None,
    delimiter: str | None,
    encoding: str,
    concurrency: int,
    as_json: bool,  # noqa: FBT001 - a flag of the command line
) -> None:
    """Send an SMS to every row of a CSV FILE."""

    async def command() -> int:
        template = Template.parse("text", text)
        csv_file = await CsvFile.open(file, encoding=encoding, delimiter=delimiter)
        rows = csv_file.rows(to, template, src_number=src_number)
        async with AsyncConnectus(max_connections=concurrency) as client:
            return await Campaign(csv_file.length, as_json).send(client, rows, concurrency)

    run(command, as_json=as_json)


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
    as_json: bool,  # noqa: FBT001 - a flag of the command line
) -> None:
    """Send SMS_CONTENT to DST_NUMBER."""

    async def command() -> None:
        async with AsyncConnectus() as client:
            receipt = await client.sms.send(dst_number, sms_content, src_number=src_number)
        _print_receipt(receipt, as_json=as_json)

    run(command, as_json=as_json)


@connectus.group()
def email() -> None:
    """Send one email."""


@email.command("send")
@click.argument("dst_email")
@click.option("--subject", required=True, help="One line.")
@click.option("--src-email", required=True, help="One of the account's addresses to send from.")
@click.argument("email_content", type=click.File(encoding="utf-8"))
@json_option
def email_send(
    dst_email: str,
    subject: str,
    src_email: str,
    email_content: Any,
    as_json: bool,  # noqa: FBT001 - a flag of the command line
) -> None:
    """Send the HTML in the file EMAIL_CONTENT to DST_EMAIL; - reads it from standard input."""
    html = email_content.read()

    async def command() -> None:
        async with AsyncConnectus() as client:
            receipt = await client.email.send(dst_email, subject, html, src_email=src_email)
        _print_receipt(receipt, as_json=as_json)

    run(command, as_json=as_json)


@connectus.command()
@json_option
def account(as_json: bool) -> None:  # noqa: FBT001 - a flag of the command line
    """Show the account and what it can send from."""

    async def command() -> None:
        async with AsyncConnectus() as client:
            found = await client.account.get()
        if as_json:
            print_json(found.raw)
        else:
            _print_account(found)

    run(command, as_json=as_json)


@connectus.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8_037, show_default=True)
@click.option("--status-webhook", help="The URL to post status changes to.")
@click.option("--incoming-webhook", help="The URL to post replies to.")
@click.option("--rate-limit", type=float, help="Requests a second; more are answered 429.")
@json_option
def emulator(
    host: str,
    port: int,
    status_webhook: str | None,
    incoming_webhook: str | None,
    rate_limit: float | None,
    as_json: bool,  # noqa: FBT001 - a flag of the command line
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
        except OSError as error:
            reason = error.strerror or str(error)
            raise ConfigurationError("port", f"cannot listen on {host}:{port}: {reason}") from None

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
    for name, value in variables.items():
        click.echo(f"export {name}={value}")


def _print_receipt(receipt: SmsReceipt | EmailReceipt, *, as_json: bool) -> None:
    if as_json:
        print_json({"outcome": Outcome.ACCEPTED, "id": receipt.id, "status": receipt.status})
    else:
        click.echo(f"accepted, id {receipt.id}" if receipt.id else "accepted, without an id")


def _print_account(found: Account) -> None:
    click.echo(f"{found.name} ({found.country})")
    click.echo(f"id_account: {found.id_account}")
    for number in found.src_numbers:
        default = ", default" if number.is_default else ""
        click.echo(f"src_number: {number.src_number} ({number.country}{default})")
    for address in found.src_emails:
        verified = "verified" if address.is_verified else "not verified"
        click.echo(f"src_email: {address.src_email} ({verified})")
