"""CSV files as spreadsheets write them: read lazily, every bad row named by its line."""

import asyncio
import csv
import io
import threading
import tracemalloc
from collections.abc import Generator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import anyio.to_thread
import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectus_async import InvalidArgumentError
from connectus_async.recipients.sources import (
    MAX_ROW_CHARACTERS,
    Line,
    Reading,
    Source,
    open_source,
)

HEADER = "dst_number,name\n"
JOSE = {"dst_number": "56987688060", "name": "José"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recipients.csv"


async def lines_of(path: Path, **options: Any) -> list[Line]:
    source = await open_source(path, Reading(**options))
    return [line async for batch in source.batches() for line in batch]


@pytest.mark.parametrize(
    "written",
    [
        b"dst_number,name\n56987688060,Jos\xc3\xa9\n",
        b"\xef\xbb\xbfdst_number;name\r\n56987688060;Jos\xc3\xa9\r\n",
        b'dst_number\tname\n"56987688060"\t"Jos\xc3\xa9"\n\n\t\n',
        b"name|dst_number\rJos\xc3\xa9|56987688060\r",
        b" dst_number ,name,\n56987688060,Jos\xc3\xa9,ignored\n",
        b"dst_number,name\n56987688060,Jos\xc3\xa9,,\n",
        b"dst_number,name\n56987688060,Jos\xc3\xa9",
    ],
    ids=[
        "plain",
        "spreadsheet",
        "tabs and empty lines",
        "old line breaks",
        "a column without a name",
        "empty surplus cells",
        "no last line break",
    ],
)
async def test_files_of_all_kinds_give_the_same_row(path: Path, written: bytes):
    """The byte order mark, the delimiter, line ends, quotes and empty lines do not matter."""
    path.write_bytes(written)

    assert await lines_of(path) == [Line(2, JOSE)]


async def test_a_header_may_come_after_empty_lines(path: Path):
    """The delimiter is found out from the header, and rows keep their numbers."""
    path.write_bytes(b"\n\ndst_number;name\n56987688060;Jos\xc3\xa9\n")

    assert await lines_of(path) == [Line(4, JOSE)]


async def test_an_encoding_and_a_delimiter_can_be_named(path: Path):
    """A file that is not UTF-8 is read with the encoding that the user gives."""
    path.write_bytes(b"dst_number:name\n56987688060:Jos\xe9\n")

    assert await lines_of(path, encoding="latin-1", delimiter=":") == [Line(2, JOSE)]


async def test_missing_cells_are_empty(path: Path):
    """A spreadsheet leaves the last delimiters out."""
    path.write_text(f"{HEADER}56987688060\n56987688061\n", "utf-8")

    assert await lines_of(path) == [
        Line(2, {"dst_number": "56987688060", "name": ""}),
        Line(3, {"dst_number": "56987688061", "name": ""}),
    ]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("56987688060,Ana,surplus", "row: has 3 cells, but the header has 2"),
        ("56987688060,A\0na", "row: has a null byte"),
    ],
)
async def test_a_bad_row_becomes_its_error(path: Path, row: str, problem: str):
    """The rows around it are not touched."""
    path.write_text(f"{HEADER}56987688060,Ana\n{row}\n56987688061,Eva\n", "utf-8")

    first, bad, last = await lines_of(path)

    assert [first.number, bad.number, last.number] == [2, 3, 4]
    assert str(bad.cells).startswith(problem)
    assert isinstance(first.cells, Mapping)
    assert last.cells == {"dst_number": "56987688061", "name": "Eva"}


async def test_a_row_that_the_end_of_the_file_cuts_short_is_refused(path: Path):
    """The number that is left of it may be another person's."""
    path.write_text(f"{HEADER}56987688060,Ana\n5698768806", "utf-8")

    whole, cut = await lines_of(path)

    assert isinstance(whole.cells, Mapping)
    assert "is cut off by the end of the file" in str(cut.cells)


async def test_the_line_of_a_row_counts_line_breaks_in_cells(path: Path):
    """The number is the one that an editor shows, and the line break stays in the cell."""
    path.write_bytes(b'dst_number,name\n56987688060,"Ana\r\nMar\xc3\xada"\n56987688061,Eva\n')

    first, second = await lines_of(path)

    assert [first.number, second.number] == [3, 4]
    assert first.cells == {"dst_number": "56987688060", "name": "Ana\r\nMaría"}


async def test_cells_are_masked(path: Path):
    """A row in a log shows neither a number nor a name."""
    path.write_text(f"{HEADER}56987688060,Ana\n", "utf-8")

    shown = repr(await lines_of(path))

    assert "number=2" in shown
    assert "Ana" not in shown
    assert "56987688060" not in shown


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b" , ,\n", "is empty"),
        (b"name,name\n", "gives columns 1 and 2 the same name"),
        (b"d\0s\0t\0,\0n\0\n\0", "has a null byte in its header"),
        ("dst_number,name\n".encode("utf-16-le"), "has a null byte in its header"),
        (b'"dst_number,name\n', "cannot be read after line 0: the next row has an unclosed quote"),
    ],
    ids=["empty", "blank", "no names", "doubled column", "zero bytes", "no mark", "open quote"],
)
async def test_a_file_without_a_header_is_refused_at_once(path: Path, written: bytes, problem: str):
    """One sentence that says what to change."""
    path.write_bytes(written)

    with pytest.raises(InvalidArgumentError, match=rf"recipients\.csv: {problem}"):
        await open_source(path)


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (
            b"56987688060,Jos\xc3\xa9\n56987688060,Jos\xe9\n",
            "is UTF-8 on line 2 but not on line 3; save it in one encoding",
        ),
        (
            b'56987688060,Ana\n56987688060,"Ana\n',
            "cannot be read after line 2: the next row has an unclosed quote",
        ),
        (b'56987688060,"Ana\n56987688061,"Eva"\n', "after line 1: the next row has text after a"),
        (b"56987688060,Ana\n" + b"x" * 2**21, "1,048,576 characters, which begins on line 3"),
        (
            b'56987688060,Ana\n5,"' + b"x\n" * 2**20,
            "after line 2: the next row has a cell of more than",
        ),
        (b"5,y" * 2**19, "1,048,576 characters, which begins on line 2"),
    ],
    ids=["two encodings", "truncated", "open quote", "long line", "swallowing quote", "many cells"],
)
async def test_a_file_that_breaks_further_down_is_named_with_the_line(
    path: Path, written: bytes, problem: str
):
    """Its content is not shown, and no row swallows the others."""
    path.write_bytes(HEADER.encode() + written)

    with pytest.raises(InvalidArgumentError, match=problem) as caught:
        await lines_of(path)

    assert caught.value.field == "recipients.csv"
    assert "56987688060" not in str(caught.value)


async def test_rows_before_the_break_are_read(path: Path):
    """A file is read no further than it is asked for."""
    path.write_bytes(HEADER.encode() + b"56987688060,Ana\n" * 600 + b'56987688060,"Ana\n')
    batches = (await open_source(path)).batches()

    assert len(await anext(batches)) == 500
    with pytest.raises(InvalidArgumentError, match="after line 601"):
        await anext(batches)


@pytest.mark.parametrize("sign", [b"\0", b"a", b'"'])
async def test_a_line_of_a_gigabyte_takes_no_memory(path: Path, sign: bytes):
    """It is given up after the longest row that is read."""
    with path.open("wb") as file:
        file.write(HEADER.encode() + sign)
        file.truncate(2**30)
    tracemalloc.start()

    with pytest.raises(InvalidArgumentError, match=f"of more than {MAX_ROW_CHARACTERS:,}"):
        await lines_of(path)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 32 * 2**20


async def test_memory_does_not_grow_with_the_file(path: Path):
    """Ten times the rows take no more of it."""
    peaks = []
    for rows in (2_000, 20_000):
        path.write_text(HEADER + "56987688060,Ana\n" * rows, "utf-8")
        source = await open_source(path)
        tracemalloc.start()
        assert sum([len(batch) async for batch in source.batches()]) == rows
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[1] < 1.5 * peaks[0]


async def test_the_rows_are_counted_only_when_asked_for(path: Path):
    """Opening reads the header."""
    path.write_text(HEADER + "56987688060,Ana\n" * 1234, "utf-8")

    source = await open_source(path)

    assert source.length is None
    assert await source.count() == 1234
    assert (source.name, list(source.columns)) == ("recipients.csv", ["dst_number", "name"])


async def test_a_source_can_be_left_early_and_read_again(path: Path):
    """The file is closed, which a warning would tell otherwise."""
    path.write_text(HEADER + "56987688060,Ana\n" * 3, "utf-8")
    source = await open_source(path)

    batches = source.batches()
    first = await anext(batches)
    await batches.aclose()

    assert [line async for batch in source.batches() for line in batch] == first


async def test_two_readings_do_not_disturb_each_other(path: Path):
    """Each has a file of its own."""
    path.write_text(HEADER + "56987688060,Ana\n" * 1_200, "utf-8")
    source = await open_source(path)
    counts = []

    async def count():
        counts.append(await source.count())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        tasks.start_soon(count)

    assert counts == [1_200, 1_200]


async def test_a_file_that_is_not_there_is_named(path: Path):
    """The file system's reason is passed on."""
    with pytest.raises(InvalidArgumentError, match=r"recipients\.csv: cannot be read: No such"):
        await open_source(path)


@pytest.mark.parametrize("encoding", ["latin-0", "rot13"])
async def test_an_encoding_that_is_not_there_is_named(path: Path, encoding: str):
    """A misspelt encoding is not taken for a broken file."""
    path.write_text("dst_number\n", "utf-8")

    with pytest.raises(
        InvalidArgumentError, match=f"encoding: '{encoding}' is not a known encoding"
    ):
        await open_source(path, Reading(encoding=encoding))


async def test_text_that_an_encoding_cannot_say_is_refused(path: Path):
    """An encoding whose bytes come in pairs ends amid one."""
    path.write_bytes("dst_number\n5".encode("utf-16-le")[:-1])

    with pytest.raises(InvalidArgumentError, match="is not utf-16-le"):
        await lines_of(path, encoding="utf-16-le")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (
            "recipients.pdf",
            "has no supported extension; use one of .csv, .jsonl, .ndjson, .ods, .parquet, .tsv",
        ),
        ("recipients", "has no supported extension; use one of"),
    ],
)
async def test_a_format_that_is_not_read_is_refused_by_its_name(
    tmp_path: Path, name: str, problem: str
):
    """The error says what can be read."""
    with pytest.raises(InvalidArgumentError) as caught:
        await open_source(tmp_path / name)

    assert str(caught.value).startswith(f"{name}: {problem}")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.csv", {"sheet": "one"}),
        ("a.jsonl", {"sheet": "one"}),
        ("a.jsonl", {"delimiter": ";"}),
        ("a.parquet", {"sheet": "one"}),
        ("a.parquet", {"delimiter": ";"}),
        ("a.parquet", {"encoding": "latin-1"}),
        ("a.xlsx", {"delimiter": ";"}),
        ("a.xlsx", {"encoding": "latin-1"}),
    ],
)
async def test_an_option_of_another_format_is_refused(
    tmp_path: Path, name: str, options: dict[str, str]
):
    """It would be ignored, and the user not be told."""
    with pytest.raises(InvalidArgumentError, match="does not apply to a") as caught:
        await open_source(tmp_path / name, Reading(**options))

    assert caught.value.field in options


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@given(
    rows=st.lists(st.tuples(CELLS, CELLS), max_size=8),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig"]),
)
def test_what_python_writes_is_read_back(
    rows: list[tuple[str, str]], delimiter: str, encoding: str
):
    """Quotes, delimiters and line breaks in cells come through as they are."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerows([("a", "b"), *rows])

    async def read() -> list[Line]:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "rows.csv"
            path.write_bytes(text.getvalue().encode(encoding))
            return await lines_of(path)

    lines = anyio.run(read)

    assert [line.cells for line in lines] == [
        {"a": a, "b": b} for a, b in rows if a.strip() or b.strip()
    ]


async def test_an_interruption_while_a_thread_reads():
    """It is an interruption, and what the thread had open is closed once it has read."""
    is_reading, may_go_on, closed = (threading.Event() for _ in range(3))

    @attrs.frozen(kw_only=True)
    class Slow(Source):
        def lines(self) -> Generator[Line, None, None]:
            try:
                is_reading.set()
                may_go_on.wait()
                yield Line(1, {})
            finally:
                closed.set()

    async def read() -> None:
        async for _ in Slow(name="slow", columns=["a"]).batches():
            raise AssertionError

    reading = asyncio.create_task(read())
    await anyio.to_thread.run_sync(is_reading.wait)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not closed.is_set()
    may_go_on.set()
    await anyio.to_thread.run_sync(closed.wait)
