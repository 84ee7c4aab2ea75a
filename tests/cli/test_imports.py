"""The modules that a command line imports before it knows that it needs them."""

import os
import subprocess
import sys

import click
import pytest

from connectus_async.cli.commands import SUMMARIES, connectus

HEAVY = {
    "aiohttp",
    "anyio",
    "asyncio",
    "attr",
    "babel",
    "cattrs",
    "importlib.metadata",
    "pathlib",
    "phonenumbers",
    "rich",
    "sqlite3",
    "ssl",
}
OURS = {
    "connectus_async",
    "connectus_async._lazy",
    "connectus_async._program",
    "connectus_async._version",
    "connectus_async.cli",
    "connectus_async.cli.commands",
    "connectus_async.cli.env_file",
    "connectus_async.cli.exit_codes",
    "connectus_async.cli.help_layout",
    "connectus_async.cli.interrupts",
    "connectus_async.cli.language",
    "connectus_async.cli.runner",
    "connectus_async.cli.standard_streams",
    "connectus_async.cli.translated_help",
    "connectus_async.errors",
    "connectus_async.redaction",
    "connectus_async.translation",
}
FOR_OPTIONS = {
    "connectus_async.arguments",
    "connectus_async.bulk",
    "connectus_async.bulk.options",
    "connectus_async.workers.campaign_options",
    "connectus_async.cli.commands.bulk",
    "connectus_async.cli.commands.bulk.orders",
    "connectus_async.cli.commands.bulk.results",
    "connectus_async.cli.commands.bulk.send",
    "connectus_async.cli.parameters",
    "connectus_async.defaults",
    "connectus_async.ledger",
    "connectus_async.ledger.metadata_names",
    "connectus_async.ledger.places",
    "connectus_async.ledger.states",
    "connectus_async.recipients",
    "connectus_async.recipients.encoding",
    "connectus_async.tracking",
    "connectus_async.tracking.limits",
    "connectus_async.workers",
    "connectus_async.workers.limits",
}
"""What declares the options of campaigns."""

PROGRAM = """
import sys
from connectus_async.cli import main
sys.argv[0] = "connectus"
try:
    main()
finally:
    print("modules:", *sys.modules, file=sys.__stderr__)
"""


def ran(*args, **environment):
    """Run the command line in a process of its own; return its output and its modules."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *args],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    _, _, modules = done.stderr.partition("modules: ")
    return done.stdout, set(modules.split())


def completed(words):
    """Complete the last of some words, as bash asks for it."""
    at = str(len(words.split(" ")) - 1)
    return ran(_CONNECTUS_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=at)


def ours(modules):
    return {name for name in modules if name.split(".")[0] == "connectus_async"}


@pytest.mark.parametrize(
    ("answer", "beginning"),
    [
        (lambda: ran("--version"), "connectus, version"),
        (lambda: ran("--help"), "Usage: connectus"),
        (lambda: completed("connectus "), "plain,account\nplain,balance\nplain,bulk\n"),
    ],
    ids=["version", "help", "completion"],
)
def test_the_names_of_the_commands_bring_no_command(answer, beginning):
    """Each press of the tab key waits for this."""
    output, modules = answer()

    assert output.startswith(beginning)
    assert ours(modules) == OURS
    assert not HEAVY & modules


def test_completion_of_an_option_brings_the_options_alone():
    """They come from the options of the library, which needs attrs for them."""
    output, modules = completed("connectus bulk send --su")

    assert output == "plain,--subject\nplain,--suppress\n"
    assert ours(modules) == OURS | FOR_OPTIONS
    assert not (HEAVY - {"attr", "pathlib"}) & modules


@pytest.mark.parametrize("summary", SUMMARIES, ids=lambda summary: summary.name)
def test_the_summary_of_a_command_is_its_own(summary):
    """`connectus --help` shows what the help of the command itself begins with."""
    command = summary.load()

    assert (command.name, command.hidden) == (summary.name, summary.hidden)
    assert command.get_short_help_str(1_000) == summary.get_short_help_str(1_000)


def test_every_command_has_a_help():
    """All of them are imported by their summaries."""

    def commands(group):
        for command in group.commands.values():
            whole = command.load() if hasattr(command, "load") else command
            yield whole
            if isinstance(whole, click.Group):
                yield from commands(whole)

    assert {*SUMMARIES} == {*connectus.commands.values()}
    assert all(command.help for command in commands(connectus))
