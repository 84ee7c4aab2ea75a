"""The exceptions, their messages, and every invalid setting of a client."""

import asyncio
import copy
import inspect
import pickle
import ssl
from http import HTTPStatus
from typing import Any

import attrs
import pytest
from awaited import asyncio_only
from multidict import CIMultiDict

import connectus_async
from connectus_async import (
    AllChannelsFailedError,
    AsyncConnectus,
    CampaignStoppedError,
    ClientClosedError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    ConnectusError,
    DeliveryTimeoutError,
    InvalidArgumentError,
    LedgerError,
    NotSentError,
    Outcome,
    RateLimitError,
    RejectedError,
    RequestError,
    RequestTimeoutError,
    ServerError,
    UndeliveredError,
    UnexpectedStatusError,
    UnknownOutcomeError,
    UnreadableAnswerError,
    WebhookError,
    WrongEventLoopError,
    errors,
)
from connectus_async.answer import Response
from connectus_async.config import BASE_URL, QR_BASE_URL, Config
from connectus_async.defaults import ENVIRONMENT
from connectus_async.emulator import Emulator, Fault
from connectus_async.statuses import STATUSES, table

RESPONSE = Response(409, CIMultiDict({"X-Request-Id": "1"}), b'{"error": "no"}')


def every(kind: type) -> list[type]:
    return [kind] + [found for subclass in kind.__subclasses__() for found in every(subclass)]


ERRORS = [kind for kind in every(ConnectusError) if kind.__module__ == errors.__name__]
REQUEST_ERRORS = [kind for kind in ERRORS if issubclass(kind, RequestError)]
LOCAL_ERRORS = [kind for kind in ERRORS if not issubclass(kind, RequestError)]


def example(kind: type, response: Response | None = RESPONSE) -> ConnectusError:
    if issubclass(kind, RequestError):
        return kind("POST /sms/send_individual", "409 Conflict", response)
    if issubclass(kind, ConfigurationError | InvalidArgumentError):
        return kind("api_user", "is missing")
    if issubclass(kind, LedgerError):
        return kind("campaign.db", "is in use")
    if issubclass(kind, CampaignStoppedError | WebhookError):
        return kind("is not what it should be")
    if kind is AllChannelsFailedError:
        return kind(())
    return kind()


def test_every_error_is_public_and_in_the_tree():
    """One `except ConnectusError` catches them all, and each can be imported."""
    public = {name for name in connectus_async.__all__ if name.endswith("Error")}

    assert {kind.__name__ for kind in ERRORS} == public


def test_what_became_of_the_request_is_in_the_tree_as_well():
    """An `except NotSentError` is as good as a look at the outcome."""
    branches = {
        NotSentError: Outcome.NOT_SENT,
        RejectedError: Outcome.REJECTED,
        UnknownOutcomeError: Outcome.UNKNOWN,
    }
    for kind in set(REQUEST_ERRORS) - {RequestError}:
        (branch,) = [branch for branch in branches if issubclass(kind, branch)]
        assert kind.outcome is branches[branch]
    accepted = {DeliveryTimeoutError, UndeliveredError}
    assert {kind.outcome for kind in accepted} == {Outcome.ACCEPTED}
    local = set(LOCAL_ERRORS) - accepted
    assert {kind.outcome for kind in local} == {Outcome.NOT_SENT}
    assert {kind.outcome for kind in (ConnectError, RateLimitError)} == {Outcome.NOT_SENT}
    unknown = (
        *(ConnectionLostError, RequestTimeoutError, ServerError),
        *(UnexpectedStatusError, UnreadableAnswerError),
    )
    assert {kind.outcome for kind in unknown} == {Outcome.UNKNOWN}


def test_the_statuses_with_an_error_of_their_own():
    """429 and 407 were not acted upon; the others are definite."""
    own = {400, 401, 402, 403, 404, 407, 409, 413, 422, 429}

    for status in own:
        kind = STATUSES[status].error
        assert str(int(HTTPStatus(status))) in inspect.getdoc(kind)
        assert issubclass(kind, NotSentError if status in {407, 429} else RejectedError)


def test_a_status_is_named_where_its_error_is_documented():
    """By the error that several share as well, but for what is left open."""
    for status, known in STATUSES.items():
        if known.error in {NotSentError, RejectedError}:
            assert str(status) in inspect.getdoc(known.error)
        assert known.reason.endswith(".")


def test_the_table_of_statuses_says_what_becomes_of_each():
    """It is written from what decides."""
    lines = table().splitlines()

    assert len(lines) == 2 + len(STATUSES) + 1
    for status, known in STATUSES.items():
        assert f"| {status} | `{known.error.outcome}` | {known.reason} |" in lines


def test_the_customary_errors_of_python_catch_ours():
    """Code that knows nothing of this package may still know what a timeout is."""
    assert issubclass(RequestTimeoutError, TimeoutError)
    assert issubclass(ConfigurationError, ValueError)
    assert issubclass(InvalidArgumentError, ValueError)
    assert issubclass(ClientClosedError, RuntimeError)
    assert issubclass(WrongEventLoopError, RuntimeError)


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("response", [None, RESPONSE], ids=["no response", "response"])
def test_an_error_pickles(kind: type, response: Response | None):
    """It may come back from a worker process."""
    error = example(kind, response)
    error.add_note("on row 7")

    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        twin = pickle.loads(pickle.dumps(error, protocol))
        assert type(twin) is kind
        assert str(twin) == str(error)
        assert repr(twin) == repr(error)
        assert vars(twin) == vars(error)
        assert twin.args == error.args
        assert twin.outcome is error.outcome
        assert twin.response == error.response
    assert str(copy.copy(error)) == str(copy.deepcopy(error)) == str(error)


def test_a_rate_limit_keeps_its_pause_through_a_pickle():
    """The one error with an argument more."""
    error = RateLimitError("POST /x", "429 Too Many Requests", RESPONSE, 7.5)

    assert pickle.loads(pickle.dumps(error)).retry_after == 7.5
    assert RateLimitError(*error.args).retry_after == 7.5


@pytest.mark.parametrize("kind", REQUEST_ERRORS, ids=lambda kind: kind.__name__)
def test_an_error_says_which_call_and_why(kind: type):
    """One line, the call first."""
    error = example(kind)

    assert str(error).startswith("POST /sms/send_individual: 409 Conflict")
    assert str(error).isprintable()
    assert (error.call, error.reason) == ("POST /sms/send_individual", "409 Conflict")
    assert error.response is RESPONSE


ADVICE = {
    "ConnectError": "check the base URL",
    "TooManyOpenFilesError": "ulimit -n",
    "ProxyError": "check the proxy",
    "ProxyAuthenticationError": "check the user and password",
    "RateLimitError": "slow down",
    "AuthenticationError": "check api_user and api_key",
    "PaymentRequiredError": "add balance",
    "PermissionDeniedError": "ask the account's administrator",
    "ClientClosedError": "open a new one",
    "WrongEventLoopError": "one client per loop",
    **dict.fromkeys(
        [
            "UnknownOutcomeError",
            "RequestTimeoutError",
            "ConnectionLostError",
            "ServerError",
            "UnexpectedStatusError",
            "UnreadableAnswerError",
        ],
        "check before sending it again",
    ),
}


@pytest.mark.parametrize(("name", "advice"), ADVICE.items())
def test_a_sentence_tells_what_to_do(name: str, advice: str):
    """Where the status and the server's words do not say it themselves."""
    assert advice in str(example(getattr(connectus_async, name)))


def test_a_response_shows_its_status_and_size_alone():
    """Headers and body are there to be read, not to be logged."""
    assert repr(RESPONSE) == "Response(status=409, body=<15 bytes>)"


async def test_a_call_without_credentials_for_its_host_is_not_sent(emulator: Emulator):
    """The error names the setting and its environment variable."""
    urls = {"base_url": emulator.base_url, "qr_base_url": emulator.qr_base_url}
    async with AsyncConnectus("user", "key", **urls) as connectus:
        with pytest.raises(ConfigurationError, match="CONNECTUS_QR_TOKEN") as caught:
            await connectus.whatsapp_qr.qr()
        assert caught.value.setting == "qr_token"
    async with AsyncConnectus(qr_token="token", **urls) as connectus:
        with pytest.raises(ConfigurationError, match="CONNECTUS_API_USER") as caught:
            await connectus.sms.send("56987688060", "Hola")
        assert caught.value.setting == "api_user"

    assert caught.value.outcome is Outcome.NOT_SENT
    assert not emulator.requests


# Settings

CREDENTIALS = {"api_user": "user", "api_key": "key"}
NUMBERS_ABOVE_ZERO = ["timeout", "connect_timeout", "keepalive_timeout"]
NUMBERS_FROM_ZERO = ["backoff_base", "backoff_cap", "retry_after_cap"]
WHOLE_ABOVE_ZERO = ["max_connections", "max_response_bytes"]
WHOLE_FROM_ZERO = ["max_retries"]
URLS = ["base_url", "qr_base_url"]
SECRETS = ["api_user", "api_key", "qr_token"]

NO_NUMBER = [float("nan"), float("inf"), -1, -0.5, True, False, "5", b"5", [5], ...]
NO_URL = [
    *["", "plataforma.connectus.la", "ftp://connectus.la", "https://", "https:///api", "//host"],
    *["https://user:key@connectus.la", "https://connectus.la?x=1", "https://connectus.la/#x"],
    *["https://connectus.la/?", "https://connectus.la/#", "https://[::1", "https://host:port"],
    *["https://host:99999", "https://connectus.la/a b", "https://connectus.la/\n", " https://a.cl"],
    *["https://ñandú.cl", "http://connectus.la", 5, b"https://connectus.la", ["https://a.cl"]],
]
NO_SECRET = ["", " ", " key", "key ", "k\ney", "key\n", "k\0y", "\ud800", 5, b"key", True]

WRONG = [
    *[(name, value) for name in NUMBERS_ABOVE_ZERO for value in (*NO_NUMBER, 0)],
    *[(name, value) for name in NUMBERS_FROM_ZERO for value in NO_NUMBER],
    *[(name, value) for name in WHOLE_ABOVE_ZERO for value in (*NO_NUMBER, 0, 1.5, 2.0)],
    *[(name, value) for name in WHOLE_FROM_ZERO for value in (*NO_NUMBER, 1.5, 2.0)],
    *[(name, value) for name in URLS for value in NO_URL],
    *[(name, value) for name in SECRETS for value in NO_SECRET],
    ("api_user", "us:er"),
    *[("time_zone", value) for value in ("", "Santiago", "America", "../etc", "\0", 5, b"UTC")],
    *[("ssl_context", value) for value in (True, False, "x", ssl)],
    *[("proxy", value) for value in ("", "proxy", "socks5://proxy:1080", "http://", 5, True)],
    *[("proxy", value) for value in ("ftp://proxy:21", "http://proxy:x", "http://€:x@proxy:1")],
    *[
        ("proxy", value)
        for value in ("http://pro xy:1", "http://proxy:1\n", "http://%ff:x@proxy:1")
    ],
    *[("on_call", value) for value in ("print", 5, True, asyncio.sleep)],
    *[("ca_file", value) for value in ("", "/no/such/file", __file__, "\0", 5, b"a.pem", True)],
]


def shown(value: object) -> str:
    """Name a value without its address, the same in every process that collects the tests."""
    return value.__qualname__ if inspect.isfunction(value) else ascii(value)


@pytest.mark.parametrize(("setting", "value"), WRONG, ids=shown)
def test_a_setting_that_makes_no_sense_is_named(setting: str, value: Any):
    """At once, when the client is made, and not when the first message fails."""
    with pytest.raises(ConfigurationError) as caught:
        AsyncConnectus(**(CREDENTIALS | {setting: value}))

    assert caught.value.setting == setting
    assert str(caught.value).startswith(f"{setting}: ")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("scheme", ["socks4", "socks4a", "socks5", "socks5h", "SOCKS5"])
def test_a_socks_proxy_is_refused_by_name(scheme: str):
    """It is a proxy, and the sentence says which kind can be used."""
    with pytest.raises(
        ConfigurationError, match=r"^proxy: SOCKS proxies are not supported; use an"
    ):
        AsyncConnectus(**CREDENTIALS, proxy=f"{scheme}://user:key@127.0.0.1:1080")


@pytest.mark.parametrize("given", ["proxy:3128", "user:key@127.0.0.1:3128", "[::1]:3128"])
def test_a_proxy_without_a_scheme_is_one_of_http(given: str):
    """As for curl."""
    assert Config(**CREDENTIALS, proxy=given).proxy == f"http://{given}"


def test_every_setting_is_tried_above():
    """A new setting needs its wrong values."""
    assert {setting for setting, _ in WRONG} == {field.name for field in attrs.fields(Config)}


@pytest.mark.parametrize(
    "settings",
    [
        {"timeout": 1, "connect_timeout": 0.5, "keepalive_timeout": 1e-3},
        {"backoff_base": 0, "backoff_cap": 0, "retry_after_cap": 0, "max_retries": 0},
        {"max_connections": 1, "max_response_bytes": 1},
        {"base_url": "https://example.com:8443/api_v3/", "qr_base_url": "https://EXAMPLE.com"},
        {"base_url": "https://xn--and-6ma2c.cl/a%20b"},
        {"time_zone": "UTC"},
        {"ssl_context": ssl.create_default_context()},
        {"proxy": "http://user:key@proxy.example.com:3128"},
        {"proxy": "https://proxy.example.com"},
        {"proxy": "none"},
        {"qr_token": "tökén"},
        {"api_key": "pass:word with blanks €"},
    ],
    ids=",".join,
)
def test_a_setting_that_makes_sense_is_taken(settings: dict[str, Any]):
    """The edges of what is allowed."""
    config = AsyncConnectus(**(CREDENTIALS | settings))._transport.config

    for name, value in settings.items():
        assert getattr(config, name) == (value.rstrip("/") if name in URLS else value)


def test_the_defaults_of_the_documentation_are_the_defaults():
    """A client that is told nothing has finite limits."""
    config = AsyncConnectus(**CREDENTIALS)._transport.config

    assert (config.base_url, config.qr_base_url) == (BASE_URL, QR_BASE_URL)
    assert (config.timeout, config.connect_timeout, config.max_retries) == (30, 5, 2)
    assert config.max_response_bytes == 16 * 2**20
    assert config.time_zone == "America/Santiago"


@pytest.mark.parametrize(
    ("given", "missing"),
    [({"api_user": "user"}, "api_key"), ({"api_key": "key"}, "api_user"), ({}, "api_user")],
)
def test_missing_credentials_are_named_with_their_variable(given: dict[str, str], missing: str):
    """The sentence says both ways to give them."""
    with pytest.raises(ConfigurationError, match=ENVIRONMENT[missing]) as caught:
        AsyncConnectus(**given)

    assert caught.value.setting == missing


def test_a_token_alone_is_enough_for_a_client():
    """Someone may use nothing but the WhatsApp QR calls."""
    assert AsyncConnectus(qr_token="token")._transport.config.api_user is None


# The environment

VALUES = {
    "api_user": "env-user",
    "api_key": "env-key",
    "qr_token": "env-token",
    "base_url": "https://env.example.com/api",
    "qr_base_url": "https://env.example.com/qr",
    "time_zone": "America/Lima",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VALUES.items():
        monkeypatch.setenv(f"CONNECTUS_{name.upper()}", value)


@pytest.mark.usefixtures("environment")
def test_the_environment_fills_what_is_left_out():
    """All of these variables."""
    config = AsyncConnectus()._transport.config

    assert {name: getattr(config, name) for name in VALUES} == VALUES


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("name", VALUES)
def test_an_argument_counts_more_than_the_environment(name: str):
    """And the others still come from the environment."""
    others = {**dict.fromkeys(URLS, "https://given.example.com"), "time_zone": "UTC"}
    given = others.get(name, "given")
    config = AsyncConnectus(**{name: given})._transport.config

    assert {each: getattr(config, each) for each in VALUES} == VALUES | {name: given}


@pytest.mark.usefixtures("environment")
def test_an_empty_variable_counts_as_left_out(monkeypatch: pytest.MonkeyPatch):
    """As a compose file writes one that is not set."""
    monkeypatch.setenv("CONNECTUS_QR_TOKEN", "")
    monkeypatch.setenv("CONNECTUS_BASE_URL", "")
    config = AsyncConnectus()._transport.config

    assert config.qr_token is None
    assert config.base_url == BASE_URL


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("api_key", "key\n"),
        ("api_user", "us:er"),
        ("qr_token", " token"),
        ("base_url", "http://env.example.com"),
        ("qr_base_url", "env.example.com"),
        ("time_zone", "America/Satniago"),
    ],
)
def test_a_variable_is_checked_like_an_argument(
    setting: str, value: str, monkeypatch: pytest.MonkeyPatch
):
    """A line break at the end of a key comes from reading it out of a file."""
    monkeypatch.setenv(f"CONNECTUS_{setting.upper()}", value)
    with pytest.raises(ConfigurationError) as caught:
        AsyncConnectus()

    assert caught.value.setting == setting


@pytest.mark.usefixtures("environment")
def test_the_environment_is_read_when_the_client_is_made(monkeypatch: pytest.MonkeyPatch):
    """A later change does not reach into a client."""
    connectus = AsyncConnectus()
    monkeypatch.setenv("CONNECTUS_API_KEY", "another")

    assert connectus.with_options(timeout=1)._transport.config.api_key == "env-key"


# with_options


@asyncio_only
async def test_options_hold_for_the_copy_alone(connectus: AsyncConnectus):
    """Everything else, and the connections, are those of the original."""
    original = connectus._transport.config
    copied = connectus.with_options(timeout=7, max_retries=0)._transport

    assert (copied.config.timeout, copied.config.max_retries) == (7, 0)
    assert attrs.evolve(copied.config, timeout=original.timeout, max_retries=2) == original
    assert connectus._transport.config is original
    assert copied._pool is connectus._transport._pool


@asyncio_only
async def test_options_that_are_left_out_stay(connectus: AsyncConnectus):
    """Also over several copies."""
    twice = connectus.with_options(timeout=7).with_options(connect_timeout=3)._transport.config

    assert (twice.timeout, twice.connect_timeout, twice.max_retries) == (7, 3, 2)
    assert connectus.with_options()._transport.config == connectus._transport.config


@asyncio_only
async def test_a_copy_is_a_whole_client(connectus: AsyncConnectus, emulator: Emulator):
    """All services, over the same connections, and nested ones as well."""
    copied = connectus.with_options(max_retries=0)
    await copied.sms.send("56987688060", "Hola")
    await copied.whatsapp_qr.groups.create("Vecinos", ["56987688060"])
    await copied.with_options(timeout=3).account.get()

    assert type(copied) is AsyncConnectus
    assert set(vars(copied)) == set(vars(connectus))
    assert emulator.requests.total() == 3


@pytest.mark.parametrize(
    ("option", "value"),
    [("timeout", 0), ("timeout", "5"), ("connect_timeout", -1), ("max_retries", -1)],
)
async def test_an_option_that_makes_no_sense_is_named(
    option: str, value: Any, connectus: AsyncConnectus
):
    """As in the constructor."""
    with pytest.raises(ConfigurationError) as caught:
        connectus.with_options(**{option: value})

    assert caught.value.setting == option


async def test_the_timeout_of_a_copy_counts(emulator: Emulator, connectus: AsyncConnectus):
    """And the original keeps its own."""
    await connectus.account.get()  # or the limit could run out before there is a connection
    with (
        emulator.fault(Fault.timeout(), route="account.get", times=1),
        pytest.raises(RequestTimeoutError, match=r"within 0\.2 s"),
    ):
        await connectus.with_options(timeout=0.2, max_retries=0).account.get()

    assert (await connectus.account.get()).response.status == 200


def test_a_failed_question_is_not_said_to_have_done_anything():
    """Only what may have changed something needs a look before it is sent again."""
    reason = "500 Internal Server Error"
    question, command = (ServerError(f"{method} /x", reason) for method in ("GET", "POST"))

    assert (question.may_have_acted, command.may_have_acted) == (False, True)
    assert str(question) == f"GET /x: {reason}"
    assert "may have been carried out" in str(command)
