"""The blocking client in a program of its own: Ctrl-C, exits without close, processes by spawn."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from scripts import LIMIT, ROOT, SLOW

from connectus_async.defaults import ENVIRONMENT
from connectus_async.emulator import Emulator, Fault

pytestmark = pytest.mark.both("either loop ends with its process")

HEAD = """
import atexit, contextlib, multiprocessing, sys, threading, warnings
from connectus_async import Connectus, ConnectusError, Sms

def say(word):
    print(word, flush=True)

"""


class Meeting:
    """A fault that never answers, and says when a request has come."""

    def __init__(self) -> None:
        self.come = threading.Event()
        self.fault = Fault("meeting", self._run)

    async def _run(self, request, act):
        self.come.set()
        return await Fault.timeout().run(request, act)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Emulator()) as emulator,
    ):
        yield emulator


class Program:
    """A script that talks to the emulator, with every warning an error."""

    def __init__(self, emulator: Emulator, path: Path, script: str) -> None:
        path.write_text(HEAD + script, "utf-8")
        settings = {
            "base_url": emulator.base_url,
            "api_user": emulator.api_user,
            "api_key": emulator.api_key,
        }
        variables = {ENVIRONMENT[name]: value for name, value in settings.items()}
        self._process = subprocess.Popen(
            [sys.executable, "-X", "dev", "-W", "error", path],
            env={**os.environ, **variables, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def says(self) -> str:
        return self._process.stdout.readline().strip()

    def hears(self, line: str) -> None:
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def press_ctrl_c(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def end(self) -> str:
        """Wait for the end, without complaint, and return what it still said."""
        try:
            out, err = self._process.communicate(timeout=LIMIT)
        finally:
            self._process.kill()
        complaints = [line for line in err.splitlines() if not SLOW.search(line)]
        assert (self._process.returncode, complaints) == (0, [])
        return out.strip()


SENDING = """
    try:
        say("sending")
        connectus.sms.send("56987688060", "Hola")
    except KeyboardInterrupt:
        say("interrupted")
"""


def test_ctrl_c_before_the_wire_means_that_nothing_arrives(emulator: Emulator, tmp_path: Path):
    """The send waits for the only connection, and is given up with its caller."""
    meeting = Meeting()
    emulator.fault(meeting.fault, route="account.get")
    script = """
def hold():
    with contextlib.suppress(ConnectusError):
        connectus.account.get()

with Connectus(timeout=3_600, max_connections=1) as connectus:
    threading.Thread(target=hold).start()
    sys.stdin.readline()
"""
    program = Program(emulator, tmp_path / "program.py", script + SENDING)
    assert meeting.come.wait(LIMIT)
    program.hears("the connection is taken")
    assert program.says() == "sending"
    program.press_ctrl_c()

    assert program.end() == "interrupted"
    assert emulator.requests == {"account.get": 1}
    assert emulator.received == []


def test_ctrl_c_while_the_answer_is_waited_for_ends_the_call(emulator: Emulator, tmp_path: Path):
    """It may have arrived, once; the caller is free long before its time limit."""
    meeting = Meeting()
    emulator.fault(meeting.fault, route="sms.send")
    script = "with Connectus(timeout=3_600) as connectus:\n"
    program = Program(emulator, tmp_path / "program.py", script + SENDING)
    assert program.says() == "sending"
    assert meeting.come.wait(LIMIT)
    program.press_ctrl_c()

    assert program.end() == "interrupted"
    assert len(emulator.received) == 1


EXITS = {
    "never closed": "connectus.account.get()",
    "sys.exit": "connectus.account.get(); sys.exit()",
    "atexit": "atexit.register(connectus.account.get)",
    "a stream left open": """
bulk = connectus.bulk().__enter__()
next(bulk.stream([Sms("56987688060", "Hola")] * 9))""",
    "a call in flight": """
def hang():
    with contextlib.suppress(ConnectusError):
        connectus.with_options(timeout=60).email.balance()
threading.Thread(target=hang, daemon=True).start()
sys.stdin.readline()""",
}


@pytest.mark.parametrize("script", EXITS.values(), ids=EXITS)
def test_a_program_that_never_closes_its_client_ends_quietly(
    script: str, emulator: Emulator, tmp_path: Path
):
    """No hang, no ResourceWarning, no traceback."""
    meeting = Meeting()
    emulator.fault(meeting.fault, route="email.balance")
    program = Program(emulator, tmp_path / "program.py", f"connectus = Connectus()\n{script}")
    if "email.balance" in script:
        assert meeting.come.wait(LIMIT)
        program.hears("it is under way")

    assert program.end() == ""
    assert emulator.requests


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_of_multiprocessing_sends(method: str, emulator: Emulator, tmp_path: Path):
    """A forked child uses the client that it inherits, a spawned one makes its own."""
    script = f"""
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
connectus = Connectus()

def send():
    connectus.sms.send("56987688060", "Hola")

if __name__ == "__main__":
    send()
    child = multiprocessing.get_context("{method}").Process(target=send)
    child.start()
    child.join({LIMIT})
    say(child.exitcode)
"""
    program = Program(emulator, tmp_path / "program.py", script)

    assert program.end() == "0"
    assert len(emulator.received) == 2
