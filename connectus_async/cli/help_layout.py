"""Layout of the help: options under headings, and the whole first sentence of each command."""

from collections.abc import Iterable, Iterator, Mapping
from gettext import gettext as of_click
from typing import Final

import click

from connectus_async.cli.language import gettext as _

SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "Messages": (
        *("kind", "text", "subject", "html", "jinja", "to", "region", "first_number", "key"),
        *("transliterate", "locale", "src_number", "src_email", "id_delivery", "id_client"),
    ),
    "File of recipients": (
        *("sheet", "header_row", "hidden_rows", "delimiter", "encoding", "query", "database"),
    ),
    "Other attempts": ("rejected", "undelivered", "invalid", "reason", "corrected"),
    "Before anything is sent": (
        *("dry_run", "test_to", "limit", "yes", "show_messages", "ignore_balance"),
        *("allow_countries", "allow_braces", "other_account"),
    ),
    "Who gets nothing": ("suppress", "at_most", "identity", "edited", "on_unknown"),
    "Time": ("at", "zone", "delivery_at", "quiet_hours", "expires_at", "wait"),
    "Speed and limits": (*("rate", "rate_unit", "budget", "concurrency", "processes", "workers"),),
    "Campaign and its record": ("campaign", "ledger", "forget_content"),
    "Log and end": (
        *("verbose", "log_file", "as_json", "fail_above", "on_finish", "webhook_on_finish"),
    ),
    "Connection": ("profile", "proxy", "ca_file"),
}
"""Options by heading, in the order of the help. Any other comes after them."""

LONGEST: Final = 500
"""Characters of a first sentence."""


class Sectioned(click.Command):
    """Command with many options, which its help shows under headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, a heading above those that belong together."""
        given = self.get_params(ctx)
        options = {it.name: it for it in given if isinstance(it, click.Option)}
        for heading, names in SECTIONS.items():
            here = [options.pop(name) for name in names if name in options]
            if records := list(_records(here, ctx)):
                with formatter.section(_(heading)):
                    formatter.write_dl(records)
        if records := list(_records(options.values(), ctx)):
            with formatter.section(_("Other options")):
                formatter.write_dl(records)


class Listing(click.Group):
    """Group whose help has the first sentence of each command to its end."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands."""
        commands = [self.get_command(ctx, name) for name in self.list_commands(ctx)]
        with formatter.section(of_click("Commands")):
            formatter.write_dl(
                [
                    (str(it.name), it.get_short_help_str(LONGEST))
                    for it in commands
                    if it and not it.hidden
                ]
            )


def _records(options: Iterable[click.Parameter], ctx: click.Context) -> Iterator[tuple[str, str]]:
    found = (option.get_help_record(ctx) for option in options)
    return (record for record in found if record is not None)
