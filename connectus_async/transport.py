"""Transport to the API, and the only place that decides the outcome of a request.

The progress of a request decides its `Outcome`:

- a failure while the connector is still getting a connection comes before the first byte: not sent;
- any later failure leaves open whether the server acted: unknown;
- a status line with headers decides by itself, by the table in `statuses`;
- a 2xx is accepted if the body of a send is empty, or a JSON object without an error. Any other
  body is unknown: it may be the page of a gateway that forwarded nothing to the API. The answer to
  a query must be what the query asks for.

`_exchange` and `_fast_exchange` move the bytes; no other module of the client imports aiohttp.
"""

import asyncio
import base64
import datetime as dt
import errno
import itertools
import logging
import os
import random
import socket
import ssl
import threading
import time
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self

import aiohttp
import attrs
from aiohttp.http import HttpProcessingError
from multidict import CIMultiDict

from connectus_async import _json
from connectus_async._body import parsed, unpacked
from connectus_async._exchange import (
    MAX_HEADER_BYTES,
    Connector,
    EarlyAnswerError,
    Endpoint,
    Exchange,
    KeepingConnector,
    Limits,
    OneTimeConnector,
    OneTimeExchange,
    PublicExchange,
    RawResponse,
    failed_while_connecting,
)
from connectus_async._fast_exchange import (
    KNOWN_VERSIONS,
    FastConnector,
    FastExchange,
    knows_aiohttp,
)
from connectus_async._one_process import Unpicklable
from connectus_async._repeated import RepeatedAnswers
from connectus_async._version import __version__
from connectus_async._watching import Guarded, WatchedAttempt
from connectus_async.acceptance import (
    described,
    detail,
    error_in,
    is_plain_answer,
    is_server_error,
)
from connectus_async.answer import Answer, Response, http_date
from connectus_async.call import Call, Host
from connectus_async.config import Config
from connectus_async.converter import AnswerT, fits, is_documented, structure
from connectus_async.defaults import ENVIRONMENT
from connectus_async.errors import (
    ClientClosedError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    ConnectusError,
    NotSentError,
    Outcome,
    ProxyAuthenticationError,
    ProxyError,
    RateLimitError,
    RejectedError,
    RequestError,
    RequestTimeoutError,
    ServerError,
    TooManyOpenFilesError,
    UnreadableAnswerError,
    WrongEventLoopError,
)
from connectus_async.redaction import scrubbed
from connectus_async.statuses import error_of

NOTHING: Final = "it is empty"
NO_DESCRIPTORS: Final = frozenset({errno.EMFILE, errno.ENFILE})
LONGEST_RETRY_AFTER: Final = 366 * 86_400.0
"""Seconds. No server means more, and a sum with more may overflow."""

EXITING: Final = (
    "no connection: Python is exiting and no longer resolves host names "
    "(nothing was sent; send before the main thread ends)"
)

_DECIDED: Final = (RequestError, ClientClosedError)
"""Errors that have their outcome already."""

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_log: Final = logging.getLogger("connectus_async")


class Transport(Unpicklable):
    """Sends calls, with the retries and limits of a configuration."""

    def __init__(self, config: Config, pool: "_Pool | None" = None) -> None:
        self.config = config
        self._pool = pool or _Pool(config)
        self._endpoints = self._pool.endpoints
        sent = [(each.headers, each.proxy) for each in self._endpoints.values() if each]
        self._secrets = (config.api_user, config.api_key, config.qr_token, sent)
        self._hook = self._pool.hook
        self._repeated = RepeatedAnswers()
        self._limits = Limits(config.timeout, config.connect_timeout, config.max_response_bytes)

    def with_options(self, **options: Any) -> Self:
        """Make a transport with other options on the same connections."""
        return type(self)(self.config.with_options(**options), self._pool)

    async def zone(self) -> "ZoneInfo":
        """Return the zone of the API's dates, which may be read from a file.

        Raises:
            ConfigurationError: This machine does not know the zone.
        """
        from anyio.to_thread import run_sync  # noqa: PLC0415 - rarely needed

        return await run_sync(lambda: self.config.zone)

    async def close(self) -> None:
        """Close the connections, also for copies made by `with_options`."""
        await self._pool.close()

    async def send(self, call: Call, answer: type[AnswerT]) -> AnswerT:
        """Send a call, retry it where that is safe, and return its typed answer.

        Raises:
            RequestError: The request failed; see its ``.outcome``.
            ConfigurationError: The host's credentials are not set.
            ClientClosedError: The client was closed.
            WrongEventLoopError: The client is open in another event loop.
        """
        body = call.body
        if not (body is None or isinstance(body, bytes)):
            body = _json.dumps(body)
        for tries in itertools.count(1):
            started = time.perf_counter()
            endpoint = self._endpoints[call.host._value_]
            if endpoint is None:
                raise _missing_credentials(call.host)
            exchange = self._pool.exchange()
            failure: Exception
            try:
                if self._hook is None:
                    raw = await exchange(endpoint, call.method, call.target, body, self._limits)
                    result = self._repeated.read(answer, raw) or self._read(call, raw, answer)
                else:
                    attempt = WatchedAttempt(self._hook, call, tries, endpoint, body)
                    raw, result = await self._watched(attempt, exchange, call, answer, body)
            except Exception as error:  # noqa: BLE001 - after any error it may have been sent
                failure = error if isinstance(error, _DECIDED) else self._failure(call, error)
            else:
                if _log.isEnabledFor(logging.DEBUG):
                    _log_try(call, tries, started, raw.status, Outcome.ACCEPTED)
                return result
            pause = self._failed_try(call, failure, tries, started)
            if pause is None:
                raise failure  # outside the except block: aiohttp's errors contain URLs
            await asyncio.sleep(pause)
        raise AssertionError  # itertools.count does not end

    async def _watched(
        self,
        attempt: WatchedAttempt,
        exchange: Exchange,
        call: Call,
        answer: type[AnswerT],
        body: bytes | None,
    ) -> tuple[RawResponse, AnswerT]:
        """Make one attempt that a hook watches; return the response and its answer."""
        raw: RawResponse | None = None
        failure: Exception
        try:
            raw = await exchange(attempt.endpoint, call.method, call.target, body, self._limits)
            result = self._repeated.read(answer, raw) or self._read(call, raw, answer)
        except Exception as error:  # noqa: BLE001 - as in `send`
            failure = error if isinstance(error, _DECIDED) else self._failure(call, error)
        except BaseException as error:
            is_unsent = raw is None and failed_while_connecting(error)
            attempt.ended(raw, Outcome.NOT_SENT if is_unsent else Outcome.UNKNOWN, error)
            raise
        else:
            attempt.ended(raw, Outcome.ACCEPTED, None)
            return raw, result
        attempt.ended(raw, failure.outcome, failure)
        raise failure  # as in `send`

    def _failed_try(
        self, call: Call, failure: Exception, tries: int, started: float
    ) -> float | None:
        """Log a failure; return the seconds until the next try, or ``None`` for no retry."""
        if not isinstance(failure, RequestError):
            return None
        status = failure.response.status if failure.response else type(failure).__name__
        _log_try(call, tries, started, status, failure.outcome)
        return self._pause(call, failure, tries)

    def _read(self, call: Call, raw: RawResponse, answer: type[AnswerT]) -> AnswerT:
        """Parse a response in full."""

        def parse(raw: RawResponse) -> AnswerT:
            return _result(call, _received(raw, self._limits.answer), answer, self._secrets)

        result = parse(raw)
        if not call.is_idempotent:
            self._repeated.learn(raw, result, parse)
        return result

    def _pause(self, call: Call, error: RequestError, tries: int) -> float | None:
        """Return the seconds until the next try, or ``None`` for no retry."""
        config = self.config
        may_repeat = (
            error.outcome is Outcome.NOT_SENT and not isinstance(error, ProxyAuthenticationError)
        ) or (error.outcome is Outcome.UNKNOWN and call.is_idempotent)
        if not may_repeat or tries > config.max_retries:
            return None
        wanted = _retry_after(error.response)
        if wanted is None:
            backoff = min(config.backoff_cap, config.backoff_base * 2 ** (tries - 1))
            return random.uniform(0, backoff)  # noqa: S311 - spreads load
        return wanted if wanted <= config.retry_after_cap else None

    def _failure(self, call: Call, error: Exception) -> ConnectusError:
        failure = self._request_error(call, error)
        if self._pool.is_closed and isinstance(failure, ConnectError):
            return ClientClosedError()
        return failure

    def _request_error(self, call: Call, error: Exception) -> RequestError:
        name = str(call)
        if failed_while_connecting(error):
            if isinstance(error, RuntimeError) and not threading.main_thread().is_alive():
                return NotSentError(name, EXITING)
            return self._connect_error(call, error)
        if isinstance(error, TimeoutError):
            return RequestTimeoutError(name, f"no answer within {self.config.timeout:g} s")
        return ConnectionLostError(name, _reason(error))

    def _connect_error(self, call: Call, error: Exception) -> ConnectError:
        name = str(call)
        if isinstance(error, aiohttp.ClientHttpProxyError):
            is_login = error.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
            refusal = ProxyAuthenticationError if is_login else ProxyError
            return refusal(name, f"the proxy refused: {_named(error.status)}")
        if _lacks_descriptors(error):
            return TooManyOpenFilesError(name, "no connection: too many open files")
        endpoint = self._endpoints[call.host.value]
        has_proxy = endpoint is not None and endpoint.proxy is not None
        kind: type[ConnectError] = ProxyError if has_proxy else ConnectError
        route = " through the proxy" if has_proxy else ""
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            limit = self.config.connect_timeout
        elif isinstance(error, TimeoutError):
            limit = self.config.timeout
        else:
            return kind(name, f"no connection{route}: {_reason(error)}")
        return kind(name, f"no connection{route} within {limit:g} s")


def _log_try(call: Call, tries: int, started: float, status: object, outcome: Outcome) -> None:
    elapsed = (time.perf_counter() - started) * 1000
    _log.debug("%s: %s %s in %.1f ms, try %d", call, status, outcome, elapsed, tries)


class _Pool:
    """Connections of a client and its copies, opened by the first request."""

    def __init__(self, config: Config) -> None:
        self.endpoints = {host.value: _endpoint(config, host) for host in Host}
        self._config = config
        self._ssl = config.ssl_context or _trusting(config.ca_file)
        self._session: aiohttp.ClientSession | None = None
        self._exchange: Exchange | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.hook = None if config.on_call is None else Guarded("on_call", config.on_call)
        self.is_closed = False

    def exchange(self) -> Exchange:
        """Return the exchange, for calls in the event loop of the first call."""
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
        kind: type[Connector]
        kept: dict[str, float] = {"keepalive_timeout": config.keepalive_timeout}
        if not knows_aiohttp():
            _warn_of_unknown_aiohttp()
            kind, kept = OneTimeConnector, {}
        elif any(endpoint and endpoint.proxy for endpoint in self.endpoints.values()):
            kind = KeepingConnector
        else:
            kind = FastConnector
        session = aiohttp.ClientSession(
            connector=kind(limit=config.max_connections, ssl=self._ssl or True, **kept),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
        )
        if hasattr(session, "_retry_connection"):
            # Otherwise aiohttp retries a GET on its own, besides our retries.
            session._retry_connection = False  # noqa: SLF001 - there is no public option
        return session

    async def close(self) -> None:
        self.is_closed = True
        if self._session is not None:
            await self._session.close()


def _exchange_of(session: aiohttp.ClientSession) -> Exchange:
    connector = session.connector
    if isinstance(connector, FastConnector):
        return FastExchange(connector, PublicExchange(session))
    if isinstance(connector, OneTimeConnector):
        return OneTimeExchange(session)
    return PublicExchange(session)


@cache
def _warn_of_unknown_aiohttp() -> None:
    """Warn once per process that sending is slower, and why."""
    _log.warning(
        "aiohttp %s is not tested with connectus-async %s: each request opens its own connection, "
        "which is slower but never sends twice. Install aiohttp %s, or a newer connectus-async.",
        aiohttp.__version__,
        __version__,
        " or ".join(sorted(KNOWN_VERSIONS)),
    )


def _reason(error: BaseException) -> str:
    """Describe an error without URLs."""
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
        return "the answer was cut off"
    if isinstance(error, EarlyAnswerError):
        return "the server answered with success before the whole request was sent"
    if isinstance(error, (aiohttp.ClientResponseError, HttpProcessingError)):
        return "the answer is not HTTP"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return f"the exchange failed ({type(error).__name__})"


def _lacks_descriptors(error: BaseException) -> bool:
    """Tell whether too many open files prevent a connection.

    A host name that cannot be resolved for that reason fails as a DNS error, so a socket is tried.
    """
    number = getattr(error, "errno", None)
    if not isinstance(error, aiohttp.ClientConnectorDNSError):
        return number in NO_DESCRIPTORS
    try:
        socket.socket().close()
    except OSError as failure:
        return failure.errno in NO_DESCRIPTORS
    return False


def _endpoint(config: Config, host: Host) -> Endpoint | None:
    """Return the endpoint of a host, or ``None`` without credentials for it."""
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
    return Endpoint(base_url, CIMultiDict(headers), config.proxy_for(base_url))


def _trusting(ca_file: str | None) -> ssl.SSLContext | None:
    """Make a TLS context that also trusts the authorities of a file.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    if ca_file is None:
        return None
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_verify_locations(ca_file)
    except ssl.SSLError:
        raise ConfigurationError("ca_file", "contains no PEM certificates") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its path is invalid"
        raise ConfigurationError("ca_file", f"cannot be read: {reason.lower()}") from None
    return context


def _missing_credentials(host: Host) -> ConfigurationError:
    setting = "qr_token" if host is Host.QR else "api_user"
    return ConfigurationError(
        setting, f"is required for this call; pass {setting} or set {ENVIRONMENT[setting]}"
    )


@attrs.define
class _Received:
    """An HTTP response with its JSON.

    Attributes:
        response: The response.
        json: Its JSON.
        problem: The reason for missing JSON.
        is_broken: Whether the body is missing as well.
    """

    response: Response
    json: Any = None
    problem: str | None = None
    is_broken: bool = False


def _received(raw: RawResponse, limit: int) -> _Received:
    """Decode a raw response.

    Raises:
        Exception: It is a success, but incomplete: the missing part may contain an ``error``.
    """
    if raw.problem is not None:
        return _broken(raw, raw.problem)
    headers = raw.headers
    try:
        encoding = raw.encoding
        body = raw.body if encoding is None else unpacked(raw.body, encoding, limit)
    except ValueError as error:
        return _broken(raw, error)
    whole = Response(raw.status, headers, body)
    try:
        return _Received(whole, _json.loads(body))
    except ValueError:
        return _read_otherwise(raw, whole)


def _read_otherwise(raw: RawResponse, whole: Response) -> _Received:
    """Parse a body that is not JSON in UTF-8, or state the problem."""
    body = whole.body
    try:
        return _Received(whole, parsed(body, whole.headers.get("Content-Type", "")))
    except ValueError:
        if _is_success(raw.status) and not _ends_by_itself(raw):
            raise aiohttp.ClientPayloadError from None  # it may have been cut off
        return _Received(whole, None, NOTHING if not body.strip() else "it is not JSON")


def _broken(raw: RawResponse, problem: Exception) -> _Received:
    is_whole = isinstance(problem, ValueError)
    if not is_whole and _is_success(raw.status):
        raise problem
    sentence = str(problem) if is_whole else "it was cut off"
    return _Received(Response(raw.status, raw.headers, b""), None, sentence, is_broken=True)


def _ends_by_itself(raw: RawResponse) -> bool:
    """Tell whether the headers mark the end of the body; else a lost connection looks like it."""
    return (
        raw.status == HTTPStatus.NO_CONTENT
        or "Content-Length" in raw.headers
        or "Transfer-Encoding" in raw.headers
    )


def _is_success(status: int) -> bool:
    return 200 <= status < 300


def _result(call: Call, received: _Received, answer: type[AnswerT], secrets: object) -> AnswerT:
    response, json = received.response, received.json
    if not _is_success(response.status):
        raise _refusal(call, received, secrets)
    if (error := error_in(json, answer, is_query=call.is_idempotent)) is not None:
        reason = _with_detail("the answer is an error", call, error, secrets)
        kind = ServerError if is_server_error(error) else RejectedError
        raise kind(str(call), reason, response)
    if type(json) is not dict and (problem := _problem(call, received, answer)):
        reason = f"{response.status}, but the answer cannot be read: {problem}"
        if response.body:
            reason += f" ({described(response, _known(call, secrets))})"
        raise UnreadableAnswerError(str(call), reason, response)
    return structure(answer, json, response)


def _problem(call: Call, received: _Received, answer: type[Answer]) -> str | None:
    """Return the reason why a response does not answer the call, or ``None`` if it does."""
    if call.is_idempotent:
        if not is_documented(answer) or (received.problem is None and fits(answer, received.json)):
            return None
    elif received.problem is NOTHING or (call.host is Host.QR and _is_any_answer(received)):
        return None
    return received.problem or f"it is JSON of an unexpected type ({type(received.json).__name__})"


def _is_any_answer(received: _Received) -> bool:
    """Tell whether a response is an answer where none is documented: any JSON, or a short text."""
    if received.problem is None:
        return True
    return not received.is_broken and is_plain_answer(received.response)


def _refusal(call: Call, received: _Received, secrets: object) -> RequestError:
    response = received.response
    kind = error_of(response.status)
    reason = _with_detail(_named(response.status), call, received.json, secrets)
    if received.problem and response.body:
        reason += f" ({described(response, _known(call, secrets))})"
    if kind is RateLimitError:
        return RateLimitError(str(call), reason, response, _retry_after(response))
    return kind(str(call), reason, response)


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _with_detail(reason: str, call: Call, json: Any, secrets: object) -> str:
    text = detail(json)
    return reason if text is None else f"{reason}: {scrubbed(text, _known(call, secrets))}"


def _known(call: Call, secrets: object) -> object:
    """Return everything that a response may echo."""
    return call.ids, call.query, _sent(call), secrets


def _sent(call: Call) -> Any:
    return _json.loads(call.body) if isinstance(call.body, bytes) else call.body


def _retry_after(response: Response | None) -> float | None:
    """Return the seconds of ``Retry-After``, given as a number or as a date.

    A date is compared with the ``Date`` of the same response, since the clocks may differ.
    """
    if response is None:
        return None
    value = response.headers.get("Retry-After", "")
    if value.isascii() and value.isdecimal():
        return min(float(value), LONGEST_RETRY_AFTER)
    until = http_date(response, "Retry-After")
    if until is None:
        return None
    now = http_date(response, "Date") or dt.datetime.now(dt.UTC)
    return min(max(0.0, (until - now).total_seconds()), LONGEST_RETRY_AFTER)
