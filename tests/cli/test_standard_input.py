"""Recipients from standard input: sent as those of a file, and left nowhere."""

import gzip
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from connectus_async.cli import standard_input
from connectus_async.cli.commands import connectus as command_line
from connectus_async.emulator import Emulator

Run = Callable[..., Result]

gzipped = partial(gzip.compress, mtime=0)
"""The same in every process that collects the tests."""

CSV = b"dst_number;name\n56987688060;Ana\n56987688061;Luz\n"
SEND = ("bulk", "send", "-", "--text", "Hola {name}")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files, which a test can look into."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def recipients_of(server: Emulator) -> list[str]:
    return sorted(message.recipient for message in server.received)


def workbook() -> bytes:
    book, file = openpyxl.Workbook(), io.BytesIO()
    for row in (["dst_number", "name"], ["56987688060", "Ana"], ["56987688061", "Luz"]):
        book.worksheets[0].append(row)
    book.save(file)
    return file.getvalue()


def parquet() -> bytes:
    file = io.BytesIO()
    table = {"dst_number": ["56987688060", "56987688061"], "name": ["Ana", "Luz"]}
    pq.write_table(pa.table(table), file)
    return file.getvalue()


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("a.csv", CSV)
    return file.getvalue()


JSON_LINES = (
    b'\n{"dst_number": 56987688060, "name": "Ana"}\n{"dst_number": 56987688061, "name": "L"}'
)
CONTACTS = (
    b"BEGIN:VCARD\nFN:A\nTEL:56987688060\nEND:VCARD\nBEGIN:VCARD\nFN:L\nTEL:56987688061\nEND:VCARD"
)


@pytest.mark.parametrize(
    ("written", "options"),
    [
        (CSV, ()),
        (b"\xef\xbb\xbf" + CSV, ()),
        (CSV.decode().encode("utf-16"), ()),
        (gzipped(CSV), ()),
        (archive(), ()),
        (JSON_LINES, ()),
        (gzipped(JSON_LINES), ()),
        (CONTACTS, ("--to", "TEL", "--text", "Hola {FN}")),
        (workbook(), ()),
        (parquet(), ()),
    ],
    ids=["csv", "mark", "utf-16", "gz", "zip", "jsonl", "jsonl.gz", "vcf", "xlsx", "parquet"],
)
def test_standard_input_is_read_by_its_content(
    run: Run, server: Emulator, tmp_path: Path, temporary: Path, written: bytes, options: tuple[str]
):
    """The ledger has all rows, and the file of meanwhile is gone."""
    ledger = tmp_path / "ledger.db"

    result = run(*SEND, "--ledger", ledger, *options, stdin=written)

    assert result.exit_code == 0, result.output
    assert recipients_of(server) == ["56987688060", "56987688061"]
    assert not [*temporary.iterdir()]


def test_the_same_input_again_sends_nothing_and_more_of_it_sends_that(
    run: Run, server: Emulator, tmp_path: Path
):
    """As with a file."""
    ledger = tmp_path / "ledger.db"
    run(*SEND, "--ledger", ledger, stdin=CSV)

    again = run(*SEND, "--ledger", ledger, stdin=CSV)
    more = run(*SEND, "--ledger", ledger, stdin=CSV + b"56987688062;Eva\n")

    assert (again.exit_code, more.exit_code) == (0, 0)
    assert recipients_of(server) == ["56987688060", "56987688061", "56987688062"]


def test_a_campaign_of_standard_input_is_resumed_from_its_ledger(
    run: Run, server: Emulator, tmp_path: Path
):
    """The input is not needed again."""
    ledger = tmp_path / "ledger.db"
    first = run(*SEND, "--ledger", ledger, "--limit", 1, stdin=CSV)

    rest = run("bulk", "resume", ledger)

    assert (first.exit_code, rest.exit_code) == (7, 0)
    assert recipients_of(server) == ["56987688060", "56987688061"]


def test_the_ledger_must_be_named_and_the_sending_confirmed(
    run: Run, server: Emulator, environment: dict[str, str]
):
    """There is no file to lay it beside, and no terminal to ask on."""
    nowhere = run(*SEND, stdin=CSV)
    unconfirmed = CliRunner(env=environment).invoke(
        command_line, [*SEND, "--ledger", "ledger.db"], input=CSV
    )

    assert nowhere.exit_code == unconfirmed.exit_code == 2
    assert "name a file with --ledger" in nowhere.output
    assert "add --yes" in unconfirmed.output
    assert not server.received


@pytest.mark.parametrize("options", [("--dry-run",), ("--test-to", "56987688099")])
def test_a_dry_run_and_a_test_need_no_ledger(run: Run, temporary: Path, options: tuple[str, ...]):
    """They record nothing."""
    result = run(*SEND, *options, stdin=CSV)

    assert result.exit_code == 0, result.output
    assert not [*temporary.iterdir()]


def test_an_input_that_is_wrong_is_named(run: Run, tmp_path: Path, temporary: Path):
    """And nothing of it is left."""
    ledger = tmp_path / "ledger.db"

    empty = run(*SEND, "--ledger", ledger, "--json", stdin=b"")

    assert empty.exit_code == 1
    assert "standard-input.csv: is empty" in json.loads(empty.stdout)["error"]
    assert not [*temporary.iterdir()]


def test_an_input_has_a_limit(
    run: Run, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
):
    """A program that never ends would fill the disk."""
    monkeypatch.setattr(standard_input, "MAX_BYTES", len(CSV) - 1)

    result = run(*SEND, "--ledger", tmp_path / "ledger.db", stdin=CSV)

    assert result.exit_code == 1
    assert "standard-input: is longer than" in result.output
    assert not [*temporary.iterdir()]


def test_the_columns_of_the_input_are_exported_from_a_file_of_it(
    run: Run, tmp_path: Path, temporary: Path
):
    """The ledger knows its content, wherever it lies now."""
    ledger, file = tmp_path / "ledger.db", tmp_path / "saved.csv"
    run(*SEND, "--ledger", ledger, stdin=CSV)
    file.write_bytes(CSV)

    missing = run("bulk", "export", ledger, tmp_path / "a.csv", "--original")
    found = run("bulk", "export", ledger, tmp_path / "b.csv", "--original", "--source", file)

    assert "standard-input.csv is not at its place any more" in missing.output
    assert found.exit_code == 0, found.output
    assert "name" in (tmp_path / "b.csv").read_text("utf-8").splitlines()[0]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_a_signal_while_it_is_read_leaves_nothing(
    environment: dict[str, str], tmp_path: Path, temporary: Path
):
    """Nothing was sent either."""
    process = subprocess.Popen(
        [sys.executable, "-m", "connectus_async", *SEND, "--yes", "--ledger", tmp_path / "a.db"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment, "TMPDIR": str(temporary)},
    )
    assert process.stdin is not None
    process.stdin.write(bytes(4 * standard_input.CHUNK))  # more than the pipe holds: it is read
    assert [*temporary.iterdir()]

    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)

    assert process.returncode == 130
    assert b"nothing was sent" in said
    assert not [*temporary.iterdir()]


def test_only_the_owner_may_read_what_is_kept(tmp_path: Path, temporary: Path):
    """It has the numbers of all recipients."""
    stream = io.BytesIO(CSV)
    with tempfile.TemporaryDirectory() as folder:
        file = standard_input._kept(Path(folder), stream)

        assert file.parent.stat().st_mode & 0o077 == 0
