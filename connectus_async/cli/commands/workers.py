"""Commands of workers on many machines."""

from typing import Any

import click

from connectus_async.cli.parameters import connection_options, database_address


@click.group()
def workers() -> None:
    """Help with the campaigns of a database, as one of many workers."""


@workers.command("run")
@click.argument("address", callback=database_address)
@click.option("--until-empty", is_flag=True, help="End when no ticket waits.")
@connection_options
def run(**given: Any) -> None:
    """Take tickets of the database at ADDRESS, and send, until it is stopped.

    ADDRESS is postgresql://USER@HOST/DATABASE. `bulk send --workers` hands out tickets. SIGTERM and
    Ctrl-C stop it in order: messages under way are finished, and its ticket is for another worker.
    """
    from connectus_async.cli.workers import run_worker

    run_worker(**given)
