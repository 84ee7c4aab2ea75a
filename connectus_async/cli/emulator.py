"""Emulator of the command line."""

import anyio

from connectus_async.cli.listen_error import listen_error
from connectus_async.cli.runner import at_work, echo, print_json, run
from connectus_async.emulator import Emulator, JournalError
from connectus_async.errors import ConfigurationError


def run_emulator(
    host: str,
    port: int,
    status_webhook: str | None,
    incoming_webhook: str | None,
    rate_limit: int | None,
    journal: str | None,
    as_json: bool,
) -> None:
    """Run an emulator of the API; Ctrl-C stops it."""
    server = Emulator(
        host=host,
        port=port,
        status_webhook=status_webhook,
        incoming_webhook=incoming_webhook,
        rate_limit=rate_limit,
        journal=journal,
    )

    async def command() -> None:
        try:
            async with server:
                _print_environment(server, as_json=as_json)
                await anyio.sleep_forever()
        except JournalError as error:
            with at_work():
                raise ConfigurationError("journal", str(error)) from None
        except (OSError, UnicodeError) as error:
            raise listen_error(host, port, error) from None

    run(command, as_json=as_json, when_interrupted="the emulator has stopped")


def _print_environment(server: Emulator, *, as_json: bool) -> None:
    """Print the environment of a client of the emulator."""
    if as_json:
        print_json(server.environment)
        return
    echo("\n".join(f"export {name}={value}" for name, value in server.environment.items()))
