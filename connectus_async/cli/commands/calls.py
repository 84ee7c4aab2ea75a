"""Commands that make one call: messages, their status, and the account."""

from typing import Any

import click

from connectus_async.cli.commands.declared import adder, dst_number, html, identifier
from connectus_async.cli.parameters import (
    campaign_option,
    connection_options,
    json_option,
    src_number_option,
)

region = campaign_option("region")
subject = click.option("--subject", required=True, help="Subject, one line.")
src_email = click.option("--src-email", required=True, help="Address of the account to send from.")


@click.group()
def sms() -> None:
    """Send one SMS, and list those that were sent."""


_add = adder(sms, "sms")
_text = click.argument("sms_content")
_add("send", "Send SMS_CONTENT to DST_NUMBER.", dst_number, _text, src_number_option, region)
_add(
    "send_otp",
    "Send SMS_CONTENT, a one-time password, to DST_NUMBER; it costs more than `send`.",
    dst_number,
    _text,
    src_number_option,
    click.option(
        "--save-content", type=click.Choice(["hash"]), help="Let Connectus keep only a hash of it."
    ),
    region,
)
_add("status", "Show the status of an SMS by its ID.", identifier)
_add("by_delivery", "List the SMS of a delivery by its ID.", click.argument("delivery_id"))
_add(
    "by_date",
    "List the SMS from BEGIN_DATE to END_DATE, such as 2026-07-01 2026-07-31.",
    click.argument("begin_date"),
    click.argument("end_date"),
)


@click.group()
def email() -> None:
    """Send one email, and show its status."""


_add = adder(email, "email")
_add(
    "send",
    "Send the HTML of the file EMAIL_CONTENT to DST_EMAIL; - is standard input.",
    click.argument("dst_email"),
    subject,
    src_email,
    html,
)
_add(
    "send_otp",
    "Send a one-time password, the HTML of the file EMAIL_CONTENT, to DST_EMAIL.",
    click.argument("dst_email"),
    subject,
    src_email,
    html,
)
_add("status", "Show the status of an email by its ID.", identifier)
_add("balance", "Show the balance of emails.")


@click.group()
def whatsapp() -> None:
    """Send one WhatsApp message, and show conversations."""


_add = adder(whatsapp, "whatsapp")
_add(
    "send",
    "Send WHATSAPP_CONTENT to DST_NUMBER.",
    dst_number,
    click.argument("whatsapp_content"),
    click.option("--src-number", required=True, help="WhatsApp number of the account."),
    click.option("--id-delivery", help="Delivery of WhatsApp that was not executed yet."),
    click.option("--id-client", help="Sub-client that pays, by its id_unique."),
    region,
)
_add("status", "Show the status of a message by its ID.", click.argument("message_id"))
_add(
    "messages",
    "List the messages between SRC_NUMBER, one of the account's, and DST_NUMBER.",
    click.argument("src_number"),
    dst_number,
)


@click.command()
@connection_options
@json_option
def account(**given: Any) -> None:
    """Show the account with its numbers and addresses."""
    from connectus_async.cli.calls import show_account

    show_account(**given)


@click.command()
@connection_options
@json_option
def balance(**given: Any) -> None:
    """Show the balances of the account and of its sub-clients."""
    from connectus_async.cli.calls import show_balance

    show_balance(**given)
