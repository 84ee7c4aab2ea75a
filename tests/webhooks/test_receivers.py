"""Common behaviour: each test runs with every receiver, under its own server."""

import json
import logging
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest
from webhook_servers import (
    ASYNC,
    ID,
    INCOMING,
    LIMIT,
    NUMBER,
    RECEIVERS,
    RESET,
    SECRET,
    STATUS,
    bare_wsgi,
    chunks,
    django_asgi,
    head,
    read_answer,
)

from connectus_async.webhooks import IncomingSms, StatusUpdate, UnknownEvent
from connectus_async.webhooks.access import MAX_BODY

ACCESS_LOGS = {"aiohttp.access", "django.server", "uvicorn.access", "werkzeug"}
"""Of the servers: they name the path, unless they are told not to."""

ENCODED = "".join(f"%{ord(sign):02X}" for sign in SECRET)
TWICE = ENCODED.replace("%", "%25")

WITHOUT_SECRET = [
    *("", "no", SECRET[:-1], SECRET + "0", SECRET.upper(), f"{SECRET}/status", "%00", "%FF"),
    *(f"?{SECRET}", "?secret", "?secret=", f"?token={SECRET}", f"?secret={SECRET}x", "?%FF=%00"),
    *("?secret=%", "?secret=%zz%4", "?secret=%FF+%C3", f"?secret={TWICE}", TWICE),
    *(f"?secret=+{SECRET}", f"?secret={SECRET}%00", f"?secret%00={SECRET}", "?%=%&%FF"),
]


def with_receivers(*kinds):
    return pytest.mark.parametrize("start", kinds, indirect=True, ids=lambda kind: kind.__name__)


async_only = with_receivers(*ASYNC)

by_its_head = with_receivers(*(kind for kind in RECEIVERS if kind is not django_asgi))
"""For a test of what is refused by its head: under ASGI, Django reads a body before all else."""


def of_size(size: int) -> bytes:
    """An event whose JSON is that long."""
    body = json.dumps(STATUS | {"padding": ""}).encode()
    return body.replace(b'""', b'"%b"' % (b"x" * (size - len(body))))


def nested(depth: int) -> bytes:
    return b'{"status": "ENTREGADO", "a": ' + b"[" * depth + b"]" * depth + b"}"


@pytest.mark.parametrize(
    ("body", "kind"),
    [(STATUS, StatusUpdate), (INCOMING, IncomingSms), ({"clicks": 1}, UnknownEvent)],
)
def test_an_event_reaches_the_handler(client, inbox, body, kind):
    """It is answered 200 with nothing to read."""
    answer = client.answer(body)

    assert (answer.status, answer.body) == (200, b"")
    assert inbox.raw == [body]
    assert type(inbox.calls[0]) is kind


def test_the_secret_is_the_end_of_the_path_or_a_query_value(client, inbox):
    """Either form of the URL works."""
    places = [
        SECRET,
        f"{SECRET}/",
        f"status/{SECRET}",
        f"?secret={SECRET}",
        f"?secret=x&secret={SECRET}",
        ENCODED,
        f"status%2F{ENCODED}",
        f"?secret={ENCODED}",
        f"?a=%zz&%&s%65cret={ENCODED[:9]}{SECRET[3:]}",
    ]
    for number, at in enumerate(places):
        assert (at, client.post(STATUS | {"id_sms": str(number)}, at)) == (at, 200)
    assert len(inbox.calls) == len(places)


@pytest.mark.parametrize("method", ["POST", "GET", "OPTIONS"])
def test_without_the_secret_there_is_nothing_here(client, inbox, caplog, method):
    """Any request gets 404, and the log does not show it."""
    caplog.set_level(logging.DEBUG)
    for at in WITHOUT_SECRET:
        answer = client.answer(INCOMING, at, method=method, headers={"X-Secret": SECRET})
        assert (at, answer.status) == (at, 404)

    assert inbox.calls == []
    assert_nothing_shown(caplog)


def assert_nothing_shown(caplog: pytest.LogCaptureFixture) -> None:
    for record in caplog.records:
        if record.name not in ACCESS_LOGS:
            text = logging.Formatter().format(record)
            for hidden in (NUMBER, INCOMING["sms_content"], SECRET, ID):
                assert hidden not in text


def test_an_address_that_is_not_allowed(start, inbox):
    """The secret does not help."""
    client = start(allowed_networks=["203.0.113.0/24", "2001:db8::/32"])

    assert client.post() == 404
    assert client.post(headers={"X-Forwarded-For": "203.0.113.5"}) == 404
    assert inbox.calls == []


def test_an_address_that_is_allowed(start, inbox):
    """No secret is needed then, if none was set."""
    client = start(secret=None, allowed_networks=["127.0.0.0/8"])

    assert client.post(at="anything") == 200
    assert inbox.raw == [STATUS]


def test_an_address_behind_a_proxy(start, inbox):
    """The last address, which the proxy adds, counts; anyone may have written the others."""
    client = start(allowed_networks=["203.0.113.0/24"], trusted_proxies=["127.0.0.1"])
    for forwarded in ["203.0.113.5, 198.51.100.1", "203.0.113.5, nonsense", "", "203.0.113.5,"]:
        assert (forwarded, client.post(headers={"X-Forwarded-For": forwarded})) == (forwarded, 404)
    assert inbox.calls == []

    assert client.post(headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.5"}) == 200
    assert inbox.raw == [STATUS]


def test_nothing_but_a_post(client, inbox):
    """The answer says what is allowed."""
    for method in ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]:
        answer = client.answer(method=method)
        assert (method, answer.status, answer.headers["allow"]) == (method, 405, "POST")
    assert inbox.calls == []


def test_what_is_not_an_event(client, inbox):
    """It gets 400, and the response does not quote it."""
    for body in NOT_AN_EVENT:
        answer = client.answer(body)
        assert (body[:20], answer.status) == (body[:20], 400)
        assert answer.body.startswith(b"the body of a webhook is ")
    assert inbox.calls == []


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
def test_headers_in_lower_case_and_an_old_version(client, inbox, version):
    """As some proxies write them."""
    content = json.dumps(STATUS).encode()
    start = head(SECRET, length=len(content)).lower().replace(b"post", b"POST")

    assert client.exchange(start.replace(b"http/1.1", version), content).status == 200
    assert inbox.raw == [STATUS]


def test_a_content_type_does_not_matter(client, inbox):
    """The platform documents none, and a proxy may set its own."""
    types = ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=x", ""]
    for number, content_type in enumerate(types):
        body = STATUS | {"id_sms": str(number)}
        assert client.post(body, headers={"Content-Type": content_type}) == 200
    assert len(inbox.calls) == len(types)


def test_a_body_is_not_compressed(client, inbox):
    """A small one can become a large one."""
    for encoding in ["gzip", "deflate"]:
        assert client.post(headers={"Content-Encoding": encoding}) == 415
    brotli = client.post(headers={"Content-Encoding": "br"})
    assert brotli in {400, 415}  # aiohttp itself refuses it where Brotli is not installed
    assert client.post(headers={"Content-Encoding": "identity"}) == 200
    assert len(inbox.calls) == 1


def test_a_body_as_large_as_may_be(client, inbox):
    """The limit itself is allowed."""
    assert client.post(of_size(MAX_BODY)) == 200
    assert len(inbox.calls) == 1


NOT_AN_EVENT = [
    *(b"", b"{", b"status=ENTREGADO&id_sms=1", b"\xff\xfe", b"[]", b"null", b'{"a": NaN}'),
    *(nested(100), nested(30_000), b"[" * 60_000, b'{"a":' * 10_000),
]


@by_its_head
@pytest.mark.parametrize("size", [MAX_BODY + 1, 2**20, 10**30])
def test_a_body_that_says_it_is_too_large(client, inbox, size):
    """It is refused before anything of it comes."""
    with client.connected() as connection:
        connection.sendall(head(SECRET, length=size))
        answer = read_answer(connection)

    assert answer.status in {400, 413}
    assert inbox.calls == []


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large(client, inbox, chunked):
    """It is refused, or cut off, whether it says so or not."""
    assert client.post(of_size(2**20), chunked=chunked) in {411, 413, RESET}
    assert inbox.calls == []
    assert client.post() == 200


@pytest.mark.parametrize("size", [100, MAX_BODY, MAX_BODY + 1])
def test_a_body_in_chunks(client, inbox, size):
    """A server that cannot read them says so; the limit is the same."""
    status = client.post(of_size(size), chunked=True)

    assert status in {411, RESET, 200 if size <= MAX_BODY else 413}
    assert len(inbox.calls) == (status == 200)


@pytest.mark.parametrize("chunked", [False, True])
@with_receivers(*ASYNC, bare_wsgi)  # the servers of Django and Flask read on after the answer
def test_a_large_body_takes_no_memory_to_speak_of(client, inbox, chunked):
    """Of 32 megabytes, only the limit and the server's read-ahead are in memory."""
    content = of_size(32 * 2**20)
    content = b"".join(chunks(content)) if chunked else content
    start = head(SECRET, length=None if chunked else len(content))
    client.post()
    tracemalloc.start()
    try:
        answer = client.exchange(start, content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert answer.status in {411, 413, RESET}
    assert peak < 2 * 2**20
    assert inbox.raw == [STATUS]


@async_only
@pytest.mark.parametrize("sent", [b"", b'{"status": '])
def test_a_slow_body(start, inbox, sent):
    """It has its time, and then the connection is closed."""
    client = start(timeout=0.05)
    with client.connected() as connection:
        connection.sendall(head(SECRET, length=100) + sent)
        answer = read_answer(connection)

    assert answer.status == 408
    assert answer.headers["connection"] == "close"
    assert inbox.calls == []


def test_a_body_that_breaks_off(client, inbox, caplog):
    """The handler is not called, and the next request works."""
    with client.connected() as connection:
        connection.sendall(head(SECRET, length=100) + json.dumps(STATUS).encode())
    with client.connected() as connection:
        connection.sendall(head(SECRET) + b"5\r\n{}")

    assert client.post(INCOMING) == 200
    assert inbox.raw == [INCOMING]
    assert [record for record in caplog.records if record.name == "connectus_async"] == []


def failing(event):
    raise LookupError(f"no customer with {event.src_number}")


def test_a_handler_that_raises(client, inbox, caplog):
    """The response is 500; a retry of the platform calls the handler again."""
    caplog.set_level(logging.DEBUG)
    inbox.do = failing
    statuses = [client.post(INCOMING) for _ in range(2)]
    inbox.do = lambda _: None
    statuses += [client.post(INCOMING) for _ in range(2)]

    assert statuses == [500, 500, 200, 200]
    assert inbox.raw == [INCOMING] * 3
    assert_nothing_shown(caplog)
    ours = [record for record in caplog.records if record.name == "connectus_async"]
    assert [record.levelname for record in ours] == ["ERROR"] * 2
    assert "LookupError" in ours[0].getMessage()
    assert f"{__file__}:" in ours[0].getMessage()
    assert ours[0].getMessage().endswith("in failing")


def test_an_event_that_comes_again(client, inbox):
    """It gets 200 without a call of the handler, however its JSON is formatted."""
    bodies = [
        json.dumps(INCOMING).encode(),
        json.dumps(INCOMING, indent=2).encode(),
        json.dumps(dict(reversed(INCOMING.items())), ensure_ascii=False).encode("utf-16"),
    ]

    assert [client.post(body) for body in bodies] == [200] * 3
    assert inbox.raw == [INCOMING]


def test_events_that_look_alike(client, inbox):
    """Another SMS, another status, an incoming SMS, or another text: another event."""
    bodies = [
        STATUS,
        STATUS | {"id_sms": "1"},
        STATUS | {"status": "EN_COLA"},
        STATUS | {"status": "LEIDO"},
        INCOMING | {"id_sms": ID},
        INCOMING | {"id_sms": ID, "sms_content": "BAJA"},
    ]

    assert [client.post(body) for body in bodies] == [200] * 6
    assert inbox.raw == bodies


@pytest.mark.parametrize("body", [STATUS, INCOMING])
def test_an_event_that_comes_again_with_more_in_it(client, inbox, body):
    """Fields that the platform adds in a retry do not make it another event."""
    again = [body | {"attempt": 2}, body | {"sent_at": {"second": [1]}}]
    again.append(body | {"id_sms": body["id_sms"].upper()})

    assert [client.post(one) for one in (body, *again)] == [200] * 4
    assert inbox.raw == [body]


def test_two_people_may_answer_in_the_same_words(client, inbox):
    """Without an identifier, a duplicate cannot be recognised."""
    reply = {name: INCOMING[name] for name in INCOMING if name != "id_sms"}
    bodies = [reply, reply | {"id_sms": ""}, reply | {"id_sms": None}, {"status": "ENTREGADO"}]

    for body in bodies:
        assert [client.post(body) for _ in range(2)] == [200] * 2
    assert inbox.raw == [body for body in bodies for _ in range(2)]


def test_an_event_of_a_kind_that_is_new_is_known_again_by_all_of_it(client, inbox):
    """It may report something new about the same SMS each time."""
    bodies = [{"id_sms": ID, "clicks": 1}, {"id_sms": ID, "clicks": 2}, STATUS | {"status": 1}]

    for body in bodies:
        assert [client.post(body) for _ in range(2)] == [200] * 2
    assert inbox.raw == bodies


@pytest.mark.parametrize("first_fails", [False, True])
def test_the_same_event_twice_at_a_time(client, inbox, first_fails):
    """The second waits for what becomes of the first, and is handed over only if that failed.

    It may be written in another way.
    """
    may_go_on = threading.Event()

    def do(_):
        assert may_go_on.wait(LIMIT)
        if first_fails and len(inbox.calls) == 1:
            raise LookupError

    inbox.do = do
    with ThreadPoolExecutor(2) as pool:
        again = STATUS | {"id_sms": ID.upper(), "attempt": 2}
        answers = [pool.submit(client.post, body) for body in (STATUS, again)]
        inbox.begun.get(timeout=LIMIT)
        may_go_on.set()
        statuses = sorted(answer.result() for answer in answers)

    assert statuses == ([200, 500] if first_fails else [200, 200])
    assert len(inbox.calls) == 1 + first_fails


def test_events_of_one_sms_are_handled_one_at_a_time(client, inbox):
    """Events of others run meanwhile."""
    running, at_a_time = set(), []
    others_may_go_on = threading.Barrier(3, timeout=LIMIT)

    def do(event):
        running.add(event)
        at_a_time.append([one.id_sms for one in running].count(event.id_sms))
        if event.status == "0":
            others_may_go_on.wait()
        running.discard(event)

    inbox.do = do
    bodies = [{"id_sms": sms, "status": str(n)} for n in range(4) for sms in "abc"]
    with ThreadPoolExecutor(len(bodies)) as pool:
        assert list(pool.map(client.post, bodies)) == [200] * len(bodies)

    assert set(at_a_time) == {1}
    assert len(inbox.calls) == len(bodies)
