"""The end of the interpreter, with a runner that was never closed: silent, prompt and clean."""

import pytest
from scripts import ran

pytestmark = pytest.mark.both("either loop ends with its process")


def test_a_runner_that_was_never_closed():
    """What it owns is closed at exit."""
    assert ran("say(runner.call(add, 1, 2))") == ["3", "closed"]


def test_a_runner_that_was_never_used():
    """There is nothing to close."""
    assert ran("") == []


def test_an_uncaught_exception_with_open_iterations_and_managers():
    """They are cleaned up in their tasks, and the exit code is the script's."""
    script = """
@contextlib.asynccontextmanager
async def manager():
    try:
        yield
    finally:
        await asyncio.sleep(0)
        say("left")

async def items():
    try:
        yield 1
    finally:
        await asyncio.sleep(0)
        say("finished")

held = runner.context(manager)
held.__enter__()
iteration = runner.iterate(items)
next(iteration)
sys.exit(4)
"""
    out = ran(script, code=4)
    assert sorted(out[:2]) == ["finished", "left"]
    assert out[2:] == ["closed"]


def test_calls_in_flight_in_daemon_threads():
    """They are cancelled; their threads die silently, as daemon threads do."""
    script = """
begun = threading.Semaphore(0)

async def call(number):
    begun.release()
    await asyncio.Event().wait()

for number in range(8):
    threading.Thread(target=runner.call, args=[call, number], daemon=True).start()
for _ in range(8):
    begun.acquire()
sys.exit(5)
"""
    assert ran(script, code=5) == ["closed"]


def test_a_call_in_flight_in_another_thread():
    """The interpreter waits for threads that are not daemons, and so does the loop."""
    script = """
begun = threading.Event()
go = asyncio.Event()

async def call():
    begun.set()
    await go.wait()
    return "answered after the main thread had ended"

async def let_go():
    go.set()

def when_main_has_ended():
    threading.main_thread().join()
    runner.call(let_go)

threading.Thread(target=lambda: say(runner.call(call))).start()
threading.Thread(target=when_main_has_ended, daemon=True).start()
begun.wait()
sys.exit(6)
"""
    assert ran(script, code=6) == ["answered after the main thread had ended", "closed"]


def test_an_exit_handler_that_uses_the_runner():
    """Handlers that were registered after the import run before the loop ends."""
    script = """
atexit.register(lambda: say(runner.call(add, 1, 2)))
runner.call(add, 0, 0)
"""
    assert ran(script) == ["3", "closed"]


def test_an_exit_handler_that_closes_the_runner():
    """It was the user's to close, and it is closed once."""
    assert ran("atexit.register(runner.close); runner.call(add, 0, 0)") == ["closed"]


def test_a_loop_that_has_used_its_executor():
    """A loop joins its executor with one more thread, which an exiting interpreter denies."""
    assert ran("say(runner.call(asyncio.to_thread, int, '7'))") == ["7", "closed"]


@pytest.mark.parametrize("end", ["", "del runner; gc.collect()"], ids=["exit", "dropped"])
@pytest.mark.parametrize("loop", ["stock", "installed"])
def test_open_connections_are_closed(end, loop):
    """No ResourceWarning of a socket, a transport or the loop, also when the exit comes at once."""
    script = f"""
if {loop!r} == "stock":
    sys.modules["uvloop"] = None

class Connected(Service):
    async def open(self):
        async def serve(reader, writer):
            await reader.read()
            writer.close()
        self.server = await asyncio.start_server(serve, "127.0.0.1", 0)
        _, self.writer = await asyncio.open_connection(*self.server.sockets[0].getsockname())
    async def close(self):
        self.writer.close()
        await self.writer.wait_closed()
        self.server.close()
        await self.server.wait_closed()
        await super().close()

runner = Runner(Connected, Connected.close)
runner.call(runner.owned.open)
{end}
"""
    assert ran(script) == ["closed"]


def test_a_task_that_will_not_end():
    """It is left behind after the grace; what is owned is closed all the same."""
    script = """
_engine.GRACE = 0.2
begun = threading.Event()

async def stubborn():
    begun.set()
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

threading.Thread(target=runner.call, args=[stubborn], daemon=True).start()
begun.wait()
"""
    assert ran(script) == ["closed"]
