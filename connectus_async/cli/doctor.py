"""Doctor: checks of the settings, the way to the API, and this machine."""

import sys
from collections.abc import Iterator
from typing import Any, Final

import click

from connectus_async.cli import machine_checks, network_checks
from connectus_async.cli.checks import LIMIT, Check, Level, within
from connectus_async.cli.credentials import Choice, Place, chosen
from connectus_async.cli.exit_codes import ExitCode
from connectus_async.cli.language import gettext as _
from connectus_async.cli.parameters import network
from connectus_async.cli.runner import echo, print_json, shown
from connectus_async.config import Config
from connectus_async.errors import ConfigurationError

COLOURS: Final = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}
NOBODY: Final = {"api_user": "nobody", "api_key": "nothing"}
"""Credentials for settings alone; no request is made with them."""


def examine(database: str | None, profile: str | None, as_json: bool) -> None:
    """Make all checks, print each as it ends, and exit with 1 if one failed."""
    done = []
    for check in _checks(database, profile):
        done.append(check)
        if not as_json:
            echo(_line(check))
    has_failed = any(check.level is Level.FAIL for check in done)
    if as_json:
        checks = [check._asdict() for check in done]
        print_json({"type": "doctor", "ok": not has_failed, "checks": checks})
    if has_failed:
        sys.exit(ExitCode.FAILED)


def _checks(database: str | None, profile: str | None) -> Iterator[Check]:
    yield machine_checks.check_program()
    yield from _checks_of_settings(profile)
    yield machine_checks.check_time_zones()
    yield machine_checks.check_sqlite_version()
    yield from machine_checks.check_extras()
    if database is not None:
        yield machine_checks.check_postgres(database)


def _checks_of_settings(profile: str | None) -> Iterator[Check]:
    try:
        choice = within(LIMIT, chosen, profile)
    except TimeoutError:
        advice = _("Unlock the keyring, or run `connectus login --in-file`.")
        yield Check(_("credentials"), Level.FAIL, _("the keyring does not answer"), advice)
        return
    except ConfigurationError as error:
        yield Check(_("credentials"), Level.FAIL, shown(error))
        return
    yield from machine_checks.check_credentials(choice)
    yield from _checks_of_network(choice)


def _checks_of_network(choice: Choice) -> Iterator[Check]:
    settings: dict[str, Any] = {**choice.settings, **network()}
    has_any = choice.place is not Place.NOWHERE
    try:
        config = Config.from_environment(**settings | ({} if has_any else NOBODY))
        qr = config.api_user is None
        base_url = config.qr_base_url if qr else config.base_url
        checks = list[Check]()
        for check in network_checks.check_network(config, base_url):
            checks.append(check)
            yield check
    except ConfigurationError as error:
        yield Check(_("settings"), Level.FAIL, shown(error))
        return
    if has_any and all(check.level is not Level.FAIL for check in checks):
        yield from network_checks.check_key(settings, qr=qr)


def _line(check: Check) -> str:
    level = click.style(f"{_level(check.level):<6}", fg=COLOURS[check.level])
    line = f"{level} {check.name:<14} {check.found}"
    return f"{line}\n{'':21} {check.advice}" if check.advice else line


def _level(level: Level) -> str:
    return {Level.OK: _("ok"), Level.WARN: _("warn"), Level.FAIL: _("fail")}[level]
