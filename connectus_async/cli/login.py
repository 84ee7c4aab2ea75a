"""Login: credentials that are checked against the API, then stored as a profile."""

import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final

import click

from connectus_async import AsyncConnectus
from connectus_async.cli import credentials, env_file, profiles
from connectus_async.cli.language import gettext as _
from connectus_async.cli.parameters import network
from connectus_async.cli.runner import errors_reported, run
from connectus_async.defaults import ENVIRONMENT
from connectus_async.errors import AuthenticationError, ConfigurationError, PermissionDeniedError

NOTHING_STORED: Final = "interrupted; nothing was stored"


def log_in(profile: str | None, qr: bool, in_file: bool) -> None:
    """Ask for credentials, check them against the API, and store them."""
    name = _name(profile)
    with errors_reported(as_json=False, when_interrupted=NOTHING_STORED):
        env_file.check_route()
        stored = profiles.read_without_secrets(profiles.checked(name))
        given = _asked(
            {"qr_token": _("WhatsApp QR token")}
            if qr
            else {"api_user": _("API user"), "api_key": _("API key")}
        )
    urls = _urls(stored, "qr_base_url" if qr else "base_url")
    account = run(
        lambda: _check(given | urls, _ask_phone if qr else _ask_account),
        when_interrupted=NOTHING_STORED,
    )
    with errors_reported(as_json=False, when_interrupted=NOTHING_STORED):
        keyring = profiles.write(name, given | urls, uses_keyring=not in_file)
    _say(name, account, keyring)


def log_out(profile: str | None) -> None:
    """Remove a profile."""
    name = _name(profile)
    with errors_reported(as_json=False, when_interrupted="interrupted"):
        if not profiles.remove(name):
            raise credentials.no_profile(name)
    click.echo(_("The profile {name} was removed.").format(name=name))


def _name(profile: str | None) -> str:
    return profile or os.environ.get(profiles.VARIABLE) or profiles.DEFAULT


def _asked(questions: Mapping[str, str]) -> dict[str, str]:
    """Ask at the terminal, or read lines of standard input; secrets are not shown.

    Raises:
        click.UsageError: Standard input ended.
        KeyboardInterrupt: The user gave up.
    """
    is_terminal = sys.stdin.isatty()
    try:
        given = {
            setting: click.prompt(
                question, hide_input=setting in profiles.SECRETS and is_terminal, err=True
            ).strip()
            for setting, question in questions.items()
        }
    except click.Abort:
        if is_terminal:
            raise KeyboardInterrupt from None
        raise click.UsageError(
            _("there is no terminal to ask on: set {user} and {key} instead.").format(
                user=ENVIRONMENT["api_user"], key=ENVIRONMENT["api_key"]
            )
        ) from None
    if not is_terminal:
        click.echo(err=True)  # nobody pressed the key that ends the line
    return given


def _urls(stored: dict[str, str], setting: str) -> dict[str, str]:
    """Find the API that the credentials are for, unless it is the public one."""
    url = os.environ.get(ENVIRONMENT[setting]) or stored.get(setting)
    return {setting: url} if url else {}


async def _check(
    settings: dict[str, str], ask: Callable[[AsyncConnectus], Awaitable[str | None]]
) -> str | None:
    """Ask the API, and name the account.

    Raises:
        ConfigurationError: The API does not accept the credentials.
        RequestError: They could not be checked.
    """
    async with AsyncConnectus(**{**settings, **network()}) as client:
        try:
            return await ask(client)
        except AuthenticationError:
            raise ConfigurationError(
                "login", "the API does not accept these credentials; nothing was stored"
            ) from None


async def _ask_account(client: AsyncConnectus) -> str | None:
    with suppress(PermissionDeniedError):  # the key is right, and may not show the account
        return (await client.account.get()).name
    return None


async def _ask_phone(client: AsyncConnectus) -> None:
    await client.whatsapp_qr.status()


def _say(name: str, account: str | None, keyring: str | None) -> None:
    if account:
        click.echo(_("The API accepts the key of {account}.").format(account=account))
    stored = (
        _("The profile {name} is stored in {file}, which only you can read.")
        if keyring is None
        else _("The profile {name} is stored in {file}, its key in the keyring {keyring}.")
    )
    click.echo(stored.format(name=name, file=profiles.path(), keyring=keyring))
    for variable in credentials.VARIABLES:
        if os.environ.get(variable):
            message = _("{variable} is set here, and precedes what was stored.")
            click.echo(message.format(variable=variable), err=True)
