"""Emulator of the command line."""

import anyio

from connectus_async.cli.listen_error import listen_error
from connectus_async.cli.runner import echo, print_json, run
from connectus_async.defaults import ENVIRONMENT
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
            raise ConfigurationError("journal", str(error)) from None
        except (OSError, UnicodeError) as error:
            raise listen_error(host, port, error) from None

    run(command, as_json=as_json, when_interrupted="the emulator has stopped")


def _print_environment(server: Emulator, *, as_json: bool) -> None:
    """Print the environment of a client of the emulator."""
    settings = {
        "base_url": server.base_url,
        "qr_base_url": server.qr_base_url,
        "api_user": server.api_user,
        "api_key": server.api_key,
        "qr_token": server.qr_token,
    }
    variables = {ENVIRONMENT[name]: value for name, value in settings.items()}
    if as_json:
        print_json(variables)
        return
    echo("\n".join(f"export {name}={value}" for name, value in variables.items()))
