"""Commands of the services around messages: sub-clients, deliveries, short links, WhatsApp QR."""

from typing import Any, Final

import click

from connectus_async.cli.commands.declared import adder, group_name, identifier, numbers
from connectus_async.cli.parameters import campaign_option, connection_options, naive_moment

PRODUCTS: Final = ("sms", "email", "whatsapp")

region = campaign_option("region")


def _product(_context: click.Context, _parameter: click.Parameter, name: str) -> int:
    """Convert the name of a product to its number."""
    from connectus_async.products.product import Product

    return Product[name.upper()]


@click.group()
def clients() -> None:
    """Manage sub-clients, which have balances of their own."""


_add = adder(clients, "clients")
_changes = (
    identifier,
    click.argument("amount", type=click.IntRange(1)),
    click.option(
        "--product", type=click.Choice(PRODUCTS), required=True, callback=_product, help="Product."
    ),
    click.option("--id-country", type=int, help="Number of the country in `list`; for SMS alone."),
    click.option(
        "--yes", "-y", is_flag=True, help="Do not ask; needed where there is no terminal."
    ),
)
_add("list", "List the sub-clients with their balances.", shown_by="clients")
_add("get", "Show a sub-client by its ID, the id_unique of `list`.", identifier, name="show")
_add("create", "Create a sub-client.", click.argument("name"))
_add("update", "Rename the sub-client with an ID to NAME.", identifier, click.argument("name"))
_add(
    "add_balance",
    "Assign AMOUNT messages of the account to the sub-client with an ID. Asks first.",
    *_changes,
    shown_by="balance_change",
)
_add(
    "remove_balance",
    "Take AMOUNT messages back from the sub-client with an ID. Asks first.",
    *_changes,
    shown_by="balance_change",
)


@click.group()
def deliveries() -> None:
    """Manage deliveries: batches that can be scheduled."""


_add = adder(deliveries, "deliveries")
_deliver_at = (
    'Time, such as "2026-12-24 10:00": as the clocks of the platform show it, or with an offset.'
)
_add(
    "create",
    "Create a delivery, whose id `bulk send --id-delivery` and others take.",
    click.argument("name"),
    click.option("--deliver-at", required=True, callback=naive_moment, help=_deliver_at),
    click.option(
        "--product",
        "id_product",
        type=click.Choice(PRODUCTS),
        default="sms",
        show_default=True,
        callback=_product,
        help="Product.",
    ),
)
_add("get", "Show a delivery by its ID.", identifier, name="show")
_add(
    "update",
    "Rename or reschedule a delivery that was not executed yet.",
    identifier,
    click.option("--name", help="New name."),
    click.option("--deliver-at", callback=naive_moment, help=_deliver_at),
)


@click.group()
def short_links() -> None:
    """Create short links, and count their clicks."""


short_links.name = "short-links"
_add = adder(short_links, "short_links")
_add("create", "Create a short link to the URL LINK.", click.argument("link"))
_add("events", "Count the clicks of a short link.", click.argument("short_link"))


@click.group()
def whatsapp_qr() -> None:
    """Use WhatsApp through a phone that scanned a QR code."""


@whatsapp_qr.group()
def groups() -> None:
    """Manage groups. A group is identified by its name."""


@whatsapp_qr.group()
def messages() -> None:
    """Send messages to numbers, and read the last ones."""


whatsapp_qr.name = "whatsapp-qr"
_add = adder(whatsapp_qr, "whatsapp_qr")
_add("status", "Show the connection of the phone.")


@whatsapp_qr.command()
@click.argument("file", type=click.Path(dir_okay=False))
@connection_options
def qr(**given: Any) -> None:
    """Write the QR code for the phone to scan to FILE, as the API gives it."""
    from connectus_async.cli.calls import write_qr

    write_qr(**given)


_add = adder(groups, "whatsapp_qr.groups")
_add("create", "Create a group of NUMBERS.", click.argument("name"), numbers, region)
_add("add_participants", "Add NUMBERS to a group.", group_name, numbers, region)
_add("remove_participants", "Remove NUMBERS from a group.", group_name, numbers, region)
_add("invite_link", "Create a link that lets people join a group.", group_name)
_add("make_admins", "Make NUMBERS of a group administrators.", group_name, numbers, region)
_add("demote_admins", "Make administrators ordinary members.", group_name, numbers, region)
_add(
    "update_info",
    "Change the name or the description of a group.",
    group_name,
    click.option("--new-subject", help="New name."),
    click.option("--new-description", help="New description."),
)
_add("send", "Send MESSAGE to a group.", group_name, click.argument("message"))
_add("last_messages", "Show the last messages of a group.", group_name)

_add = adder(messages, "whatsapp_qr.messages")
_number = click.argument("number")
_add("send", "Send MESSAGE to NUMBER.", _number, click.argument("message"), region)
_add("last", "Show the last messages to and from NUMBER.", _number, region)
