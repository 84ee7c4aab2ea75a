"""What the runner of the blocking client promises, apart from signals, forks and exits."""

import asyncio
import contextlib
import contextvars
import ctypes
import gc
import sys
import threading
import traceback
import weakref

import anyio
import pytest
from threads import begun_since

from connectus_async.errors import ClientClosedError, ConnectionLostError, NotSentError, Outcome
from connectus_async.sync._engine import Operation
from connectus_async.sync._runner import Runner, called, pulled

pytestmark = pytest.mark.both("the blocking client runs on either loop")

WAIT = 100
"""Seconds after which a test gives up; never waited for."""


class Service:
    """An async object as a runner owns it."""

    def __init__(self):
        self.thread = threading.get_ident()
        self.is_closed = False

    async def close(self):
        self.is_closed = True

    async def add(self, left, right=0):
        return left + right


@pytest.fixture(params=["stock loop", "installed loop"])
def runner(request, monkeypatch):
    if request.param == "stock loop":
        monkeypatch.setitem(sys.modules, "uvloop", None)
    runner = Runner(Service, Service.close)
    yield runner
    runner.close()


@pytest.fixture(autouse=True)
def no_thread_left():
    before = set(threading.enumerate())
    yield
    assert not begun_since(before)


def in_thread(function):
    """Run a function in a thread; return it and the list that gets the result or the error."""
    outcome = []

    def run():
        try:
            outcome.append(function())
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


class Forever:
    """An async function that does not end by itself, and tells when it began and was cancelled."""

    def __init__(self):
        self.has_begun = threading.Event()
        self.is_cancelled = False

    async def __call__(self):
        self.has_begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.is_cancelled = True
            raise


# Calls


def test_a_call_returns_what_the_function_returns(runner):
    """Positional and keyword arguments go in, the value comes out."""
    assert runner.call(runner.owned.add, 1, right=2) == 3


def test_nothing_starts_before_the_first_use():
    """A runner that is only made has no thread and owns nothing yet."""
    made = []
    threads = threading.enumerate()
    runner = Runner(lambda: made.append(1), Service.close)
    runner.close()
    assert (made, threading.enumerate()) == ([], threads)


def test_the_thread_is_a_named_daemon_and_the_only_one(runner):
    """Calls share one thread, which neither keeps the interpreter alive nor hides."""

    async def thread():
        return threading.current_thread()

    first = runner.call(thread)
    assert runner.call(thread) is first
    assert (first.name, first.daemon) == ("connectus_async", True)


def test_the_installed_loop_is_used(runner):
    """Where uvloop is installed, it is the loop."""

    async def modules():
        return {kind.__module__ for kind in type(asyncio.get_running_loop()).__mro__}

    assert ("uvloop" in runner.call(modules)) == bool(sys.modules.get("uvloop"))


def test_an_exception_is_raised_as_it_is(runner):
    """The caller gets the very object, with no other exception as its context."""
    error = LookupError("gone")

    async def fail():
        raise error

    with pytest.raises(LookupError) as caught:
        runner.call(fail)
    assert caught.value is error
    assert error.__context__ is None


def test_a_traceback_names_the_users_code_and_little_of_ours(runner):
    """The frames of the package that lie between are left out, but for the one that raised."""
    namespace = {"__name__": "connectus_async.deep"}
    source = "async def fail(): raise LookupError\nasync def f0(inner): await inner()\n" + "".join(
        f"async def f{depth}(inner): await f{depth - 1}(inner)\n" for depth in range(1, 20)
    )
    exec(source, namespace)

    async def users_callback():
        raise LookupError

    for inner, last in ((users_callback, "users_callback"), (namespace["fail"], "fail")):
        with pytest.raises(LookupError) as caught:
            runner.call(namespace["f19"], inner)
        names = [frame.name for frame in traceback.extract_tb(caught.tb)]
        assert names == [
            "test_a_traceback_names_the_users_code_and_little_of_ours",
            "call",
            "exchange",
            last,
        ]


def test_an_error_is_freed_with_its_last_reference(runner):
    """No frame of ours holds the error that it raised: no cycle keeps the arguments alive."""

    class Broken(Exception):  # noqa: N818 - a name for the test
        pass

    async def fail():
        raise Broken

    gc.disable()
    try:
        with contextlib.suppress(Broken):
            runner.call(fail)
        try:
            runner.call(fail)
        except Broken as error:
            alive = weakref.ref(error)
        assert alive() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_an_exit_in_a_task_is_the_callers(runner, kind):
    """It is raised where the call was made, and the loop goes on in the same thread."""

    async def leave():
        raise kind

    async def thread():
        return threading.get_ident()

    before = runner.call(thread)
    with pytest.raises(kind):
        runner.call(leave)
    assert runner.call(thread) == before


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_an_exit_in_a_child_task_is_the_callers(runner, kind):
    """The same for a task that the called function started: asyncio stops the loop for it."""

    async def leave():
        raise kind

    async def group():
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(leave())

    with pytest.raises(kind):
        runner.call(group)
    assert runner.call(runner.owned.add, 1) == 1


def test_a_stopped_loop_goes_on(runner):
    """Whoever stops the loop from a task does not end it for the others."""

    async def stop():
        asyncio.get_running_loop().stop()

    runner.call(stop)
    assert runner.call(runner.owned.add, 1) == 1


def test_a_cancelled_error_of_the_functions_own_is_raised_as_it_is(runner):
    """Nobody closed the runner: it is not for us to rename it."""

    async def give_up():
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        runner.call(give_up)


def test_context_variables_flow_in_and_not_out(runner):
    """The function sees the caller's values, and its own stay its own."""
    variable = contextvars.ContextVar("variable", default="default")

    async def swap():
        seen = variable.get()
        variable.set("changed")
        return seen

    variable.set("caller's")
    assert runner.call(swap) == "caller's"
    assert variable.get() == "caller's"


def test_64_threads_share_one_runner(runner):
    """Each gets the answers to its own calls."""

    def work(number):
        return lambda: [runner.call(runner.owned.add, number, i) for i in range(50)]

    threads = [in_thread(work(number * 1000)) for number in range(64)]
    for number, (thread, outcome) in enumerate(threads):
        thread.join(WAIT)
        assert outcome == [[number * 1000 + i for i in range(50)]]


def test_threads_that_come_first_together_share_the_owned_object():
    """The object is made once, however many threads make the first call."""
    made = []
    barrier = threading.Barrier(16)

    def make():
        made.append(Service())
        return made[-1]

    runner = Runner(make, Service.close)

    def call():
        barrier.wait(WAIT)
        return runner.call(runner.owned.add, 1)

    for thread, outcome in [in_thread(call) for _ in range(16)]:
        thread.join(WAIT)
        assert outcome == [1]
    runner.close()
    assert len(made) == 1


def test_an_async_exception_cancels_the_call(runner):
    """Time limits raise one in a thread from outside, and a blocked lock would not see it."""

    class TimeLimit(Exception):  # noqa: N818 - a TimeoutError might be taken for one of a socket's
        pass

    forever = Forever()
    thread, outcome = in_thread(lambda: runner.call(forever))
    assert forever.has_begun.wait(WAIT)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident), ctypes.py_object(TimeLimit)
    )
    thread.join(WAIT)
    assert [type(error) for error in outcome] == [TimeLimit]
    assert forever.is_cancelled


def test_a_factory_that_fails_is_asked_again():
    """Its error is the caller's, and the next call is a new attempt."""
    answers = [ValueError("no credentials"), Service()]

    def make():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    runner = Runner(make, Service.close)
    with pytest.raises(ValueError, match="no credentials"):
        _ = runner.owned
    assert runner.call(runner.owned.add, 1) == 1
    runner.close()


# The loop's own thread


def test_a_call_from_the_loops_own_thread_is_refused_at_once(runner):
    """It would wait for itself: calls, iterations, ``with`` and close alike."""

    async def items():
        yield 1

    async def use(function):
        with pytest.raises(RuntimeError, match="own thread"):
            function()

    runner.call(use, lambda: runner.call(runner.owned.add, 1))
    runner.call(use, lambda: next(runner.iterate(items)))
    runner.call(use, runner.context(contextlib.AsyncExitStack).__enter__)


# Close


def test_close_closes_the_owned_object_and_can_be_repeated(runner):
    """It is closed on the loop, once, and the thread is gone when `close` returns."""
    threads = set(threading.enumerate())
    owned = runner.owned
    runner.close()
    assert owned.is_closed
    assert not begun_since(threads)
    runner.close()


def test_close_from_a_thread_with_a_recycled_identity(runner):
    """A new thread may get the identity of the loop's old one: that is not its own thread."""
    runner.call(runner.owned.add, 1)
    runner.close()
    for _ in range(20):
        thread, outcome = in_thread(runner.close)
        thread.join(WAIT)
        assert outcome == [None]


def test_use_after_close_is_refused(runner):
    """Whatever is asked for, also what was begun before."""

    async def items():
        yield 1
        yield 2

    iteration = runner.iterate(items)
    assert next(iteration) == 1
    add = runner.owned.add
    runner.close()
    with pytest.raises(ClientClosedError):
        runner.call(add, 1)
    with pytest.raises(ClientClosedError):
        _ = runner.owned
    with pytest.raises(ClientClosedError):
        next(iteration)
    iteration.close()


def test_close_ends_what_is_under_way(runner):
    """The waiting thread learns that the outcome is unknown, and that it was the close."""
    forever = Forever()
    thread, outcome = in_thread(lambda: runner.call(forever))
    assert forever.has_begun.wait(WAIT)
    runner.close()
    thread.join(WAIT)
    (error,) = outcome
    assert isinstance(error, ConnectionLostError)
    assert error.outcome is Outcome.UNKNOWN
    assert "closed meanwhile" in str(error)
    assert forever.is_cancelled


def test_close_lets_managers_and_iterators_clean_up_before_the_owned_object_goes(runner):
    """They end in their own tasks, while what they use still works."""
    owned = runner.owned
    seen = []

    @contextlib.asynccontextmanager
    async def manager():
        try:
            yield
        finally:
            await asyncio.sleep(0)
            seen.append(("manager", owned.is_closed))

    async def items():
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            seen.append(("iterator", owned.is_closed))

    iteration = runner.iterate(items)
    with runner.context(manager):
        next(iteration)
        runner.close()
    assert sorted(seen) == [("iterator", False), ("manager", False)]


def test_the_owned_objects_trouble_with_closing_is_raised():
    """An error of its close is not swallowed, and the thread is gone all the same."""

    class Stuck(Service):
        async def close(self):
            raise OSError("stuck")

    runner = Runner(Stuck, Stuck.close)
    runner.call(runner.owned.add, 1)
    with pytest.raises(OSError, match="stuck"):
        runner.close()


def test_nothing_begins_while_the_owned_object_closes():
    """It could not be relied upon any more."""
    items = Items()
    outcomes = []

    async def close_slowly(_owned):
        thread, outcome = in_thread(lambda: next(iteration))
        await asyncio.to_thread(thread.join, WAIT)
        outcomes.extend(outcome)

    runner = Runner(Service, close_slowly)
    iteration = runner.iterate(items)
    runner.close()
    assert [type(outcome) for outcome in outcomes] == [ClientClosedError]
    assert items.given == []


def test_a_call_that_the_loop_did_not_get_to_is_answered(runner, monkeypatch):
    """Whatever becomes of the loop, nobody waits for ever."""
    is_lost = threading.Event()
    add = runner.owned.add
    engine = runner._engine
    schedule = engine.schedule

    def lossy(callback, *args):
        if callback.__name__ == "start_waiting":
            is_lost.set()
        else:
            schedule(callback, *args)

    monkeypatch.setattr(engine, "schedule", lossy)
    thread, outcome = in_thread(lambda: runner.call(add, 1))
    assert is_lost.wait(WAIT)
    runner.close()
    thread.join(WAIT)
    assert [type(error) for error in outcome] == [ClientClosedError]


def test_calls_that_race_with_close_never_hang():
    """Each ends with its result or with a named error."""
    for _ in range(30):
        runner = Runner(Service, Service.close)
        add = runner.owned.add
        barrier = threading.Barrier(5)

        def call(runner=runner, add=add, barrier=barrier):
            barrier.wait(WAIT)
            for _ in range(20):
                runner.call(add, 1)

        threads = [in_thread(call) for _ in range(4)]
        barrier.wait(WAIT)
        runner.close()
        for thread, outcome in threads:
            thread.join(WAIT)
            assert isinstance(outcome[0], ClientClosedError | ConnectionLostError | None)


def test_a_runner_that_is_dropped_ends_its_thread():
    """Its owned object is closed, too; nobody waits for it."""
    closed = threading.Event()

    class Told(Service):
        async def close(self):
            closed.set()

    runner = Runner(Told, Told.close)
    runner.call(runner.owned.add, 1)
    (thread,) = (t for t in threading.enumerate() if t.name == "connectus_async")
    del runner
    assert closed.wait(WAIT)
    thread.join(WAIT)


# Iterations


class Items:
    """An async generator function that tells what became of it, and in which tasks it ran."""

    def __init__(self, count=3):
        self.count = count
        self.given = []
        self.tasks = set()
        self.is_closed = threading.Event()

    async def __call__(self):
        try:
            for number in range(self.count):
                self.tasks.add(asyncio.current_task())
                self.given.append(number)
                yield number
        finally:
            await asyncio.sleep(0)
            self.tasks.add(asyncio.current_task())
            self.is_closed.set()


def test_an_iteration_gives_all_items_from_one_task(runner):
    """In order, to the end, and then no more."""
    items = Items()
    iteration = runner.iterate(items)
    assert list(iteration) == [0, 1, 2]
    assert list(iteration) == []
    assert len(items.tasks) == 1


def test_nothing_is_pulled_ahead(runner):
    """An item is made when it is asked for, the first one included."""
    items = Items()
    iteration = runner.iterate(items)
    for number in range(3):
        assert items.given == list(range(number))
        assert next(iteration) == number
    iteration.close()


def test_close_closes_the_iterator_in_its_task(runner):
    """Its cleanup has run when `close` returns, and there is nothing more to get."""
    items = Items()
    iteration = runner.iterate(items)
    next(iteration)
    iteration.close()
    assert items.is_closed.is_set()
    assert len(items.tasks) == 1
    assert list(iteration) == []
    iteration.close()


def test_an_iteration_that_never_began_has_nothing_to_close(runner):
    """The function is not even called."""
    items = Items()
    iteration = runner.iterate(items)
    iteration.close()
    assert list(iteration) == []
    assert not items.is_closed.is_set()


def test_break_closes_the_iterator(runner):
    """Without waiting for it: a finalizer may run in any thread, at any time."""
    items = Items()
    for _ in runner.iterate(items):
        break
    assert items.is_closed.wait(WAIT)
    assert items.given == [0]
    assert len(items.tasks) == 1


def test_an_iteration_may_be_finalized_on_the_loop_itself(runner):
    """Garbage collection picks its thread; there, waiting would be a deadlock."""
    items = Items()
    cycle = [runner.iterate(items)]
    next(cycle[0])
    cycle.append(cycle)
    del cycle

    async def collect():
        gc.collect()

    runner.call(collect)
    assert items.is_closed.wait(WAIT)


def test_an_error_ends_the_iteration(runner):
    """It is raised as it is, after what came before it."""
    error = LookupError("gone")

    async def items():
        yield 1
        raise error

    iteration = runner.iterate(items)
    assert next(iteration) == 1
    with pytest.raises(LookupError) as caught:
        next(iteration)
    assert caught.value is error
    assert list(iteration) == []


def test_an_iterator_without_aclose_will_do(runner):
    """Only generators have one."""

    class Countdown:
        left = 3

        def __aiter__(self):
            return self

        async def __anext__(self):
            self.left -= 1
            if self.left < 0:
                raise StopAsyncIteration
            return self.left

    assert list(runner.iterate(Countdown)) == [2, 1, 0]


def test_an_iteration_keeps_its_runner():
    """The runner may be a temporary: it stays as long as the iteration."""
    assert list(Runner(Service, Service.close).iterate(Items())) == [0, 1, 2]
    for thread in threading.enumerate():
        if thread.name == "connectus_async":
            thread.join(WAIT)


# Plain iterables and callbacks


async def collected(items):
    return [item async for item in items]


def test_a_plain_iterable_is_pulled_in_the_callers_thread(runner):
    """From its ``iter`` to its end: cursors and sessions are bound to their thread."""
    threads = set()

    class Rows:
        def __iter__(self):
            for row in range(3):
                threads.add(threading.get_ident())
                yield row
            threads.add(threading.get_ident())

    assert runner.call(collected, pulled(Rows())) == [0, 1, 2]
    assert threads == {threading.get_ident()}


def test_what_cannot_block_is_left_as_it_is():
    """A detour through the thread would only cost time."""

    async def items():
        yield 1

    for source in ([1], (1,), items()):
        assert pulled(source) is source


def test_a_source_that_blocks_does_not_block_the_loop(runner):
    """Others go on while it makes up its mind: here it waits for one of them."""

    def source():
        thread, outcome = in_thread(lambda: runner.call(runner.owned.add, 1))
        thread.join(WAIT)
        yield from outcome

    assert runner.call(collected, pulled(source())) == [1]


def test_a_source_is_pulled_by_child_tasks_of_an_iteration(runner):
    """As the bulk sender does it: workers pull while the consumer waits, and never ahead."""
    pulls = []

    def source():
        for number in range(6):
            pulls.append(threading.get_ident())
            yield number

    async def doubled(items):
        send, receive = anyio.create_memory_object_stream(0)

        async def work():
            async with send:
                async for item in items:
                    await send.send(2 * item)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            async with receive:
                async for item in receive:
                    yield item

    iteration = runner.iterate(doubled, pulled(source()))
    assert next(iteration) == 0
    assert len(pulls) <= 2
    assert list(iteration) == [2, 4, 6, 8, 10]
    assert set(pulls) == {threading.get_ident()}


def test_an_error_of_the_source_comes_through(runner):
    """Through the async function, which may clean up, to the caller, with the source's own line."""

    def source():
        yield 1
        raise LookupError("row 2")

    with pytest.raises(LookupError, match="row 2") as caught:
        runner.call(collected, pulled(source()))
    assert "source" in [frame.name for frame in traceback.extract_tb(caught.tb)]


def test_ctrl_c_in_the_source_cancels_the_call(runner):
    """What interrupts the thread interrupts the call, wherever in it the thread is."""
    is_cancelled = threading.Event()

    def source():
        yield 1
        raise KeyboardInterrupt

    async def pull(items):
        try:
            await collected(items)
        except asyncio.CancelledError:
            is_cancelled.set()
            raise
        except RuntimeError:
            is_cancelled.set()

    with pytest.raises(KeyboardInterrupt):
        runner.call(pull, pulled(source()))
    assert is_cancelled.is_set()
    assert runner.call(runner.owned.add, 1) == 1


def test_a_pull_that_nobody_serves_any_more_fails(runner):
    """A task that outlives its call gets an error rather than waiting for ever."""
    failed = threading.Event()
    kept = []

    async def pull(items):
        with pytest.raises(RuntimeError, match="is over"):
            await collected(items)
        failed.set()

    async def leave_behind(items):
        kept.append(asyncio.create_task(pull(items)))

    runner.call(leave_behind, pulled(iter([1])))
    assert failed.wait(WAIT)


def test_a_callback_runs_in_the_callers_thread_and_may_use_the_runner(runner):
    """Its arguments go in, its result comes out."""

    def callback(number, *, plus):
        assert threading.current_thread() is threading.main_thread()
        return runner.call(runner.owned.add, number, plus)

    async def report(callback):
        return [await callback(number, plus=10) for number in range(3)]

    assert runner.call(report, called(callback)) == [10, 11, 12]


@pytest.mark.parametrize("kind", [LookupError, StopIteration])
def test_an_error_of_a_callback_is_raised_where_it_was_called(runner, kind):
    """The async function may handle it; a StopIteration becomes a RuntimeError, as in Python."""

    def callback():
        raise kind

    async def report(callback):
        try:
            await callback()
        except (LookupError, RuntimeError):
            return "handled"

    assert runner.call(report, called(callback)) == "handled"


def test_a_callback_may_close_the_runner(runner):
    """It ends the very call that waits for the callback."""

    async def report(callback):
        await callback()

    with pytest.raises(ConnectionLostError):
        runner.call(report, called(runner.close))


# With


def test_a_manager_is_entered_and_left_in_one_task(runner):
    """The cancel scopes of anyio demand it."""

    @contextlib.asynccontextmanager
    async def manager():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep, 0)
            yield "value"

    with runner.context(manager) as value:
        assert value == "value"
        assert runner.call(runner.owned.add, 1) == 1


@pytest.mark.parametrize("kind", [LookupError, KeyboardInterrupt, StopIteration])
def test_an_exception_is_handed_in(runner, kind):
    """The manager sees it, with its traceback; where it lets it pass, it goes on as it was."""
    seen = []
    error = kind()

    class Manager:
        async def __aenter__(self):
            return self

        async def __aexit__(self, *details):
            seen.append(details)

    with pytest.raises(kind) as caught, runner.context(Manager):
        raise error
    assert caught.value is error
    assert [(one, two) for one, two, _ in seen] == [(kind, error)]
    assert seen[0][2] is not None


def test_an_exception_that_is_raised_again_keeps_its_traceback(runner):
    """The way through the loop and back leaves no trace in it."""

    class Manager(contextlib.AsyncExitStack):
        async def __aexit__(self, kind, error, traceback):
            raise error

    with pytest.raises(LookupError) as caught, runner.context(Manager):
        raise LookupError
    (frame,) = traceback.extract_tb(caught.tb)
    assert frame.line == "raise LookupError"


def test_a_manager_may_suppress_or_replace_an_exception(runner):
    """As with ``async with``."""

    @contextlib.asynccontextmanager
    async def suppresses():
        with contextlib.suppress(LookupError):
            yield

    @contextlib.asynccontextmanager
    async def replaces():
        try:
            yield
        except LookupError as error:
            raise ValueError("replaced") from error

    with runner.context(suppresses):
        raise LookupError
    with pytest.raises(ValueError, match="replaced"), runner.context(replaces):
        raise LookupError


def test_a_manager_is_good_for_one_time(runner):
    """A second time is refused at once."""
    held = runner.context(contextlib.AsyncExitStack)
    with held:
        pass
    with pytest.raises(RuntimeError, match="is over"):
        held.__exit__(None, None, None)
    with pytest.raises(RuntimeError, match="is over"):
        held.__enter__()


def test_a_manager_that_cannot_be_entered(runner):
    """Its error is raised, and the body does not run."""

    @contextlib.asynccontextmanager
    async def manager():
        raise LookupError("locked")
        yield

    with pytest.raises(LookupError, match="locked"), runner.context(manager):
        pytest.fail("entered")


def test_what_fails_in_the_background_of_a_manager_is_raised_on_leaving(runner):
    """It came while nobody was waiting, and is not lost."""
    has_failed = threading.Event()

    async def fail():
        has_failed.set()
        raise LookupError("in the background")

    @contextlib.asynccontextmanager
    async def manager():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fail)
            yield

    with pytest.raises(ExceptionGroup) as caught, runner.context(manager):
        assert has_failed.wait(WAIT)
    assert caught.group_contains(LookupError, match="in the background")


@pytest.fixture
def deaths(monkeypatch):
    """What the threads of loops die of, which Python prints otherwise."""
    deaths = []
    monkeypatch.setattr(threading, "excepthook", lambda args: deaths.append(args.exc_value))
    return deaths


def broken(runner):
    """Have the selector of a stock loop fail once."""

    async def sabotage():
        selector = asyncio.get_running_loop()._selector
        select = selector.select

        def fail(timeout):
            selector.select = select
            raise OSError(9, "no such selector")

        selector.select = fail

    return sabotage


@pytest.mark.parametrize("runner", ["stock loop"], indirect=True)
def test_a_loop_that_dies_tells_those_who_wait_what_it_died_of(runner, deaths):
    """What had begun may have been carried out; the client was closed by nobody, and goes on."""
    forever = Forever()
    thread, outcome = in_thread(lambda: runner.call(forever))
    assert forever.has_begun.wait(WAIT)
    owned, engine = runner.owned, runner._engine
    with contextlib.suppress(ConnectionLostError):
        runner.call(broken(runner))
    thread.join(WAIT)
    engine.thread.join(WAIT)

    [error] = outcome
    assert type(error) is ConnectionLostError
    assert error.outcome is Outcome.UNKNOWN
    assert "the client's event loop ended with OSError: [Errno 9] no such selector" in str(error)
    assert [str(death) for death in deaths] == ["[Errno 9] no such selector"]
    assert owned.is_closed
    assert runner.call(runner.owned.add, 1, 2) == 3
    assert runner.owned is not owned


@pytest.mark.parametrize("runner", ["stock loop"], indirect=True)
def test_what_a_dead_loop_had_not_begun_was_not_sent(runner, deaths):
    """It is told from what was closed."""
    engine = runner.owned and runner._engine
    with contextlib.suppress(ConnectionLostError):
        runner.call(broken(runner))
    engine.thread.join(WAIT)
    operation = Operation(engine, "send", lambda _: Forever()())

    with pytest.raises(NotSentError, match="send: the client's event loop ended with OSError") as e:
        operation.exchange(operation.start)
    assert e.value.outcome is Outcome.NOT_SENT
