"""Command that prepares a database for ledgers."""

from typing import Any

import click

from connectus_async.cli.parameters import database_address


@click.group()
def ledger() -> None:
    """Prepare a PostgreSQL database for ledgers."""


@ledger.command("init")
@click.argument("address", callback=database_address)
def ledger_init(**given: Any) -> None:
    """Make the tables of ledgers in the PostgreSQL database at ADDRESS, or bring them up to date.

    They are in the schema connectus. The tables of Procrastinate, for the tickets of workers, are
    made if there are none where the user of the address finds them.

    ADDRESS is postgresql://USER@HOST/DATABASE with any further parameters of libpq. The database
    must be there, and its user needs the right to create a schema in it. Those who send need USAGE
    on the schema connectus, and SELECT, INSERT, UPDATE and DELETE on its tables. A password better
    comes from PGPASSWORD, ~/.pgpass or a service file, since other users see the arguments of a
    command. Running it again changes nothing.
    """
    from connectus_async.cli.ledgers import init

    init(**given)
