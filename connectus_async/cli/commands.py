"""Commands: each parses its arguments, calls the client and prints."""

import sys
from contextlib import suppress
from typing import Any, Final, TextIO

import anyio
import click

from connectus_async import AsyncConnectus, __version__
from connectus_async.cli.bulk import bulk
from connectus_async.cli.demo import demo as run_demo
from connectus_async.cli.listen_error import listen_error
from connectus_async.cli.parameters import (
    campaign_option,
    connection,
    connection_options,
    host_option,
    json_option,
    read_text,
    src_number_option,
    url,
)
from connectus_async.cli.runner import echo, errors_reported, print_json, run
from connectus_async.cli.tracking import bulk_track
from connectus_async.cli.webhooks import webhooks
from connectus_async.config import ENVIRONMENT
from connectus_async.emulator import Emulator, JournalError
from connectus_async.errors import ConfigurationError, Outcome
from connectus_async.products.account import Account
from connectus_async.products.email import EmailReceipt
from connectus_async.products.sms import SmsReceipt
from connectus_async.recipients.phone_numbers import checker
from connectus_async.recipients.sources import UTF_8

NOTHING_SENT: Final = "interrupted; nothing was sent"


class _CommandLine(click.Group):
    """Group that ends with our exit codes if it is interrupted, also while click parses."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with errors_reported(as_json=False, when_interrupted=NOTHING_SENT):
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> object:
        with errors_reported(as_json=False, when_interrupted=NOTHING_SENT):
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
@campaign_option("concurrency")
def demo(recipients: int, concurrency: int | None) -> None:
    """Send a campaign to the built-in emulator; no message leaves this machine."""
    sys.exit(run_demo(recipients, concurrency))


bulk.add_command(bulk_track)
connectus.add_command(bulk)
connectus.add_command(webhooks)


@connectus.group()
def sms() -> None:
    """Send one SMS."""


@sms.command("send")
@click.argument("dst_number")
@click.argument("sms_content")
@src_number_option
@campaign_option("region")
@connection_options
@json_option
def sms_send(
    dst_number: str,
    sms_content: str,
    src_number: str | None,
    region: str | None,
    as_json: bool,
) -> None:
    """Send SMS_CONTENT to DST_NUMBER."""
    with errors_reported(as_json=as_json, when_interrupted=NOTHING_SENT):
        dst_number = checker(region)("dst_number", dst_number)

    async def command() -> SmsReceipt:
        async with AsyncConnectus(**connection()) as client:
            return await client.sms.send(dst_number, sms_content, src_number=src_number)

    _print_receipt(run(command, as_json=as_json), as_json=as_json)


@connectus.group()
def email() -> None:
    """Send one email."""


@email.command("send")
@click.argument("dst_email")
@click.option("--subject", required=True, help="Subject, one line.")
@click.option("--src-email", required=True, help="Address of the account to send from.")
@click.argument("email_content", type=click.File(encoding=UTF_8))
@connection_options
@json_option
def email_send(
    dst_email: str,
    subject: str,
    src_email: str,
    email_content: TextIO,
    as_json: bool,
) -> None:
    """Send the HTML of the file EMAIL_CONTENT to DST_EMAIL; - is standard input."""
    with errors_reported(as_json=as_json, when_interrupted=NOTHING_SENT):
        html = read_text("email_content", email_content)

    async def command() -> EmailReceipt:
        async with AsyncConnectus(**connection()) as client:
            return await client.email.send(dst_email, subject, html, src_email=src_email)

    _print_receipt(run(command, as_json=as_json), as_json=as_json)


@connectus.command()
@connection_options
@json_option
def account(as_json: bool) -> None:
    """Show the account with its numbers and addresses."""

    async def command() -> Account:
        async with AsyncConnectus(**connection()) as client:
            return await client.account.get()

    found = run(command, as_json=as_json, when_interrupted="interrupted")
    if as_json:
        print_json(found.raw)
    else:
        _print_account(found)


@connectus.command()
@host_option
@click.option("--port", type=click.IntRange(0, 65_535), default=8_037, show_default=True)
@click.option("--status-webhook", callback=url, help="URL for status changes.")
@click.option("--incoming-webhook", callback=url, help="URL for replies.")
@click.option(
    "--rate-limit", type=click.IntRange(1), help="Maximum requests a second; others get 429."
)
@click.option(
    "--journal",
    type=click.Path(dir_okay=False),
    help="File that keeps the messages for the next start.",
)
@json_option
def emulator(
    host: str,
    port: int,
    status_webhook: str | None,
    incoming_webhook: str | None,
    rate_limit: int | None,
    journal: str | None,
    as_json: bool,
) -> None:
    """Run an emulator of the API; Ctrl-C stops it."""
    server = Emulator(
        host=host,
        port=port,
        status_webhook=status_webhook,
        incoming_webhook=incoming_webhook,
        rate_limit=rate_limit,
        journal=journal,
    )

    async def command() -> None:
        try:
            async with server:
                _print_environment(server, as_json=as_json)
                await anyio.sleep_forever()
        except JournalError as error:
            raise ConfigurationError("journal", str(error)) from None
        except (OSError, UnicodeError) as error:
            raise listen_error(host, port, error) from None

    run(command, as_json=as_json, when_interrupted="the emulator has stopped")


def _print_environment(server: Emulator, *, as_json: bool) -> None:
    """Print the environment of a client of the emulator."""
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
    with suppress(OSError):  # nobody reads the output, but the message was accepted
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
