"""Single calls of the command line: each prints the answer, as text or as the API's JSON."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from operator import attrgetter
from typing import Any, Final

import click

from connectus_async import AsyncConnectus
from connectus_async.answer import Answer
from connectus_async.cli.answers import lines
from connectus_async.cli.confirmation import is_confirmed
from connectus_async.cli.exit_codes import ExitCode
from connectus_async.cli.language import gettext as _
from connectus_async.cli.language import number
from connectus_async.cli.parameters import connection, read_text
from connectus_async.cli.runner import NOTHING_SENT, echo, errors_reported, print_json, run
from connectus_async.errors import Outcome
from connectus_async.products.account import Account
from connectus_async.products.clients import ClientBalance, CountryBalance, SubClients
from connectus_async.products.email import EmailReceipt
from connectus_async.products.product import Product
from connectus_async.products.sms import SmsReceipt
from connectus_async.products.whatsapp import WhatsAppReceipt
from connectus_async.recipients.phone_numbers import checker
from connectus_async.redaction import printable

RECIPIENTS: Final = ("dst_number", "number", "numbers")
"""Arguments with phone numbers, which are checked as those of a campaign are."""

READS: Final = frozenset(
    {
        *("balance", "by_date", "by_delivery", "events", "get", "invite_link"),
        *("last", "last_messages", "list", "messages", "qr", "status"),
    }
)
"""Names of methods that change nothing: an interruption of one leaves nothing to say."""

OWNER_ONLY: Final = 0o600
Receipt = SmsReceipt | EmailReceipt | WhatsAppReceipt


def answer(method: str, given: dict[str, Any], *, as_json: bool) -> None:
    """Make a call, and print its answer.

    Args:
        method: Service and method of the client, such as ``sms.status``.
        given: Arguments by name, with a region for their numbers.
        as_json: Whether to print JSON.
    """
    with errors_reported(as_json=as_json, when_interrupted=NOTHING_SENT):
        arguments = _read(given)
    found = _called(method, arguments, as_json=as_json)
    if isinstance(found, Receipt):
        _print_receipt(found, as_json=as_json)
    else:
        _print(found, lines(found), as_json=as_json)


def clients(method: str, given: dict[str, Any], *, as_json: bool) -> None:
    """Print the sub-clients with their balances."""
    found = _called(method, given, as_json=as_json)
    _print(found, list(_lines_of_clients(found)), as_json=as_json)


def show_balance(*, as_json: bool) -> None:
    """Print the balances of the account and of its sub-clients."""
    found = _called("clients.list", {}, as_json=as_json)
    unassigned = ClientBalance(
        sms_balance=found.free_sms_balance_by_country,
        email_balance=found.free_email_balance,
        whatsapp_balance=found.free_whatsapp_balance,
    )
    own = [_("Not assigned to a sub-client:"), *_lines_of_balance(unassigned)]
    _print(found, [*own, *_lines_of_clients(found)], as_json=as_json)


def balance_change(method: str, given: dict[str, Any], *, as_json: bool) -> None:
    """Ask whether to change the balance of a sub-client, change it, and print the answer."""
    is_told = given.pop("yes")
    if not is_told and (as_json or not sys.stdin.isatty()):
        raise click.UsageError(_("there is no terminal to ask on: add --yes. Nothing was changed."))

    async def command() -> Answer | None:
        async with AsyncConnectus(**connection()) as client:
            if not (is_told or await is_confirmed(await _question(client, method, given))):
                return None
            changed: Answer = await attrgetter(method)(client)(**given)
            return changed

    found = run(command, as_json=as_json)
    if found is None:
        click.echo(_("Nothing was changed."), err=True)
        sys.exit(ExitCode.FAILED)
    _print(found, lines(found), as_json=as_json)


def show_account(*, as_json: bool) -> None:
    """Print the account with its numbers and addresses."""
    found = _called("account.get", {}, as_json=as_json)
    _print(found, list(_lines_of_account(found)), as_json=as_json)


def write_qr(file: str) -> None:
    """Write the QR code to a file that only its owner reads, since it gives access to the phone."""
    found = _called("whatsapp_qr.qr", {}, as_json=False)
    with errors_reported(as_json=False, when_interrupted="interrupted"):
        place = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY)
        with open(place, "wb") as opened:  # noqa: PTH123 - it is open already
            opened.write(found.response.body)


def _read(given: dict[str, Any]) -> dict[str, Any]:
    """Read files, and check recipients.

    Raises:
        InvalidArgumentError: A file or a recipient is not valid.
    """
    arguments = {
        name: read_text(name, value) if hasattr(value, "read") else value
        for name, value in given.items()
    }
    if "region" in arguments:
        check = checker(arguments.pop("region"))
        for name in arguments.keys() & set(RECIPIENTS):
            arguments[name] = _checked(check, name, arguments[name])
    return arguments


def _checked(check: Callable[[str, str | int], str], name: str, value: Any) -> Any:
    if isinstance(value, str):
        return check(name, value)
    return [check(f"{name}[{index}]", each) for index, each in enumerate(value)]


def _called(method: str, arguments: dict[str, Any], *, as_json: bool) -> Any:
    async def command() -> Any:
        async with AsyncConnectus(**connection()) as client:
            return await attrgetter(method)(client)(**arguments)

    if method.rpartition(".")[2] in READS:
        return run(command, as_json=as_json, when_interrupted="interrupted")
    return run(command, as_json=as_json)


def _print(found: Answer, text: list[str], *, as_json: bool) -> None:
    with suppress(OSError):  # nobody reads the output, but the call was made
        if as_json:
            print_json(found.raw)
        else:
            echo("\n".join(map(printable, text)))


def _print_receipt(receipt: Receipt, *, as_json: bool) -> None:
    with suppress(OSError):  # as above
        if as_json:
            print_json({"outcome": Outcome.ACCEPTED, "id": receipt.id, "status": receipt.status})
        else:
            echo(
                _("accepted, id {id}").format(id=receipt.id)
                if receipt.id
                else _("accepted, without an id")
            )


async def _question(client: AsyncConnectus, method: str, given: dict[str, Any]) -> str:
    name = (await client.clients.get(given["id"])).name
    question = (
        _("Assign {amount} {product} to {name}?")
        if method.endswith("add_balance")
        else _("Take {amount} {product} from {name}?")
    )
    return question.format(
        amount=number(given["amount"]), product=_product_name(given["product"]), name=name
    )


def _product_name(product: int) -> str:
    return {Product.SMS: "SMS", Product.EMAIL: _("emails"), Product.WHATSAPP: "WhatsApp"}[
        Product(product)
    ]


def _lines_of_clients(found: SubClients) -> Iterator[str]:
    for client in found.clients:
        deleted = _(" (deleted)") if client.deleted else ""
        yield f"{client.name} [{client.id_unique}]{deleted}:"
        if isinstance(client.balance, ClientBalance):
            yield from _lines_of_balance(client.balance)


def _lines_of_balance(balance: ClientBalance) -> Iterator[str]:
    for country in balance.sms_balance:
        yield _amount(f"SMS, {_country(country)}", country.balance)
    yield _amount(_("emails"), balance.email_balance)
    yield _amount("WhatsApp", balance.whatsapp_balance)


def _country(country: CountryBalance) -> str:
    return f"{country.country_name} [{country.id_country}]"


def _amount(name: str, amount: int | None) -> str:
    return f"  {name:<24} {'-' if amount is None else number(amount):>12}"


def _lines_of_account(found: Account) -> Iterator[str]:
    yield f"{found.name} ({found.country})"
    yield f"id_account: {found.id_account}"
    for source in found.src_numbers:
        default = _(", default") if source.is_default else ""
        yield f"src_number: {source.src_number} ({source.country}{default})"
    for address in found.src_emails:
        verified = _("verified") if address.is_verified else _("not verified")
        yield f"src_email: {address.src_email} ({verified})"
