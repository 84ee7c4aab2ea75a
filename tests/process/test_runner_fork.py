"""Forks at every moment of a runner's life: the child starts anew, the parent notices nothing."""

import socketserver
import threading
from contextlib import contextmanager

import pytest
from scripts import ran

pytestmark = pytest.mark.both("either loop is forked")

FORK = """
def fork(child):
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        say("child", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    else:
        child()
        sys.exit()
"""


class Echo(socketserver.StreamRequestHandler):
    """Sends lines back, and counts the connections on which it does."""

    def handle(self):
        self.server.connections += 1
        for line in self.rfile:
            self.wfile.write(line)


@contextmanager
def echo_server():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.connections = 0
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_a_fork_before_the_first_use():
    """Parent and child each have their own thread and their own object."""
    script = """
fork(lambda: say("in child", runner.call(add, 1, 2)))
say(runner.call(add, 3, 4))
"""
    assert ran(FORK + script) == ["in child 3", "closed", "child 0", "7", "closed"]


@pytest.mark.parametrize("loop", ["stock", "installed"])
def test_a_fork_after_the_first_use_leaves_the_parents_connection_alone(loop):
    """The child opens its own, and its end, with all finalizers, costs the parent nothing."""
    script = """
if sys.argv[2] == "stock":
    sys.modules["uvloop"] = None

class Client:
    connection = None
    async def ask(self, line):
        if self.connection is None:
            self.connection = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
        self.connection[1].write(line.encode() + b"\\n")
        return (await self.connection[0].readline()).decode().strip()
    async def close(self):
        self.connection[1].close()
        await self.connection[1].wait_closed()

def ask(line):
    say(runner.call(runner.owned.ask, line))

def child():
    ask("in child")
    gc.collect()

runner = Runner(Client, Client.close)
ask("before")
fork(child)
ask("after")
fork(gc.collect)
ask("at the end")
runner.close()
"""
    with echo_server() as server:
        out = ran(FORK + script, str(server.server_address[1]), loop)
    assert out == ["before", "in child", "child 0", "after", "child 0", "at the end"]
    assert server.connections == 2


def test_a_fork_while_another_thread_is_in_a_call():
    """The child has neither that thread nor its task, and calls on its own loop."""
    script = """
begun = threading.Event()
go = asyncio.Event()

async def wait():
    begun.set()
    await go.wait()
    return "answered in the parent"

async def let_go():
    go.set()

thread = threading.Thread(target=lambda: say(runner.call(wait)))
thread.start()
begun.wait()
fork(lambda: say("in child", runner.call(add, 1, 2)))
runner.call(let_go)
thread.join()
runner.close()
"""
    assert ran(FORK + script) == [
        "in child 3",
        "closed",
        "child 0",
        "answered in the parent",
        "closed",
    ]


def test_a_fork_while_another_thread_starts_the_runner():
    """The lock that it holds is never released in the child, so the child must not want it."""
    script = """
parent = os.getpid()
is_starting, go = threading.Event(), threading.Event()

def make():
    if os.getpid() == parent:
        is_starting.set()
        go.wait()
    return Service()

runner = Runner(make, Service.close)
thread = threading.Thread(target=runner.call, args=[add, 0, 0])
thread.start()
is_starting.wait()
fork(lambda: say("in child", runner.call(add, 1, 2)))
go.set()
thread.join()
runner.close()
"""
    assert ran(FORK + script) == ["in child 3", "closed", "child 0", "closed"]


def test_many_forks_while_other_threads_call():
    """At whatever moment the fork comes, no child hangs."""
    script = """
is_over = threading.Event()

def work():
    while not is_over.is_set():
        runner.call(add, 1, 2)

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for _ in range(20):
    pid = os.fork()
    if not pid:
        os._exit(runner.call(add, 40, 2))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 42
is_over.set()
for thread in threads:
    thread.join()
runner.close()
"""
    assert ran(script) == ["closed"]


def test_what_was_begun_before_the_fork_is_refused_in_the_child():
    """It is the parent's. The child may leave it, which does nothing, and begin its own."""
    script = """
@contextlib.asynccontextmanager
async def manager():
    yield
    say("left in", "parent" if os.getpid() == parent else "child")

async def items():
    yield 1
    yield 2

def child():
    try:
        next(iteration)
    except RuntimeError as error:
        say(error)
    iteration.close()
    say(list(runner.iterate(items)))

parent = os.getpid()
iteration = runner.iterate(items)
next(iteration)
with runner.context(manager):
    fork(child)
    say(next(iteration))
runner.close()
"""
    assert ran(FORK + script) == [
        "this was started before the process forked: start it again in the child",
        "[1, 2]",
        "closed",
        "child 0",
        "2",
        "left in parent",
        "closed",
    ]


def test_a_fork_in_a_callback():
    """The child is in the middle of a call that only its parent will see answered."""
    script = """
def callback():
    pid = os.fork()
    if pid:
        say("child", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    return pid

async def report(callback):
    await callback()
    return "answered"

try:
    say(runner.call(report, called(callback)))
except RuntimeError as error:
    say(error)
    say(runner.call(add, 1, 2))
runner.close()
"""
    assert ran(script) == [
        "this was started before the process forked: start it again in the child",
        "3",
        "closed",
        "child 0",
        "answered",
        "closed",
    ]


def test_a_child_that_closes_or_drops_the_runner():
    """Neither reaches the parent's loop."""
    script = """
def drop():
    global runner
    del runner
    gc.collect()

runner.call(add, 0, 0)
fork(lambda: runner.close())
fork(drop)
say(runner.call(add, 1, 2))
runner.close()
"""
    assert ran(FORK + script) == ["child 0", "child 0", "3", "closed"]


def test_a_fork_of_multiprocessing():
    """Its children leave without the interpreter's exit handlers."""
    script = """
import multiprocessing
runner.call(add, 0, 0)
process = multiprocessing.get_context("fork").Process(
    target=lambda: say("in child", runner.call(add, 1, 2))
)
process.start()
process.join()
say("child", process.exitcode)
runner.close()
"""
    assert ran(script) == ["in child 3", "child 0", "closed"]


def test_a_grandchild():
    """Each generation starts anew."""
    script = """
def child():
    say("in child", runner.call(add, 1, 2))
    fork(lambda: say("in grandchild", runner.call(add, 3, 4)))

runner.call(add, 0, 0)
fork(child)
runner.close()
"""
    assert ran(FORK + script) == [
        "in child 3",
        "in grandchild 7",
        "closed",
        "child 0",
        "closed",
        "child 0",
        "closed",
    ]
