"""The command line as a user has it: an emulator to talk to, and commands in this process."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from click.testing import CliRunner, Result
from confirmed import confirmed
from terminal import At, Terminal

from connectus_async.cli.commands import connectus as command_line
from connectus_async.defaults import ENVIRONMENT
from connectus_async.emulator import Emulator

Run = Callable[..., Result]


@pytest.fixture
def server() -> Iterator[Emulator]:
    """An emulator in a thread of its own, for each command has its own event loop."""
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(Emulator()) as emulator,
    ):
        yield emulator


@pytest.fixture
def environment(server: Emulator) -> dict[str, str]:
    """The variables that lead a command to the emulator."""
    return {
        ENVIRONMENT["base_url"]: server.base_url,
        ENVIRONMENT["api_user"]: server.api_user,
        ENVIRONMENT["api_key"]: server.api_key,
    }


@pytest.fixture
def run(environment: Mapping[str, str]) -> Run:
    """Run a command, confirmed; no exception but the end of the process may leave it."""

    def run(*args: object, stdin: bytes | None = None, **variables: str | None) -> Result:
        settings = {**environment, **variables}
        result = CliRunner(env=settings).invoke(command_line, confirmed(*args), input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), result
        return result

    return run


@pytest.fixture
def at_terminal(environment: dict[str, str]) -> Iterator[At]:
    """Start a command at a terminal, which ends with the test at the latest."""
    terminals: list[Terminal] = []

    def start(*command: object) -> Terminal:
        terminals.append(Terminal(*command, environment=environment))
        return terminals[-1]

    yield start
    for terminal in terminals:
        terminal.close()


@pytest.fixture
def recipients(tmp_path: Path) -> Path:
    """A file with three good rows."""
    path = tmp_path / "recipients.csv"
    path.write_text(
        "dst_number,name\n56987688060,Ana\n56987688061,José\n56987688062,Eva\n", "utf-8"
    )
    return path
