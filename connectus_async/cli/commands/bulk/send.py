"""Commands that send a campaign."""

import re
from pathlib import Path
from typing import Any, Final

import click

from connectus_async.cli.help_layout import Sectioned
from connectus_async.cli.language import gettext as _
from connectus_async.cli.language import translated
from connectus_async.cli.parameters import (
    LedgerPlace,
    at_option,
    campaign_options,
    chained,
    connection_options,
    delivery_at_option,
    file_or_input,
    finish_options,
    json_option,
    ledger_argument,
    of_reading,
    one_character,
    other_account_option,
    regular_file,
    src_number_option,
    without_zone,
    zone_option,
)
from connectus_async.errors import ConfigurationError
from connectus_async.ledger import LEDGER_SUFFIX
from connectus_async.ledger.states import Edited
from connectus_async.recipients.encoding import UTF_8

NO_CAP: Final = "none"

message_options = chained(
    click.option(
        "--kind",
        type=click.Choice(["sms", "email", "whatsapp"]),
        default="sms",
        show_default=True,
        help="Kind of messages.",
    ),
    click.option("--text", help="SMS or WhatsApp text; {name} stands for the column 'name'."),
    click.option("--subject", help="Subject of an email, with the same placeholders."),
    click.option(
        "--html",
        type=click.File(encoding=UTF_8),
        help="File with the HTML of an email, with the same placeholders.",
    ),
    click.option("--jinja", is_flag=True, help="Read the texts as Jinja templates."),
    click.option(
        "--locale",
        help="Language and country of formats such as {amount:,.0f}, like es_CL; those of --region"
        " if left out.",
    ),
    click.option(
        "--to",
        help="Column of the recipient.  [default: dst_number or dst_email, or a likely one"
        " that you confirm]",
    ),
    click.option("--key", help="Column that tells messages apart."),
    src_number_option,
    click.option("--src-email", help="Address of the account to send from."),
    click.option("--id-delivery", help="Delivery of the messages."),
    click.option("--id-client", help="Sub-client that pays."),
    click.option(
        "--transliterate",
        is_flag=True,
        help="Replace SMS characters that cost more: é stays, “á” becomes a.",
    ),
    click.option(
        "--first-number",
        is_flag=True,
        help="Of several numbers in a cell, take the first valid one.",
    ),
)


file_options = chained(
    click.option(
        "--delimiter",
        callback=of_reading(one_character),
        expose_value=False,
        help="Delimiter of CSV cells; found in the file if left out.",
    ),
    click.option(
        "--encoding",
        callback=of_reading(),
        expose_value=False,
        help="Encoding of a text file, such as cp1252 or cp850; found in the file if left out.",
    ),
    click.option("--sheet", callback=of_reading(), expose_value=False, help="Sheet of a workbook."),
    click.option(
        "--header-row",
        type=click.IntRange(1),
        callback=of_reading(),
        expose_value=False,
        help="Row with the names of the columns, from 1; found below a title if left out.",
    ),
    click.option(
        "--hidden-rows",
        type=click.Choice(["send", "skip"]),
        callback=of_reading(),
        expose_value=False,
        help="Send or leave out the rows that a sheet hides, by a filter or by hand.  [default:"
        " stop if there are any]",
    ),
)


query_options = chained(
    click.option(
        "--query",
        metavar="SELECT",
        help="Query whose rows are the recipients, instead of a FILE; it changes nothing. Needs"
        " --from and --ledger.",
    ),
    click.option(
        "--from",
        "database",
        metavar="ADDRESS",
        help="Database of the query: sqlite:///PATH, postgresql://HOST/DATABASE or duckdb:///PATH."
        " A password better comes from PGPASSWORD or ~/.pgpass.",
    ),
)


yes_option = click.option(
    "--yes", "-y", is_flag=True, help="Send without asking; needed where there is no terminal."
)


def _countries(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> list[str] | None:
    """Read countries, divided by commas."""
    if value is None:
        return None
    names = [name.strip() for name in value.split(",")]
    if names == ["any"] or all(re.fullmatch("[A-Za-z]{2}", name) for name in names):
        return names if names == ["any"] else [name.upper() for name in names]
    raise click.BadParameter(_("must be countries of two letters, such as CL,PE, or any"))


test_option = click.option(
    "--test-to",
    metavar="RECIPIENT",
    help="Send the first message to this number or address alone; nothing is recorded.",
)

limit_option = click.option(
    "--limit",
    type=click.IntRange(1),
    help="Send a sample of so many messages; the rest waits, with exit code 7.",
)

check_options = chained(
    click.option(
        "--ignore-balance", is_flag=True, help="Send though the balance does not cover it."
    ),
    click.option(
        "--allow-countries",
        callback=_countries,
        metavar="CL,PE|any",
        help="Countries that messages may go to, all others stop it.  [default: those with a"
        " fiftieth of the messages]",
    ),
    click.option(
        "--allow-braces",
        is_flag=True,
        help="Send texts that have the name of a column in braces, such as {name}.",
    ),
    click.option(
        "--show-messages",
        is_flag=True,
        help="Show the first messages also where there is no terminal, and with --json.",
    ),
)

running_options = chained(
    at_option,
    zone_option,
    click.option(
        "--wait/--no-wait",
        default=True,
        show_default=True,
        help="Wait for --at and the end of quiet hours and of a pause, or end with exit code 7.",
    ),
    click.option(
        "--log-file",
        type=click.Path(path_type=Path, dir_okay=False, writable=True),
        help="File to add the log to: a line every 10 seconds, later fewer, and at each change."
        "  [default: standard error, unless that is a terminal]",
    ),
    click.option("-v", "--verbose", is_flag=True, help="Name each message that is not accepted."),
)


def frequency_cap(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Any:
    """Read a maximum of messages in a time."""
    if value is None:
        return None
    from connectus_async.recipients.frequency import FrequencyCap

    try:
        return FrequencyCap.parse(value)
    except ConfigurationError as error:
        raise click.BadParameter(translated(error.problem)) from None


def frequency_cap_or_none(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> Any:
    """Read a maximum of messages in a time; the word that ends a recorded one stays as it is."""
    return value if value == NO_CAP else frequency_cap(context, parameter, value)


at_most_option = click.option(
    "--at-most",
    callback=frequency_cap,
    help="Skip people who got so many messages in a time, such as 2/7d, by the other ledgers of"
    " this one's folder or database.",
)

new_at_most_option = click.option(
    "--at-most",
    callback=frequency_cap_or_none,
    help="Skip people who got so many messages in a time by other ledgers; overrides the value used"
    f" by `bulk send`. {NO_CAP} ends that.",
)

workers_option = click.option(
    "--workers",
    type=click.IntRange(1),
    help="Let so many workers of the ledger's database send, and nothing from here. They are"
    " started by `connectus workers run`.",
)


@click.command("send", cls=Sectioned)
@click.argument("file", type=click.Path(path_type=Path), callback=file_or_input, required=False)
@query_options
@message_options
@file_options
@click.option(
    "--ledger",
    type=LedgerPlace(),
    help="File that records the campaign, or the address of a PostgreSQL database, with a"
    f" --campaign.  [default: FILE{LEDGER_SUFFIX}; with a campaign, FILE.CAMPAIGN{LEDGER_SUFFIX}]",
)
@campaign_options()
@click.option(
    "--edited",
    type=click.Choice([it.value for it in (Edited.REMAINING, Edited.EVERYONE, Edited.ABORT)]),
    help="After a change of text or data, send only to people who have nothing yet, to everyone"
    " again, or nothing.  [default: ask; without a terminal, abort]",
)
@at_most_option
@delivery_at_option
@workers_option
@running_options
@click.option("--dry-run", is_flag=True, help="Show what would be sent, without sending it.")
@test_option
@limit_option
@yes_option
@finish_options
@other_account_option
@check_options
@connection_options
@json_option
def bulk_send(**given: Any) -> None:
    """Send a message to every row of FILE, or of a query.

    FILE is CSV, JSON Lines, Parquet, Excel or contacts (vCard), also packed by gzip or ZIP; - is
    standard input. The same command again resumes the campaign: a message in the ledger is not sent
    twice.
    """
    from connectus_async.cli.sending import send
    from connectus_async.cli.standard_input import recipients_file

    keeps = not given["dry_run"] and given["test_to"] is None
    with recipients_file(
        given.pop("file"), ledger=given["ledger"], keeps=keeps, as_json=given["as_json"]
    ) as file:
        send(file, **without_zone(given))


@click.command("resume", cls=Sectioned)
@ledger_argument
@campaign_options(resumes=True)
@new_at_most_option
@workers_option
@running_options
@limit_option
@yes_option
@finish_options
@other_account_option
@connection_options
@json_option
def bulk_resume(**given: Any) -> None:
    """Send the queued messages of LEDGER, with the options of `bulk send` or new ones."""
    from connectus_async.cli.sending import resume

    resume(**without_zone(given))


@click.command("retry", cls=Sectioned)
@ledger_argument
@click.option("--rejected", is_flag=True, help="Send messages again that the API refused.")
@click.option(
    "--undelivered",
    is_flag=True,
    help="Send SMS again whose final delivery status is another than delivered.",
)
@click.option("--invalid", is_flag=True, help="Say how invalid rows are fixed and sent.")
@click.option("--reason", help="Only those with this in their reason or delivery status.")
@click.option(
    "--from",
    "corrected",
    type=click.Path(path_type=Path),
    callback=regular_file,
    help="File of `bulk export --to-fix` whose rows were fixed. Only these rows are sent, with the"
    " texts of the campaign.",
)
@file_options
@campaign_options(resumes=True)
@new_at_most_option
@workers_option
@running_options
@yes_option
@finish_options
@other_account_option
@check_options
@connection_options
@json_option
def bulk_retry(**given: Any) -> None:
    """Send messages of LEDGER that reached nobody again, or corrected rows in their place.

    The ledger keeps the earlier attempts. Messages that may have been sent are left to
    `bulk reconcile`.
    """
    from connectus_async.cli.retrying import retry

    retry(**without_zone(given))
