"""Test of a campaign: its first message, sent to one recipient and recorded in no ledger."""

from contextlib import aclosing
from typing import Final

import attrs

from connectus_async import arguments
from connectus_async.cli.language import gettext as _
from connectus_async.cli.plan_messages import print_message
from connectus_async.cli.runner import echo, print_json
from connectus_async.client import AsyncConnectus
from connectus_async.errors import InvalidArgumentError, Outcome
from connectus_async.products.email import Email
from connectus_async.products.messages import Message, Receipt, Row
from connectus_async.products.sms import Sms
from connectus_async.recipients.composer import Composer
from connectus_async.recipients.phone_numbers import checker
from connectus_async.recipients.sources import Source

OPTION: Final = "--test-to"
TEST_STOPPED: Final = "interrupted; the test message may have been sent"


async def send_test(
    client: AsyncConnectus,
    source: Source,
    composer: Composer,
    to: str,
    *,
    region: str | None,
    as_json: bool,
) -> int:
    """Send the first message that a source makes to somebody else, and print the receipt.

    Args:
        client: The client.
        source: The source.
        composer: The composer of its messages.
        to: The recipient of the test.
        region: The country of a number without country code.
        as_json: Whether to print JSON.

    Returns:
        The exit code.

    Raises:
        InvalidArgumentError: No message can be sent to the recipient, or no row makes one.
    """
    check = arguments.email_address if composer.kind == "email" else checker(region)
    message = readdressed(await _first(source, composer), check(OPTION, to))
    if not as_json:
        print_message(_("Test message"), Row(None, message))
    receipt = await _sent(client, message)
    if as_json:
        print_json({"type": "test", "outcome": Outcome.ACCEPTED, "id": receipt.id})
    else:
        text = _("The test message was accepted, id {id}. Nobody else gets anything.")
        echo(text.format(id=receipt.id or "-"))
    return 0


def readdressed(message: Message, to: str) -> Message:
    """Give a message another recipient. It leaves its delivery, whose reports would count it."""
    if isinstance(message, Email):
        return attrs.evolve(message, dst_email=to, id_delivery=None)
    return attrs.evolve(message, dst_number=to, id_delivery=None)


async def _first(source: Source, composer: Composer) -> Message:
    async with aclosing(composer.rows(source)) as rows:  # type: ignore[type-var]
        async for row in rows:
            if not isinstance(row.content, Exception):
                return row.content
    raise InvalidArgumentError(source.name, "has no row that makes a message")


async def _sent(client: AsyncConnectus, message: Message) -> Receipt:
    fields = attrs.asdict(message)
    if isinstance(message, Email):
        return await client.email.send(**fields)
    if isinstance(message, Sms):
        return await client.sms.send(**fields)
    return await client.whatsapp.send(**fields)
