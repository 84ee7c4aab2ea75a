"""Core of all receivers: handled events, their order, and the limit of waiting ones."""

import functools
import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest
from webhook_servers import ID, LIMIT, STATUS, Inbox, asynchronous

from connectus_async.webhooks import Event
from connectus_async.webhooks.access import (
    MAX_BODY,
    AccessCheck,
    RejectedRequest,
    RequestHead,
    WebhookResponse,
)
from connectus_async.webhooks.receiver import (
    MAX_EVENTS,
    REMEMBERED,
    AsyncReceiver,
    HandledEvents,
    KeyedQueues,
    ThreadedReceiver,
)

OPEN = AccessCheck(insecure=True)
HEAD = RequestHead(method="POST", path="/", query="", peer=None)


def encoded(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()


def whole(body: dict[str, Any]) -> Callable[[], Any]:
    async def chunk() -> tuple[bytes, bool]:
        return encoded(body), False

    return chunk


def reading(content: bytes) -> Callable[[int], bytes]:
    left = bytearray(content)

    def read(size: int) -> bytes:
        part = bytes(left[:size])
        del left[:size]
        return part

    return read


def test_what_was_handled_is_remembered():
    """Up to a number: the latest events are remembered."""
    handled = HandledEvents(size=2)
    for digest in (b"1", b"2", b"3"):
        handled.add(digest)

    assert b"1" not in handled
    assert b"2" in handled  # and so it is younger than 3
    handled.add(b"4")
    assert (b"2" in handled, b"3" in handled, b"4" in handled) == (True, False, True)


def test_what_was_handled_is_forgotten_in_time():
    """An event that still comes again stays known."""
    now = 0.0
    handled = HandledEvents(age=10, clock=lambda: now)
    handled.add(b"1")
    handled.add(b"2")
    now = 9.0
    assert b"1" in handled
    now = 18.0

    assert b"1" in handled
    assert b"2" not in handled
    assert len(handled) == 1


def test_memory_has_an_end():
    """However many events there are."""
    handled = HandledEvents()
    for number in range(REMEMBERED + 100):
        handled.add(number.to_bytes(16))

    assert len(handled) == REMEMBERED


def test_turns_are_taken_in_the_order_of_arrival():
    """Others do not wait."""
    queues = KeyedQueues(threading.Event)
    assert queues.join("a") is None
    waiting = [queues.join("a") for _ in range(3)]
    assert queues.join("b") is None

    for signal in waiting:
        assert not signal.is_set()
        queues.leave("a")
        assert signal.is_set()
    queues.leave("a")
    assert queues.join("a") is None


def test_who_leaves_the_line_holds_nobody_up():
    """Neither from the middle, nor when the signal has just come."""
    queues = KeyedQueues(threading.Event, limit=4)
    queues.join("a")
    second, third, fourth = (queues.join("a") for _ in range(3))
    queues.abandon("a", third)
    queues.leave("a")
    assert second.is_set()
    queues.abandon("a", second)
    assert fourth.is_set()
    queues.leave("a")

    assert [queues.join(key) for key in range(4)] == [None] * 4


def test_a_line_has_an_end():
    """An event beyond the limit may come again later."""
    queues = KeyedQueues(threading.Event, limit=2)
    queues.join("a")
    queues.join("a")
    for key in ("a", "b"):
        with pytest.raises(RejectedRequest) as rejected:
            queues.join(key)
        assert rejected.value.response.status == 503
        assert rejected.value.response.headers == (("Retry-After", "5"),)
    queues.leave("a")

    assert queues.join("b") is None


async def test_events_of_one_sms_are_handled_in_the_order_in_which_they_came():
    """Waiting events keep their order."""
    inbox = Inbox()
    first_may_end = anyio.Event()
    bodies = [STATUS | {"status": str(number)} for number in range(20)]
    replies: list[WebhookResponse] = []

    async def handle(event: Event) -> None:
        inbox(event)
        await first_may_end.wait()

    async def post(body: dict[str, str]) -> None:
        replies.append(await receiver.receive(HEAD, whole(body)))

    receiver = AsyncReceiver(handle, OPEN)
    async with anyio.create_task_group() as tasks:
        for body in bodies:
            tasks.start_soon(post, body)
            await anyio.wait_all_tasks_blocked()
        assert inbox.raw == bodies[:1]
        first_may_end.set()

    assert inbox.raw == bodies
    assert [reply.status for reply in replies] == [200] * 20


async def test_a_request_that_is_cancelled_lets_the_next_one_in():
    """An event cancelled while it was handled may come again."""
    inbox = Inbox()
    never = anyio.Event()

    async def handle(event: Event) -> None:
        inbox(event)
        if event.status in {"0", "1"}:
            await never.wait()

    async def post(number: int, scope: anyio.CancelScope) -> None:
        with scope:
            await receiver.receive(HEAD, whole(STATUS | {"status": str(number)}))

    receiver = AsyncReceiver(handle, OPEN)
    scopes = [anyio.CancelScope() for _ in range(4)]
    async with anyio.create_task_group() as tasks:
        for number, scope in enumerate(scopes):
            tasks.start_soon(post, number, scope)
            await anyio.wait_all_tasks_blocked()
        for scope in (scopes[2], scopes[0], scopes[1]):
            scope.cancel()
            await anyio.wait_all_tasks_blocked()
    never.set()
    await post(0, anyio.CancelScope())

    assert [event.status for event in inbox.calls] == ["0", "1", "3", "0"]


async def test_too_many_events_at_a_time():
    """They get 503 without a call of the handler."""
    may_end = anyio.Event()
    statuses: list[int] = []

    async def handle(_: Event) -> None:
        await may_end.wait()

    async def post(number: int) -> None:
        reply = await receiver.receive(HEAD, whole({"id_sms": str(number)}))
        statuses.append(reply.status)

    receiver = AsyncReceiver(handle, OPEN)
    async with anyio.create_task_group() as tasks:
        for number in range(MAX_EVENTS + 5):
            tasks.start_soon(post, number)
        await anyio.wait_all_tasks_blocked()
        assert statuses == [503] * 5
        may_end.set()

    assert sorted(statuses) == [200] * MAX_EVENTS + [503] * 5
    assert (await receiver.receive(HEAD, whole(STATUS))).status == 200


def handlers(inbox: Inbox) -> Iterator[Any]:
    """Every way to write a handler for an event loop."""

    class Object:
        async def __call__(self, event: Event) -> None:
            await asynchronous(inbox)(event)

        async def method(self, event: Event) -> None:
            await asynchronous(inbox)(event)

    yield inbox
    yield asynchronous(inbox)
    yield Object()
    yield Object().method
    yield functools.partial(asynchronous(inbox))
    yield lambda event: asynchronous(inbox)(event)  # noqa: PLW0108 - it is no coroutine function
    yield lambda event: inbox(event) or 500


async def test_a_handler_may_be_written_in_many_ways():
    """It is awaited, or runs in a thread; its result is ignored."""
    inbox = Inbox()
    for number, handler in enumerate(handlers(inbox)):
        receiver = AsyncReceiver(handler, OPEN)
        reply = await receiver.receive(HEAD, whole({"id_sms": str(number)}))
        assert (number, reply.status, len(inbox.calls)) == (number, 200, number + 1)


async def test_a_plain_handler_does_not_hold_up_the_loop():
    """It has a thread."""
    threads = []
    receiver = AsyncReceiver(lambda _: threads.append(threading.current_thread()), OPEN)
    await receiver.receive(HEAD, whole(STATUS))

    assert threads != [threading.current_thread()]


def test_an_async_handler_in_disguise_is_a_failure(caplog: pytest.LogCaptureFixture):
    """Without a loop it cannot run, and the event does not count as handled."""
    inbox = Inbox()
    receiver = ThreadedReceiver(lambda event: asynchronous(inbox)(event), OPEN)  # noqa: PLW0108
    statuses = [receiver.receive(HEAD, reading(encoded(STATUS))).status for _ in range(2)]

    assert statuses == [500, 500]
    assert inbox.calls == []
    assert "raised TypeError" in caplog.text


async def test_a_body_without_end_is_not_read_to_its_end():
    """Nor is one that comes in very small parts."""
    for part in (b"x" * 1_000, b"x"):
        taken = 0

        async def chunk(part: bytes = part) -> tuple[bytes, bool]:
            nonlocal taken
            taken += len(part)
            return part, True

        reply = await AsyncReceiver(print, OPEN).receive(HEAD, chunk)
        assert reply.status == 413
        assert taken <= MAX_BODY + len(part)


def test_a_stream_without_end_is_not_read_to_its_end():
    """No more than the limit and one byte is ever read."""
    asked: list[int] = []

    def read(size: int) -> bytes:
        asked.append(size)
        return b"x" * min(size, 1_000)

    assert ThreadedReceiver(print, OPEN).receive(HEAD, read).status == 413
    assert max(asked) == MAX_BODY + 1
    assert len(asked) <= MAX_BODY / 1_000 + 1


@pytest.mark.parametrize("failure", [OSError("it went"), ConnectionResetError()])
def test_a_stream_that_fails(failure: OSError):
    """The client is gone, and the server's log does not need to hear of it."""

    def read(_: int) -> bytes:
        raise failure

    assert ThreadedReceiver(print, OPEN).receive(HEAD, read).status == 400


def test_an_interrupt_in_a_line_is_passed_on():
    """The next waiting event runs."""
    inbox = Inbox()
    inbox.do = lambda _: (_ for _ in ()).throw(KeyboardInterrupt)
    receiver = ThreadedReceiver(inbox, OPEN)
    with pytest.raises(KeyboardInterrupt):
        receiver.receive(HEAD, reading(encoded(STATUS)))
    inbox.do = lambda _: None

    assert receiver.receive(HEAD, reading(encoded(STATUS))).status == 200


def test_threads_wait_in_line():
    """One after another, whichever thread they come in."""
    inbox = Inbox()
    may_go_on = threading.Event()
    inbox.do = lambda _: may_go_on.wait(LIMIT)
    receiver = ThreadedReceiver(inbox, OPEN)
    joined = threading.Semaphore(0)
    join = receiver._queues.join

    def joining(key: str) -> threading.Event | None:
        signal = join(key)
        joined.release()
        return signal

    receiver._queues.join = joining
    bodies = [STATUS | {"status": str(number)} for number in range(5)]
    threads = []
    for body in bodies:
        post = functools.partial(receiver.receive, HEAD, reading(encoded(body)))
        threads.append(threading.Thread(target=post))
        threads[-1].start()
        assert joined.acquire(timeout=LIMIT)
    may_go_on.set()
    for thread in threads:
        thread.join()

    assert inbox.raw == bodies


def test_the_log_leads_to_the_error(caplog: pytest.LogCaptureFixture):
    """The traceback's places are logged, but not the message."""
    caplog.set_level(logging.ERROR)

    def inner(depth: int) -> None:
        if depth:
            inner(depth - 1)
        raise LookupError(f"no {ID}")

    ThreadedReceiver(lambda _: inner(20), OPEN).receive(HEAD, reading(encoded(STATUS)))

    (line,) = caplog.messages
    assert line.startswith("webhook answered with 500: its handler raised LookupError at ")
    assert line.count(" in inner") == 8
    assert ID not in caplog.text
