"""The blocking client where threads are greenlets: where gevent or eventlet patched the process."""

from functools import partial

import pytest
from anyio.to_thread import run_sync
from scripts import ran
from test_runner_fork import echo_server

GEVENT = """
from gevent import monkey
monkey.patch_all()
from gevent import Timeout, getcurrent, spawn, sleep

def joined(*greenlets):
    return [greenlet.get() for greenlet in greenlets]
"""

EVENTLET = """
import warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its end
    import eventlet
eventlet.monkey_patch()
from eventlet import Timeout, getcurrent, sleep, spawn

def joined(*greenlets):
    return [greenlet.wait() for greenlet in greenlets]
"""

STOCK_LOOP = 'import sys; sys.modules["uvloop"] = None'


@pytest.fixture(
    params=[GEVENT, GEVENT + STOCK_LOOP, EVENTLET],
    ids=["gevent", "gevent, stock loop", "eventlet"],
)
def patched(request):
    return request.param


def test_several_clients_take_calls_of_several_greenlets_at_once(patched):
    """Those of one wait for each other in a single loop, and so would those of a blocked thread."""
    script = """
other = Runner(Service, Service.close)
meeting = {}

async def meet(runner, number):
    barrier = meeting.setdefault(runner, asyncio.Barrier(5))
    await barrier.wait()
    return number

calls = [spawn(each.call, meet, each, number) for each in (runner, other) for number in range(5)]
say(*joined(*calls))
other.close()
runner.close()
"""
    assert ran(script, first=patched) == ["0 1 2 3 4 0 1 2 3 4", "closed", "closed"]


def test_what_else_of_the_process_uses_asyncio_goes_on(patched):
    """Others see no running loop, run their own, and keep their hooks."""
    script = """
def look():
    say(asyncio._get_running_loop(), *sys.get_asyncgen_hooks())

async def last():
    await asyncio.sleep(0)
    return "its own loop"

waiting = spawn(runner.call, asyncio.sleep, 60)
runner.call(add, 1, 2)
look()
say(asyncio.run(last()))
look()
say(runner.call(add, 1, 2))
"""
    expected = ["None None None", "its own loop", "None None None", "3", "closed"]
    assert ran(script, first=patched) == expected


def test_a_call_while_a_loop_of_another_greenlet_runs(patched):
    """Each has its turn, and finds itself as the running one."""
    script = """
async def ask():
    return asyncio.get_running_loop() is runner._engine.loop

async def main():
    loop = asyncio.get_running_loop()
    asked = [spawn(runner.call, ask), spawn(runner.call, ask)]
    for _ in range(20):
        await asyncio.sleep(0.001)
        assert asyncio.get_running_loop() is loop
    return joined(*asked)

say(asyncio.run(main()))
"""
    assert ran(script, first=patched) == ["[True, True]", "closed"]


def test_a_timeout_cancels_the_call(patched):
    """The message is not sent after its greenlet gave up."""
    script = """
try:
    with Timeout(0.2):
        runner.call(forever)
except Timeout:
    say("given up")
say(runner.call(add, 1, 2))
"""
    expected = ["forever begun", "forever cancelled", "given up", "3", "closed"]
    assert ran(script, first=patched) == expected


def test_functions_in_threads(patched):
    """Names are resolved in them."""
    script = """
async def look_up():
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo("localhost", 80, type=1)
    return {address[0] for *_, address in found} <= {"127.0.0.1", "::1"}

async def fail():
    await asyncio.to_thread(int, "x")

say(runner.call(look_up))
try:
    runner.call(fail)
except ValueError:
    say("failed")
"""
    assert ran(script, first=patched) == ["True", "failed", "closed"]


@pytest.mark.parametrize("patched", [GEVENT], ids=["gevent"])  # eventlet itself does not promise it
def test_a_forked_child_starts_anew(patched):
    """The greenlet of the loop is forked as well: it takes nothing from the parent's connection."""
    script = """
class Client:
    connection = None
    async def ask(self, line):
        if self.connection is None:
            self.connection = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
        self.connection[1].write(line.encode() + b"\\n")
        return (await self.connection[0].readline()).decode().strip()
    async def close(self):
        if self.connection is not None:
            self.connection[1].close()
            await self.connection[1].wait_closed()

def ask(line):
    answer = runner.call(runner.owned.ask, line)
    if answer != line:
        say("asked", line, "got", answer)

def child():
    for number in range(200):
        ask(f"child {number}")
        sleep(0)

runner = Runner(Client, Client.close)
ask("before")
pid = os.fork()
if not pid:
    child()
    sys.exit()
for number in range(200):
    ask(f"parent {number}")
    sleep(0)
say("child", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
ask("after")
runner.close()
"""
    with echo_server() as server:
        out = ran(script, str(server.server_address[1]), first=patched)
    assert out == ["child 0"]
    assert server.connections == 2


CAMPAIGN = """
from connectus_async import Connectus, Sms

def send(name, first):
    with Connectus() as connectus, connectus.bulk(ledger=sys.argv[1] + name) as bulk:
        for outcome in bulk.stream(Sms(first + index, "Hola") for index in range(50)):
            assert outcome.receipt.id

def look():
    while not is_done:
        looks.append(asyncio._get_running_loop())
        sleep(0)

is_done, looks = False, []
looking = spawn(look)
sleep(0)
joined(spawn(send, "a", 56960000000), spawn(send, "b", 56970000000))
is_done = True
joined(looking)
say(len(looks) > 1)
"""


async def test_campaigns_of_two_greenlets_with_ledgers(patched, emulator, tmp_path, monkeypatch):
    """Each message arrives once, and the ledgers' threads do not stop the process."""
    monkeypatch.setenv("CONNECTUS_BASE_URL", emulator.base_url.replace("127.0.0.1", "localhost"))
    monkeypatch.setenv("CONNECTUS_API_USER", emulator.api_user)
    monkeypatch.setenv("CONNECTUS_API_KEY", emulator.api_key)

    out = await run_sync(partial(ran, CAMPAIGN, f"{tmp_path}/ledger", first=patched))
    numbers = {message.recipient for message in emulator.received}
    assert out == ["True"]
    assert len(numbers) == len(emulator.received) == 100
