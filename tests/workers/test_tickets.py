"""Tickets: what a worker does with one, where it is then, and who refuses to hand one out."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from procrastinate import App, PsycopgConnector
from procrastinate.jobs import Job

from connectus_async import (
    AsyncConnectus,
    Sms,
    State,
)
from connectus_async.bulk.sender import Bulk
from connectus_async.ledger import open_store, with_campaign
from connectus_async.workers import hand_out, run_ticket_worker

FIRST = 56_960_000_000


@pytest.fixture
async def client(settings: dict[str, Any]) -> AsyncIterator[AsyncConnectus]:
    async with AsyncConnectus(**settings) as client:
        yield client


@pytest.fixture
def ledger(queue: str) -> str:
    return with_campaign(queue, "navidad")


@pytest.fixture
async def app(queue: str) -> AsyncIterator[App]:
    """An app that looks after its jobs."""
    connector = PsycopgConnector(conninfo=queue, min_size=1, max_size=2)
    async with App(connector=connector).open_async() as app:
        yield app


async def load(bulk: Bulk, count: int = 3) -> None:
    await bulk.load(Sms(str(FIRST + index), "Hola") for index in range(count))


async def jobs(app: App) -> list[Job]:
    return [*await app.job_manager.list_jobs_async()]


async def statuses(app: App) -> list[str]:
    return [job.status for job in await jobs(app)]


def metadata(ledger: str) -> dict[str, str]:
    with open_store(ledger).read() as reader:
        return {**reader.metadata()}


async def test_workers_send_a_campaign_that_was_handed_out(client, settings, ledger, queue, app):
    """Each ticket ends when nothing is left; its job knows the campaign's name alone."""
    async with client.bulk(ledger=ledger, concurrency=2) as bulk:
        await load(bulk)
        await hand_out(bulk, tickets=2)
        assert [job.task_kwargs for job in await jobs(app)] == 2 * [{"campaign": "navidad"}]
        await asyncio.gather(
            *(run_ticket_worker(queue, until_empty=True, **settings) for _ in range(2))
        )

        assert await bulk.counts() == {State.ACCEPTED: 3}
    assert await statuses(app) == ["succeeded", "succeeded"]
