"""Forks of a process that has handled webhooks: the child handles its own, the parent goes on."""

import sqlite3
from contextlib import closing

import pytest
from report_ledgers import message, write_ledger
from scripts import ran

IDS = "abcdefgh"

FORK = """
from connectus_async import LedgerError, SmsStatus, tracking, webhooks
from connectus_async.ledger import fork_guard
from connectus_async.webhooks.access import AccessCheck, RequestHead
from connectus_async.webhooks.receiver import ThreadedReceiver

path = sys.argv[1]
handle = tracking.LedgerHandler(path)

def status(id_sms, word="ENTREGADO"):
    return webhooks.parse({"status": word, "id_sms": id_sms})

def fork(child):
    pid = os.fork()
    if not pid:
        child()
        os._exit(0)
    return pid

def ended(pid):
    say("child", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

def tell(pipe):
    os.write(pipe[1], b".")

def hear(pipe):
    os.read(pipe[0], 1)
"""

RECEIVER = """
def post(body):
    data = bytearray(body)
    def read(size):
        part = bytes(data[:size])
        del data[:size]
        return part
    head = RequestHead(method="POST", path="/", query="", peer=None)
    return receiver.receive(head, read).status
"""


@pytest.fixture
def path(tmp_path):
    return write_ledger(tmp_path / "navidad.db", [message(provider_id=id_sms) for id_sms in IDS])


def delivered(path):
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT provider_id FROM message WHERE delivery_status = 'ENTREGADO' ORDER BY 1"
        return "".join(id_sms for (id_sms,) in connection.execute(query))


def test_a_handler_that_was_used_before_a_fork_goes_on_in_parent_and_child(path):
    """Also in a grandchild; each of them closes its own."""
    script = """
def grandchild():
    handle(status("d"))

def child():
    handle(status("b"))
    ended(fork(grandchild))
    handle(status("c"))
    handle.close()

handle(status("a"))
ended(fork(child))
handle(status("e"))
handle.close()
"""
    assert ran(FORK + script, path) == ["child 0", "child 0"]
    assert delivered(path) == "abcde"


def test_a_child_that_leaves_the_handler_alone_or_closes_it(path):
    """Neither reaches the parent's."""
    script = """
handle(status("a"))
ended(fork(handle.close))
ended(fork(gc.collect))
handle(status("b"))
"""
    assert ran(FORK + script, path) == ["child 0", "child 0"]
    assert delivered(path) == "ab"


def test_a_parent_that_closes_the_ledger_does_not_take_the_childs_log_away(path):
    """SQLite knows the locks of a process by its file: those of the parent are not the child's."""
    script = """
there, back = os.pipe(), os.pipe()

def child():
    handle(status("b"))
    tell(there)
    hear(back)
    handle(status("c"))
    os._exit(0)

handle(status("a"))
pid = fork(child)
hear(there)
handle(status("d"))
handle.close()
tell(back)
ended(pid)
"""
    assert ran(FORK + script, path) == ["child 0"]
    assert delivered(path) == "abcd"


def test_many_forks_while_other_threads_write(path):
    """At whatever moment the fork comes, no child hangs, and nothing is lost."""
    script = """
is_over = threading.Event()

def work(id_sms):
    while not is_over.is_set():
        handle(status(id_sms))

threads = [threading.Thread(target=work, args=id_sms) for id_sms in "abc"]
for thread in threads:
    thread.start()
for number in range(20):
    ended(fork(lambda: handle(status("d"))))
is_over.set()
for thread in threads:
    thread.join()
handle.close()
"""
    assert ran(FORK + script, path) == ["child 0"] * 20
    assert delivered(path) == "abcd"


def test_a_ledger_that_was_being_written_in_a_fork_is_refused_in_the_child(path):
    """Its parent's status is written; the child is told what to do, and does not hang."""
    script = """
import sqlite3
fork_guard.LONGEST_WAIT = 0.01

def child():
    try:
        handle(status("b"))
    except LedgerError as error:
        say(error)

handle(status("a"))
other = sqlite3.connect(path, isolation_level=None)
other.execute("BEGIN IMMEDIATE")
future = handle._ledger.record("c", SmsStatus.ENTREGADO)
pid = fork(child)
other.execute("ROLLBACK")
future.result()
ended(pid)
handle(status("d"))
"""
    assert ran(FORK + script, path) == [
        "navidad.db: was open when this process was forked: start this process again",
        "child 0",
    ]
    assert delivered(path) == "acd"


def test_a_fork_that_python_does_not_hear_of_is_noticed(path):
    """A server in C may fork without a word; nothing of the parent is used, and nothing hangs."""
    script = """
import ctypes

handle(status("a"))
sys.stdout.flush()
pid = ctypes.PyDLL(None).fork()
if not pid:
    try:
        handle(status("b"))
    except LedgerError as error:
        say(error)
    handle.close()
    os._exit(0)
ended(pid)
handle(status("c"))
"""
    assert ran(FORK + script, path) == [
        "navidad.db: was open when this process was forked: start this process again",
        "child 0",
    ]
    assert delivered(path) == "ac"


def test_a_ledger_that_was_being_sent_in_a_fork_is_refused_in_the_child(path):
    """Its sender and its parent's handler go on."""
    script = """
from connectus_async import AsyncConnectus

def child():
    try:
        handle(status("b"))
    except LedgerError as error:
        say(error)

async def main():
    async with AsyncConnectus("user", "key", base_url="http://127.0.0.1:9") as connectus:
        async with connectus.bulk(ledger=path, campaign="Navidad"):
            handle(status("a"))
            ended(fork(child))
            handle(status("c"))
    handle(status("d"))
    handle.close()

asyncio.run(main())
"""
    assert ran(FORK + script, path) == [
        "navidad.db: was open when this process was forked: start this process again",
        "child 0",
    ]
    assert delivered(path) == "acd"


@pytest.mark.parametrize("way", ["send", "read"])
def test_a_ledger_that_was_being_sent_in_a_fork_is_neither_sent_nor_read_in_the_child(
    path, tmp_path, way
):
    """Also if its parent has closed it since, by whatever name; another ledger is free."""
    script = """
from pathlib import Path
from connectus_async import AsyncConnectus
from connectus_async.ledger.sqlite.reader import snapshot

path, link, way = Path(path), Path(sys.argv[2]), sys.argv[3]
other = path.with_name("otra.db")
closed = os.pipe()

def client():
    return AsyncConnectus("user", "key", base_url="http://127.0.0.1:9")

async def send(ledger):
    async with client() as connectus, connectus.bulk(ledger=ledger, campaign="Navidad"):
        pass

def use(ledger):
    try:
        if way == "send":
            asyncio.run(send(ledger))
        else:
            with snapshot(ledger):
                pass
    except LedgerError as error:
        say(error)
    else:
        say(ledger.name, "is free")

def child():
    hear(closed)
    for ledger in path, link, other:
        use(ledger)

asyncio.run(send(other))
with asyncio.Runner() as runner:
    connectus = client()
    bulk = runner.run(connectus.__aenter__()).bulk(ledger=path, campaign="Navidad")
    runner.run(bulk.__aenter__())
    pid = fork(child)
    runner.run(bulk.__aexit__(None, None, None))
    runner.run(connectus.close())
    tell(closed)
    ended(pid)
use(path)
"""
    link = tmp_path / "enlace.db"
    link.symlink_to(path)
    lost = "was open when this process was forked: start this process again"
    assert ran(FORK + script, path, link, way) == [
        f"navidad.db: {lost}",
        f"enlace.db: {lost}",
        "otra.db is free",
        "child 0",
        "navidad.db is free",
    ]


def test_a_status_that_came_early_before_a_fork_finds_its_sms_after_it(path):
    """Whoever hears of the next one joins it."""
    script = """
import sqlite3
handle(status("z"))

def child():
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("UPDATE message SET provider_id = 'z' WHERE provider_id = 'h'")
    other.close()
    handle(status("a"))
    handle.close()

ended(fork(child))
"""
    assert ran(FORK + script, path) == ["child 0"]
    assert delivered(path) == "az"


def test_a_receiver_that_was_in_the_middle_of_an_event_is_free_in_the_child(path):
    """There is nobody there to end the event; what was handled before is known in both."""
    script = """
begun, may_end = threading.Event(), threading.Event()
names = []

def handler(event):
    names.append(event.status.value)
    if event.status == "EN_COLA":
        begun.set()
        may_end.wait()

receiver = ThreadedReceiver(handler, AccessCheck(insecure=True))
queued, sent, done = (
    b'{"id_sms": "a", "status": "%b"}' % word for word in (b"EN_COLA", b"ENVIADO", b"ENTREGADO")
)

def child():
    names.clear()
    say(post(sent), post(done), names)

say(post(sent))
thread = threading.Thread(target=post, args=[queued])
thread.start()
begun.wait()
ended(fork(child))
may_end.set()
thread.join()
say(post(queued), names)
"""
    assert ran(FORK + RECEIVER + script, path) == [
        "200",
        "200 200 ['ENTREGADO']",
        "child 0",
        "200 ['ENVIADO', 'EN_COLA']",
    ]


def test_a_receiver_is_free_in_the_child_wherever_another_thread_is(path):
    """It may be amid what it does with its lines, or with what it remembers."""
    script = """
receiver = ThreadedReceiver(lambda event: None, AccessCheck(insecure=True))
is_over = threading.Event()

def work(name):
    number = 0
    while not is_over.is_set():
        number += 1
        post(b'{"id_sms": "a", "status": "%b%d"}' % (name, number))

threads = [threading.Thread(target=work, args=[name]) for name in (b"x", b"y")]
for thread in threads:
    thread.start()
for _ in range(20):
    ended(fork(lambda: say(post(b'{"id_sms": "a", "status": "ENTREGADO"}'))))
is_over.set()
for thread in threads:
    thread.join()
"""
    assert ran(FORK + RECEIVER + script, path) == ["200", "child 0"] * 20
