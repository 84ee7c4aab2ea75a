"""Behaviour specific to each framework."""

import subprocess
import sys
from typing import Any

import flask
import pytest
from aiohttp import web
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from webhook_servers import (
    INCOMING,
    NUMBER,
    SECRET,
    STATUS,
    Client,
    Inbox,
    django_wsgi,
    under_aiohttp,
    under_uvicorn,
)

from connectus_async import webhooks

ATOMIC = """
import json
import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["testserver"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "ATOMIC_REQUESTS": True,
        },
    },
)
django.setup()

from django.db import connection
from django.test import Client
from django.urls import path
from connectus_async import webhooks

SECRET = "secreto-quetzal-4471"
calls = []

def handle(event):
    calls.append(event)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO reply VALUES (%s, %s)", [event.id_sms, 1])
    if len(calls) == 1:
        raise LookupError

urlpatterns = [path("webhooks/<str:secret>", webhooks.django_view(handle, secret=SECRET))]

with connection.cursor() as cursor:
    cursor.execute("CREATE TABLE customer (id INTEGER PRIMARY KEY)")
    cursor.execute(
        "CREATE TABLE reply (sms TEXT, customer INTEGER"
        " REFERENCES customer(id) DEFERRABLE INITIALLY DEFERRED)"
    )

client = Client(enforce_csrf_checks=True, raise_request_exception=False)

def post():
    body = {"id_sms": "1", "status": "ENTREGADO"}
    answer = client.post("/webhooks/" + SECRET, body, content_type="application/json")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM reply")
        return [answer.status_code, cursor.fetchone()[0]]

answers = [post(), post()]
with connection.cursor() as cursor:
    cursor.execute("INSERT INTO customer VALUES (1)")
answers += [post(), post()]
print(json.dumps([answers, len(calls)]))
"""


def test_django_commits_before_an_event_counts_as_handled():
    """With ``ATOMIC_REQUESTS``: a handler that raises, a commit that fails, one that works."""
    program = [sys.executable, "-W", "error", "-c", ATOMIC]
    done = subprocess.run(program, check=False, capture_output=True, text=True, timeout=100)

    assert done.stdout == "[[[500, 0], [500, 0], [200, 1], [200, 1]], 3]\n", done.stderr
    assert "raised IntegrityError" in done.stderr


def post(app: Any, path: str) -> int:
    with TestClient(app, raise_server_exceptions=False) as client:
        return client.post(path, json=STATUS).status_code


def test_an_asgi_receiver_is_an_app_of_its_own():
    """With a lifespan, and no use for a websocket."""
    inbox = Inbox()
    app = webhooks.asgi(inbox, secret=SECRET)

    assert post(app, f"/{SECRET}") == 200
    with (
        TestClient(app) as client,
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect(f"/{SECRET}"),
    ):
        pass
    assert inbox.raw == [STATUS]


def test_an_asgi_receiver_does_not_take_part_in_an_apps_lifespan():
    """It is mounted, as are other routes beside it."""
    inbox = Inbox()
    app = Starlette()
    app.mount("/webhooks", webhooks.asgi(inbox, secret=SECRET))

    assert post(app, f"/webhooks/{SECRET}") == 200
    assert post(app, f"/{SECRET}") == 404
    assert inbox.raw == [STATUS]


@pytest.mark.parametrize("version", ["1.0", "1.1", "2", "3"])
async def test_only_http_1_has_a_connection_to_close(version):
    """Later versions forbid the header."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"x" * 70_000, "more_body": True}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    sent: list[dict[str, Any]] = []
    scope = {"type": "http", "http_version": version, "method": "POST", "path": "/"}
    await webhooks.asgi(print, insecure=True)(
        scope | {"query_string": b"", "headers": []}, receive, send
    )

    assert sent[0]["status"] == 413
    assert ((b"connection", b"close") in sent[0]["headers"]) == version.startswith("1")


def test_whoever_wraps_the_app_may_add_headers():
    """They are in the current response only."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        async def adding(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-added", b"1"))
            await send(message)

        await app(scope, receive, adding)

    app = webhooks.asgi(print, secret=SECRET)
    with TestClient(wrapped) as client:
        for _ in range(2):
            assert client.post("/").headers.get_list("x-added") == ["1"]


def test_a_client_that_goes_is_no_event():
    """It said that there would be more."""
    inbox = Inbox()

    async def gone(scope: Any, receive: Any, send: Any) -> None:
        async def disconnected() -> dict[str, Any]:
            return {"type": "http.disconnect"}

        await app(scope, disconnected, send)

    app = webhooks.asgi(inbox, secret=SECRET)
    assert post(gone, f"/{SECRET}") == 400
    assert inbox.calls == []


@pytest.mark.parametrize("error", [ClientDisconnect(), RuntimeError(NUMBER), OSError(), EOFError()])
async def test_a_body_that_a_server_cannot_read(error, caplog):
    """An error of the server or a middleware is not a failure of the handler."""
    caplog.set_level("INFO", "connectus_async")

    async def receive() -> dict[str, Any]:
        raise error

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    sent: list[dict[str, Any]] = []
    inbox = Inbox()
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}
    await webhooks.asgi(inbox, insecure=True)(scope, receive, send)

    assert (sent[0]["status"], sent[1]["body"]) == (400, b"the body is incomplete")
    assert f"reading it raised {type(error).__name__}" in caplog.text
    assert NUMBER not in caplog.text
    assert inbox.calls == []


def test_all_headers_of_a_name_count():
    """A proxy may add another field instead of extending the last one."""
    options = {"allowed_networks": ["203.0.113.5"], "trusted_proxies": ["127.0.0.1"]}
    routes = webhooks.aiohttp_routes(print, "/webhooks", **options)
    app = web.Application()
    app.add_routes(routes)
    start = b"POST /webhooks HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
    start += b"X-Forwarded-For: 203.0.113.5\r\n"
    forged = start + b"X-Forwarded-For: 198.51.100.1\r\n\r\n{}"
    for server in (under_aiohttp(app), under_uvicorn(webhooks.asgi(print, **options))):
        with server as port:
            assert Client(port).exchange(forged).status == 404
            assert Client(port).exchange(start + b"\r\n{}").status == 200


def test_two_receivers_in_one_flask_app():
    """One for each kind of event, with names of their own."""
    inboxes = {"statuses": Inbox(), "replies": Inbox()}
    app = flask.Flask(__name__)
    for name, inbox in inboxes.items():
        blueprint = webhooks.flask_blueprint(inbox, secret=SECRET, name=name)
        app.register_blueprint(blueprint, url_prefix=f"/{name}")
    client = app.test_client()

    assert client.post(f"/statuses/{SECRET}", json=STATUS).status_code == 200
    assert client.post(f"/replies?secret={SECRET}", json=INCOMING).status_code == 200
    assert inboxes["statuses"].raw == [STATUS]
    assert inboxes["replies"].raw == [INCOMING]


def test_django_does_not_log_the_path(caplog):
    """It does so for answers from 400 on, and the path has the secret in it."""
    inbox = Inbox()
    inbox.do = lambda _: 1 / 0
    with django_wsgi(inbox, secret=SECRET) as port:
        client = Client(port)
        assert [client.post(body) for body in (INCOMING, b"", b"[]")] == [500, 400, 400]
        assert client.answer(method="GET").status == 405

    lines = [record for record in caplog.records if record.name == "django.request"]
    assert lines == []
    assert NUMBER not in caplog.text


def test_importing_the_receivers_brings_no_framework():
    """A user of one framework does not need the others."""
    program = "import sys; from connectus_async.webhooks import *; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split()

    assert "connectus_async.webhooks.receiver" in loaded
    assert not {"aiohttp", "cattrs", "django", "flask", "starlette", "werkzeug"} & set(loaded)
