"""Every receiver under its own server on loopback, and a client that may misbehave."""

import json
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref import simple_server

import attrs
import django_project  # noqa: F401 - before anything of Django is used
import flask
import uvicorn
import werkzeug.serving
from aiohttp import web
from anyio.from_thread import start_blocking_portal
from anyio.to_thread import run_sync
from django.core.asgi import get_asgi_application
from django.core.servers import basehttp
from django.core.wsgi import get_wsgi_application
from django.test import override_settings
from django.urls import path, re_path
from fastapi import FastAPI
from starlette.applications import Starlette

from connectus_async import webhooks

SECRET = "secreto-quetzal-4471"
ID = "c7925e64955445bbbe0ae39339b9514c"
STATUS = {"status": "ENTREGADO", "id_sms": ID}
NUMBER = "56990324203"
INCOMING = {
    "src_provider": "Wom",
    "id_sms": "f73a185dc7614ea4bac7c59146a67e6d",
    "src_number": NUMBER,
    "dst_number": "56442330001",
    "sms_content": "Hola, la clave es 493021",
}
END = b"0\r\n\r\n"
RESET = 0
LIMIT = 100
"""Seconds after which something is taken to hang."""


class Inbox:
    """A handler that notes each event, and then does what a test wants.

    Attributes:
        calls: The events that it was called with.
        begun: The same, to wait for.
        do: What it does.
    """

    def __init__(self) -> None:
        self.calls: list[webhooks.Event] = []
        self.begun: queue.Queue[webhooks.Event] = queue.Queue()
        self.do: Callable[[webhooks.Event], None] = lambda _: None

    def __call__(self, event: webhooks.Event) -> None:
        self.calls.append(event)
        self.begun.put(event)
        self.do(event)

    @property
    def raw(self) -> list[dict[str, Any]]:
        return [event.raw for event in self.calls]


def asynchronous(inbox: Inbox) -> Any:
    async def handle(event: webhooks.Event) -> None:
        await run_sync(inbox, event)

    return handle


@contextmanager
def serving(server: Any) -> Iterator[int]:
    """Run a server of the standard library's kind."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def under_uvicorn(app: Any, lifespan: str = "auto") -> Iterator[int]:
    config = uvicorn.Config(
        app, lifespan=lifespan, ws="none", log_config=None, access_log=False, proxy_headers=False
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def under_aiohttp(app: web.Application) -> Iterator[int]:
    async def start() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()

    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    with start_blocking_portal() as portal:
        portal.call(start)
        try:
            yield runner.addresses[0][1]
        finally:
            portal.call(runner.cleanup)


def aiohttp_app(inbox: Inbox, **options: Any) -> AbstractContextManager[int]:
    app = web.Application()
    app.add_subapp("/webhooks", webhooks.aiohttp_app(asynchronous(inbox), **options))
    return under_aiohttp(app)


def aiohttp_routes(inbox: Inbox, **options: Any) -> AbstractContextManager[int]:
    app = web.Application()
    app.add_routes(webhooks.aiohttp_routes(inbox, "/webhooks", **options))
    return under_aiohttp(app)


def fastapi(inbox: Inbox, **options: Any) -> AbstractContextManager[int]:
    app = FastAPI()
    app.mount("/webhooks", webhooks.asgi(asynchronous(inbox), **options))
    return under_uvicorn(app)


def starlette(inbox: Inbox, **options: Any) -> AbstractContextManager[int]:
    app = Starlette()
    app.mount("/webhooks", webhooks.asgi(asynchronous(inbox), **options))
    return under_uvicorn(app)


def bare_asgi(inbox: Inbox, **options: Any) -> AbstractContextManager[int]:
    return under_uvicorn(webhooks.asgi(inbox, **options), lifespan="on")


class SilentHandler(simple_server.WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class ThreadingServer(ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = False


def bare_wsgi(inbox: Inbox, **options: Any) -> AbstractContextManager[int]:
    app = webhooks.wsgi(inbox, **options)
    return serving(simple_server.make_server("127.0.0.1", 0, app, ThreadingServer, SilentHandler))


@contextmanager
def django_wsgi(inbox: Inbox, **options: Any) -> Iterator[int]:
    view = webhooks.django_view(inbox, **options)
    with override_settings(ROOT_URLCONF=(re_path("^webhooks", view),)):
        server = basehttp.ThreadedWSGIServer(("127.0.0.1", 0), basehttp.WSGIRequestHandler)
        server.set_app(get_wsgi_application())
        with serving(server) as port:
            yield port


@contextmanager
def django_asgi(inbox: Inbox, **options: Any) -> Iterator[int]:
    view = webhooks.django_view(inbox, **options)
    urls = (path("webhooks/", view), path("webhooks/<path:secret>", view))
    with (
        override_settings(ROOT_URLCONF=urls),
        under_uvicorn(get_asgi_application(), lifespan="off") as port,
    ):
        yield port


def flask_blueprint(inbox: Inbox, **options: Any) -> AbstractContextManager[int]:
    app = flask.Flask(__name__)
    app.register_blueprint(webhooks.flask_blueprint(inbox, **options), url_prefix="/webhooks")
    return serving(werkzeug.serving.make_server("127.0.0.1", 0, app, threaded=True))


ASYNC = [aiohttp_app, aiohttp_routes, fastapi, starlette, bare_asgi]
THREADED = [bare_wsgi, django_wsgi, django_asgi, flask_blueprint]
RECEIVERS = ASYNC + THREADED


@attrs.frozen
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@attrs.frozen
class Client:
    """Posts to a receiver, one connection a request."""

    port: int

    def post(self, body: Any = STATUS, at: str = SECRET, **options: Any) -> int:
        """Post an event, or any bytes; return the status of the answer."""
        return self.answer(body, at, **options).status

    def answer(
        self,
        body: Any = STATUS,
        at: str = SECRET,
        *,
        method: str = "POST",
        headers: dict[str, str] | None = None,
        chunked: bool = False,
    ) -> Answer:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        start = head(at, method, None if chunked else len(content), headers)
        return self.exchange(start, b"".join(chunks(content)) + END if chunked else content)

    def exchange(self, head: bytes, content: bytes = b"") -> Answer:
        """Send what is given, as far as the server takes it, and read the answer."""
        with self.connected() as connection:
            sender = threading.Thread(target=send, args=(connection, head, content))
            sender.start()
            answer = read_answer(connection)
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            sender.join()
        return answer

    def connected(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT)


def head(
    at: str,
    method: str = "POST",
    length: int | str | None = None,
    headers: dict[str, str] | None = None,
) -> bytes:
    fields = {"Host": "127.0.0.1", "Content-Type": "application/json", **(headers or {})}
    fields |= (
        {"Transfer-Encoding": "chunked"} if length is None else {"Content-Length": str(length)}
    )
    lines = [f"{method} /webhooks/{at} HTTP/1.1", *(f"{name}: {fields[name]}" for name in fields)]
    return "\r\n".join([*lines, "", ""]).encode()


def chunks(content: bytes, size: int = 16_000) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        part = content[start : start + size]
        yield b"%x\r\n%b\r\n" % (len(part), part)


def send(connection: socket.socket, *parts: bytes) -> None:
    with suppress(OSError):  # the server has said what it has to say
        for part in parts:
            connection.sendall(part)


def read_answer(connection: socket.socket) -> Answer:
    """Read an answer; a server that closes on a body may take it away again."""
    try:
        return read_whole_answer(connection)
    except ConnectionResetError:
        return Answer(RESET, {}, b"")


def read_whole_answer(connection: socket.socket) -> Answer:
    with connection.makefile("rb") as stream:
        status = int(stream.readline().split()[1])
        headers = {}
        while line := stream.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return Answer(status, headers, stream.read(int(headers.get("content-length", 0))))
