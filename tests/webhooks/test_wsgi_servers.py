"""How WSGI servers read bodies and fail, simulated without the servers."""

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from wsgiref.util import setup_testing_defaults

import django_project  # noqa: F401 - before anything of Django is used
import flask
import pytest
from django.core.wsgi import get_wsgi_application
from django.test import override_settings
from django.urls import re_path
from webhook_servers import INCOMING, NUMBER, SECRET, STATUS, Inbox

from connectus_async import webhooks
from connectus_async.webhooks.access import MAX_BODY


@contextmanager
def bare(inbox: Inbox) -> Iterator[Any]:
    yield webhooks.wsgi(inbox, secret=SECRET)


@contextmanager
def under_flask(inbox: Inbox) -> Iterator[Any]:
    app = flask.Flask(__name__)
    app.register_blueprint(webhooks.flask_blueprint(inbox, secret=SECRET), url_prefix="/webhooks")
    yield app


@contextmanager
def under_django(inbox: Inbox) -> Iterator[Any]:
    view = webhooks.django_view(inbox, secret=SECRET)
    with override_settings(ROOT_URLCONF=(re_path("^webhooks", view),)):
        yield get_wsgi_application()


Post = Callable[..., tuple[int, bytes]]


@pytest.fixture(params=[bare, under_flask, under_django], ids=lambda kind: kind.__name__)
def post(request: pytest.FixtureRequest, inbox: Inbox) -> Iterator[Post]:
    """Hand a request to an application as a server would."""
    with request.param(inbox) as app:

        def post(stream: Any, **environ: Any) -> tuple[int, bytes]:
            answered = []
            asked = {
                "REQUEST_METHOD": "POST",
                "PATH_INFO": f"/webhooks/{SECRET}",
                "REMOTE_ADDR": "127.0.0.1",
                "wsgi.input": stream,
                **environ,
            }
            setup_testing_defaults(asked)
            body = app(asked, lambda status, _: answered.append(int(status[:3])))
            return answered[0], b"".join(body)

        yield post


class BrokenOff:
    """A body of which some came."""

    def __init__(self, error: Exception) -> None:
        self._parts: list[bytes | Exception] = [json.dumps(INCOMING).encode()[:40], error]

    def read(self, _size: int = -1) -> bytes:
        part = self._parts.pop(0)
        if isinstance(part, Exception):
            raise part
        return part

    readline = read


class InvalidChunkSize(Exception):  # noqa: N818 - as gunicorn has it
    pass


ERRORS = [
    ValueError(f"Bad chunked transfer size: b'{NUMBER}'"),  # of cheroot
    ValueError("I/O operation on closed file."),
    InvalidChunkSize(NUMBER),
    EOFError(),
    TimeoutError(NUMBER),
    OSError("Apache/mod_wsgi request data read error: Partial results are valid"),
]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize(
    "framing",
    [{"wsgi.input_terminated": True}, {"CONTENT_LENGTH": "500"}],
    ids=["chunks", "length"],
)
def test_a_body_that_a_server_cannot_read_is_no_failure_of_ours(
    post: Post, inbox: Inbox, error: Exception, framing: dict[str, Any], caplog
):
    """It gets 400, whatever the server raises; the log has only the error's type."""
    caplog.set_level(logging.INFO, "connectus_async")

    assert post(BrokenOff(error), **framing) == (400, b"the body is incomplete")
    assert inbox.calls == []
    assert "reading it raised " in caplog.text
    assert NUMBER not in caplog.text


CHUNKED = {"HTTP_TRANSFER_ENCODING": "Chunked", "uwsgi.version": b"2.0.30"}
NOTHING = io.BytesIO()


@pytest.fixture
def uwsgi(monkeypatch: pytest.MonkeyPatch) -> list[bytes | Exception]:
    """What uWSGI reads, chunk by chunk; it is a module of its own processes."""
    chunks: list[bytes | Exception] = []

    def chunked_read() -> bytes:
        chunk = chunks.pop(0)
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    monkeypatch.setitem(sys.modules, "uwsgi", SimpleNamespace(chunked_read=chunked_read))
    return chunks


def test_chunks_are_read_in_the_way_of_uwsgi(post: Post, inbox: Inbox, uwsgi: list[Any]):
    """Only its own module returns them."""
    content = json.dumps(STATUS).encode()
    uwsgi += [content[:9], content[9:], b""]

    assert post(NOTHING, **CHUNKED) == (200, b"")
    assert inbox.raw == [STATUS]


@pytest.mark.parametrize("chunks", [[b" " * MAX_BODY, b" "], [b" " * 2**20]], ids=len)
def test_chunks_of_uwsgi_have_the_same_limit(post: Post, inbox: Inbox, uwsgi: list[Any], chunks):
    """However large a chunk it allows."""
    uwsgi += chunks

    assert post(NOTHING, **CHUNKED)[0] == 413
    assert inbox.calls == []


def test_chunks_that_uwsgi_cannot_read(post: Post, inbox: Inbox, uwsgi: list[Any]):
    """The response names the missing setting."""
    uwsgi += [b"{", OSError("unable to receive chunked part")]
    status, said = post(NOTHING, **CHUNKED)

    assert status == 400
    assert b"http-chunked-input" in said
    assert inbox.calls == []


@pytest.mark.parametrize(
    "marks",
    [
        {"wsgi.input_terminated": True},
        {"HTTP_TRANSFER_ENCODING": "chunked", "eventlet.input": NOTHING},
    ],
    ids=["marked", "eventlet"],
)
def test_chunks_whose_end_the_server_sees_are_read(post: Post, inbox: Inbox, marks: dict[str, Any]):
    """To their end, without a length; eventlet does not mark it."""
    assert post(io.BytesIO(json.dumps(STATUS).encode()), **marks) == (200, b"")
    assert inbox.raw == [STATUS]


@pytest.mark.parametrize(
    "environ",
    [
        {"eventlet.input": NOTHING},
        {"HTTP_TRANSFER_ENCODING": "chunked"},
        {"uwsgi.version": b"2.0.30"},
        {},
    ],
    ids=["eventlet without chunks", "another server", "uWSGI without chunks", "neither"],
)
def test_a_body_whose_end_nobody_tells(post: Post, inbox: Inbox, environ: dict[str, Any]):
    """It is not waited for."""
    assert post(NOTHING, **environ)[0] == 411
    assert inbox.calls == []
