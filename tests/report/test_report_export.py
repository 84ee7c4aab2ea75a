"""The export has one row for each message, whole or not at all, in each of its formats."""

import csv
import io
import json
import os
import sys
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import pyarrow as pa
import pytest
from pyarrow import parquet
from report_ledgers import BEGIN, SECRET, campaign, message, write_ledger

from connectus_async.errors import ConfigurationError, InvalidArgumentError, LedgerError
from connectus_async.ledger.sqlite import reader
from connectus_async.ledger.states import State
from connectus_async.report.export import (
    COLUMNS,
    EXPLANATION,
    FORMATS,
    TEXT_FORMATS,
    TO_FIX,
    Choice,
    export,
)

ACCEPTED = message(
    key="k-1",
    line=2,
    provider_id="a1b2",
    billed=2,
    delivery_status="ENTREGADO",
    delivered_at=BEGIN + 3.5,
)
SKIPPED = message(
    state="skipped",
    reason="invalid: año: está vacío",
    attempts=0,
    started_at=None,
    ended_at=None,
)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return write_ledger(tmp_path / "navidad.db", [ACCEPTED, SKIPPED])


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def read_workbook(path: Path) -> list[dict[str, object]]:
    header, *rows = openpyxl.load_workbook(path).active.iter_rows(values_only=True)
    return [dict(zip(header, row, strict=True)) for row in rows]


def read_jsonl(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_csv_has_every_column_and_no_text_of_a_message(ledger: Path, tmp_path: Path):
    """Moments are in UTC to the millisecond; what is not known is empty."""
    target = tmp_path / "navidad.csv"

    assert export(ledger, target) == 2

    accepted, skipped = read_csv(target)
    assert accepted == {
        "line": "2",
        "key": "k-1",
        "kind": "sms",
        "recipient": "56987688060",
        "state": "accepted",
        "reason": "",
        "id": "a1b2",
        "attempts": "1",
        "started_at": "2026-11-06T14:00:00.000Z",
        "ended_at": "2026-11-06T14:00:00.250Z",
        "delivery_status": "ENTREGADO",
        "delivered_at": "2026-11-06T14:00:03.500Z",
        "billed": "2",
        "explanation": "",
    }
    assert (skipped["reason"], skipped["started_at"]) == ("invalid: año: está vacío", "")
    assert skipped["explanation"] == "the row cannot become a message: año: está vacío"
    assert SECRET not in target.read_text("utf-8-sig")


def test_excel_reads_the_accents_of_a_file_and_a_stream_gets_no_mark(ledger: Path, tmp_path: Path):
    """The byte order mark is for files alone: in a pipe it would be part of the first name."""
    stream = io.StringIO()
    export(ledger, tmp_path / "navidad.csv")

    assert export(ledger, stream, format="csv") == 2

    written = (tmp_path / "navidad.csv").read_bytes()
    assert written.startswith(b"\xef\xbb\xbfline,key,")
    assert written[3:].decode() == stream.getvalue()


def test_json_lines_keep_numbers_and_nothing(ledger: Path, tmp_path: Path):
    """What is not known is null."""
    export(ledger, tmp_path / "navidad.jsonl")

    accepted, skipped = read_jsonl(tmp_path / "navidad.jsonl")
    assert [*accepted] == [*COLUMNS, EXPLANATION]
    assert (accepted["line"], accepted["billed"], accepted["reason"]) == (2, 2, None)
    assert accepted["ended_at"] == "2026-11-06T14:00:00.250Z"
    assert (skipped["id"], skipped["ended_at"]) == (None, None)


def test_parquet_has_types(ledger: Path, tmp_path: Path):
    """Moments are timestamps in UTC, and numbers are numbers."""
    export(ledger, tmp_path / "navidad.parquet")

    table = parquet.read_table(tmp_path / "navidad.parquet")
    assert table.column_names == [*COLUMNS, EXPLANATION]
    assert table.schema.field("started_at").type == pa.timestamp("ms", tz="UTC")
    assert table.schema.field("line").type == pa.int64()
    first, second = table.to_pylist()
    assert first["ended_at"] == datetime(2026, 11, 6, 14, 0, 0, 250_000, UTC)
    assert (first["recipient"], first["billed"]) == ("56987688060", 2)
    assert (second["reason"], second["started_at"]) == ("invalid: año: está vacío", None)


def test_all_formats_have_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In the order of arrival, also over many batches."""
    monkeypatch.setattr(reader, "ROWS_A_BATCH", 7)
    ledger = write_ledger(tmp_path / "a.db", campaign(100))
    targets = {ending: tmp_path / f"a.{ending}" for ending in FORMATS}

    assert [export(ledger, target) for target in targets.values()] == [100, 100, 100, 100]

    table = parquet.ParquetFile(targets["parquet"])
    in_parquet = [
        {name: _iso(value) for name, value in row.items()} for row in table.read().to_pylist()
    ]
    in_jsonl = read_jsonl(targets["jsonl"])
    in_csv = read_csv(targets["csv"])
    assert read_workbook(targets["xlsx"]) == in_jsonl
    assert in_parquet == in_jsonl
    assert [{name: _text(value) for name, value in row.items()} for row in in_jsonl] == in_csv
    assert [row["line"] for row in in_jsonl] == list(range(2, 102))
    assert table.num_row_groups == 15


def _iso(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value


def _text(value: object) -> str:
    return "" if value is None else str(value)


def test_moments_agree_between_the_formats_to_the_millisecond(tmp_path: Path):
    """Neither cuts off what the other rounds up."""
    moments = [BEGIN + thousandths / 10_000 for thousandths in range(20)]
    ledger = write_ledger(tmp_path / "a.db", [message(started_at=moment) for moment in moments])
    export(ledger, tmp_path / "a.jsonl")
    export(ledger, tmp_path / "a.parquet")

    rows = parquet.read_table(tmp_path / "a.parquet").to_pylist()
    assert [_iso(row["started_at"]) for row in rows] == [
        row["started_at"] for row in read_jsonl(tmp_path / "a.jsonl")
    ]


def test_a_time_that_is_past_all_calendars_is_left_out(tmp_path: Path):
    """A clock that was wrong spoils no export, in any of its formats."""
    ledger = write_ledger(tmp_path / "a.db", [message(started_at=1e12), message(started_at=-1.5)])
    for ending in FORMATS:
        export(ledger, tmp_path / f"a.{ending}")

    shown = [None, "1969-12-31T23:59:58.500Z"]
    rows = parquet.read_table(tmp_path / "a.parquet").to_pylist()
    assert [row["started_at"] for row in read_jsonl(tmp_path / "a.jsonl")] == shown
    assert [_iso(row["started_at"]) for row in rows] == shown
    assert [row["started_at"] or None for row in read_csv(tmp_path / "a.csv")] == shown


def test_only_the_states_that_were_asked_for(tmp_path: Path):
    """A state may be given as its word; without any, there are no rows."""
    ledger = write_ledger(tmp_path / "a.db", [message(state=state) for state in State])
    target = tmp_path / "a.jsonl"

    assert export(ledger, target, states=[State.REJECTED, State.HELD]) == 2
    assert [row["state"] for row in read_jsonl(target)] == ["rejected", "held"]
    assert export(ledger, target, states=["queued"]) == 1
    assert export(ledger, target, states=[]) == 0


def test_a_state_that_is_none_is_refused(ledger: Path, tmp_path: Path):
    """The states are named."""
    with pytest.raises(InvalidArgumentError, match="states: must be some of queued, in_flight, "):
        export(ledger, tmp_path / "a.csv", states=["gone"])


@pytest.mark.parametrize("column", ["key", "recipient", "reason", "provider_id", "delivery_status"])
def test_every_text_of_csv_is_guarded_and_other_formats_are_not(tmp_path: Path, column: str):
    """A formula is text of any column; only a spreadsheet works it out."""
    ledger = write_ledger(tmp_path / "a.db", [message(**{column: "=1+1"})])
    name = "id" if column == "provider_id" else column
    export(ledger, tmp_path / "a.csv")
    export(ledger, tmp_path / "a.jsonl")

    assert read_csv(tmp_path / "a.csv")[0][name] == "'=1+1"
    assert read_jsonl(tmp_path / "a.jsonl")[0][name] == "=1+1"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@A1", "#N/A", "5.6E+10", "año \x02"])
def test_all_of_a_workbook_is_text(tmp_path: Path, text: str):
    """A formula, an error or a number of the spreadsheet's would be something else."""
    ledger = write_ledger(tmp_path / "a.db", [message(recipient=text)])
    export(ledger, tmp_path / "a.xlsx")

    sheet = openpyxl.load_workbook(tmp_path / "a.xlsx").active
    cell = sheet["D2"]
    assert (cell.value, cell.data_type) == (text.replace("\x02", "\N{REPLACEMENT CHARACTER}"), "s")


def test_a_workbook_speaks_the_language_of_its_reader(tmp_path: Path):
    """As does an explanation in CSV. Programs find the same names there, and all of JSON Lines."""
    ledger = write_ledger(tmp_path / "a.db", [message(state="rejected", reason=None)])
    for ending in ("xlsx", "csv", "jsonl"):
        export(ledger, tmp_path / f"a.{ending}", language="es_CL")

    sheet = openpyxl.load_workbook(tmp_path / "a.xlsx").active
    names = [cell.value for cell in sheet[1]]
    assert (names[0], names[4], names[-1]) == ("línea", "estado", "explicación")
    assert sheet[2][-1].value == "Connectus lo rechazó"
    (in_csv,) = read_csv(tmp_path / "a.csv")
    assert (in_csv["state"], in_csv[EXPLANATION]) == ("rejected", "Connectus lo rechazó")
    (in_jsonl,) = read_jsonl(tmp_path / "a.jsonl")
    assert in_jsonl[EXPLANATION] == "Connectus refused it"


def test_a_workbook_takes_no_more_rows_than_a_sheet_has(
    ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The target stays as it was."""
    monkeypatch.setattr("connectus_async.report.export.MAX_SHEET_ROWS", 1)

    with pytest.raises(InvalidArgumentError, match="a sheet has at most 1 rows: export as csv"):
        export(ledger, tmp_path / "a.xlsx")

    assert not [*tmp_path.glob("*.xlsx")]


def test_texts_are_there_if_they_are_asked_for_and_known(tmp_path: Path):
    """A content that was forgotten, and a row that never was a message, have none."""
    forgotten = message(body='{"hash":"00"}')
    invalid = message(kind="invalid", state="skipped", body="", reason="invalid: no name")
    ledger = write_ledger(tmp_path / "a.db", [message(), forgotten, invalid])

    export(ledger, tmp_path / "a.jsonl", has_texts=True)

    assert [row["text"] for row in read_jsonl(tmp_path / "a.jsonl")] == [SECRET, None, None]


@pytest.mark.parametrize(
    ("choice", "lines"),
    [
        (Choice(reason="SALDO"), [3]),
        (Choice(delivery_statuses=["entregado"]), [2]),
        (Choice(states=["rejected"], reason="nombre"), []),
        (TO_FIX, [3, 4]),
    ],
)
def test_messages_are_chosen_by_reason_and_by_delivery_status(
    tmp_path: Path, choice: Choice, lines: list[int]
):
    """In capitals or not; what is to be fixed are the rejected and the invalid."""
    rows = [
        message(line=2, delivery_status="ENTREGADO"),
        message(line=3, state="rejected", reason="400: sin saldo"),
        message(line=4, state="skipped", reason="invalid: nombre: is empty"),
        message(line=5, state="skipped", reason="suppressed"),
        message(line=6, state="unknown"),
    ]
    ledger = write_ledger(tmp_path / "a.db", rows)

    export(ledger, tmp_path / "a.jsonl", choice=choice)

    assert [row["line"] for row in read_jsonl(tmp_path / "a.jsonl")] == lines


def test_another_delimiter_is_for_excel_in_spanish(ledger: Path, tmp_path: Path):
    export(ledger, tmp_path / "a.csv", delimiter=";")

    assert (tmp_path / "a.csv").read_text("utf-8-sig").startswith("line;key;kind;recipient;")


def test_a_phone_number_with_a_plus_is_not_spoilt(tmp_path: Path):
    """It is compared and looked up as it stands."""
    ledger = write_ledger(tmp_path / "a.db", [message(recipient="+56987688060")])
    export(ledger, tmp_path / "a.csv")

    assert read_csv(tmp_path / "a.csv")[0]["recipient"] == "+56987688060"


def test_the_format_that_is_asked_for_wins_over_the_name(ledger: Path, tmp_path: Path):
    """And the case of a name's ending does not matter."""
    export(ledger, tmp_path / "a.txt", format="jsonl")
    export(ledger, tmp_path / "A.CSV")

    assert len(read_jsonl(tmp_path / "a.txt")) == 2
    assert len(read_csv(tmp_path / "A.CSV")) == 2


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("a.ods", "target: has no supported extension; use one of .csv, .jsonl, .parquet, .xlsx"),
        ("a", "format: must be csv, jsonl, parquet or xlsx"),
    ],
)
def test_a_format_that_is_none_is_refused(ledger: Path, tmp_path: Path, name: str, problem: str):
    """The formats are named, and nothing is made."""
    with pytest.raises(InvalidArgumentError, match=problem):
        export(ledger, tmp_path / name)

    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("format", [None, "parquet"])
def test_a_text_stream_takes_text(ledger: Path, format):
    """It has no name to go by, and Parquet is bytes."""
    with pytest.raises(InvalidArgumentError, match="format: must be csv or jsonl"):
        export(ledger, io.StringIO(), format=format)


def test_parquet_without_pyarrow_says_what_to_install(
    ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The target stays as it was."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(ConfigurationError, match=r"pip install 'connectus-async\[parquet\]'"):
        export(ledger, tmp_path / "a.parquet")

    assert not list(tmp_path.glob("*.par*"))


def test_what_was_there_is_replaced_when_all_is_written(ledger: Path, tmp_path: Path):
    """Through a symbolic link, it is the file itself."""
    target = tmp_path / "a.csv"
    target.write_text("old")
    link = tmp_path / "link.csv"
    link.symlink_to(target)

    export(ledger, link)

    assert link.is_symlink()
    assert len(read_csv(target)) == 2


def test_only_its_owner_may_read_an_export(ledger: Path, tmp_path: Path):
    """It has the recipients, as the ledger has."""
    export(ledger, tmp_path / "a.csv")

    assert (tmp_path / "a.csv").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("format", FORMATS)
def test_an_export_that_fails_leaves_what_was_there(tmp_path: Path, format: str):
    """Half an export never looks whole, and nothing of it is left about."""
    ledger = write_ledger(tmp_path / "a.db", campaign(4000))
    half = ledger.stat().st_size // 2
    with ledger.open("r+b") as file:
        file.seek(half)
        file.write(b"\xff" * half)
    target = tmp_path / f"a.{format}"
    target.write_text("old")

    with pytest.raises(LedgerError, match="is damaged"):
        export(ledger, target)

    assert target.read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} <= {
        target.name,
        *(f"a.db{suffix}" for suffix in ("", "-wal", "-shm")),
    }


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal", ".lock"])
def test_the_ledger_is_never_the_target(ledger: Path, suffix: str):
    """Nor are the files that belong to it, there or not."""
    before = ledger.read_bytes()

    with pytest.raises(InvalidArgumentError, match="target: is the ledger itself"):
        export(ledger, ledger.with_name(ledger.name + suffix), format="csv")

    assert ledger.read_bytes() == before


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_the_ledger_is_known_by_its_other_names(ledger: Path, tmp_path: Path, link):
    """A link to it is it."""
    other = tmp_path / "other.csv"
    link(other, ledger)

    with pytest.raises(InvalidArgumentError, match="target: is the ledger itself"):
        export(ledger, other)


def test_what_is_no_regular_file_is_not_replaced(ledger: Path, tmp_path: Path):
    """A folder and a device stay what they are."""
    (tmp_path / "folder.csv").mkdir()

    for target in (tmp_path / "folder.csv", Path(os.devnull)):
        with pytest.raises(InvalidArgumentError, match="is there and is no regular file"):
            export(ledger, target, format="csv")


def test_a_folder_that_is_not_there_is_named(ledger: Path, tmp_path: Path):
    """It is not made: it may be a slip of the pen."""
    with pytest.raises(InvalidArgumentError, match="target: there is no folder nowhere"):
        export(ledger, tmp_path / "nowhere" / "a.csv")


@pytest.mark.parametrize("format", TEXT_FORMATS)
def test_memory_does_not_grow_with_the_campaign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
):
    """Ten times the messages take no more of it."""
    monkeypatch.setattr(reader, "ROWS_A_BATCH", 100)
    small = write_ledger(tmp_path / "small.db", campaign(1_000))
    large = write_ledger(tmp_path / "large.db", campaign(10_000))
    export(small, tmp_path / f"warm.{format}")

    assert peak(large, tmp_path / f"b.{format}") < 1.5 * peak(small, tmp_path / f"a.{format}")


def peak(ledger: Path, target: Path) -> int:
    tracemalloc.start()
    try:
        export(ledger, target)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
