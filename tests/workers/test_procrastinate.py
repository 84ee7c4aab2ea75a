"""Behaviours of Procrastinate that tickets rely on, or that they must not rely on."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from procrastinate import App, PsycopgConnector, RetryDecision
from procrastinate.jobs import Status
from procrastinate.retry import BaseRetryStrategy

PROGRAM = Path(__file__).with_name("procrastinate_app.py")
NOBODY = 1_000_000
"""Seconds that no heartbeat is old."""


@pytest.fixture
async def app(queue: str) -> AsyncIterator[App]:
    """An app with the task of the program, which does nothing here."""
    app = App(connector=PsycopgConnector(conninfo=queue, min_size=1, max_size=2))

    @app.task(name="wait")
    async def wait() -> None:
        pass

    async with app.open_async():
        yield app


async def status(app: App, job: int) -> Status:
    return await app.job_manager.get_job_status_async(job)


async def stalled(app: App, seconds: float = 30) -> list[int | None]:
    jobs = await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=seconds)
    return [job.id for job in jobs]


async def killed(app: App, queue: str, **options: str) -> int:
    """Defer a job, and kill the worker that runs it."""
    job = await app.configure_task("wait", **options).defer_async()
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        PROGRAM,
        env={**os.environ, "DATABASE": queue},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert await worker.stdout.readline() == b"begun\n"
    worker.kill()
    await worker.communicate()
    return job


def age_heartbeats(queue: str) -> None:
    with psycopg.connect(queue, autocommit=True) as connection:
        connection.execute(
            "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute'"
        )


async def test_the_job_of_a_killed_worker(app, queue):
    """It stays as it is, is listed once the heartbeat is old, and runs again by hand alone."""
    job = await killed(app, queue)
    assert await stalled(app) == []

    age_heartbeats(queue)
    assert await stalled(app) == [job]
    await app.run_worker_async(
        wait=False, install_signal_handlers=False
    )  # this one forgets the killed worker
    assert await status(app, job) is Status.DOING
    assert await stalled(app, NOBODY) == [job]

    await app.job_manager.retry_job_by_id_async(job, retry_at=datetime.now(UTC))
    assert (await status(app, job), await stalled(app, 0)) == (Status.TODO, [])
    await app.run_worker_async(wait=False, install_signal_handlers=False)
    assert await status(app, job) is Status.SUCCEEDED


async def test_a_lock_outlives_its_worker(app, queue):
    """A job that waits for the lock of a killed worker waits for ever, so tickets have none."""
    await killed(app, queue, lock="a lock")
    age_heartbeats(queue)
    waiting = await app.configure_task("wait", lock="a lock").defer_async()

    await app.run_worker_async(wait=False, install_signal_handlers=False)
    assert await status(app, waiting) is Status.TODO


async def test_the_end_of_a_job_is_not_fenced(app):
    """A worker that was given up ends a job that is another's by now: it may run again, or not."""
    manager = app.job_manager
    await app.configure_task("wait").defer_async()
    first, second = [await manager.register_worker() for _ in range(2)]
    job = await manager.fetch_job(queues=None, worker_id=first)
    await manager.retry_job(job)
    again = await manager.fetch_job(queues=None, worker_id=second)
    assert (again.id, again.worker_id) == (job.id, second)

    await manager.finish_job(job, Status.SUCCEEDED, delete_job=False)
    assert await status(app, job.id) is Status.SUCCEEDED


@pytest.mark.parametrize("is_kept", [True, False])
async def test_jobs_of_our_own_transaction(queue, is_kept):
    """They are there for others once it is committed, all at once; the app need not be open."""
    ours = App(connector=PsycopgConnector(conninfo="unused"))
    async with (
        await psycopg.AsyncConnection.connect(queue, autocommit=True) as connection,
        await psycopg.AsyncConnection.connect(queue, autocommit=True) as other,
    ):

        async def count() -> int:
            cursor = await other.execute("SELECT count(*) FROM procrastinate_jobs")
            return (await cursor.fetchone())[0]

        async with connection.transaction(force_rollback=not is_kept):
            deferrer = ours.configure_task("wait", connection=connection)
            assert len(await deferrer.batch_defer_async({}, {}, {})) == 3
            assert await count() == 0
        assert await count() == (3 if is_kept else 0)


async def test_a_worker_that_is_stopped_gives_back_what_it_is_told_to(queue):
    """A job that it cancels ends as aborted, and nobody lists it; a strategy puts it back."""
    app = App(connector=PsycopgConnector(conninfo=queue, min_size=1, max_size=2))
    begun = asyncio.Queue[str]()

    class Again(BaseRetryStrategy):
        def get_retry_decision(
            self, *, exception: BaseException, **_: object
        ) -> RetryDecision | None:
            return RetryDecision() if isinstance(exception, asyncio.CancelledError) else None

    async def wait(name: str) -> None:
        begun.put_nowait(name)
        await asyncio.Event().wait()

    app.task(name="plain")(wait)
    app.task(name="given back", retry=Again())(wait)
    async with app.open_async():
        jobs = [
            await app.configure_task(name).defer_async(name=name)
            for name in ("plain", "given back")
        ]
        worker = asyncio.create_task(
            app.run_worker_async(
                concurrency=2, shutdown_graceful_timeout=0, install_signal_handlers=False
            )
        )
        assert {await begun.get(), await begun.get()} == {"plain", "given back"}
        worker.cancel()
        with pytest.raises(asyncio.CancelledError):
            await worker

        assert [await status(app, job) for job in jobs] == [Status.ABORTED, Status.TODO]
        assert await stalled(app, 0) == []


async def test_an_abort_by_hand_is_final(app, queue):
    """A job that is to be aborted is not put in the queue again, but has failed."""
    manager = app.job_manager
    number = await app.configure_task("wait").defer_async()
    job = await manager.fetch_job(queues=None, worker_id=await manager.register_worker())
    assert await manager.cancel_job_by_id_async(number, abort=True)

    await manager.retry_job(job)
    assert await status(app, number) is Status.FAILED
