"""A campaign whose text or data changed after a part of it was sent, on the command line."""

import asyncio
import csv
import io
import json
import os
import pty
import sys
import termios
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import anyio
import pytest

from connectus_async.cli import edits
from connectus_async.cli.edits import Edit
from connectus_async.emulator import Emulator, Fault
from connectus_async.errors import ConfigurationError
from connectus_async.ledger.states import Edited

FIRST = 56_987_688_060
OLD, NEW = "Hla {name}", "Hola {name}"
SAYS = {
    "edited": "The text was edited since: 2 people already got the old one, or may have got it.",
    "corrected": "The data of 1 person changed since: this person already got a message with the"
    " old data, or may have got it.",
}


def write(path: Path, *names: str) -> None:
    rows = (f"{FIRST + place},{name}" for place, name in enumerate(names) if name)
    path.write_text("dst_number,name\n" + "\n".join(rows) + "\n", "utf-8")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "clientes.csv"
    write(path, "Ana", "Luis")
    return path


def got(server: Emulator) -> Counter[tuple[int, str]]:
    return Counter((int(sms.recipient) - FIRST, sms.content) for sms in server.received)


def test_an_edited_text_is_sent_to_nobody_unless_somebody_says_to_whom(run, server, file):
    """Without a terminal there is nobody to ask; the error says what can be chosen."""
    run("bulk", "send", file, "--text", OLD)
    write(file, "Ana", "Luis", "Eva")
    refused = run("bulk", "send", file, "--text", NEW)
    aborted = run("bulk", "send", file, "--text", NEW, "--edited", "abort")
    assert len(server.received) == 2

    remaining = run("bulk", "send", file, "--text", NEW, "--edited", "remaining")
    assert got(server) == Counter({(0, "Hla Ana"): 1, (1, "Hla Luis"): 1, (2, "Hola Eva"): 1})
    everyone = run("bulk", "send", file, "--text", NEW, "--edited", "everyone")

    said = f"{SAYS['edited']} 1 message is for somebody who has nothing yet."
    assert refused.exit_code == aborted.exit_code == 1
    assert refused.stderr == (
        f"connectus: --edited: {said} --edited remaining sends only to people who have nothing yet,"
        " --edited everyone to all again; a new campaign needs another --campaign."
        " Nothing was sent.\n"
    )
    assert aborted.stderr == f"connectus: --edited: {said} Nothing was sent.\n"
    assert said in remaining.stdout
    assert (remaining.exit_code, everyone.exit_code) == (0, 0)
    assert Counter(sms.recipient for sms in server.received) == Counter(
        {str(FIRST): 2, str(FIRST + 1): 2, str(FIRST + 2): 1}
    )


def test_who_has_another_text_is_named_as_such(run, server, file):
    """In the plan, the status and the export; the total of the summary is without such rows."""
    run("bulk", "send", file, "--text", OLD)
    write(file, "Ana", "Luis", "Eva")
    send = ("bulk", "send", file, "--text", NEW, "--edited", "remaining")
    ledger = file.with_name(f"{file.name}.ledger.db")
    planned = run(*send, "--dry-run", "--json").stdout.splitlines()
    sent = run(*send)

    why = "the recipient may have got another text of this campaign"
    for lines in (planned, run(*send, "--json").stdout.splitlines()):
        preflight = json.loads(lines[1])["preflight"]
        assert preflight["skipped"]["has_another"]["count"] == 2
    assert "2 skipped: has another text" in sent.stdout
    assert f"2 lines (2, 3): {why}" in sent.stdout
    assert "3 of 3 accepted, 0 rejected, 0 unknown, 0 held, 0 skipped" in sent.stdout
    assert json.loads(run("bulk", "status", ledger, "--json").stdout)["skipped"] == {
        "has_another": 2
    }
    in_spanish = run("--lang", "es", "bulk", "status", ledger).stdout
    assert "2 sin enviar: ya tiene otro texto" in in_spanish
    export = run("bulk", "export", ledger, "-", "--format", "csv", "--state", "skipped")
    for row in csv.DictReader(io.StringIO(export.stdout)):
        assert row["reason"].startswith("has_another: ")
        assert row["explanation"].startswith(why)


def test_json_has_a_line_for_an_edit(run, file):
    """It says whom it is about, by why they have another text."""
    run("bulk", "send", file, "--text", OLD)
    write(file, "Ana", "Luis", "Eva")
    refused = run("bulk", "send", file, "--text", NEW, "--json")
    remaining = run("bulk", "send", file, "--text", NEW, "--json", "--edited", "remaining")

    line = {"type": "edited", "people": 2, "corrected": 0, "others": 1}
    edited, error = map(json.loads, refused.stdout.splitlines())
    assert edited == json.loads(remaining.stdout.splitlines()[0]) == line
    assert error["error"].startswith("--edited: ")


def test_a_corrected_name_is_told_apart_from_an_edited_text(run, server, file):
    """Who got a message with the old name gets no other one unless that is asked for."""
    run("bulk", "send", file, "--text", NEW)
    write(file, "Anna", "Luis", "Eva")
    refused = run("bulk", "send", file, "--text", NEW)
    told = run("bulk", "send", file, "--text", NEW, "--dry-run")
    remaining = run("bulk", "send", file, "--text", NEW, "--edited", "remaining")
    assert got(server) == Counter({(0, "Hola Ana"): 1, (1, "Hola Luis"): 1, (2, "Hola Eva"): 1})
    everyone = run("bulk", "send", file, "--text", NEW, "--edited", "everyone")

    said = f"{SAYS['corrected']} 1 message is for somebody who has nothing yet."
    assert said in refused.stderr
    assert "was edited" not in refused.stderr
    assert said in told.stdout
    assert "3 rows, 1 message to send" in told.stdout
    assert said in remaining.stdout
    assert everyone.exit_code == 0
    assert got(server)[0, "Hola Anna"] == 1
    assert len(server.received) == 4


def test_both_at_once_are_both_told(run, server, file):
    """The text was edited when some had it; then a name was corrected."""
    write(file, "Ana", "Luis")
    run("bulk", "send", file, "--text", OLD)
    write(file, "Ana", "Luis", "Eva")
    run("bulk", "send", file, "--text", NEW, "--edited", "remaining")
    write(file, "Ana", "Luis", "Iva")
    refused = run("bulk", "send", file, "--text", NEW)

    assert f"{SAYS['edited']} {SAYS['corrected']} 0 messages are for people" in refused.stderr
    assert len(server.received) == 3


def test_going_back_to_the_first_text_needs_no_word(run, server, file):
    """Everybody who has it has it; the others get it."""
    run("bulk", "send", file, "--text", OLD)
    run("bulk", "send", file, "--text", NEW)
    write(file, "Ana", "Luis", "Eva")
    back = run("bulk", "send", file, "--text", OLD)

    assert back.exit_code == 0
    assert len(server.received) == 3


def test_a_fixed_number_is_sent_without_a_word(run, server, file):
    """Nobody got anything by the wrong one: it was refused, or it was no number."""
    server.fault(Fault.status(400), route="sms.send", times=1)
    file.write_text(f"dst_number,name\n{FIRST},Ana\n123,Luis\n{FIRST + 2},Eva\n", "utf-8")
    first = run("bulk", "send", file, "--text", NEW, "--concurrency", 1)
    rows = [f"{FIRST + 7},Ana", f"{FIRST + 8},Luis", f"{FIRST + 2},Eva"]
    file.write_text("\n".join(["dst_number,name", *rows]), "utf-8")
    fixed = run("bulk", "send", file, "--text", NEW)

    assert "1 rejected" in first.stdout
    assert "edited" not in fixed.stdout
    assert got(server) == Counter({(7, "Hola Ana"): 1, (8, "Hola Luis"): 1, (2, "Hola Eva"): 1})


def test_a_dry_run_shows_the_plan_of_the_default_answer(run, server, file):
    """It asks nothing, and changes nothing."""
    run("bulk", "send", file, "--text", OLD)
    write(file, "Ana", "Luis", "Eva")
    told = run("bulk", "send", file, "--text", NEW, "--dry-run")
    everyone = run("bulk", "send", file, "--text", NEW, "--dry-run", "--edited", "everyone")
    again = run("bulk", "send", file, "--text", OLD)

    assert told.exit_code == everyone.exit_code == again.exit_code == 0
    assert told.stdout.startswith(
        f"{SAYS['edited']} 1 message is for somebody who has nothing yet.\nbulk send asks who gets"
        " the new text; without a terminal it needs --edited. The plan of --edited remaining:\n"
        "3 rows, 1 message to send\n"
    )
    assert "3 rows, 3 messages to send\n" in everyone.stdout
    assert len(server.received) == 3


class Terminal:
    """The terminal of a person: what is typed on it, and what it shows."""

    def __init__(self) -> None:
        self.person, self.program = pty.openpty()
        mode = termios.tcgetattr(self.program)
        mode[3] &= ~termios.ECHO
        termios.tcsetattr(self.program, termios.TCSANOW, mode)
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self.person, text.encode())

    async def shows(self, text: str) -> None:
        """Wait until it shows a text."""
        while text not in self.shown:
            await anyio.wait_readable(self.person)
            self.shown += os.read(self.person, 65_536).decode().replace("\r\n", "\n")


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[], AbstractContextManager[Terminal]]:
    """Run a block at a terminal. A test begins it, since pytest sets the streams before."""

    @contextmanager
    def use() -> Iterator[Terminal]:
        terminal = Terminal()
        with ExitStack() as stack, monkeypatch.context() as patch:
            stack.callback(os.close, terminal.person)
            for name, mode in (("stdin", "r"), ("stderr", "w")):
                stream = os.fdopen(os.dup(terminal.program), mode, encoding="utf-8")
                patch.setattr(sys, name, stack.enter_context(stream))
            os.close(terminal.program)
            yield terminal

    return use


EDIT = Edit(people=1_200, corrected=0, others=800)


@pytest.mark.parametrize(
    ("typed", "choice"),
    [
        ("\n", Edited.REMAINING),
        ("1\n", Edited.REMAINING),
        ("2\n", Edited.EVERYONE),
        (" 2 \n", Edited.EVERYONE),
        ("all\n22\n2\n", Edited.EVERYONE),
    ],
)
async def test_a_person_chooses_by_a_number(use, typed: str, choice: Edited):
    """Anything else is asked again; an empty line sends to nobody twice."""
    with use() as screen:
        asked = asyncio.create_task(edits.choose(EDIT, None, asks=True, as_json=False))
        await screen.shows("Choose 1, 2 or 3 [1]: ")
        screen.type(typed)
        assert await asked is choice

    assert screen.shown == (
        "The text was edited since: 1,200 people already got the old one, or may have got it. 800"
        " messages are for people who have nothing yet.\n"
        "  1  send only to people who have nothing yet  (--edited remaining)\n"
        "  2  send to everyone; 1,200 people get another message  (--edited everyone)\n"
        "  3  send nothing  (--edited abort)\n"
        "Choose 1, 2 or 3 [1]: "
    )


@pytest.mark.parametrize("typed", ["3\n", "\x04"], ids=["3", "end of input"])
async def test_a_person_who_sends_nothing_ends_the_command(use, typed: str):
    """So does the end of what is typed."""
    with use() as screen:
        asked = asyncio.create_task(edits.choose(EDIT, None, asks=True, as_json=False))
        await screen.shows("Choose")
        screen.type(typed)
        with pytest.raises(ConfigurationError, match=r"^--edited: nobody gets the new text$"):
            await asked


async def test_a_question_does_not_hold_up_the_loop(use):
    """A ledger in a database keeps its lease meanwhile, and Ctrl-C is heard."""
    with use() as screen:
        asked = asyncio.create_task(edits.choose(EDIT, None, asks=True, as_json=False))
        await screen.shows("Choose")
        asked.cancel()
        await asyncio.wait([asked])

    assert asked.cancelled()


@pytest.mark.parametrize("given", [None, *Edited])
async def test_a_flag_or_a_script_is_not_asked(use, given: Edited | None):
    """Even on a terminal."""
    with use():
        if given in {None, Edited.ABORT}:
            with pytest.raises(ConfigurationError, match=r"^--edited: The text was edited"):
                await edits.choose(EDIT, given, asks=False, as_json=False)
        else:
            assert await edits.choose(EDIT, given, asks=True, as_json=False) is given
