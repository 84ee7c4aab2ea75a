"""A campaign to be killed: it takes up its ledger, reconciles, and sends what is left.

It says as JSON what it found in the ledger when it opened it, and what is there at its end. Or it
is a command, to be killed as well.
"""

import asyncio
import json
import os
import secrets
import signal
import sqlite3
import sys
import time
from functools import partial

from connectus_async import AsyncConnectus, Sms
from connectus_async.bulk import reconcile
from connectus_async.ledger.sqlite import key_index
from connectus_async.ledger.states import INTERRUPTED, State

FIRST_NUMBER = 56_960_000_000
SETTLE = 0.05
"""Seconds; what a killed process has sent is acted upon long before the next one has started."""
ROUNDS = 20
"""More than the faults of any test can make necessary."""
WITNESS = "56989999999"
"""Who gets a message so that the reports can be believed."""
KEYS_IN_MEMORY = 300
"""So few that they go into the ledger's table amid a campaign, too."""

FIND_INTERRUPTED = """
SELECT count(*) FROM message WHERE state = 'unknown' AND reason = ? AND recipient <> ?
"""


class Statements:
    """Counts what is asked of SQLite, and ends the process at one statement."""

    def __init__(self, fatal, *, after):
        self.left = fatal
        self.after = after

    def around(self, run):
        self.left -= 1
        if self.left == 0 and not self.after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = run()
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


def doom(fatal, *, after):
    """End the process right before or right after a statement of its ledger."""
    statements = Statements(fatal, after=after)

    class Doomed(sqlite3.Connection):
        def execute(self, *args):
            return statements.around(lambda: super(Doomed, self).execute(*args))

        def executemany(self, *args):
            return statements.around(lambda: super(Doomed, self).executemany(*args))

        def executescript(self, *args):
            return statements.around(lambda: super(Doomed, self).executescript(*args))

    sqlite3.connect = partial(sqlite3.connect, factory=Doomed)


def numbers(total):
    return [str(number) for number in range(FIRST_NUMBER, FIRST_NUMBER + total)]


def messages(total):
    return (Sms(number, "Hola") for number in numbers(total))


def say(**facts):
    os.write(1, json.dumps(facts).encode() + b"\n")


async def campaign(*, total, streams, reconciles, **options):
    async with AsyncConnectus() as connectus, connectus.bulk(**options) as bulk:
        found = await say_what_is_found(bulk)
        if reconciles and (not found or State.UNKNOWN in found):
            await vouch(bulk)
            await bulk.reconcile(settle=SETTLE)
        if streams:
            await bulk.run(messages(total))
        elif sum((await counts(bulk)).values()) < total:
            await bulk.load(messages(total))
        await bulk.run()
        if reconciles:
            await finish(bulk)
        say(counts=await counts(bulk))


async def finish(bulk):
    """Ask and send again until every outcome is known."""
    for _ in range(ROUNDS):
        if not {State.UNKNOWN, State.QUEUED} & set(await counts(bulk)):
            return
        await vouch(bulk)
        await bulk.reconcile(settle=SETTLE)
        await bulk.run()


async def vouch(bulk):
    """Send a message that shows how far the reports are, before some messages and after others."""
    await bulk.run([Sms(WITNESS, secrets.token_hex(8))])


async def counts(bulk):
    """Count the messages of the campaign itself."""
    rows = await bulk._ledger.ask(
        lambda connection: connection.execute(
            "SELECT state, count(*) FROM message WHERE recipient <> ? GROUP BY 1", (WITNESS,)
        )
    )
    return dict(rows)


async def say_what_is_found(bulk):
    ((interrupted,),) = await bulk._ledger.ask(
        lambda connection: connection.execute(FIND_INTERRUPTED, (INTERRUPTED, WITNESS))
    )
    found = await counts(bulk)
    say(unknown=found.get(State.UNKNOWN, 0), interrupted=interrupted)
    return found


def main():
    settings = json.loads(sys.argv[1])
    key_index.MOST_IN_MEMORY = KEYS_IN_MEMORY
    reconcile._now = lambda: time.time() + 3_600  # nothing that was given up is still on its way
    if kill := settings.pop("kill", None):
        doom(kill["number"], after=kill["after"])
    if "command" in settings:
        run_command(settings["command"])
    else:
        asyncio.run(campaign(**settings))


def run_command(arguments):
    from connectus_async.cli.commands import connectus  # noqa: PLC0415 - the campaigns start faster

    connectus(arguments)


if __name__ == "__main__":
    main()
