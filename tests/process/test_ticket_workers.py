"""Workers of one campaign, as processes that take its tickets: killed, and stopped."""

import asyncio
import datetime as dt
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from campaigns import CONCURRENCY, command, ended, environment, gate_of, ran, reached, started
from procrastinate import App, PsycopgConnector

from connectus_async import AsyncConnectus, Sms, State
from connectus_async.emulator import Fault
from connectus_async.ledger import with_campaign
from connectus_async.workers import hand_out

FIRST = 56_960_000_000
MESSAGES = 700
"""In two chunks, so that each of two workers has some."""

LEASE = 1.0
PROGRAM = Path(__file__).with_name("ticket_program.py")

OWNER = """
SELECT split_part(place, ' ', -1)::integer FROM connectus.worker
JOIN connectus.chunk ON chunk.owner = worker.id ORDER BY chunk.id LIMIT 1
"""


@pytest.fixture
def ledger(queue: str) -> str:
    return with_campaign(queue, "navidad")


@pytest.fixture
async def client(settings: dict[str, Any]) -> AsyncIterator[AsyncConnectus]:
    async with AsyncConnectus(**settings) as client:
        yield client


@pytest.fixture
async def app(queue: str) -> AsyncIterator[App]:
    connector = PsycopgConnector(conninfo=queue, min_size=1, max_size=2)
    async with App(connector=connector).open_async() as app:
        yield app


async def handed_out(client: AsyncConnectus, ledger: str, tickets: int) -> None:
    async with client.bulk(ledger=ledger, concurrency=CONCURRENCY) as bulk:
        await bulk.load(Sms(str(FIRST + index), "Hola") for index in range(MESSAGES))
        await hand_out(bulk, tickets)


async def states(queue: str) -> dict[str, str]:
    """Read the state of each recipient in the ledger."""
    async with await psycopg.AsyncConnection.connect(queue) as connection:
        cursor = await connection.execute("SELECT recipient, state FROM connectus.message")
        return dict(await cursor.fetchall())


async def owner(queue: str) -> int:
    """Find the process that sends the first messages of those that are being sent."""
    async with await psycopg.AsyncConnection.connect(queue) as connection:
        (process,) = await (await connection.execute(OWNER)).fetchone()
        return process


async def statuses(app: App) -> list[str]:
    return sorted(job.status for job in await app.job_manager.list_jobs_async())


async def test_a_worker_is_killed(client, emulator, ledger, queue, app):
    """The other one sends the rest; what it had in flight is unknown, and nobody is reached twice.

    Its ticket stays as it was, and is listed. Somebody may give it back: it sends nothing more.
    """
    is_reached, goes_on = asyncio.Event(), asyncio.Event()

    async def before(number: int) -> None:
        if number >= MESSAGES // 4:
            is_reached.set()
            await goes_on.wait()

    await handed_out(client, ledger, tickets=2)
    emulator.fault(Fault.call(before=before), route="sms.send")
    run = (PROGRAM, queue, LEASE)
    async with (
        started(*run, environment=environment(emulator)) as first,
        started(*run, environment=environment(emulator)) as second,
    ):
        await is_reached.wait()
        workers = {worker.pid: worker for worker in (first, second)}
        killed = workers.pop(await owner(queue))
        killed.kill()
        await killed.wait()
        goes_on.set()
        (other,) = workers.values()
        assert (await ended(other)).code == 0

    found = await states(queue)
    unknown = {recipient for recipient, state in found.items() if state == State.UNKNOWN}
    assert len(found) == MESSAGES
    assert {*found.values()} == {State.ACCEPTED, State.UNKNOWN}
    assert len(unknown) <= CONCURRENCY
    assert {*found} - unknown <= reached(emulator).keys()
    assert max(reached(emulator).values()) == 1

    assert await statuses(app) == ["doing", "succeeded"]
    (stalled,) = await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=0)
    await app.job_manager.retry_job(stalled, retry_at=dt.datetime.now(dt.UTC))
    async with started(*run, environment=environment(emulator)) as again:
        assert (await ended(again)).code == 0
    assert await statuses(app) == ["succeeded", "succeeded"]
    assert await states(queue) == found


async def test_a_worker_is_stopped(client, emulator, ledger, queue, app):
    """It finishes what is under way; the rest and its ticket are for the next worker."""
    gate = gate_of(emulator)
    await handed_out(client, ledger, tickets=1)
    async with command("workers", "run", queue, emulator=emulator) as worker:
        await gate.full.wait()
        worker.send_signal(signal.SIGTERM)
        while b"Aborting them" not in await worker.stderr.readline():
            pass
        gate.opened.set()
        assert (await ended(worker)).code == 0

    accepted = gate.passing + CONCURRENCY
    found = [*(await states(queue)).values()]
    assert {state: found.count(state) for state in found} == {
        State.ACCEPTED: accepted,
        State.QUEUED: MESSAGES - accepted,
    }
    assert await statuses(app) == ["todo"]

    assert (await ran("workers", "run", queue, "--until-empty", emulator=emulator)).code == 0
    assert {*(await states(queue)).values()} == {State.ACCEPTED}
    assert len(reached(emulator)) == reached(emulator).total() == MESSAGES
    assert await statuses(app) == ["succeeded"]
