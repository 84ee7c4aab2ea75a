"""The blocking client in servers that fork their workers: gunicorn and Celery.

It is used before the fork and then in each worker, and each message is the number of the process
that sends it. The emulator holds its answers until there is one of every worker, each of which does
one thing at a time: so no worker can stand in for another.
"""

import asyncio
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from celery import Celery
from report_ledgers import message, write_ledger
from scripts import FORK_WARNING, LIMIT, ROOT, SLOW, ended

from connectus_async.emulator import Emulator, Fault

HERE = Path(__file__).parent
WORKERS = 4

ROOT_WARNING = "ignore:You're running the worker with superuser privileges"
"""Celery warns whoever runs it as root, as containers do."""

FORK = """
import os, sys
from prefork_wsgi import connectus
if sys.argv[1] == "closed":
    connectus.close()
pid = os.fork()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if pid else 0)
"""


class Phones:
    """An emulator in a thread of its own, which can hold its answers."""

    def __init__(self, portal, emulator):
        self._portal = portal
        self._emulator = emulator

    @property
    def environment(self):
        return {
            **os.environ,
            "CONNECTUS_BASE_URL": self._emulator.base_url,
            "CONNECTUS_API_USER": self._emulator.api_user,
            "CONNECTUS_API_KEY": self._emulator.api_key,
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, HERE))),
        }

    @property
    def senders(self):
        return [int(message.content) for message in self._emulator.received]

    @contextmanager
    def holding(self, count):
        """Hold the answers to as many messages until the block ends.

        It is given a function that waits for the messages and returns their senders' numbers.
        """
        barrier = asyncio.Barrier(count + 1)

        async def wait():
            async with asyncio.timeout(LIMIT):
                await barrier.wait()

        async def run(_request, act):
            response = await act()
            await wait()
            await wait()
            return response

        def senders():
            self._portal.call(wait)
            return self.senders[-count:]

        with self._emulator.fault(Fault("meeting", run), route="sms.send"):
            yield senders
            self._portal.call(wait)


@pytest.fixture
def phones():
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Emulator()) as emulator,
    ):
        yield Phones(portal, emulator)


@contextmanager
def started(*arguments, warnings=(FORK_WARNING,), **options):
    """Run Python; on leaving, it is killed with all that it forked."""
    filters = [word for each in ("error", *warnings) for word in ("-W", each)]
    process = subprocess.Popen(
        [sys.executable, "-X", "dev", *filters, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )
    with process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


class Gunicorn:
    """A server that listens."""

    def __init__(self, process):
        self._process = process
        listening = None
        while listening is None:
            line = process.stderr.readline()
            assert line, "gunicorn has ended"
            listening = re.search(r"Listening at: http://([\d.]+):(\d+)", line)
        self._host, self._port = listening[1], int(listening[2])

    def get(self):
        """Return the status of a response."""
        return self.answer("GET", "/")

    def answer(self, method, path, body=None):
        """Return the status of a response."""
        with closing(HTTPConnection(self._host, self._port, timeout=LIMIT)) as connection:
            connection.request(method, path, body)
            return connection.getresponse().status

    def stop(self):
        """Stop it; return its exit code and what it wrote to its log but for information."""
        self._process.terminate()
        _, log = self._process.communicate(timeout=LIMIT)
        return self._process.returncode, [
            line for line in log.splitlines() if not self._is_its_own(line)
        ]

    def _is_its_own(self, line):
        """Whether a line is information, or what a busy machine makes asyncio say."""
        return "[INFO]" in line or SLOW.search(line)


@contextmanager
def preloaded(application, workers, environment):
    """Start gunicorn with an application that it imports before it forks."""
    command = ["-m", "gunicorn", "--preload", "--workers", str(workers), "--bind", "127.0.0.1:0"]
    command += ["--config", "python:prefork_gunicorn", application]
    with started(*command, env=environment) as process:
        yield Gunicorn(process)


@pytest.fixture
def gunicorn(phones, tmp_path):
    environment = phones.environment | {"XDG_RUNTIME_DIR": str(tmp_path)}  # for its control socket
    with preloaded("prefork_wsgi:application", WORKERS, environment) as gunicorn:
        yield gunicorn


@pytest.fixture
def pool():
    with ThreadPoolExecutor(WORKERS) as pool:
        yield pool


def test_every_worker_of_gunicorn_sends(phones, gunicorn, pool):
    """They stop when told, without a word."""
    with phones.holding(WORKERS) as senders:
        responses = [pool.submit(gunicorn.get) for _ in range(WORKERS)]
        pids = senders()
        assert len(set(pids)) == WORKERS

    assert [response.result() for response in responses] == [204] * WORKERS
    assert gunicorn.stop() == (0, [])
    assert phones.senders == pids


def test_a_worker_of_gunicorn_sends_for_many_greenlets_at_once(phones, pool, tmp_path):
    """gevent runs them in one thread; the client was used before the fork."""
    command = ["-m", "gunicorn", "--preload", "--worker-class", "gevent", "--bind", "127.0.0.1:0"]
    command += ["--config", "python:prefork_gunicorn"]
    environment = phones.environment | {"XDG_RUNTIME_DIR": str(tmp_path)}  # for its control socket
    with started(*command, "prefork_gevent:application", env=environment) as process:
        gunicorn = Gunicorn(process)
        for _ in range(2):
            with phones.holding(WORKERS) as senders:
                responses = [pool.submit(gunicorn.get) for _ in range(WORKERS)]
                assert len(set(senders())) == 1
            assert [response.result() for response in responses] == [204] * WORKERS
        assert gunicorn.stop() == (0, [])


def test_a_worker_of_gunicorn_that_is_stopped_finishes_its_call(phones, gunicorn, pool):
    """Its successor is forked from the same preloaded process, and sends as well."""
    with phones.holding(1) as senders:
        response = pool.submit(gunicorn.get)
        [stopped] = senders()
        os.kill(stopped, signal.SIGTERM)
    assert response.result() == 204

    with phones.holding(WORKERS) as senders:
        responses = [pool.submit(gunicorn.get) for _ in range(WORKERS)]
        assert len({stopped, *senders()}) == 1 + WORKERS
    assert [response.result() for response in responses] == [204] * WORKERS
    assert gunicorn.stop() == (0, [])


def test_a_worker_of_gunicorn_writes_statuses_as_its_parent_did_before(phones, tmp_path):
    """An event that was handled before the fork is known in the worker, another one is written."""
    ledger = write_ledger(tmp_path / "a.db", [message(provider_id=id_sms) for id_sms in "ab"])
    environment = phones.environment | {"XDG_RUNTIME_DIR": str(tmp_path), "LEDGER": str(ledger)}
    with preloaded("prefork_webhooks:application", 1, environment) as gunicorn:
        for id_sms in "ab":
            event = json.dumps({"status": "ENTREGADO", "id_sms": id_sms})
            assert gunicorn.answer("POST", "/secreto-quetzal-4471", event) == 200
        assert gunicorn.stop() == (0, [])
    with closing(sqlite3.connect(ledger)) as connection:
        query = "SELECT delivery_status FROM message ORDER BY id"
        assert connection.execute(query).fetchall() == [("ENTREGADO",)] * 2


def broker_options(root):
    """Return Celery's options for a broker of files that are in folders of their own."""
    folders = {"data_folder_in": "in", "data_folder_out": "out", "control_folder": "control"}
    for name in folders.values():
        (root / name).mkdir(parents=True)
    options = {option: str(root / name) for option, name in folders.items()}
    return options | {"polling_interval": 0.05}


def test_every_child_of_celery_sends(phones, tmp_path):
    """Those that have done their two tasks are replaced, and their successors send as well.

    The broker takes a file that is being written for an empty one. So nobody writes where another
    reads: the worker writes nothing, and tasks are moved to it. In the end the worker is stopped at
    once, since it may wait for ever for a child that it is just replacing.
    """
    worker, sender = tmp_path / "worker", tmp_path / "sender"
    environment = phones.environment | {"BROKER": json.dumps(broker_options(worker))}
    command = ["-m", "celery", "--app", "prefork_tasks", "worker", "--loglevel", "warning"]
    command += ["--concurrency", str(WORKERS), "--max-tasks-per-child", "2"]
    command += ["--without-mingle", "--without-gossip", "--without-heartbeat"]

    rounds = []
    with (
        Celery(
            broker="filesystem://localhost", broker_transport_options=broker_options(sender)
        ) as app,
        started(
            *command, warnings=[FORK_WARNING, ROOT_WARNING], env=environment, cwd=tmp_path
        ) as process,
    ):
        for _ in range(3):
            with phones.holding(WORKERS) as senders:
                for _ in range(WORKERS):
                    app.send_task("prefork_tasks.send")
                for task in (sender / "out").iterdir():
                    task.rename(worker / "in" / task.name)
                rounds.append(set(senders()))
        process.terminate()
        ended(process)

    first, second, third = rounds
    assert first == second
    assert len(first | third) == 2 * WORKERS


@pytest.mark.parametrize("client", ["open", "closed"])
def test_a_child_that_leaves_the_client_alone(phones, client):
    """It exits as usual: libuv would join threads there that did not come along."""
    with started("-c", FORK, client, env=phones.environment) as process:
        ended(process)
