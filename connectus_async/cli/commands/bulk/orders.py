"""Orders to all who send a campaign."""

from typing import Any

import click

from connectus_async.cli.parameters import (
    Rate,
    json_option,
    ledger_argument,
    moment,
)


@click.command("pause")
@ledger_argument
@click.option(
    "--until",
    callback=moment,
    help='Time at which it goes on by itself, such as "2026-12-24 10:00".',
)
@json_option
def bulk_pause(**given: Any) -> None:
    """Pause all commands and workers that send LEDGER, from any terminal.

    Messages under way are finished. Whoever starts to send it later waits as well.
    """
    from connectus_async.cli.orders import pause

    pause(**given)


@click.command("continue")
@ledger_argument
@json_option
def bulk_continue(**given: Any) -> None:
    """Let them go on that `bulk pause` paused. It starts nobody: see `bulk resume`."""
    from connectus_async.cli.orders import go_on

    go_on(**given)


@click.command("stop")
@ledger_argument
@json_option
def bulk_stop(**given: Any) -> None:
    """End all commands and workers that send LEDGER, from any terminal.

    Messages under way are finished, and the others stay queued. A command that is still loading
    ends as well, before it sends anything. `bulk resume` and `bulk send` start it again.
    """
    from connectus_async.cli.orders import stop

    stop(**given)


@click.command("set-rate")
@ledger_argument
@click.argument("rate", type=Rate())
@json_option
def bulk_set_rate(**given: Any) -> None:
    """Let all that send LEDGER together send at most RATE messages or segments a second.

    It counts for those who start later, too, until another --rate is given to them. RATE
    "as-started" ends the order.
    """
    from connectus_async.cli.orders import set_rate

    set_rate(**given)
