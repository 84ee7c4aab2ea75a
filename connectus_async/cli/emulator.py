"""Emulator of the command line."""

from collections.abc import Sequence

import anyio
import click

from connectus_async.cli.language import gettext as _
from connectus_async.cli.listen_error import listen_error
from connectus_async.cli.runner import at_work, echo, print_json, run
from connectus_async.emulator import Emulator, FaultText, JournalError
from connectus_async.errors import ConfigurationError


def run_emulator(
    host: str,
    port: int,
    status_webhook: str | None,
    incoming_webhook: str | None,
    rate_limit: int | None,
    journal: str | None,
    faults: Sequence[FaultText],
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
        inbox=True,
        on_request=None if as_json else _print_request,
    )
    for fault in faults:
        server.fault(fault.fault, route=fault.route, share=fault.share, times=fault.times)

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
    """Print the environment of a client of the emulator, for a shell to read."""
    if as_json:
        print_json({**server.environment, "inbox_url": server.inbox_url})
        return
    echo("\n".join(f"export {name}={value}" for name, value in server.environment.items()))
    echo(_("# The inbox shows the messages: {url}").format(url=server.inbox_url))


def _print_request(method: str, path: str, status: int | None) -> None:
    """Print a request, without its query, where no shell reads it."""
    answer = _("no answer") if status is None else status
    click.echo(f"{method} {path} {answer}", err=True)
