"""Mistakes of somebody new: the answer says what happened, what was sent, and what to do next."""

import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner, Result

from connectus_async.cli.commands import connectus as command_line
from connectus_async.emulator import Fault

NAMES = ("Marisol", "Benjamín")
NUMBERS = ("56987688060", "56987688061")
GOOD = f"dst_number,name\n{NUMBERS[0]},{NAMES[0]}\n{NUMBERS[1]},{NAMES[1]}\n".encode()
TEXT = ("--text", "Hola {name}", "--yes")
NOTHING = "Nothing was sent."
KIB = 1024


class Mistake(NamedTuple):
    """A command of somebody new, and the answer.

    Attributes:
        args: The arguments.
        happened: What the answer says of the mistake.
        next: What it says of the way on.
        sent: What it says of the messages.
        file: What the file has in it that the command is about.
        variables: Variables of the environment.
    """

    args: tuple[str, ...]
    happened: str
    next: str
    sent: str = NOTHING
    file: bytes = GOOD
    variables: Mapping[str, str | None] = {}


SEND = ("bulk", "send", "people.csv")
KEY, USER, URL = "CONNECTUS_API_KEY", "CONNECTUS_API_USER", "CONNECTUS_BASE_URL"

MISTAKES = {
    "file misspelt": Mistake(
        ("bulk", "send", "peple.csv", *TEXT), "there is no file peple.csv", "mean people.csv?"
    ),
    "folder misspelt": Mistake(
        ("bulk", "send", "nowhere/people.csv", *TEXT), "there is no folder nowhere", "--help"
    ),
    "column misspelt": Mistake(
        (*SEND, "--text", "Hola {nane}", "--yes"), "--text: there is no column 'nane'", "'name'?"
    ),
    "column of numbers has another name": Mistake(
        (*SEND, *TEXT),
        "--to: there is no column 'dst_number'",
        "if 'Celular' is meant, add --to Celular",
        file=GOOD.replace(b"dst_number,name", b"name,Celular"),
    ),
    "no line of names": Mistake(
        (*SEND, *TEXT),
        "the first line looks like a row of data",
        "put a line with the names of the columns above it",
        file=GOOD.partition(b"\n")[2],
    ),
    "wrong delimiter": Mistake(
        (*SEND, *TEXT, "--delimiter", ";"), "the file has only one", "its delimiter is another"
    ),
    "wrong key": Mistake(
        (*SEND, *TEXT), "401", f"check {USER} and {KEY}", variables={KEY: "wrong"}
    ),
    "wrong key for one SMS": Mistake(
        ("sms", "send", NUMBERS[0], "Hola"),
        "401",
        f"check {USER} and {KEY}",
        variables={KEY: "wrong"},
    ),
    "no credentials": Mistake(
        (*SEND, *TEXT),
        "credentials: are missing: run `connectus login`",
        KEY,
        variables={KEY: None, USER: None},
    ),
    "plain http": Mistake(
        (*SEND, *TEXT),
        f"{URL}: plain http would expose the credentials",
        "use https",
        variables={URL: "http://api.example.com"},
    ),
    "region in lower case": Mistake(
        (*SEND, *TEXT, "--region", "cl"), "--region: must be a country", "such as CL"
    ),
    "numbers without country code": Mistake(
        (*SEND, *TEXT),
        "2 of its 2 rows have a number that seems to lack its country code",
        "Set the country with --region",
        "nothing was sent",
        GOOD.replace(b"569", b"9"),
    ),
    "empty file": Mistake(
        (*SEND, *TEXT), "people.csv: is empty", "its first line must name the columns", file=b""
    ),
    "workbook of long ago": Mistake(
        ("bulk", "send", "people.xls", *TEXT),
        "it is text with the name of a workbook",
        "rename it to .csv",
    ),
    "not a table": Mistake(
        ("bulk", "send", "people.pdf", *TEXT), "has no supported extension", "use one of .csv"
    ),
    "not a workbook": Mistake(
        ("bulk", "send", "people.xlsx", *TEXT),
        "it is text with the name of a workbook",
        "rename it to .csv",
    ),
    "another encoding": Mistake(
        (*SEND, *TEXT),
        "is not UTF-8, and may be cp850",
        "specify its encoding, such as --encoding cp850",
        file=GOOD.decode().encode("cp850"),
    ),
    "quote left open": Mistake(
        (*SEND, *TEXT),
        "the next row has an unclosed quote",
        "the file may be incomplete",
        file=GOOD.replace(b",Mar", b',"Mar'),
    ),
    "no text": Mistake((*SEND, "--yes"), "--text: is required", "when kind is sms"),
    "text of another kind": Mistake(
        (*SEND, *TEXT, "--kind", "email"), "--text: does not apply", "when kind is email"
    ),
    "brace left open": Mistake(
        (*SEND, "--text", "Hola {name", "--yes"), "--text: has an unmatched brace", "write {{ or }}"
    ),
    "option misspelt": Mistake((*SEND, "--txt", "Hola"), "No such option", "'--text'"),
    "command misspelt": Mistake(
        ("bulk", "sned", "people.csv"), "No such command 'sned'", "Did you mean 'send'?"
    ),
    "hours in another form": Mistake(
        (*SEND, *TEXT, "--quiet-hours", "9pm-8am"),
        "--quiet-hours: must be two times",
        "such as 21:00-08:00",
    ),
    "time in words": Mistake(
        (*SEND, *TEXT, "--expires-at", "mañana"),
        "must be a date and a time",
        'such as "2026-12-24 10:00"',
    ),
    "rate of zero": Mistake((*SEND, *TEXT, "--rate", "0"), "is not in the range", "x>0"),
    "ledger in no folder": Mistake(
        (*SEND, *TEXT, "--ledger", "nowhere/a.db"),
        "there is no folder",
        "make it, or choose another path",
    ),
    "ledger in place of the file": Mistake(
        ("bulk", "send", "people.csv.ledger.db", *TEXT),
        "is a ledger",
        "go on with connectus bulk resume people.csv.ledger.db",
    ),
    "file in place of the ledger": Mistake(
        ("bulk", "resume", "people.csv"),
        "people.csv is a file of recipients",
        "its ledger is people.csv.ledger.db",
    ),
    "suppression list that is empty": Mistake(
        (*SEND, *TEXT, "--suppress", "empty.txt"),
        "empty.txt: is empty",
        "add a comment line such as # nobody",
    ),
    "number without country code": Mistake(
        ("sms", "send", NUMBERS[0][2:], "Hola"),
        "DST_NUMBER: seems to lack its country code",
        "write it with + and the code, or set the region (--region)",
    ),
    "proxy without port": Mistake(
        (*SEND, *TEXT, "--proxy", "proxy"), "--proxy: must have a port", "proxy.example.com:3128"
    ),
    "no question without a terminal": Mistake(
        (*SEND, "--text", "Hola {name}"), "no terminal to ask on", "add --yes"
    ),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which somebody types."""
    monkeypatch.chdir(tmp_path)
    for name in ("people.xls", "people.pdf", "people.xlsx", "people.csv"):
        Path(name).write_bytes(GOOD)
    for name in ("empty.txt", "people.csv.ledger.db"):
        Path(name).touch()
    return tmp_path


@pytest.fixture
def run(environment: Mapping[str, str]) -> Callable[..., Result]:
    """Run a command as it is typed, without a yes that it does not have."""

    def run(*args: str, **variables: str | None) -> Result:
        result = CliRunner(env={**environment, **variables}).invoke(command_line, args)
        assert result.exception is None or isinstance(result.exception, SystemExit), result
        return result

    return run


def answer(result: Result) -> str:
    """All that a person reads, on one line."""
    return " ".join((result.stdout + result.stderr).split())


def assert_names_nobody(text: str) -> None:
    """Nobody's number or name is in an answer."""
    assert not [secret for secret in (*NUMBERS, *NAMES) if secret in text]


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_answered(run, server, mistake):
    """Three answers in one sentence or two, and no message leaves."""
    Path("people.csv").write_bytes(mistake.file)
    result = run(*mistake.args, **mistake.variables)
    said = answer(result)

    assert result.exit_code not in {0, 3}
    assert [part for part in mistake[1:4] if part not in said] == []
    assert_names_nobody(said)
    assert not server.received


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_answered_in_spanish(run, mistake):
    """With the same exit code, and nothing of it in English."""
    Path("people.csv").write_bytes(mistake.file)
    english = run(*mistake.args, **mistake.variables)
    spanish = run(*mistake.args, **mistake.variables, CONNECTUS_LANG="es")
    said = answer(spanish)

    assert spanish.exit_code == english.exit_code
    assert "o se envió nada" in said
    assert not [part for part in (mistake.happened, mistake.sent) if " " in part and part in said]
    assert_names_nobody(said)


@pytest.mark.parametrize(
    ("args", "variables", "head"),
    [
        ((*SEND, *TEXT), {KEY: None, USER: None}, "credenciales: faltan"),
        (("bulk", "send", "rows.jsonl", *TEXT, "--dry-run"), {}, "línea 2: fila: no es JSON"),
        (("workers", "run", "postgresql://h/d?campaign=a"), {}, "ADDRESS: debe ir sin campaña"),
        (("whatsapp-qr", "groups", "create", "x", "12"), {}, "NUMBERS[0]: tiene 2 dígitos"),
    ],
)
def test_the_head_of_an_error_is_a_word_of_the_language_or_the_name_of_an_argument(
    run, args, variables, head
):
    """As it is written in the command, and no name of the library."""
    Path("people.csv").write_bytes(GOOD)
    Path("rows.jsonl").write_bytes(b'{"dst_number": "56987688060", "name": "Eva"}\n{\n')

    assert head in answer(run(*args, **variables, CONNECTUS_LANG="es"))


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port at which nobody listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield closed.getsockname()[1]


def test_a_closed_port_stops_the_campaign(run, closed_port):
    """All wait, and the command to go on is printed."""
    result = run(*SEND, *TEXT, CONNECTUS_BASE_URL=f"http://127.0.0.1:{closed_port}")
    said = answer(result)

    assert "no connection: connection refused" in said
    assert "nothing was sent; check" in said
    assert "connectus bulk resume people.csv.ledger.db" in said
    assert_names_nobody(result.stderr)


def test_an_empty_balance_stops_the_campaign(run, server):
    """The API refused it: nobody got anything, and all wait."""
    with server.fault(Fault.status(402), route="sms.send"):
        result = run(*SEND, *TEXT)
    said = answer(result)

    assert "402 Payment Required" in said
    assert "add balance to the account or the sub-client" in said
    assert "2 are still queued: continue with connectus bulk resume people.csv.ledger.db" in said
    assert_names_nobody(result.stderr)


def test_an_answer_that_is_cut_off_is_followed_up(run, server):
    """The message may have been sent: the answer says how to find out."""
    with server.fault(Fault.reset_after(), route="sms.send", times=1):
        result = run(*SEND, *TEXT)
    said = answer(result)

    assert result.exit_code == 3
    assert "1 may have been sent: check with connectus bulk reconcile people.csv.ledger.db" in said
    assert_names_nobody(result.stderr)


HOLDER = """
import asyncio, sys
from connectus_async import AsyncConnectus

async def hold():
    async with AsyncConnectus("a", "b") as client:
        async with client.bulk(ledger="people.csv.ledger.db"):
            print("open", flush=True)
            await asyncio.to_thread(sys.stdin.read)

asyncio.run(hold())
"""


@pytest.fixture
def holder() -> Iterator[int]:
    """Another process that has the ledger open."""
    Path("people.csv.ledger.db").unlink()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLDER], **pipes) as process:
        assert process.stdout.readline() == "open\n"
        yield process.pid
        process.stdin.close()


def test_two_runs_at_once(run, server, holder):
    """The second one names the first, and sends nothing."""
    said = answer(run(*SEND, *TEXT))

    assert f"is in use by process {holder}: wait for it, or end it first. {NOTHING}" in said
    assert not server.received


@contextmanager
def small_disk(most: int) -> Iterator[None]:
    """Let no file of this process grow beyond a number of bytes."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


def test_the_ledger_of_another_file(run, server):
    """Its messages wait: they are not left out for the new file."""
    Path("people.csv.ledger.db").unlink()
    Path("others.csv").write_bytes(GOOD.replace(b"5698768", b"5698769"))
    with server.fault(Fault.status(402), route="sms.send"):
        run(*SEND, *TEXT)
    others = ("bulk", "send", "others.csv", *TEXT, "--ledger", "people.csv.ledger.db")
    refused = run(*others)
    said = answer(refused)

    assert refused.exit_code == 1
    assert "is the ledger of people.csv, and 2 of its messages still wait" in said
    assert "connectus bulk resume people.csv.ledger.db, or give others.csv another" in said
    assert NOTHING in said
    assert run("bulk", "resume", "people.csv.ledger.db", "--yes").exit_code == 0
    assert run(*others).exit_code == 0
    assert len(server.received) == 4


def test_a_full_disk(run, server):
    """It fills up before the first message leaves."""
    Path("people.csv.ledger.db").unlink()
    with small_disk(40 * KIB):
        said = answer(run(*SEND, *TEXT))

    assert "people.csv.ledger.db: the disk took no more" in said
    assert f"check that it has space and works, then resume. {NOTHING}" in said
    assert not server.received
