"""Commands: each declares its arguments, and imports what it runs when it runs.

So neither ``--version`` nor ``--help`` nor completion by a shell imports the client.
"""

import os
from contextlib import nullcontext, suppress
from importlib import import_module
from typing import Any, Final

import click

from connectus_async import __version__
from connectus_async.cli import exit_codes
from connectus_async.cli.env_file import load
from connectus_async.cli.help_layout import Listing
from connectus_async.cli.language import OPTION, choose
from connectus_async.cli.runner import NOTHING_SENT, errors_reported
from connectus_async.cli.translated_help import translated


class Summary(click.Command):
    """Name and short help of a command whose module is imported when it is chosen.

    Args:
        name: Name of the command, and in its module.
        module: Module of this package.
        help: Its help, up to the first full stop.
    """

    def __init__(self, name: str, module: str, help: str) -> None:
        super().__init__(name, help=help)
        self._module = module

    def load(self) -> click.Command:
        """Import the command."""
        command: click.Command = getattr(
            import_module(f"{__name__}.{self._module}"), str(self.name).replace("-", "_")
        )
        return command


SUMMARIES: Final = (
    Summary("account", "calls", "Show the account with its numbers and addresses."),
    Summary(
        "balance",
        "calls",
        "Show the balances of the account and of its sub-clients.",
    ),
    Summary("bulk", "bulk", "Send a message to every row of a file, and record each in a ledger."),
    Summary(
        "clients",
        "services",
        "Manage sub-clients, which have balances of their own.",
    ),
    Summary(
        "completion",
        "settings",
        "Print a script that lets the tab key complete commands.",
    ),
    Summary(
        "demo",
        "emulator",
        "Send a campaign to the built-in emulator; no message leaves this machine.",
    ),
    Summary(
        "deliveries",
        "services",
        "Manage deliveries: batches that can be scheduled.",
    ),
    Summary("doctor", "settings", "Check the network, the key, the clock and what is installed."),
    Summary("email", "calls", "Send one email, and show its status."),
    Summary("emulator", "emulator", "Run an emulator of the API; Ctrl-C stops it."),
    Summary("ledger", "ledger", "Prepare a PostgreSQL database for ledgers."),
    Summary("login", "settings", "Ask for user and key, check them, and store them."),
    Summary("logout", "settings", "Remove stored credentials from this machine."),
    Summary("short-links", "services", "Create short links, and count their clicks."),
    Summary("sms", "calls", "Send one SMS, and list those that were sent."),
    Summary("webhooks", "webhooks", "Receive the events of the platform, and replay them."),
    Summary("whatsapp", "calls", "Send one WhatsApp message, and show conversations."),
    Summary("whatsapp-qr", "services", "Use WhatsApp through a phone that scanned a QR code."),
    Summary("workers", "workers", "Help with the campaigns of a database, as one of many workers."),
)


class _CommandLine(Listing):
    """Group that chooses the language first, and ends with our exit codes if it is interrupted."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, translated(command.load()) if isinstance(command, Summary) else command, rest

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        completes = extra.get("resilient_parsing")
        with errors_reported(as_json=False, when_interrupted=NOTHING_SENT):
            with suppress(click.UsageError) if completes else nullcontext():
                if not completes:
                    load(os.environ)
                args = choose(args, os.environ)
            return click.Command.make_context(translated(self), info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> object:
        with errors_reported(as_json=False, when_interrupted=NOTHING_SENT):
            return super().invoke(ctx)


@click.group(
    cls=_CommandLine,
    commands=SUMMARIES,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=exit_codes.table(),
)
@click.version_option(__version__, prog_name="connectus")
@click.option(
    OPTION,
    metavar="TAG",
    expose_value=False,
    help="Language, such as en, es or es_CL; also after a command.  [default: CONNECTUS_LANG, or"
    " the locale]",
)
def connectus() -> None:
    """Send SMS and email through Connectus.

    Credentials come from `connectus login`, or from the environment: CONNECTUS_API_USER and
    CONNECTUS_API_KEY.
    """
