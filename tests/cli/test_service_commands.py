"""A command for every call of the API, and the shell's completion of them."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from terminal import Terminal

from connectus_async.cli.calls import READS
from connectus_async.defaults import ENVIRONMENT
from connectus_async.emulator import Emulator

NUMBER = "56987688060"
OTHER = "56987688061"
SENDER = "56999944837"
CALLS = Path(__file__).parents[1] / "contract" / "calls.json"


@pytest.fixture
def environment(server: Emulator) -> dict[str, str]:
    """The variables that lead a command to both hosts of the emulator."""
    return {
        ENVIRONMENT[name]: getattr(server, name)
        for name in ("api_user", "api_key", "qr_token", "base_url", "qr_base_url")
    }


def found(pattern: str, result: Result) -> str:
    assert result.exit_code == 0, result.output
    match = re.search(pattern, result.stdout)
    assert match, result.stdout
    return match[1]


def test_what_only_reads_is_known_by_its_name():
    """So that Ctrl-C does not say that something may have been carried out."""
    calls = json.loads(CALLS.read_text("utf-8"))
    reads: dict[bool, set[str]] = {True: set(), False: set()}
    for call in calls:
        is_read = call["request"]["method"] == "GET"
        reads[is_read].add(call["method_name"].rpartition(".")[2])

    assert reads[True] == READS
    assert not reads[False] & READS


def test_every_call_has_a_command(run: Callable[..., Result], server: Emulator, tmp_path: Path):
    """And each of them succeeds."""
    html, code = tmp_path / "a.html", tmp_path / "qr"
    html.write_text("<p>1234", "utf-8")
    email = ("ana@example.com", html, "--subject", "Hola", "--src-email", "contacto@example.com")
    id_sms = found("id (.*)", run("sms", "send", NUMBER, "Hola"))
    id_email = found("id (.*)", run("email", "send", *email))
    send = ("whatsapp", "send", "9 8768 8060", "Hola", "--src-number", SENDER, "--region", "CL")
    id_whatsapp = found("id (.*)", run(*send))
    create = ("deliveries", "create", "Navidad", "--deliver-at", "2099-12-24 10:00")
    id_delivery = found("^id: (.*)", run(*create))
    id_client = found("id_unique: (.*)", run("clients", "create", "Colegio"))
    link = found("short_link: (.*)", run("short-links", "create", "https://example.com"))
    change = (id_client, 28, "--product", "sms", "--id-country", 1, "--yes")
    groups = ("whatsapp-qr", "groups")
    commands: list[tuple[Any, ...]] = [
        ("account",),
        ("balance",),
        ("sms", "send-otp", NUMBER, "1234", "--save-content", "hash"),
        ("sms", "status", id_sms),
        ("sms", "by-delivery", id_delivery),
        ("sms", "by-date", "2026-07-01", "2026-07-31"),
        ("email", "send-otp", *email),
        ("email", "status", id_email),
        ("email", "balance"),
        ("whatsapp", "status", id_whatsapp),
        ("whatsapp", "messages", SENDER, NUMBER),
        ("clients", "list"),
        ("clients", "show", id_client),
        ("clients", "update", id_client, "Liceo"),
        ("clients", "add-balance", *change),
        ("clients", "remove-balance", *change),
        ("deliveries", "show", id_delivery),
        ("deliveries", "update", id_delivery, "--name", "Reyes"),
        ("short-links", "events", link),
        ("whatsapp-qr", "status"),
        (*groups, "create", "Vecinos", NUMBER, OTHER),
        (*groups, "add-participants", "Vecinos", "56987688062"),
        (*groups, "remove-participants", "Vecinos", "56987688062"),
        (*groups, "invite-link", "Vecinos"),
        (*groups, "make-admins", "Vecinos", NUMBER),
        (*groups, "demote-admins", "Vecinos", NUMBER),
        (*groups, "send", "Vecinos", "Hola"),
        (*groups, "last-messages", "Vecinos"),
        (*groups, "update-info", "Vecinos", "--new-subject", "Vecinas"),
        ("whatsapp-qr", "messages", "send", NUMBER, "Hola"),
        ("whatsapp-qr", "messages", "last", NUMBER),
    ]
    assert run("whatsapp-qr", "qr", code).exit_code == 0
    for command in commands:
        result = run(*command, "--json")
        assert result.exit_code == 0, (command, result.output)
        assert json.loads(result.stdout)
    for command in commands:
        if command[-1] != "Vecinas" and "groups" not in command:
            assert run(*command).exit_code == 0, command

    assert json.loads(code.read_bytes())["qr"]
    assert code.stat().st_mode & 0o777 == 0o600
    methods = {call["method_name"] for call in json.loads(CALLS.read_text("utf-8"))}
    assert server.requests.keys() == methods


def test_the_balances_are_listed_by_product_and_country(run: Callable[..., Result]):
    """Those of the account, and of each sub-client."""
    id_client = found("id_unique: (.*)", run("clients", "create", "Colegio"))
    run("clients", "add-balance", id_client, 28, "--product", "sms", "--id-country", 1, "--yes")
    run("clients", "add-balance", id_client, 7, "--product", "email", "--yes")
    shown = run("balance").stdout

    account, _, client = shown.partition(f"[{id_client}]:\n")
    assert account.startswith("Not assigned to a sub-client:\n")
    assert re.search(r"SMS, Chile \[1\] +999,972\n", account)
    assert re.search(r"emails +999,993\n", account)
    assert re.search(r"SMS, Chile \[1\] +28\n", client)
    assert re.search(r"emails +7\n", client)


def test_a_balance_changes_after_a_question(run: Callable[..., Result], environment, server):
    """Which names the sub-client, for an identifier tells nobody whose it is."""
    id_client = found("id_unique: (.*)", run("clients", "create", "Colegio"))
    change = ("clients", "add-balance", id_client, "2800", "--product", "email")
    for options in ((), ("--json",)):
        result = run(*change, *options)
        assert (result.exit_code, "add --yes" in result.stderr) == (2, True)
    for word, code, sent in (("n", 1, 0), ("y", 0, 1)):
        terminal = Terminal(*change, environment=environment)
        terminal.read_until("Assign 2,800 emails to Colegio? [y/N] ")
        terminal.write(f"{word}\n")
        assert terminal.ended() == code
        assert server.requests["clients.add_balance"] == sent
        terminal.close()


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (("whatsapp", "send", "98768806.0", "x", "--src-number", SENDER), "DST_NUMBER: is a dec"),
        (("sms", "send-otp", "9", "1234"), "DST_NUMBER: "),
        (("whatsapp-qr", "groups", "create", "Vecinos", NUMBER, "1"), "NUMBERS[1]: "),
        (("whatsapp-qr", "groups", "update-info", "Vecinos"), "or new_description must be given"),
        (("sms", "by-date", "2026-07-31", "2026-07-01"), "END_DATE: is before begin_date"),
        (("sms", "status", "no such"), "404"),
    ],
)
def test_what_is_wrong_is_one_sentence(run: Callable[..., Result], command, problem):
    """It names the argument as the command does, unless it was the API that found it."""
    result = run(*command)
    assert result.exit_code == (1 if problem == "404" else 2)
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_time_that_is_none_is_wrong_usage(run: Callable[..., Result]):
    """With an example of one."""
    result = run("deliveries", "create", "Navidad", "--deliver-at", "tomorrow")
    assert (result.exit_code, "2026-12-24 10:00" in result.stderr) == (2, True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_completes_commands(run: Callable[..., Result], shell: str):
    """It asks this program."""
    result = run("completion", shell)
    assert result.exit_code == 0
    assert f"_CONNECTUS_COMPLETE={shell}_complete" in result.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_by_the_script(run: Callable[..., Result], tmp_path: Path):
    """As when somebody presses the tab key."""
    program = tmp_path / "connectus"
    main = "import sys; from connectus_async.cli import main; sys.argv[0] = 'connectus'; main()"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{main}" "$@"\n', "utf-8")
    program.chmod(0o755)
    press = (
        f"COMP_WORDS=({program} whatsapp-qr g); COMP_CWORD=2; "
        f"_connectus_completion {program}; echo ${{COMPREPLY[@]}}"
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", run("completion", "bash").stdout + press],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "groups\n"
