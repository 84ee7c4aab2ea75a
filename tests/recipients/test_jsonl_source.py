"""JSON Lines: one object per line; any other line is an error of its row."""

from pathlib import Path
from typing import Any

import pytest

from connectus_async import InvalidArgumentError
from connectus_async.recipients.sources import Line, Reading, open_source


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recipients.jsonl"


async def lines_of(path: Path, **options: Any) -> list[Line]:
    source = await open_source(path, Reading(**options))
    return [line async for batch in source.batches() for line in batch]


async def test_values_keep_their_types(path: Path):
    """A number is a number, and what JSON nests stays nested."""
    path.write_bytes(
        b'\xef\xbb\xbf{"dst_number": 56987688060, "name": "Jos\xc3\xa9", "vip": true}\r\n\n'
        b'{"dst_number": 5.6987688060E10, "name": null, "items": [{"price": 1.5}]}'
    )

    assert await lines_of(path) == [
        Line(1, {"dst_number": 56987688060, "name": "José", "vip": True}),
        Line(3, {"dst_number": 56987688060.0, "name": None, "items": [{"price": 1.5}]}),
    ]
    assert isinstance((await lines_of(path))[1].cells["dst_number"], float)


async def test_the_columns_are_the_keys_of_the_first_object(path: Path):
    """Additional keys of later objects are no columns, and the number of rows is unknown."""
    path.write_text('{"a": 1, "b": 2}\n{"a": 1, "c": 3}\n', "utf-8")

    source = await open_source(path)

    assert (list(source.columns), source.length, await source.count()) == (["a", "b"], None, 2)


@pytest.mark.parametrize("suffix", [".ndjson", ".JSONL"])
async def test_an_encoding_can_be_named(tmp_path: Path, suffix: str):
    """The standard says UTF-8, but not every program has read it."""
    path = tmp_path / f"recipients{suffix}"
    path.write_bytes(b'{"name": "Jos\xe9"}\n')

    assert await lines_of(path, encoding="latin-1") == [Line(1, {"name": "José"})]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "is not valid JSON"),
        ('{"a": 1} {"a": 2}', "is not valid JSON"),
        ("[1]", "is not a JSON object"),
        ("56987688060", "is not a JSON object"),
        ('{"a": NaN}', "is not valid JSON"),
        ('{"a": 1, "a": 2}', "is not valid JSON"),
        ('{"a": ' + "[" * 100_000, "is not valid JSON"),
        ('{"a": ' + "9" * 5_000 + "}", "is not valid JSON"),
        ('{"a": "\0"}', "is not valid JSON"),
    ],
    ids=["open", "two", "list", "number", "NaN", "double key", "deep", "huge", "zero byte"],
)
async def test_a_bad_line_becomes_its_error(path: Path, line: str, problem: str):
    """The lines around it are unaffected, and its content is not shown."""
    path.write_text(f'{{"a": 1}}\n{line}\n{{"a": 2}}\n', "utf-8")

    first, bad, last = await lines_of(path)

    assert [first, last] == [Line(1, {"a": 1}), Line(3, {"a": 2})]
    assert bad.number == 2
    assert str(bad.cells).startswith(f"row: {problem}")
    assert "56987688060" not in str(bad.cells)


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"{}\n", "is empty"),
        (b"\n[\n", "is not valid JSON Lines: line 2 is not valid JSON"),
        (b"dst_number,name\n", "is not valid JSON Lines: line 1"),
        (b"[1]\n", "is not valid JSON Lines: line 1 is not a JSON object"),
        (b'{"a": "Jos\xe9 \xc3\xb1"}\n', "is UTF-8 on line 1 but not on line 1"),
    ],
)
async def test_a_file_that_does_not_begin_with_an_object_is_refused(
    path: Path, written: bytes, problem: str
):
    """It is another kind of file, most likely."""
    path.write_bytes(written)

    with pytest.raises(InvalidArgumentError, match=rf"recipients\.jsonl: {problem}"):
        await open_source(path)


async def test_an_endless_line_is_given_up(path: Path):
    """Only as much of it is read as the longest row may have."""
    with path.open("wb") as file:
        file.write(b'{"a": 1}\n{"a": "')
        file.truncate(2**30)

    with pytest.raises(InvalidArgumentError, match="1,048,576 characters, which begins on line 2"):
        await lines_of(path)
