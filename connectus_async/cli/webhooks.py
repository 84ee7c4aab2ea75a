"""Webhooks on the command line: receive, forward, record and replay them."""

import json
import secrets
from contextlib import AsyncExitStack
from http import HTTPStatus
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import anyio
import attrs
import click
from anyio.to_thread import run_sync

from connectus_async.cli.language import gettext as _
from connectus_async.cli.language import ngettext, number
from connectus_async.cli.listen_error import listen_error
from connectus_async.cli.runner import at_work, echo, print_json, run, shown
from connectus_async.errors import ConfigurationError, InvalidArgumentError, WebhookError
from connectus_async.redaction import printable
from connectus_async.webhooks import Event, IncomingSms, StatusUpdate, aiohttp_app, parse
from connectus_async.webhooks.access import FAILED, MAX_BODY, RejectedRequest, WebhookResponse

if TYPE_CHECKING:
    from aiohttp import ClientSession

SECRET_BYTES: Final = 24
SHUTDOWN_SECONDS: Final = 5.0
FORWARD_SECONDS: Final = 10.0
JSON: Final = {"Content-Type": "application/json"}


def listen(
    host: str,
    port: int,
    secret: str | None,
    forward_to: str | None,
    record: Path | None,
    as_json: bool,
) -> None:
    """Print events as they come, with numbers and texts; Ctrl-C stops it.

    The first line is the URL for the settings of the platform, as seen from this machine.
    """
    secret = secret or secrets.token_urlsafe(SECRET_BYTES)

    async def command() -> None:
        async with AsyncExitStack() as stack:
            listener = _Listener(as_json=as_json, to=forward_to)
            await listener.open(stack, record)
            address = await _serve(stack, listener, secret, host, port)
            _print_url(f"http://{address}/{secret}", as_json=as_json)
            await anyio.sleep_forever()

    run(command, as_json=as_json, when_interrupted="the receiver has stopped")


def replay(file: Path, to: str, as_json: bool) -> None:
    """Post the events of FILE again, in order, as `listen --record` has written them.

    It stops at the first answer other than 2xx.
    """

    async def command() -> int:
        return await _replay(file, to)

    posted = run(command, as_json=as_json, when_interrupted="interrupted; not all was posted")
    if as_json:
        print_json({"posted": posted})
    else:
        count = ngettext("{count} event posted", "{count} events posted", posted)
        echo(count.format(count=number(posted)))


@attrs.frozen
class _Answer:
    """Answer to a post; where there was none, the status that a gateway gives."""

    status: int
    text: str

    @property
    def is_success(self) -> bool:
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


class _Listener:
    """Handler that prints an event, records it, and forwards it."""

    def __init__(self, *, as_json: bool, to: str | None) -> None:
        self._as_json = as_json
        self._to = to
        self._file: IO[bytes] | None = None
        self._session: ClientSession | None = None

    async def open(self, stack: AsyncExitStack, record: Path | None) -> None:
        if record is not None:
            self._file = stack.enter_context(await run_sync(_opened, "record", record, "ab"))
        if self._to is not None:
            self._session = await stack.enter_async_context(_session())

    async def __call__(self, event: Event) -> None:
        if self._as_json:
            print_json(event.raw)
        else:
            echo(_shown(event))
        if self._file is not None:
            await self._write(self._file, event)
        if self._session is not None and self._to is not None:
            await self._forward(self._session, self._to, event)

    async def _write(self, file: IO[bytes], event: Event) -> None:
        line = json.dumps(event.raw).encode() + b"\n"
        try:
            await run_sync(file.write, line)  # appended in one piece
        except OSError as error:
            raise _rejected(FAILED, f"record: {error.strerror}") from None

    async def _forward(self, session: "ClientSession", to: str, event: Event) -> None:
        answer = await _post(session, to, json.dumps(event.raw).encode())
        if not answer.is_success:
            raise _rejected(WebhookResponse(answer.status), f"forward-to: {answer.text}")


def _opened(setting: str, path: Path, mode: str) -> IO[bytes]:
    try:
        return path.open(mode, buffering=0 if mode == "ab" else -1)
    except OSError as error:
        raise ConfigurationError(setting, f"{path}: {error.strerror}") from None


async def _serve(
    stack: AsyncExitStack, listener: _Listener, secret: str, host: str, port: int
) -> str:
    """Start a server that ends with the stack; return its address."""
    from aiohttp import web  # noqa: PLC0415 - slow to import, and other commands are quick

    runner = web.AppRunner(
        aiohttp_app(listener, secret=secret),
        access_log=None,
        handle_signals=False,
        shutdown_timeout=SHUTDOWN_SECONDS,
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, host, port).start()
    except (OSError, UnicodeError) as error:
        raise listen_error(host, port, error) from None
    taken = runner.addresses[0][1]
    return f"[{host}]:{taken}" if ":" in host else f"{host}:{taken}"


async def _replay(file: Path, to: str) -> int:
    posted = number = 0
    with await run_sync(_opened, "file", file, "rb") as lines, at_work():
        async with _session() as session:
            while line := await run_sync(lines.readline, MAX_BODY + 1):
                number += 1
                if not line.strip():
                    continue
                _check(line, number)
                answer = await _post(session, to, line.strip())
                if not answer.is_success:
                    raise ConfigurationError(
                        "to",
                        f"{answer.text} to line {number}; events posted before it: {posted:,}",
                    )
                posted += 1
    return posted


def _check(line: bytes, number: int) -> None:
    if len(line) > MAX_BODY:
        raise InvalidArgumentError("file", f"line {number} is longer than any event")
    try:
        parse(line)
    except WebhookError as error:
        raise InvalidArgumentError("file", f"line {number}: {error}") from None


def _session() -> "ClientSession":
    import aiohttp  # noqa: PLC0415 - as above

    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=FORWARD_SECONDS))


async def _post(session: "ClientSession", to: str, body: bytes) -> _Answer:
    import aiohttp  # noqa: PLC0415 - as above

    try:
        async with session.post(to, data=body, headers=JSON, allow_redirects=False) as response:
            return _Answer(response.status, f"answered {response.status}")
    except TimeoutError:
        return _Answer(HTTPStatus.GATEWAY_TIMEOUT, "gave no answer in time")
    except (aiohttp.ClientError, OSError, ValueError):  # their texts contain the URL
        return _Answer(HTTPStatus.BAD_GATEWAY, "gave no answer")


def _rejected(response: WebhookResponse, problem: str) -> RejectedRequest:
    click.echo(f"connectus: {shown(problem)}", err=True)
    return RejectedRequest(response)


def _print_url(address: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"url": address})
    else:
        echo(_("listening on {address}").format(address=address))


def _shown(event: Event) -> str:
    match event:
        case StatusUpdate():
            text = f"{event.id_sms}: {event.status}"
        case IncomingSms():
            text = _("{sender} to {recipient}: {text}").format(
                sender=event.src_number, recipient=event.dst_number, text=event.sms_content
            )
            if event.content_agrees is False:
                text += _(" (its bytes say: {text})").format(text=event.binary_content)
        case _:
            text = _("unknown event: {json}").format(json=json.dumps(event.raw))
    return printable(text, " ")
