"""A program of a user: an app of Procrastinate with the task for tickets; it ends when none waits.

Its arguments are the address of the database, and the lease of its ledgers.
"""

import sys

from procrastinate import App, PsycopgConnector

from connectus_async.workers import ticket_tasks


def main(database, lease):
    app = App(connector=PsycopgConnector(conninfo=database, min_size=1, max_size=3))
    app.add_tasks_from(ticket_tasks(database, lease=float(lease)), namespace="connectus")
    app.run_worker(queues=["connectus"], wait=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
