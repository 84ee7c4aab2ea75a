"""Single calls of the command line: send one message, or show the account."""

from contextlib import suppress
from typing import TextIO

from connectus_async import AsyncConnectus
from connectus_async.cli.parameters import connection, read_text
from connectus_async.cli.runner import NOTHING_SENT, echo, errors_reported, print_json, run
from connectus_async.errors import Outcome
from connectus_async.products.account import Account
from connectus_async.products.email import EmailReceipt
from connectus_async.products.sms import SmsReceipt
from connectus_async.recipients.phone_numbers import checker


def send_sms(
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


def send_email(
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


def show_account(as_json: bool) -> None:
    """Show the account with its numbers and addresses."""

    async def command() -> Account:
        async with AsyncConnectus(**connection()) as client:
            return await client.account.get()

    found = run(command, as_json=as_json, when_interrupted="interrupted")
    if as_json:
        print_json(found.raw)
    else:
        _print_account(found)


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
