"""Commands for webhooks: receive, forward, record and replay them."""

from pathlib import Path
from typing import Any

import click

from connectus_async.cli.parameters import host_option, json_option, port_option, regular_file, url


@click.group()
def webhooks() -> None:
    """Receive the events of the platform, and replay them."""


@webhooks.command("listen")
@host_option
@port_option(8_038)
@click.option(
    "--secret",
    envvar="CONNECTUS_WEBHOOK_SECRET",
    help="End of the URL, at least 16 characters; random if left out.",
)
@click.option(
    "--forward-to", callback=url, help="URL to post each event to; its answer becomes ours."
)
@click.option(
    "--record",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to append each event to, as a line of JSON.",
)
@json_option
def listen(**given: Any) -> None:
    """Print events as they come, with numbers and texts; Ctrl-C stops it.

    The first line is the URL for the settings of the platform, as seen from this machine.
    """
    from connectus_async.cli.webhooks import listen as run

    run(**given)


@webhooks.command("replay")
@click.argument("file", type=click.Path(path_type=Path), callback=regular_file)
@click.option("--to", required=True, callback=url, help="URL to post to.")
@json_option
def replay(**given: Any) -> None:
    """Post the events of FILE again, in order, as `listen --record` has written them.

    It stops at the first answer other than 2xx.
    """
    from connectus_async.cli.webhooks import replay as run

    run(**given)
