"""Commands that store credentials, and look at the settings and at this machine."""

from typing import Any

import click

from connectus_async.cli.parameters import (
    database_address,
    json_option,
    network_options,
    profile_option,
)


@click.command()
@profile_option()
@click.option("--qr", is_flag=True, help="Ask for the token of WhatsApp QR instead.")
@click.option("--in-file", is_flag=True, help="Do not use the keyring, which a server cannot open.")
@network_options
def login(**given: Any) -> None:
    """Ask for user and key, check them, and store them.

    The key goes to the keyring of the system if the extra keyring is installed, and otherwise to a
    file that only you can read. It is neither an argument nor shown. Scripts set CONNECTUS_API_USER
    and CONNECTUS_API_KEY instead, which precede what is stored.
    """
    from connectus_async.cli.login import log_in

    log_in(**given)


@click.command()
@profile_option()
def logout(profile: str | None) -> None:
    """Remove stored credentials from this machine. The key itself stays valid."""
    from connectus_async.cli.login import log_out

    log_out(profile)


def _if_given(
    context: click.Context, parameter: click.Parameter, address: str | None
) -> str | None:
    return None if address is None else database_address(context, parameter, address)


@click.command()
@click.argument("database", required=False, callback=_if_given)
@profile_option()
@network_options
@json_option
def doctor(**given: Any) -> None:
    """Check the network, the key, the clock and what is installed.

    DATABASE is the address of a PostgreSQL database for ledgers, if you use one. Nothing is sent or
    changed. The exit code is 1 if a check failed; a warning leaves it at 0.
    """
    from connectus_async.cli.doctor import examine

    examine(**given)


_HOW = """\b
bash: eval "$(connectus completion bash)"              in ~/.bashrc
zsh:  eval "$(connectus completion zsh)"               in ~/.zshrc
fish: connectus completion fish > ~/.config/fish/completions/connectus.fish"""


@click.command(epilog=_HOW)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def completion(shell: str) -> None:
    """Print a script that lets the tab key complete commands."""
    from connectus_async.cli.completion import script

    click.echo(script(shell))
