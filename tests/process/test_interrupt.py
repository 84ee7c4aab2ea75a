"""Ctrl-C, SIGTERM and SIGHUP, real ones: what was begun is finished and counted, once."""

import asyncio
import json
import os
import shlex
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import aiohttp
import attrs
import pytest
from aiohttp import web
from forks import Fork, forked
from scripts import LIMIT

from connectus_async.cli.runner import run
from connectus_async.emulator import Emulator, Fault

pytestmark = pytest.mark.both("either loop gets signals")

COMMAND = (sys.executable, "-m", "connectus_async")
IN_BACKGROUND = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")
UNDER_NOHUP = ("sh", "-c", 'trap "" HUP; exec "$@"', "sh")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SMS = ("sms", "send", "56987688060", "Hola")
FINISHING = "connectus: finishing the messages under way; press Ctrl-C again to abandon them"
ROWS = 1_000
PASSED = 20
HELD = 8

IN_A_CALLBACK = """
import asyncio, signal
from connectus_async.cli.runner import run

async def command():
    ended = asyncio.get_running_loop().create_future()

    def callback():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        ended.set_result(None)

    asyncio.get_running_loop().call_soon(callback)
    try:
        await asyncio.Event().wait()
    finally:
        await ended

run(command, when_interrupted="given up")
"""

WHILE_PRINTING = """
import io, signal, sys
from connectus_async.cli.interrupts import raise_interrupts
from connectus_async.cli.runner import errors_reported

class Interrupted(io.TextIOWrapper):
    def write(self, text):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        return super().write(text)

sys.stderr = Interrupted(sys.stderr.buffer)
raise_interrupts()
with errors_reported(as_json=False, when_interrupted="another sentence"):
    with errors_reported(as_json=False, when_interrupted="given up"):
        signal.raise_signal(signal.SIGINT)
"""

WHILE_TELLING = """
import io, signal, sys
from connectus_async.cli import main

class Interrupted(io.TextIOWrapper):
    def write(self, text):
        signal.raise_signal(signal.SIGINT)

sys.stdout = Interrupted(sys.stdout.buffer)
main()
"""

AMID_PARSING = """
import signal, sys
from connectus_async.cli import main
from connectus_async.cli.commands import connectus

def parse_args(context, args):
    signal.raise_signal(signal.SIGINT)

connectus.parse_args = parse_args
main()
"""

STUCK = """
import os
from connectus_async._program import ignore_signals
from connectus_async.cli.runner import run

async def command():
    while True:
        os.write(1, b"x" * 65_536)

try:
    run(command, when_interrupted="given up")
finally:
    ignore_signals()
"""

DROPPED = """
import signal, sys, time
from connectus_async._program import ignore_signals
from connectus_async.cli.interrupts import raise_interrupts
from connectus_async.cli.runner import errors_reported

class Deaf:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

sys.unraisablehook = lambda _: None
raise_interrupts()
try:
    with errors_reported(as_json=False, when_interrupted="given up"):
        Deaf()
        print(flush=True)
        while True:
            time.sleep(1)
finally:
    ignore_signals()
"""

FLOODED = """
import inspect, sys, time
from connectus_async._program import ignore_signals
from connectus_async.cli.runner import run

async def command():
    sys.setrecursionlimit(len(inspect.stack()) + 20)
    print(flush=True)
    while True:
        time.sleep(0.001)

try:
    run(command, when_interrupted="given up")
finally:
    ignore_signals()
"""

FLOOD = """
import os, sys
try:
    for _ in range(5_000_000):
        os.kill(int(sys.argv[1]), int(sys.argv[2]))
except ProcessLookupError:
    pass
"""

IN_A_TERMINAL = """
import os, pty, select, sys
child, terminal = pty.fork()
if child == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
while sys.stdin not in select.select([terminal, sys.stdin], [], [])[0]:
    os.read(terminal, 65_536)
os.close(terminal)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

Start = Callable[..., Coroutine[None, None, Process | Fork]]


@attrs.define
class Gate:
    """Lets some requests pass and holds the answers to those after them, acted upon as they are."""

    passing: int
    holding: int
    full: asyncio.Event = attrs.field(factory=asyncio.Event)
    opened: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def run(self, request: web.Request, act) -> web.StreamResponse:
        response = await act()
        if request.path.endswith("/clients"):  # the balances, which a campaign asks for first
            return response
        if self.passing:
            self.passing -= 1
            return response
        self.holding -= 1
        if not self.holding:
            self.full.set()
        await self.opened.wait()
        return response


@pytest.fixture
def gate(emulator: Emulator) -> Gate:
    gate = Gate(PASSED, HELD)
    emulator.fault(Fault("gate", gate.run))
    return gate


@pytest.fixture
async def start(emulator: Emulator) -> AsyncIterator[Start]:
    """Start a command, which ends with the test at the latest."""
    processes: list[Process | Fork] = []

    async def start(
        *args: object,
        before: Sequence[str] = (),
        command: Sequence[str] = COMMAND,
        stderr: int = PIPE,
        stdin: int | None = None,
    ) -> Process | Fork:
        environment = {
            **os.environ,
            "CONNECTUS_BASE_URL": emulator.base_url,
            "CONNECTUS_API_USER": emulator.api_user,
            "CONNECTUS_API_KEY": emulator.api_key,
        }
        if (before, command, stderr, stdin) == ((), COMMAND, PIPE, None):
            process = await forked(*COMMAND[1:], *args, environment=environment)
        else:
            process = await asyncio.create_subprocess_exec(
                *before,
                *command,
                *map(str, args),
                stdin=stdin,
                stdout=PIPE,
                stderr=stderr,
                env=environment,
            )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@pytest.fixture
def campaign(tmp_path: Path) -> tuple[object, ...]:
    path = tmp_path / "recipients.csv"
    numbers = range(56_960_000_000, 56_960_000_000 + ROWS)
    path.write_text("dst_number,name\n" + "".join(f"{number},Ana\n" for number in numbers))
    return ("bulk", "send", path, "--text", "Hola {name}", "--concurrency", HELD, "--yes", "--json")


async def next_line(stream: asyncio.StreamReader | None) -> str:
    return (await stream.readline()).decode().rstrip()


def numbers_of(emulator: Emulator) -> list[str]:
    return [message.recipient for message in emulator.received]


@pytest.mark.parametrize("signum", SIGNALS)
async def test_a_campaign_finishes_what_is_under_way(emulator, gate, start, campaign, signum):
    """The summary's accepted are those that the phones have; no further row is begun."""
    process = await start(*campaign)
    await gate.full.wait()
    process.send_signal(signum)
    assert await next_line(process.stderr) == FINISHING
    gate.opened.set()
    output, errors = await process.communicate()

    _, summary = map(json.loads, output.splitlines())
    assert (process.returncode, errors) == (130, b"")
    assert summary == {
        "type": "summary",
        "queued": ROWS - PASSED - HELD,
        "in_flight": 0,
        "accepted": PASSED + HELD,
        "rejected": 0,
        "unknown": 0,
        "held": 0,
        "skipped": 0,
        "skipped_by": {},
        "accepted_now": PASSED + HELD,
        "stopped_by": "interrupted",
    }
    assert len(numbers_of(emulator)) == len(set(numbers_of(emulator))) == PASSED + HELD


async def test_an_interrupted_campaign_is_told_in_words(emulator, gate, start, campaign):
    """Without --json the summary is two lines, which say how to go on and name nobody."""
    process = await start(*campaign[:-1])
    await gate.full.wait()
    process.send_signal(signal.SIGINT)
    assert await next_line(process.stderr) == FINISHING
    gate.opened.set()
    output, errors = await process.communicate()

    assert process.returncode == 130
    *_, summary, advice = output.decode().splitlines()
    assert summary == ("28 of 1,000 accepted, 0 rejected, 0 unknown, 0 held, 0 skipped, 972 queued")
    assert advice.startswith("972 are still queued: continue with connectus bulk resume ")
    *_, ledger = shlex.split(advice)
    page = await asyncio.create_subprocess_exec(*COMMAND, "bulk", "report", ledger, stdout=PIPE)
    await page.communicate()
    assert "<strong>Stopped:</strong> interrupted" in Path(f"{ledger}.html").read_text("utf-8")
    assert errors.decode() == "connectus: stopped: interrupted\n"


async def test_what_fails_after_the_interruption_is_named(emulator, gate, start, campaign):
    """A message whose answer is lost while the campaign ends has its line printed."""
    emulator.clear_faults()
    emulator.fault(Fault.half_answer(), route="sms.send")
    emulator.fault(Fault("gate", gate.run), route="sms.send")
    gate.passing = 0
    process = await start(*campaign)
    await gate.full.wait()
    process.send_signal(signal.SIGINT)
    assert await next_line(process.stderr) == FINISHING
    gate.opened.set()
    output, _ = await process.communicate()

    _, *failures, summary = map(json.loads, output.splitlines())
    assert process.returncode == 130
    assert {failure["state"] for failure in failures} == {"unknown"}
    assert sorted(failure["line"] for failure in failures) == list(range(2, 2 + HELD))
    assert (summary["accepted"], summary["unknown"]) == (0, HELD)


async def test_a_second_interruption_gives_up(emulator, gate, start, campaign):
    """What was cut off is unknown in the ledger, never queued; it is on the phones, once each."""
    process = await start(*campaign)
    await gate.full.wait()
    process.send_signal(signal.SIGINT)
    assert await next_line(process.stderr) == FINISHING
    process.send_signal(signal.SIGINT)
    _, errors = await process.communicate()
    status = await start("bulk", "status", f"{campaign[2]}.ledger.db", "--json")
    shown, _ = await status.communicate()

    counts = json.loads(shown)["counts"]
    assert process.returncode == 130
    assert b"Traceback" not in errors
    assert b"connectus bulk status" in errors
    assert counts["unknown"] + counts["in_flight"] == HELD
    assert (counts["accepted"], counts["queued"]) == (PASSED, ROWS - PASSED - HELD)
    assert len(numbers_of(emulator)) == len(set(numbers_of(emulator))) == PASSED + HELD


@pytest.mark.parametrize("signum", SIGNALS)
@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (SMS, "interrupted; the request under way may have been carried out"),
        ((*SMS, "--json"), "interrupted; the request under way may have been carried out"),
        (("account",), "interrupted"),
    ],
)
async def test_a_single_call_is_given_up_at_once(gate, start, args, problem, signum):
    """It says whether a message may have been sent."""
    gate.passing, gate.holding = 0, 1
    process = await start(*args)
    await gate.full.wait()
    process.send_signal(signum)
    output, errors = await process.communicate()

    assert (process.returncode, output) == (130, b"")
    assert errors.decode() == f"connectus: {problem}\n"


@pytest.mark.parametrize("signum", SIGNALS)
async def test_the_emulator_stops(start, signum):
    """Its first line says that it listens."""
    process = await start("emulator", "--port", 0, "--json")
    settings = json.loads(await next_line(process.stdout))
    process.send_signal(signum)
    output, errors = await process.communicate()

    assert settings["CONNECTUS_BASE_URL"].startswith("http://127.0.0.1:")
    assert (process.returncode, output) == (130, b"")
    assert errors == b"connectus: the emulator has stopped\n"


async def test_the_emulator_tells_where_its_inbox_is_and_what_is_asked(start):
    """A shell reads the one; the requests are beside, without what they ask."""
    process = await start("emulator", "--port", 0, "--fault", "sms.send=status:503,times=1")
    lines = [await next_line(process.stdout) for _ in range(6)]
    url = lines[0].removeprefix("export CONNECTUS_BASE_URL=")
    async with aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.post(f"{url}/sms/send_individual?text=Hola") as response:
                await response.read()
        async with session.get(lines[-1].rpartition(" ")[2]) as response:
            page = await response.text()
    process.send_signal(signal.SIGINT)
    _, errors = await process.communicate()

    assert lines[-1].startswith("# The inbox shows the messages: http://127.0.0.1:")
    assert 'src="page.js"' in page
    assert errors.decode().splitlines() == [
        "POST /api_v3/sms/send_individual 503",
        "POST /api_v3/sms/send_individual 401",
        "connectus: the emulator has stopped",
    ]


async def test_a_demo_that_stays_ends_at_ctrl_c(start):
    """Until then its inbox has the messages; the exit code is that of the demo."""
    process = await start("demo", "--recipients", 3, "--stay")
    line = ""
    while not line.startswith("The inbox stays open"):
        line = await next_line(process.stdout)
    url = line.rpartition(" ")[2] + "api/messages"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        messages = await response.json()
    process.send_signal(signal.SIGINT)
    _, errors = await process.communicate()

    assert messages["total"] == 3
    assert (process.returncode, errors) == (0, b"")


async def test_an_emulator_in_the_background_ignores_ctrl_c_and_obeys_sigterm(start):
    """A shell script's background job is stopped with kill, and by nothing at the keyboard."""
    process = await start("emulator", "--port", 0, "--json", before=IN_BACKGROUND)
    await next_line(process.stdout)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    _, errors = await process.communicate()

    assert process.returncode == 130
    assert errors == b"connectus: the emulator has stopped\n"


async def test_a_campaign_in_the_background_finishes_at_sigterm(gate, start, campaign):
    """Ctrl-C before it changes nothing: a second interruption would give up."""
    process = await start(*campaign, before=IN_BACKGROUND)
    await gate.full.wait()
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    assert await next_line(process.stderr) == FINISHING
    gate.opened.set()
    output, errors = await process.communicate()

    assert (process.returncode, errors) == (130, b"")
    assert json.loads(output.splitlines()[-1])["accepted"] == PASSED + HELD


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGHUP])
async def test_a_hangup_never_gives_up_what_is_under_way(emulator, gate, start, campaign, first):
    """A shell repeats that of the kernel, and a service manager may send it after SIGTERM."""
    process = await start(*campaign)
    await gate.full.wait()
    process.send_signal(first)
    assert await next_line(process.stderr) == FINISHING
    process.send_signal(signal.SIGHUP)
    gate.opened.set()
    output, errors = await process.communicate()

    summary = json.loads(output.splitlines()[-1])
    assert (process.returncode, errors) == (130, b"")
    assert (summary["accepted"], summary["unknown"]) == (PASSED + HELD, 0)


async def test_a_campaign_finishes_what_is_under_way_when_its_terminal_is_closed(
    emulator, gate, start, campaign
):
    """Whatever it prints from then on fails; the ledger and the exit code are as at Ctrl-C."""
    terminal = (sys.executable, "-c", IN_A_TERMINAL)
    process = await start(*campaign[:-1], before=terminal, stdin=PIPE)
    await gate.full.wait()
    process.stdin.write(b"\n")
    gate.opened.set()
    output, errors = await process.communicate()
    status = await start("bulk", "status", f"{campaign[2]}.ledger.db", "--json")
    shown, _ = await status.communicate()

    counts = json.loads(shown)["counts"]
    accepted = len(numbers_of(emulator))
    assert (output, errors) == (b"130\n", b"")
    assert PASSED + HELD <= accepted < ROWS
    assert (counts["accepted"], counts["queued"]) == (accepted, ROWS - accepted)


async def test_a_single_call_tells_by_its_exit_code_though_its_terminal_is_closed(gate, start):
    """The sentence that says as much reaches nobody."""
    gate.passing, gate.holding = 0, 1
    terminal = (sys.executable, "-c", IN_A_TERMINAL)
    process = await start(*SMS, before=terminal, stdin=PIPE)
    await gate.full.wait()
    output, errors = await process.communicate(b"\n")

    assert (output, errors) == (b"130\n", b"")


async def test_a_campaign_under_nohup_outlives_its_terminal(gate, start, campaign):
    """It is stopped by nothing but what is meant to stop it."""
    process = await start(*campaign, before=UNDER_NOHUP)
    await gate.full.wait()
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    assert await next_line(process.stderr) == FINISHING
    gate.opened.set()
    output, errors = await process.communicate()

    assert (process.returncode, errors) == (130, b"")
    assert json.loads(output.splitlines()[-1])["accepted"] == PASSED + HELD


def test_waiting_for_an_email_can_be_interrupted(tmp_path):
    """Nothing was sent: the text had not come yet."""
    pipe = tmp_path / "body.html"
    os.mkfifo(pipe)
    email = ("email", "send", "ana@example.com", "--subject", "A", "--src-email", "a@example.com")
    with (
        subprocess.Popen([*COMMAND, *email, pipe], stdout=PIPE, stderr=PIPE) as process,
        pipe.open("wb"),  # returns as soon as the command has opened it too
    ):
        output, errors = interrupted(process)

    assert (process.returncode, output) == (130, b"")
    assert errors == b"connectus: interrupted; nothing was sent\n"


async def test_nobody_is_told_that_a_message_was_not_sent_which_was(emulator, start):
    """It was interrupted in printing the receipt."""
    process = await start(*SMS, command=(sys.executable, "-c", WHILE_TELLING))
    output, errors = await process.communicate()

    assert len(emulator.received) == 1
    assert (process.returncode, output) == (130, b"")
    assert errors == b"connectus: interrupted; the request under way may have been carried out\n"


async def test_a_command_can_be_interrupted_before_it_is_understood(emulator, start):
    """It ends as at any other time."""
    process = await start(*SMS, command=(sys.executable, "-c", AMID_PARSING))
    output, errors = await process.communicate()

    assert not emulator.received
    assert (process.returncode, output) == (130, b"")
    assert errors == b"connectus: interrupted; nothing was sent\n"


async def test_a_campaign_finishes_where_nobody_reads_its_errors(emulator, gate, start, campaign):
    """Standard error is a pipe whose reader has gone."""
    reading, writing = os.pipe()
    os.close(reading)
    process = await start(*campaign, stderr=writing)
    os.close(writing)
    await gate.full.wait()
    process.send_signal(signal.SIGINT)
    gate.opened.set()
    await process.communicate()
    status = await start("bulk", "status", f"{campaign[2]}.ledger.db", "--json")
    shown, _ = await status.communicate()

    counts = json.loads(shown)["counts"]
    accepted = len(numbers_of(emulator))
    assert process.returncode == 130
    assert (counts["accepted"], counts["queued"]) == (accepted, ROWS - accepted)


def test_a_command_leaves_signals_as_they_were():
    """The process may be somebody else's."""
    before = [signal.getsignal(signum) for signum in SIGNALS]

    run(partial(asyncio.sleep, 0))

    assert [signal.getsignal(signum) for signum in SIGNALS] == before


@pytest.mark.parametrize("script", [IN_A_CALLBACK, WHILE_PRINTING])
def test_no_interruption_cuts_off_what_another_has_begun(script):
    """Neither a callback, for which the end may wait, nor the sentence that is printed of it."""
    command = [sys.executable, "-c", script]
    ended = subprocess.run(command, check=False, capture_output=True, timeout=LIMIT)

    assert (ended.returncode, ended.stderr) == (130, b"connectus: given up\n")


@pytest.mark.parametrize("script", [STUCK, DROPPED])
def test_an_interruption_that_had_no_effect_is_not_the_last(script):
    """A loop prints to a pipe that nobody reads, and Python drops an exception: it ends at last."""
    with subprocess.Popen([sys.executable, "-c", script], stdout=PIPE, stderr=PIPE) as process:
        process.stdout.read(1)
        while process.poll() is None:
            process.send_signal(signal.SIGINT)

        assert (process.returncode, process.stderr.read()) == (130, b"connectus: given up\n")


def test_interruptions_that_come_faster_than_they_are_handled_do_not_pile_up():
    """Each is handled where the one before was not: within it, there is soon no stack left."""
    with subprocess.Popen([sys.executable, "-c", FLOODED], stdout=PIPE, stderr=PIPE) as process:
        process.stdout.read(1)
        floods = [
            subprocess.Popen([sys.executable, "-c", FLOOD, str(process.pid), str(int(signum))])
            for signum in (signal.SIGINT, signal.SIGTERM)
        ]
        errors = process.stderr.read()
        for flood in floods:
            flood.kill()
            flood.wait()

        assert (process.wait(), errors) == (130, b"connectus: given up\n")


def interrupted(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """Press Ctrl-C until the process ends: amid an import, Python may drop the first one."""
    for _ in range(20):
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=5)
    raise AssertionError
