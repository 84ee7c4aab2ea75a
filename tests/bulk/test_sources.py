"""CSV files as spreadsheets write them: read lazily, every bad row named by its line."""

from pathlib import Path

import pytest

from connectus_async import InvalidArgumentError, Sms
from connectus_async.bulk.outcomes import Row
from connectus_async.bulk.sources import CsvFile
from connectus_async.bulk.templates import Template

TEXT = Template.parse("text", "Hola {name}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recipients.csv"


async def rows_of(path: Path, **options: str) -> list[Row]:
    file = await CsvFile.open(path, **options)
    return [row async for row in file.rows("dst_number", TEXT)]


@pytest.mark.parametrize(
    "written",
    [
        b"dst_number,name\n56987688060,Jos\xc3\xa9\n",
        b"\xef\xbb\xbfdst_number;name\r\n56987688060;Jos\xc3\xa9\r\n",
        b'dst_number\tname\n"56987688060"\t"Jos\xc3\xa9"\n\n\t\n',
        b"name|dst_number|note\nJos\xc3\xa9|56987688060\n",
    ],
    ids=["plain", "spreadsheet", "tabs and empty lines", "a missing last cell"],
)
async def test_files_of_all_kinds_give_the_same_message(path: Path, written: bytes):
    """The byte order mark, the delimiter, line ends, quotes and empty lines do not matter."""
    path.write_bytes(written)

    assert await rows_of(path) == [Row(2, Sms("56987688060", "Hola José"))]


async def test_an_encoding_can_be_named(path: Path):
    """A file that is not UTF-8 is read as what the user says it is."""
    path.write_bytes(b"dst_number,name\n56987688060,Jos\xe9\n")

    assert await rows_of(path, encoding="latin-1") == [Row(2, Sms("56987688060", "Hola José"))]


async def test_the_length_is_known_before_the_first_row(path: Path):
    """A progress bar has a remaining time from the start."""
    path.write_text("dst_number,name\n" + "56987688060,Ana\n" * 1234, "utf-8")

    assert (await CsvFile.open(path)).length == 1234


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("56987688060,", "name: is empty"),
        ("56987688060", "name: is empty"),
        ("56987688060,Ana,surplus", "row: has 3 cells, but the header has 2"),
    ],
)
async def test_a_bad_row_becomes_its_error(path: Path, row: str, problem: str):
    """The error names the line and the column; the rows around it are not touched."""
    path.write_text(f"dst_number,name\n56987688060,Ana\n{row}\n56987688061,Ana\n", "utf-8")

    first, bad, last = await rows_of(path)

    assert (first.line, bad.line, last.line) == (2, 3, 4)
    assert str(bad.content).startswith(problem)
    assert isinstance(last.content, Sms)


async def test_the_line_of_a_row_counts_line_breaks_in_cells(path: Path):
    """The number is the one that an editor shows."""
    path.write_text('dst_number,name\n56987688060,"Ana\nMaría"\n56987688061,Ana\n', "utf-8")

    assert [row.line for row in await rows_of(path)] == [3, 4]


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"dst_number,name\n56987688060,Jos\xe9\n", "is not utf-8"),
        ("dst_number,name\n".encode("utf-16"), "is not utf-8"),
        (b'dst_number,name\n56987688060,"Ana\n', "cannot be read after line 1"),
        (b"name,name\n", "names columns 1 and 2 the same"),
        (b"phone,name\n56987688060,Ana\n", "no column 'dst_number' among the 2"),
        (b"56987688060,Ana\n56987688061,Eva\n", "no column 'dst_number' among the 2"),
        (b"dst_number,nombre\n56987688060,Ana\n", "no column for {name}"),
    ],
    ids=[
        "empty",
        "blank",
        "latin-1",
        "utf-16",
        "truncated",
        "doubled column",
        "no number column",
        "no header",
        "no placeholder column",
    ],
)
async def test_a_file_that_cannot_be_used_is_refused_as_a_whole(
    path: Path, written: bytes, problem: str
):
    """One sentence that says what to change, before the first row."""
    path.write_bytes(written)

    with pytest.raises(InvalidArgumentError, match=problem) as caught:
        await rows_of(path)

    assert "56987688060" not in str(caught.value)


async def test_a_file_that_is_not_there_is_named(path: Path):
    """The file system's reason is passed on."""
    with pytest.raises(InvalidArgumentError, match=r"recipients\.csv: cannot be read: No such"):
        await CsvFile.open(path)


async def test_an_encoding_that_is_not_there_is_named(path: Path):
    """A misspelt encoding is not taken for a broken file."""
    path.write_text("dst_number\n", "utf-8")

    with pytest.raises(InvalidArgumentError, match="encoding: 'latin-0' is not known"):
        await CsvFile.open(path, encoding="latin-0")
