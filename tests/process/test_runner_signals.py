"""Signals that reach a thread which waits for the runner."""

import signal

import pytest
from scripts import ended, ran, started

pytestmark = pytest.mark.both("either loop gets signals")


def signalled(script, number=signal.SIGINT, code=0, begun="forever begun"):
    """Send a signal once the script says that it has begun; return what it says from then on."""
    with started(script) as process:
        assert process.stdout.readline() == f"{begun}\n"
        process.send_signal(number)
        return ended(process, code)


def test_ctrl_c_cancels_the_call_first():
    """The task has ended when KeyboardInterrupt is raised, and the runner can be used again."""
    script = """
try:
    runner.call(forever)
except KeyboardInterrupt:
    say("interrupted")
say(runner.call(add, 1, 2))
runner.close()
"""
    assert signalled(script) == ["forever cancelled", "interrupted", "3", "closed"]


def test_ctrl_c_before_the_task_exists():
    """What still waits for its turn on a busy loop never runs: nothing is sent after Ctrl-C."""
    script = """
release = threading.Event()

async def occupy():
    occupied.set()
    release.wait()

def interrupt(*_):
    release.set()
    raise KeyboardInterrupt

async def send():
    say("sent")

def send_signal():
    while len(runner._engine.operations) < 2:
        os.sched_yield()
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

signal.signal(signal.SIGINT, interrupt)
occupied = threading.Event()
threading.Thread(target=runner.call, args=[occupy]).start()
occupied.wait()
try:
    threading.Thread(target=send_signal).start()
    runner.call(send)
except KeyboardInterrupt:
    say("interrupted")
runner.close()
"""
    assert ran(script) == ["interrupted", "closed"]


def test_ctrl_c_does_not_wait_for_ever():
    """A task that will not end is left behind after the grace, and does not hold up the exit."""
    script = """
_engine.GRACE = 0.2

async def stubborn():
    say("forever begun")
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        say("not now")

try:
    runner.call(stubborn)
except KeyboardInterrupt:
    say("interrupted")
"""
    assert signalled(script)[:2] == ["not now", "interrupted"]


def test_a_second_ctrl_c_ends_the_grace():
    """Whoever presses it twice does not want to wait."""
    script = """
_engine.GRACE = 3600

async def slow():
    say("forever begun")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        await finish.wait()

async def let_finish():
    finish.set()

finish = asyncio.Event()
try:
    runner.call(slow)
except KeyboardInterrupt:
    say("interrupted")
runner.call(let_finish)
runner.close()
"""
    assert signalled(script) == ["interrupted", "closed"]


def test_an_exit_from_a_signal_handler():
    """``SystemExit`` cancels the call as Ctrl-C does, and sets the exit code."""
    script = """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
runner.call(forever)
"""
    assert signalled(script, signal.SIGTERM, code=3) == ["forever cancelled", "closed"]


def test_a_handler_that_raises_nothing_changes_nothing():
    """The call goes on, and the handler may itself make one."""
    script = """
async def let_go():
    go.set()

async def wait():
    say("forever begun")
    await go.wait()
    return "went on"

go = asyncio.Event()
signal.signal(signal.SIGUSR1, lambda *_: runner.call(let_go))
say(runner.call(wait))
runner.close()
"""
    assert signalled(script, signal.SIGUSR1) == ["went on", "closed"]


@pytest.mark.parametrize(
    "use",
    [
        "next(runner.iterate(items))",
        "for item in runner.iterate(items, 1): pass",
        "with runner.context(contextlib.asynccontextmanager(items)): say('entered')",
        "with runner.context(contextlib.asynccontextmanager(items), 1): pass",
    ],
    ids=["first item", "later item", "enter", "exit"],
)
def test_ctrl_c_in_iterations_and_managers(use):
    """They are closed, in their task, before KeyboardInterrupt is raised."""
    script = f"""
async def items(before=0):
    try:
        for item in range(before):
            yield item
        await forever()
    finally:
        await asyncio.sleep(0)
        say("cleaned up")
try:
    {use}
except KeyboardInterrupt:
    say("interrupted")
runner.close()
"""
    assert signalled(script) == ["forever cancelled", "cleaned up", "interrupted", "closed"]


def test_ctrl_c_while_the_callers_thread_pulls_a_source():
    """The source is interrupted, and so is the call that wants its items."""
    script = """
def source():
    say("forever begun")
    sys.stdin.read()
    yield

async def collect(items):
    try:
        return [item async for item in items]
    finally:
        say("cleaned up")

try:
    runner.call(collect, pulled(source()))
except KeyboardInterrupt:
    say("interrupted")
runner.close()
"""
    assert signalled(script) == ["cleaned up", "interrupted", "closed"]


def test_inside_a_running_loop():
    """As in a notebook: somebody else's loop runs in the thread that makes the call."""
    script = """
async def notebook():
    say(runner.call(add, 1, 2))
    with runner.context(contextlib.AsyncExitStack):
        say(list(runner.iterate(items)))

async def items():
    yield 1

asyncio.run(notebook())
runner.close()
"""
    assert ran(script) == ["3", "[1]", "closed"]
