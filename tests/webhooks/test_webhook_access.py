"""Access check: required settings, secrets and addresses."""

import hmac
from unittest.mock import patch

import pytest
from webhook_servers import ID, SECRET, asynchronous

from connectus_async import ConfigurationError, webhooks
from connectus_async.webhooks.access import (
    MAX_BODY,
    AccessCheck,
    Body,
    RejectedRequest,
    RequestHead,
)

FACTORIES = {
    "aiohttp_app": webhooks.aiohttp_app,
    "aiohttp_routes": lambda handler, **options: webhooks.aiohttp_routes(handler, "/", **options),
    "asgi": webhooks.asgi,
    "wsgi": webhooks.wsgi,
    "django_view": webhooks.django_view,
    "flask_blueprint": webhooks.flask_blueprint,
}

every_receiver = pytest.mark.parametrize("make", FACTORIES.values(), ids=FACTORIES)


def ignore(_event: webhooks.Event) -> None:
    pass


def head(path: str = f"/{SECRET}", **fields: str | None) -> RequestHead:
    return RequestHead(
        **{"method": "POST", "path": path, "query": "", "peer": "192.0.2.1"} | fields
    )


def status(access: AccessCheck, head: RequestHead) -> int:
    try:
        access.check(head)
    except RejectedRequest as rejected:
        return rejected.response.status
    return 200


@every_receiver
def test_a_receiver_without_protection_is_not_made(make):
    """Unless the caller asks for it explicitly."""
    with pytest.raises(ConfigurationError, match="secret: is missing; pass one, or allowed_netw"):
        make(ignore)
    with pytest.raises(ConfigurationError):
        make(ignore, trusted_proxies=["192.0.2.1"])

    assert make(ignore, insecure=True)
    assert make(ignore, allowed_networks=["192.0.2.1"])


@every_receiver
@pytest.mark.parametrize(
    ("options", "setting"),
    [
        ({"secret": ""}, "secret"),
        ({"secret": "short"}, "secret"),
        ({"secret": SECRET + "/"}, "secret"),
        ({"secret": SECRET + "ñ"}, "secret"),
        ({"secret": SECRET + "\n"}, "secret"),
        ({"secret": SECRET.encode()}, "secret"),
        ({"allowed_networks": "192.0.2.1"}, "allowed_networks"),
        ({"allowed_networks": ["192.0.2.1/24"]}, "allowed_networks"),
        ({"allowed_networks": ["unix"]}, "allowed_networks"),
        ({"allowed_networks": [None]}, "allowed_networks"),
        ({"allowed_networks": [4]}, "allowed_networks"),
        ({"allowed_networks": 4}, "allowed_networks"),
        ({"secret": SECRET, "trusted_proxies": "unix"}, "trusted_proxies"),
        ({"secret": SECRET, "trusted_proxies": ["localhost"]}, "trusted_proxies"),
        ({"secret": SECRET, "trusted_proxies": None}, "trusted_proxies"),
    ],
    ids=ascii,
)
def test_a_setting_that_makes_no_sense_is_named(make, options, setting):
    """A secret is not shown."""
    with pytest.raises(ConfigurationError) as raised:
        make(ignore, **options)

    assert raised.value.setting == setting
    assert SECRET not in str(raised.value)


@every_receiver
@pytest.mark.parametrize("handler", [None, "handle", 4])
def test_a_handler_has_to_be_called(make, handler):
    """The error comes before the first event."""
    with pytest.raises(ConfigurationError, match="handler: must be a function"):
        make(handler, secret=SECRET)


class AsyncCalls:
    async def __call__(self, event: webhooks.Event) -> None: ...


@pytest.mark.parametrize("name", ["wsgi", "django_view", "flask_blueprint"])
@pytest.mark.parametrize("handler", [asynchronous(None), AsyncCalls()], ids=["function", "object"])
def test_where_there_is_no_loop_a_handler_is_not_async(name, handler):
    """It would never be awaited."""
    with pytest.raises(ConfigurationError, match="handler: is async"):
        FACTORIES[name](handler, secret=SECRET)


@pytest.mark.parametrize("name", ["aiohttp_app", "aiohttp_routes", "asgi"])
@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), "10", None, True])
def test_a_timeout_that_makes_no_sense(name, timeout):
    """A body must have some time, but not forever."""
    with pytest.raises(ConfigurationError, match="timeout: must be a finite number above zero"):
        FACTORIES[name](ignore, secret=SECRET, timeout=timeout)


@every_receiver
def test_a_receiver_does_not_show_its_secret(make):
    """It ends up in a traceback, or in a debugger's window."""
    made = make(ignore, secret=SECRET)
    receiver = getattr(made, "_receiver", made)

    assert SECRET not in f"{made!r} {made} {receiver!r}"


def test_a_secret_is_compared_in_constant_time():
    """The time of a comparison does not reveal how much of a guess is right."""
    access = AccessCheck(secret=SECRET)
    with patch.object(hmac, "compare_digest", wraps=hmac.compare_digest) as compare:
        assert (
            status(access, head("/x", query=f"secret={SECRET}&secret=no&secret=%6Eo+%FF%")) == 200
        )

    assert [call.args for call in compare.call_args_list] == [
        (guess, SECRET.encode()) for guess in (b"x", SECRET.encode(), b"no", b"no \xff%")
    ]


@pytest.mark.parametrize("query", ["secret=\udcff", "\udcff=%FF", "secret=ñ%", "secret=%\udcff+"])
def test_a_query_that_is_no_text(query):
    """Whatever a server passes on, it is rejected and nothing breaks."""
    assert status(AccessCheck(secret=SECRET), head("/", query=query)) == 404
    assert status(AccessCheck(secret=SECRET), head("/", query=f"{query}&secret={SECRET}")) == 200


@pytest.mark.parametrize("path", ["", "/", "//", f"/{SECRET}/x", f"/{SECRET}\udcff", "/\0", "/ñ"])
def test_a_path_without_the_secret(path):
    """Whatever a server passes on."""
    assert status(AccessCheck(secret=SECRET), head(path)) == 404
    assert status(AccessCheck(secret=SECRET), head(path, query=f"secret={SECRET}")) == 200


NETWORKS = ["192.0.2.0/24", "2001:db8::/32"]


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("192.0.2.255", 200),
        ("::ffff:192.0.2.1", 200),
        ("2001:db8::1", 200),
        ("2001:db8::1%eth0", 200),
        ("192.0.3.0", 404),
        ("::1", 404),
        ("", 404),
        (None, 404),
        ("nonsense", 404),
    ],
)
def test_addresses_and_networks(peer, expected):
    """An IPv4 address matches in its IPv6-mapped form."""
    access = AccessCheck(allowed_networks=NETWORKS)

    assert status(access, head(peer=peer)) == expected
    assert status(access, head(peer="198.51.100.1", forwarded_for=peer or "")) == 404


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("10.0.0.1", "192.0.2.1", 200),
        ("10.0.0.1", "192.0.2.1, 10.0.0.2", 200),
        ("10.0.0.1", "198.51.100.1,192.0.2.1 , 10.0.0.2", 200),
        ("10.0.0.1", "192.0.2.1:4711", 200),
        ("10.0.0.1", "[2001:db8::1]:4711", 200),
        ("10.0.0.1", "[2001:db8::1]", 200),
        ("10.0.0.1", "2001:db8::1", 200),
        ("", "192.0.2.1", 200),
        (None, "192.0.2.1", 200),
        ("10.0.0.1", "192.0.2.1, 198.51.100.1", 404),
        ("10.0.0.1", "192.0.2.1, unix", 404),
        ("10.0.0.1", "192.0.2.1, , 10.0.0.2", 404),
        ("10.0.0.1", "10.0.0.2", 404),
        ("10.0.0.1", "192.0.2.1,", 404),
        ("10.0.0.1", "", 404),
        ("", "", 404),
        ("198.51.100.1", "192.0.2.1", 404),
        ("nonsense", "192.0.2.1", 404),
    ],
)
def test_addresses_behind_proxies(peer, forwarded, expected):
    """Each trusted proxy is believed about its own peer, and nobody else is."""
    access = AccessCheck(allowed_networks=NETWORKS, trusted_proxies=["10.0.0.0/8", "unix"])

    assert status(access, head(peer=peer, forwarded_for=forwarded)) == expected


def test_a_unix_socket_is_trusted_only_if_it_is_named():
    """Any program on the machine may have one."""
    access = AccessCheck(allowed_networks=NETWORKS, trusted_proxies=["10.0.0.0/8"])

    assert status(access, head(peer=None, forwarded_for="192.0.2.1")) == 404


def test_an_address_and_the_secret_are_both_needed():
    """Where both are set."""
    access = AccessCheck(secret=SECRET, allowed_networks=NETWORKS)

    assert status(access, head()) == 200
    assert status(access, head("/no")) == 404
    assert status(access, head(peer="198.51.100.1")) == 404


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        *((None, 200), ("0", 200), (str(MAX_BODY), 200), (str(MAX_BODY + 1), 413)),
        *(("9" * 5_000, 413), ("-1", 400), ("+1", 400), ("1e3", 400), ("", 400), ("٤", 400)),
    ],
    ids=ascii,
)
def test_the_length_of_a_body(length, expected):
    """A server may pass on an invalid one."""
    assert status(AccessCheck(insecure=True), head(length=length)) == expected


def test_a_body_grows_up_to_the_limit():
    """Bytes beyond it are not kept."""
    body = Body()
    body.add(b"x" * MAX_BODY)
    body.add(b"")
    with pytest.raises(RejectedRequest):
        body.add(b"x")

    assert body.whole() == b"x" * MAX_BODY
    assert ID not in repr(body)
