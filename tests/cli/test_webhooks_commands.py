"""Receiving events on the command line, handing them on, and posting them again."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

SECRET = "secreto-quetzal-4471"
STATUS = {"status": "ENTREGADO", "id_sms": "c7925e64955445bbbe0ae39339b9514c"}
INCOMING = {
    "src_provider": "Wom",
    "id_sms": "f73a185dc7614ea4bac7c59146a67e6d",
    "src_number": "56990324203",
    "dst_number": "56442330001",
    "sms_content": "¿Mañana\n\x1b[2Ja las 8?",
}


class Target(ThreadingHTTPServer):
    """A server to post to.

    Attributes:
        bodies: What was posted, in order.
        statuses: What is answered to the first ones; 200 to all others.
        url: Where it is.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.bodies: list[Any] = []
        self.statuses: list[int] = []
        self.url = f"http://127.0.0.1:{self.server_port}/hook?token=quetzal"


class Answering(BaseHTTPRequestHandler):
    server: Target

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert (self.path, self.headers["Content-Type"]) == (
            "/hook?token=quetzal",
            "application/json",
        )
        self.server.bodies.append(json.loads(body))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.send_header("Content-Length", "0")
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def target() -> Iterator[Target]:
    with Target() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Listening:
    """A `webhooks listen` in a process of its own.

    Attributes:
        first: The line that it began with.
    """

    def __init__(self, *args: object) -> None:
        command = [sys.executable, "-W", "error", "-m", "connectus_async", "webhooks", "listen"]
        self.process = subprocess.Popen(
            [*command, "--port", "0", *map(str, args)],
            env=os.environ | {"PYTHONIOENCODING": "utf-8"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        self.first = self.line()

    def line(self) -> str:
        return self.process.stdout.readline().rstrip("\n")

    def post(self, body: Any, path: str | None = None) -> int:
        at = urlsplit(self.first[self.first.index("http") :].rstrip('"}'))
        connection = http.client.HTTPConnection(at.hostname, at.port, timeout=100)
        connection.request("POST", path or at.path, json.dumps(body))
        status = connection.getresponse().status
        connection.close()
        return status

    def stop(self) -> tuple[str, str]:
        """Press Ctrl-C; return what it still wrote."""
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=100)


@pytest.fixture
def listen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Listening]]:
    monkeypatch.delenv("CONNECTUS_WEBHOOK_SECRET", raising=False)
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a child inherits no ignoring
    with ExitStack() as stack:

        def start(*args: object) -> Listening:
            listening = Listening(*args)
            stack.enter_context(listening.process)
            stack.callback(listening.process.kill)
            return listening

        yield start
    signal.signal(signal.SIGINT, before)


def test_events_are_printed_as_they_come(listen):
    """A line each, in which nothing can control the terminal."""
    listening = listen("--secret", SECRET)
    assert listening.first.startswith("listening on http://127.0.0.1:")
    assert listening.first.endswith(f"/{SECRET}")

    assert listening.post(STATUS) == 200
    assert listening.line() == f"{STATUS['id_sms']}: ENTREGADO"
    assert listening.post(INCOMING) == 200
    assert listening.line() == "56990324203 to 56442330001: ¿Mañana  [2Ja las 8?"
    assert listening.post(INCOMING | {"sms_content_binary": b"Hola".hex()}) == 200
    assert listening.line().endswith("a las 8? (its bytes say: Hola)")
    assert listening.post({"clicks": 1}) == 200
    assert listening.line() == 'unknown event: {"clicks": 1}'


def test_a_duplicate_and_a_forgery_are_not_printed(listen):
    """What comes after them is the next line."""
    listening = listen("--secret", SECRET)
    statuses = [listening.post(STATUS), listening.post(STATUS), listening.post(INCOMING, "/wrong")]
    statuses.append(listening.post({"clicks": 1}))
    out, err = listening.stop()

    assert statuses == [200, 200, 404, 200]
    assert out.splitlines() == [f"{STATUS['id_sms']}: ENTREGADO", 'unknown event: {"clicks": 1}']
    assert err == "connectus: the receiver has stopped\n"
    assert listening.process.returncode == 130


def test_json_for_machines(listen):
    """The URL first, then each event as it came."""
    listening = listen("--json", "--secret", SECRET)

    assert json.loads(listening.first)["url"].endswith(f"/{SECRET}")
    assert listening.post(INCOMING) == 200
    assert json.loads(listening.line()) == INCOMING


def test_a_secret_is_made_up(listen):
    """Another one each time."""
    first, second = listen(), listen()
    secrets = {listening.first.rpartition("/")[2] for listening in (first, second)}

    assert [len(secret) for secret in secrets] == [32, 32]
    assert first.post(STATUS) == 200
    assert first.post(STATUS, "/") == 404


def test_a_secret_of_the_environment(listen, monkeypatch):
    """There, other users of the machine do not see it."""
    monkeypatch.setenv("CONNECTUS_WEBHOOK_SECRET", SECRET)

    assert listen().first.endswith(f"/{SECRET}")


def test_events_are_recorded_and_posted_again(listen, run, target, tmp_path):
    """A line each, in order, added to what is there; and so they are posted."""
    record = tmp_path / "events.jsonl"
    for events in ([STATUS, INCOMING], [{"clicks": 1}]):
        listening = listen("--record", record)
        assert [listening.post(event) for event in events] == [200] * len(events)
        listening.stop()
    result = run("webhooks", "replay", record, "--to", target.url)

    assert [json.loads(line) for line in record.read_bytes().splitlines()] == target.bodies
    assert target.bodies == [STATUS, INCOMING, {"clicks": 1}]
    assert (result.exit_code, result.stdout) == (0, "3 events posted\n")


def test_an_event_that_cannot_be_recorded_may_come_again(listen):
    """The disk is full: that is said, and the answer is 500."""
    listening = listen("--record", "/dev/full")
    statuses = [listening.post(STATUS) for _ in range(2)]
    out, err = listening.stop()

    assert statuses == [500, 500]
    assert out.splitlines() == [f"{STATUS['id_sms']}: ENTREGADO"] * 2
    assert err.startswith("connectus: record: No space left on device\n")


def test_events_are_handed_on(listen, target):
    """The answer is the target's, and an event that it did not take may come again."""
    target.statuses = [200, 503, 302, 422]
    listening = listen("--forward-to", target.url)
    statuses = [listening.post(STATUS), listening.post(STATUS)]
    statuses += [listening.post(INCOMING) for _ in range(4)]
    _, err = listening.stop()

    assert statuses == [200, 200, 503, 302, 422, 200]
    assert target.bodies == [STATUS] + [INCOMING] * 4
    problems = [f"connectus: forward-to: answered {status}" for status in (503, 302, 422)]
    assert err.splitlines() == [*problems, "connectus: the receiver has stopped"]


def test_a_target_that_is_not_there(listen, unused_url):
    """The answer is a gateway's, and the URL is not shown, as it may have a secret in it."""
    listening = listen("--forward-to", f"{unused_url}/{SECRET}")

    assert listening.post(STATUS) == 502
    _, err = listening.stop()
    assert err.startswith("connectus: forward-to: gave no answer\n")
    assert SECRET not in err


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--secret", "short"), "--secret: must be 16 or more letters"),
        (("--host", "no such host"), "--host: no such host is not an address"),
        (("--record", "/nowhere/events.jsonl"), "--record: /nowhere/events.jsonl: No such file"),
    ],
)
def test_an_option_that_cannot_be(run, options, problem):
    """One sentence."""
    result = run("webhooks", "listen", "--port", "0", *options)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"connectus: {problem}")
    assert result.stderr.count("\n") == 1


def test_a_port_that_is_taken(run):
    """It is named, with a way out."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        result = run("webhooks", "listen", "--port", port)

    assert result.exit_code == 1
    assert f"127.0.0.1:{port}: cannot be listened on: address already in use" in result.stderr


@pytest.mark.parametrize(
    "args",
    [
        *(["listen", "--forward-to", "ftp://x"], ["listen", "--host", " "], ["replay"]),
        *(["replay", "events.jsonl"], ["replay", "/dev/null", "--to", "http://127.0.0.1"]),
    ],
)
def test_wrong_usage_of_webhooks(run, args):
    """Click says what is wrong."""
    result = run("webhooks", *args)

    assert (result.exit_code, result.stdout) == (2, "")


def replayed(run, tmp_path: Path, target: Target, text: bytes, *options: str) -> Any:
    file = tmp_path / "events.jsonl"
    file.write_bytes(text)
    return run("webhooks", "replay", file, "--to", target.url, *options)


LINES = b'{"id_sms": "1"}\n\n{"id_sms": "2"}\r\n  \n{"id_sms": "3"}'


def test_blank_lines_are_left_out(run, tmp_path, target):
    """A file may have been written by hand, without an end to its last line."""
    result = replayed(run, tmp_path, target, LINES, "--json")

    assert [event["id_sms"] for event in target.bodies] == ["1", "2", "3"]
    assert json.loads(result.stdout) == {"posted": 3}


def test_a_replay_stops_at_a_failure(run, tmp_path, target):
    """What follows would come in another order otherwise."""
    target.statuses = [200, 500]
    result = replayed(run, tmp_path, target, LINES)

    assert result.exit_code == 1
    assert result.stderr == "connectus: --to: answered 500 to line 3; events posted before it: 1\n"
    assert [event["id_sms"] for event in target.bodies] == ["1", "2"]


def test_a_replay_to_nobody(run, tmp_path, unused_url):
    """The URL is not shown."""
    file = tmp_path / "events.jsonl"
    file.write_bytes(LINES)
    result = run("webhooks", "replay", file, "--to", f"{unused_url}/{SECRET}")

    assert (
        result.stderr == "connectus: --to: gave no answer to line 1; events posted before it: 0\n"
    )


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"nonsense", "line 2: the body of a webhook is not valid JSON"),
        (b"[]", "line 2: the body of a webhook is JSON, but not an object"),
        (b'{"a": "' + b"x" * 70_000 + b'"}', "line 2 is longer than any event"),
    ],
)
def test_a_line_that_is_no_event(run, tmp_path, target, line, problem):
    """It is named by its number."""
    result = replayed(run, tmp_path, target, b'{"id_sms": "1"}\n' + line)

    assert (result.exit_code, result.stderr) == (1, f"connectus: FILE: {problem}\n")
    assert target.bodies == [{"id_sms": "1"}]


def test_a_file_of_events_that_is_not_there(run):
    """It is wrong usage."""
    result = run("webhooks", "replay", "missing.jsonl", "--to", "http://127.0.0.1")

    assert result.exit_code == 2
    assert "there is no file missing.jsonl" in result.stderr
