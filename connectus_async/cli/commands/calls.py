"""Commands that make one call: send one message, or show the account."""

from typing import Any

import click

from connectus_async.cli.parameters import (
    campaign_option,
    connection_options,
    json_option,
    src_number_option,
)
from connectus_async.recipients.encoding import UTF_8


@click.group()
def sms() -> None:
    """Send one SMS."""


@sms.command("send")
@click.argument("dst_number")
@click.argument("sms_content")
@src_number_option
@campaign_option("region")
@connection_options
@json_option
def sms_send(**given: Any) -> None:
    """Send SMS_CONTENT to DST_NUMBER."""
    from connectus_async.cli.calls import send_sms

    send_sms(**given)


@click.group()
def email() -> None:
    """Send one email."""


@email.command("send")
@click.argument("dst_email")
@click.option("--subject", required=True, help="Subject, one line.")
@click.option("--src-email", required=True, help="Address of the account to send from.")
@click.argument("email_content", type=click.File(encoding=UTF_8))
@connection_options
@json_option
def email_send(**given: Any) -> None:
    """Send the HTML of the file EMAIL_CONTENT to DST_EMAIL; - is standard input."""
    from connectus_async.cli.calls import send_email

    send_email(**given)


@click.command()
@connection_options
@json_option
def account(as_json: bool) -> None:
    """Show the account with its numbers and addresses."""
    from connectus_async.cli.calls import show_account

    show_account(as_json=as_json)
