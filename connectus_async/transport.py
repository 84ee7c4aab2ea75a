"""The way to the API, and the one place that decides what became of a request.

How far a request came decides its `Outcome`:

- what fails while the connector still looks for a connection fails before the first byte: not sent;
- from then on every failure leaves open whether the server acted: unknown;
- a status line with its headers decides by itself: 2xx is accepted, the definite refusals are
  rejected, 429 was not acted upon, everything else is unknown. In a 2xx the body may still say
  ``error``; so one that breaks off is unknown, and one that is whole but unreadable is accepted.

`_exchange` and `_fast_exchange` move the bytes; no other module on the client's side imports
aiohttp.
"""

import asyncio
import base64
import codecs
import datetime as dt
import itertools
import logging
import os
import random
import threading
import time
import zlib
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, Self

import aiohttp
import attrs
from aiohttp.http import HttpProcessingError
from multidict import CIMultiDict

from connectus_async import _json
from connectus_async._exchange import (
    Connector,
    Endpoint,
    Exchange,
    Limits,
    PublicExchange,
    Reply,
    failed_while_connecting,
    too_large,
)
from connectus_async._fast_exchange import FastConnector, FastExchange, knows_aiohttp
from connectus_async._one_process import OfOneProcess
from connectus_async._version import __version__
from connectus_async.answer import MESSAGE_ID_KEYS, Answer, Response
from connectus_async.call import Call, Host
from connectus_async.config import ENVIRONMENT, Config
from connectus_async.converter import AnswerT, fits, is_documented, names_message, structure
from connectus_async.errors import (
    STATUS_ERRORS,
    ClientClosedError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    ConnectusError,
    NotSentError,
    Outcome,
    RateLimitError,
    RejectedError,
    RequestError,
    RequestTimeoutError,
    ServerError,
    UnexpectedStatusError,
    UnreadableAnswerError,
    WrongEventLoopError,
)
from connectus_async.redaction import scrubbed

EXITING: Final = (
    "no connection: Python is exiting, and its event loops look up no host names any more "
    "(nothing was sent; send before the main thread ends)"
)

_log: Final = logging.getLogger("connectus_async")


class Transport(OfOneProcess):
    """Sends calls with the retries and limits of a configuration."""

    def __init__(self, config: Config, pool: "_Pool | None" = None) -> None:
        self.config = config
        self._pool = pool or _Pool(config)
        self._endpoints = {host.value: _endpoint(config, host) for host in Host}
        headers = [endpoint.headers for endpoint in self._endpoints.values() if endpoint]
        self._secrets = (config.api_user, config.api_key, config.qr_token, headers)
        self._limits = Limits(config.timeout, config.connect_timeout, config.max_response_bytes)

    def with_options(self, **options: Any) -> Self:
        """Make a transport of other options over the same connections."""
        return type(self)(self.config.with_options(**options), self._pool)

    async def close(self) -> None:
        """Close the connections; copies made by `with_options` are closed with it."""
        await self._pool.close()

    async def send(self, call: Call, answer: type[AnswerT]) -> AnswerT:
        """Send a call, again where that is safe, and make a typed answer of what comes back.

        Raises:
            RequestError: The request failed; ``.outcome`` says what became of it.
            ConfigurationError: The host's credentials are not set.
            ClientClosedError: The client was closed.
            WrongEventLoopError: The client is open in another event loop.
        """
        body = call.body
        if not (body is None or isinstance(body, bytes)):
            body = _json.dumps(body)
        for tries in itertools.count(1):
            started = time.perf_counter()
            try:
                received = await self._exchange(call, body)
                result = _result(call, received, answer, self._secrets)
            except RequestError as error:
                status = error.response.status if error.response else type(error).__name__
                _log_try(call, tries, started, status, error.outcome)
                pause = self._pause(call, error, tries)
                if pause is None:
                    raise
            else:
                if _log.isEnabledFor(logging.DEBUG):
                    status = received.response.status
                    _log_try(call, tries, started, status, Outcome.ACCEPTED)
                return result
            await asyncio.sleep(pause)
        raise AssertionError  # itertools.count does not end

    def _pause(self, call: Call, error: RequestError, tries: int) -> float | None:
        """Seconds until the next try, or None where there is to be none."""
        config = self.config
        may_repeat = error.outcome is Outcome.NOT_SENT or (
            error.outcome is Outcome.UNKNOWN and call.is_idempotent
        )
        if not may_repeat or tries > config.max_retries:
            return None
        wanted = _retry_after(error.response)
        if wanted is None:
            backoff = min(config.backoff_cap, config.backoff_base * 2 ** (tries - 1))
            return random.uniform(0, backoff)  # noqa: S311 - spreads load, hides nothing
        return wanted if wanted <= config.retry_after_cap else None

    async def _exchange(self, call: Call, body: bytes | None) -> "_Received":
        endpoint = self._endpoints[call.host._value_]
        if endpoint is None:
            raise _missing_credentials(call.host)
        exchange = self._pool.exchange()
        try:
            reply = await exchange(endpoint, call.method, call.target, body, self._limits)
            return _received(reply, self._limits.answer)
        except ClientClosedError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the message may have left
            failure: ConnectusError = self._failure(call, error)
            if self._pool.is_closed and isinstance(failure, ConnectError):
                failure = ClientClosedError()
        raise failure  # here, not above: aiohttp's errors carry URLs, and must not be its context

    def _failure(self, call: Call, error: Exception) -> RequestError:
        name = str(call)
        if failed_while_connecting(error):
            if isinstance(error, aiohttp.ConnectionTimeoutError):
                return ConnectError(name, f"no connection within {self.config.connect_timeout:g} s")
            if isinstance(error, TimeoutError):
                return ConnectError(name, f"no connection within {self.config.timeout:g} s")
            if isinstance(error, RuntimeError) and not threading.main_thread().is_alive():
                return NotSentError(name, EXITING)
            return ConnectError(name, f"no connection: {_reason(error)}")
        if isinstance(error, TimeoutError):
            return RequestTimeoutError(name, f"no answer within {self.config.timeout:g} s")
        return ConnectionLostError(name, _reason(error))


def _log_try(call: Call, tries: int, started: float, status: object, outcome: Outcome) -> None:
    elapsed = (time.perf_counter() - started) * 1000
    _log.debug("%s: %s %s in %.1f ms, try %d", call, status, outcome, elapsed, tries)


class _Pool:
    """The connections of a client and its copies, opened by the first request."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._session: aiohttp.ClientSession | None = None
        self._exchange: Exchange | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.is_closed = False

    def exchange(self) -> Exchange:
        """Give the way to make exchanges, to a call in the loop of the first one."""
        if self.is_closed:
            raise ClientClosedError
        if self._exchange is None:
            self._loop = asyncio.get_running_loop()
            self._session = self._open()
            self._exchange = _exchange_of(self._session)
        elif self._loop is not asyncio.get_running_loop():
            raise WrongEventLoopError
        return self._exchange

    def _open(self) -> aiohttp.ClientSession:
        config = self._config
        is_fast = config.proxy is None and knows_aiohttp()
        session = aiohttp.ClientSession(
            connector=(FastConnector if is_fast else Connector)(
                limit=config.max_connections,
                keepalive_timeout=config.keepalive_timeout,
                ssl=config.ssl_context or True,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            proxy=config.proxy,
        )
        # Or aiohttp sends a GET twice for each try of ours.
        session._retry_connection = False  # noqa: SLF001 - it has no public switch
        return session

    async def close(self) -> None:
        self.is_closed = True
        if self._session is not None:
            await self._session.close()


def _exchange_of(session: aiohttp.ClientSession) -> Exchange:
    public = PublicExchange(session)
    connector = session.connector
    return FastExchange(connector, public) if isinstance(connector, FastConnector) else public


def _reason(error: BaseException) -> str:
    """Say what happened in words that hold no URL."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        problem = error.certificate_error
        return f"TLS: {getattr(problem, 'verify_message', '') or type(problem).__name__}"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return f"TLS: {getattr(error.os_error, 'reason', '') or 'handshake failed'}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"the name {error.host} cannot be resolved"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the server closed the connection without an answer"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the answer broke off"
    if isinstance(error, (aiohttp.ClientResponseError, HttpProcessingError)):
        return "what came back is not HTTP"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return f"the exchange failed ({type(error).__name__})"


def _endpoint(config: Config, host: Host) -> Endpoint | None:
    """Where the requests to a host go and what they carry, or None without credentials for it."""
    base_url = config.qr_base_url if host is Host.QR else config.base_url
    if host is Host.QR:
        credentials = config.qr_token and f"Bearer {config.qr_token}"
    else:
        pair = f"{config.api_user}:{config.api_key}".encode()
        credentials = config.api_user and f"Basic {base64.b64encode(pair).decode()}"
    if not credentials:
        return None
    headers = {
        "Authorization": credentials,
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Accept-Encoding": "gzip, deflate",
        "User-Agent": f"connectus-async/{__version__}",
    }
    return Endpoint(base_url, CIMultiDict(headers))


def _missing_credentials(host: Host) -> ConfigurationError:
    setting = "qr_token" if host is Host.QR else "api_user"
    return ConfigurationError(
        setting, f"this call needs it: pass {setting} or set {ENVIRONMENT[setting]}"
    )


@attrs.define
class _Received:
    """An HTTP response and its JSON, or why there is none."""

    response: Response
    json: Any = None
    problem: str | None = None


def _received(reply: Reply, limit: int) -> _Received:
    """Make a response of a reply.

    Raises:
        Exception: The answer is a success that is not whole: what is missing may say ``error``.
    """
    if reply.problem is not None:
        return _broken(reply, reply.problem)
    try:
        encoding = reply.encoding
        body = reply.body if encoding is None else _decompressed(reply.body, encoding, limit)
    except ValueError as error:
        return _broken(reply, error)
    whole = Response(reply.status, reply.headers, body)
    try:
        return _Received(whole, _json.loads(body.removeprefix(codecs.BOM_UTF8)))
    except ValueError:
        if _is_success(reply.status) and not _ends_by_itself(reply):
            raise aiohttp.ClientPayloadError from None  # for all we know it was cut short
        return _Received(whole, None, "it is not JSON")


def _broken(reply: Reply, problem: Exception) -> _Received:
    is_whole = isinstance(problem, ValueError)
    if not is_whole and _is_success(reply.status):
        raise problem
    sentence = str(problem) if is_whole else "it broke off"
    return _Received(Response(reply.status, reply.headers, b""), None, sentence)


def _ends_by_itself(reply: Reply) -> bool:
    """Tell whether the headers say where the body ends; else a lost connection looks like it."""
    return (
        reply.status == HTTPStatus.NO_CONTENT
        or "Content-Length" in reply.headers
        or "Transfer-Encoding" in reply.headers
    )


def _decompressed(body: bytes, encoding: str, limit: int) -> bytes:
    if encoding.lower() == "identity":
        return body
    if encoding.lower() not in {"gzip", "deflate"}:
        raise ValueError("it is encoded in a way that was not asked for")
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        whole = inflater.decompress(body, limit + 1)
    except zlib.error:
        raise ValueError("it does not decompress") from None
    if len(whole) > limit:
        raise too_large(limit)
    if not inflater.eof:
        raise ValueError("it does not decompress to its end")
    return whole


def _is_success(status: int) -> bool:
    return 200 <= status < 300


def _result(call: Call, received: _Received, answer: type[AnswerT], secrets: object) -> AnswerT:
    response, json = received.response, received.json
    if not _is_success(response.status):
        raise _refusal(call, received, secrets)
    if _says_error(json, answer):
        reason = _with_detail("answered an error", call, json, secrets)
        raise RejectedError(str(call), reason, response)
    if call.is_idempotent and (problem := _problem(received, answer)):
        reason = f"{response.status}, but the answer cannot be read: {problem}"
        raise UnreadableAnswerError(str(call), reason, response)
    return structure(answer, json, response)


def _problem(received: _Received, answer: type[Answer]) -> str | None:
    """Say why a documented answer cannot be made of what came, or None."""
    if not is_documented(answer):
        return None
    if received.problem is None and not fits(answer, received.json):
        return f"it is JSON of another type ({type(received.json).__name__})"
    return received.problem


def _says_error(json: Any, answer: type[Answer]) -> bool:
    """Tell an error in a 2xx. A message with an identifier was accepted, whatever else is said."""
    if not isinstance(json, dict) or not json.get("error"):
        return False
    return not (names_message(answer) and any(json.get(key) for key in MESSAGE_ID_KEYS))


def _refusal(call: Call, received: _Received, secrets: object) -> RequestError:
    status = received.response.status
    kind = STATUS_ERRORS.get(status)
    if kind is None:
        kind = ServerError if status >= HTTPStatus.INTERNAL_SERVER_ERROR else UnexpectedStatusError
    reason = _with_detail(_named(status), call, received.json, secrets)
    if kind is RateLimitError:
        wanted = _retry_after(received.response)
        return RateLimitError(str(call), reason, received.response, wanted)
    return kind(str(call), reason, received.response)


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _with_detail(reason: str, call: Call, json: Any, secrets: object) -> str:
    detail = json.get("error") or json.get("message") if isinstance(json, Mapping) else None
    if not isinstance(detail, str):
        return reason
    return f"{reason}: {scrubbed(detail, (call.ids, call.query, _sent(call), secrets))}"


def _sent(call: Call) -> Any:
    return _json.loads(call.body) if isinstance(call.body, bytes) else call.body


def _retry_after(response: Response | None) -> float | None:
    """Read the seconds that a response asks to wait, given as a number or as a date."""
    value = response.headers.get("Retry-After", "") if response else ""
    if value.isascii() and value.isdecimal():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=dt.UTC)
    return max(0.0, (date - dt.datetime.now(dt.UTC)).total_seconds())
