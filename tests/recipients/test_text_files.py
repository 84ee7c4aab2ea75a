"""Text files as programs write them: any encoding, delimiter and packing, or one clear refusal."""

# ruff: noqa: RUF001 - signs that look like others are what is tested

import csv
import gzip
import io
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from connectus_async import InvalidArgumentError
from connectus_async.recipients.sources import Line, Reading, Source, open_source, packed

gzipped = partial(gzip.compress, mtime=0)
"""The same in every process that collects the tests."""

NUMBER = "56987688060"
TABLE = f"dst_number;comuna\n{NUMBER};Peñalolén\n"
ROWS = [Line(2, {"dst_number": NUMBER, "comuna": "Peñalolén"})]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recipients.csv"


async def opened(path: Path, written: bytes, **options: Any) -> Source:
    path.write_bytes(written)
    return await open_source(path, Reading(**options))


async def rows_of(source: Source) -> list[Line]:
    return [line async for batch in source.batches() for line in batch]


async def refusal(path: Path, written: bytes, **options: str) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        await rows_of(await opened(path, written, **options))
    assert caught.value.field == path.name
    return caught.value.problem


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "utf-16-le", "utf-16-be"]
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
async def test_the_encoding_is_found(path: Path, encoding: str, line_end: str):
    """Excel writes each of these, and one is never taken for another."""
    mark = "\ufeff" if encoding.startswith("utf-16-") else ""

    source = await opened(path, (mark + TABLE.replace("\n", line_end)).encode(encoding))

    assert await rows_of(source) == ROWS


async def test_an_encoding_that_was_assumed_is_said(path: Path):
    """The characters tell a person whether it is the right one, and name nobody."""
    written = TABLE + f"{NUMBER};“Ñuñoa” – 5 €\n"

    source = await opened(path, written.encode("cp1252"))

    assert (await rows_of(source))[1].cells == {"dst_number": NUMBER, "comuna": "“Ñuñoa” – 5 €"}
    (note,) = source.notes()
    assert note == (
        "recipients.csv is not UTF-8, so it is read as cp1252: its characters beyond ASCII are"
        " ñ, é, “, Ñ, ”, –, €"
    )


async def test_nothing_is_said_of_a_file_that_is_certain(path: Path):
    """UTF-8 is not read by chance."""
    assert (await opened(path, TABLE.encode())).notes() == ()


async def test_a_file_is_in_one_encoding_from_its_first_line_on(path: Path):
    """A byte on the last line decides for the first."""
    lines = TABLE.encode("cp1252") + f"{NUMBER};Ana\n".encode() * 90_000

    source = await opened(path, f"dst_number;comuna\n{NUMBER};Ana\n".encode() * 1 + lines)

    assert (await rows_of(source))[2].cells == ROWS[0].cells


@pytest.mark.parametrize("order", [1, -1])
async def test_a_file_in_two_encodings_is_refused_with_both_lines(path: Path, order: int):
    """Two files that were joined: half of the names would be wrong."""
    rows = [f"{NUMBER};Peñalolén\n".encode(it) for it in ("utf-8", "cp1252")][::order]
    filler = f"{NUMBER};Ana\n".encode() * 90_000

    problem = await refusal(path, b"dst_number;comuna\n" + rows[0] + filler + rows[1])

    lines = [2, 90_003][::order]
    assert problem.startswith(f"is UTF-8 on line {lines[0]} but not on line {lines[1]}; save it")


@pytest.mark.parametrize("encoding", ["cp850", "mac-roman"])
@pytest.mark.parametrize(
    "word",
    ["María Muñoz", "Región", "PEÑALOLÉN", "Ñuñoa", "ANTOFAGASTA Ñ", "São João", "Íñigo, é, ó, ú"],
)
async def test_an_encoding_that_looks_like_another_is_refused(path: Path, encoding: str, word: str):
    """It would be read without an error, with wrong letters; the right ones are shown."""
    written = f"dst_number;comuna\n{NUMBER};{word}\n".encode(encoding)

    problem = await refusal(path, written)

    assert f"such as --encoding {encoding}" in problem
    assert word not in problem
    assert (await rows_of(await opened(path, written, encoding=encoding)))[0].cells == {
        "dst_number": NUMBER,
        "comuna": word,
    }


@pytest.mark.parametrize(
    "word",
    ["Región de O’Higgins – sur", "“Ñuñoa”", "São João", "MUÑOZ", "N.º 5", "¿Ñ? ¡Sí!", "“JOSÉ” á"],
)
async def test_what_spreadsheets_write_is_read(path: Path, word: str):
    """Quotes, dashes and ordinals are characters of cp1252."""
    source = await opened(path, f"dst_number;comuna\n{NUMBER};{word}\n".encode("cp1252"))

    assert [line.cells for line in await rows_of(source)] == [
        {"dst_number": NUMBER, "comuna": word}
    ]


async def test_latin_1_is_read_as_browsers_do(path: Path):
    """It has control characters where cp1252 has quotes, which nobody means."""
    source = await opened(path, b"dst_number;n\n56987688060;\x93Jos\xe9\x94\n", encoding="latin-1")

    assert (await rows_of(source))[0].cells == {"dst_number": NUMBER, "n": "“José”"}
    assert "recipients.csv is read as cp1252" in source.notes()[0]
    assert (await opened(path, b"a\n\xe9\n", encoding="iso-8859-1")).notes() == ()


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (b"a;b\n1;\x8f\x9d x\n", "is neither UTF-8 nor cp1252 (line 2); specify its encoding"),
        (b"a;b\n1;Jos\xc3", "ends within a character of UTF-8; the file may be incomplete"),
        (b"a;b\n1;\xe2\x82", "ends within a character of UTF-8"),
        (b"\xef\xbb\xbfa;b\n1;Jos\xe9\n", "is not utf-8 on line 2"),
        (b"\xff\xfea\0;\0b\0\n\0\x00\xd8\n\0", "is not utf-16 after line"),
    ],
    ids=["neither", "cut", "cut later", "a mark that is wrong", "a lone half"],
)
async def test_bytes_that_are_no_text_are_refused(path: Path, written: bytes, problem: str):
    """The error names the line."""
    assert (await refusal(path, written)).startswith(problem)


async def test_text_of_another_script_is_not_mistaken(path: Path):
    """One wrong byte does not make cp1252 of a file of UTF-8."""
    written = TABLE.encode() + f"{NUMBER};Мария Иванова\n".encode() + b"1;\xe9\n"

    problem = await refusal(path, written.replace("Peñalolén".encode(), b"Talca"))

    assert problem.startswith("is UTF-8 on line 3 but not on line 4")


async def test_a_letter_at_the_end_is_no_half_character(path: Path):
    """é begins a character of UTF-8, and ends many names."""
    source = await opened(path, b"dst_number;n\n56987688060;Jos\xe9")

    assert (await rows_of(source))[0].cells == {"dst_number": NUMBER, "n": "José"}


@pytest.mark.parametrize(
    ("written", "delimiter"),
    [
        ("a;b\n1;2\n", ";"),
        ("a;Nombre, apodo\n1;Ana\n", ";"),
        ("a;b;c\n1;1234,50;0,25\n", ";"),
        ("a;b\n1;Soto, Ana\n2;Soto, Luz\n", ";"),
        ("a;b\n1;uno, dos, tres\n2;uno, dos, tres\n", ";"),
        ('a,b\n1,"x;y;z"\n2,"x;y;z"\n', ","),
        ('"a, b";"c"\n"1";"x, y"\n', ";"),
        ('a;b\n1;"x, y\nz, w"\n2;x\n', ";"),
        ("a\tb\n1\tSoto, Ana\n", "\t"),
        ("a|b|c\n1|Soto; Ana|1,5\n", "|"),
        ("a;b;c\n1;x\n2;x;y, z\n", ";"),
        ("a;b\n1;x, y;;\n2;x, y;;\n", ";"),
        ("a,b\n1,15:30:00\n", ","),
        ("a;url\n1;https://x.cl/?a=1,2|3\n", ";"),
        ("a;b\n1;O'Higgins, d'A\n", ";"),
        ('a;b\n1;Ana "la" Soto, B\n', ";"),
        ("a;b\n" + "1;x\n" * 30 + "2;x, y\n", ";"),
        ("a;b\n" + "1;" + "x, " * 2_000 + "\n", ";"),
        ("a\n1,0\n2,0\n", ","),
        ("a\n1\n", ","),
        ("sep=;\na,b\n1,2\n", ";"),
        ("Clientes, de mayo\n\na;b\n1;x\n2;y, z\n", ";"),
        ('"SEP=\t"\r\na,b\n', "\t"),
    ],
)
async def test_the_delimiter_divides_rows_as_it_divides_the_header(
    path: Path, written: str, delimiter: str
):
    """Delimiters in quotes and in a few cells do not count."""
    assert (await opened(path, written.encode())).delimiter == delimiter  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("written", "delimiters"),
    [("a;b,c\n1;x,y\n", ", ;"), ("a;b\tc\n", r"; \t"), ("a;b,c\n1\n", ", ;")],
)
async def test_delimiters_that_fit_alike_are_refused(path: Path, written: str, delimiters: str):
    """Nobody guesses which column has the numbers."""
    assert await refusal(path, written.encode()) == (
        f"may have one delimiter of several ({delimiters}): choose by --delimiter"
    )


async def test_another_delimiter_is_told(path: Path):
    """R divides cells by blanks, which are in names too."""
    written = f'"dst_number" "name"\n"{NUMBER}" "Ana Soto"\n'.encode()

    assert (await refusal(path, written)).startswith("has another delimiter than comma")
    (line,) = await rows_of(await opened(path, written, delimiter=" "))
    assert line.cells == {"dst_number": NUMBER, "name": "Ana Soto"}


@pytest.mark.parametrize("options", [{}, {"delimiter": ";"}])
async def test_the_line_that_tells_excel_the_delimiter_is_no_row(
    path: Path, options: dict[str, Any]
):
    """The rows keep the numbers that an editor shows."""
    source = await opened(path, b"\xef\xbb\xbfsep=;\r\n" + TABLE.encode(), **options)

    assert await rows_of(source) == [Line(3, ROWS[0].cells)]


@pytest.mark.parametrize("options", [{}, {"header_row": 4}, {"header_row": 4, "delimiter": ";"}])
async def test_a_header_below_a_title_is_found(path: Path, options: dict[str, Any]):
    """Reports begin with what they are about."""
    source = await opened(path, b"Clientes, de mayo\n\n;;\n" + TABLE.encode(), **options)

    assert await rows_of(source) == [Line(5, ROWS[0].cells)]


async def test_the_header_row_can_be_named(path: Path):
    """Rows above it are not sent, whatever they look like."""
    written = f"dst_number;x\n{NUMBER};1\n".encode() + TABLE.encode()

    assert await rows_of(await opened(path, written, header_row=3)) == [Line(4, ROWS[0].cells)]
    with pytest.raises(InvalidArgumentError, match="header_row: is 9, and no row ends on"):
        await opened(path, written, header_row=9)


def nameless() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("r.csv", b"")
        archive.infolist()[0].filename = ""
    return file.getvalue()


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("r.csv.gz", gzipped(TABLE.encode())),
        ("r.CSV.GZ", gzipped(TABLE.encode()[:20]) + gzipped(TABLE.encode()[20:])),
        ("r.tsv.gz", gzipped(TABLE.replace(";", "\t").encode("utf-16"))),
        ("r.zip", zipped(**{"../../etc/r.csv": TABLE.encode("cp1252")})),
        ("r.zip", zipped(**{"d/": b"", "d/r.txt": TABLE.encode(), "__MACOSX/._r.txt": b"x"})),
        (
            "r.jsonl.gz",
            gzipped(f'\n{{"dst_number":"{NUMBER}","comuna":"Peñalolén"}}'.encode()),
        ),
    ],
)
async def test_a_packed_file_is_read_as_the_one_in_it(tmp_path: Path, name: str, written: bytes):
    """It can be read again, and nothing is written beside it."""
    source = await opened(tmp_path / name, written)

    assert await rows_of(source) == await rows_of(source) == ROWS
    assert source.name == name
    assert [it.name for it in tmp_path.iterdir()] == [name]


def encrypted() -> bytes:
    written = bytearray(zipped(**{"r.csv": b"a"}))
    written[6] |= 1
    written[written.index(b"PK\1\2") + 8] |= 1
    return bytes(written)


BOMB = b"a;b\n" + b"0" * 2**20 * 80


@pytest.mark.parametrize(
    ("name", "written", "problem"),
    [
        ("r.csv.gz", gzipped(TABLE.encode())[:-9], "cannot be unpacked: it is damaged"),
        ("r.csv.gz", TABLE.encode(), "cannot be unpacked: it is damaged"),
        ("r.csv.gz", gzipped(TABLE.encode()) + b"more", "cannot be unpacked: it is damaged"),
        ("r.zip", zipped(**{"r.csv": TABLE.encode()})[:-30], "cannot be unpacked: it is damaged"),
        ("r.zip", zipped(), "has 0 files; it must have one"),
        ("r.zip", zipped(**{"a.csv": b"", "b.csv": b""}), "has 2 files; it must have one"),
        ("r.zip", encrypted(), "has a password; unpack it first"),
        ("r.zip", nameless(), "must hold a text file, .csv"),
        ("r.zip", zipped(**{"r.xlsx": b""}), "must hold a text file, .csv"),
        ("r.zip", zipped(**{"r.csv.gz": b""}), "must hold a text file, .csv"),
        ("r.gz", gzipped(b""), "must hold a text file, .csv"),
        ("r.csv.gz", gzipped(BOMB), "is too large when unpacked"),
        ("r.zip", zipped(**{"r.csv": BOMB}), "is too large when unpacked"),
    ],
)
async def test_a_packed_file_that_cannot_be_read_is_refused(
    tmp_path: Path, name: str, written: bytes, problem: str
):
    """Before anything of it is used."""
    assert (await refusal(tmp_path / name, written)).startswith(problem)


async def test_an_unpacked_size_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whatever it was packed by."""
    monkeypatch.setattr(packed, "MAX_BYTES", len(TABLE))

    assert "is too large when unpacked" in await refusal(
        tmp_path / "r.csv.gz", gzipped(TABLE.encode())
    )


async def test_cells_that_a_program_guarded_are_read_as_they_were(path: Path):
    """Excel keeps digits by a formula, and an apostrophe keeps text from being one."""
    written = (
        "dst_number,name",
        '"=""+56987688060""",\'+56',
        "'=1+1,'-20%' hoy",
        '"=""5""",=5',
        "=A1,D'A",
    )

    rows = await rows_of(await opened(path, "\n".join(written).encode()))

    assert [[*line.cells.values()] for line in rows if not isinstance(line.cells, Exception)] == [
        ["+56987688060", "+56"],
        ["=1+1", "'-20%' hoy"],
        ["5", "=5"],
        ["=A1", "D'A"],
    ]


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        (gzipped(TABLE.encode()), ".csv.gz"),
        (zipped(**{"r.csv": TABLE.encode()}), ".zip"),
        (zipped(**{"xl/workbook.xml": b""}), ".xlsx"),
        (b"PAR1", ".parquet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ".xls"),
    ],
)
async def test_a_file_that_is_no_text_is_told_by_its_content(path: Path, written: bytes, kind: str):
    """Somebody renamed it."""
    assert await refusal(path, written) == (
        f"is not text but a {kind} file by its content; rename it"
    )


@given(
    st.lists(
        st.binary(max_size=20)
        | st.sampled_from(
            [b"dst_number;n\n", b"\xff\xfe", b"\xef\xbb\xbf", b"sep=", b'"', b"\r", b"\xc3"]
        )
        | st.text('a;,\t|\n"é', max_size=20).map(str.encode)
    ).map(b"".join),
    st.sampled_from([".csv", ".jsonl", ".csv.gz", ".zip", ".vcf"]),
    st.booleans(),
)
def test_any_bytes_are_rows_errors_or_a_refusal(content: bytes, suffix: str, is_packed: bool):
    """Nothing else, and the refusal names the file."""
    pack = {".csv.gz": gzip.compress, ".zip": lambda it: zipped(**{"a.csv": it})}.get(suffix)

    async def read() -> str:
        with TemporaryDirectory() as folder:
            path = Path(folder) / f"any{suffix}"
            written = pack(content) if is_packed and pack else content
            try:
                lines = await rows_of(await opened(path, written))
            except InvalidArgumentError as error:
                return error.field
            assert all(isinstance(it.cells, dict | InvalidArgumentError) for it in lines)
            return path.name

    assert anyio.run(read) == f"any{suffix}"


CELLS = st.text(
    st.characters(codec="cp1252", exclude_categories=["Cc", "Cs"]) | st.sampled_from(',;\t|"\n\r'),
    max_size=12,
)
TABLES = st.integers(2, 4).flatmap(
    lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=6)
)


@given(
    table=TABLES,
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    packing=st.sampled_from([".csv", ".csv.gz", ".zip"]),
)
@example([["x", "1,2"], ["y", "2,3"]], ";", "cp1252", csv.QUOTE_MINIMAL, "\r", ".zip")
def test_a_table_is_read_back_or_refused(
    table: list[list[str]],
    delimiter: str,
    encoding: str,
    quoting: int,
    line_end: str,
    packing: str,
):
    """Never with other cells: what is not certain is refused until it is specified."""
    if quoting != csv.QUOTE_ALL and line_end != "\r\n":  # csv.writer leaves other ends unquoted
        table = [[cell.replace("\r", "").replace("\n", "") for cell in row] for row in table]
    assume(not any(cell.startswith(("'", "=")) for row in table for cell in row))
    header = [f"column {place}" for place in range(len(table[0]) if table else 2)]
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=line_end)  # type: ignore[arg-type]
    writer.writerows([header, *table])
    written = text.getvalue().encode(encoding)
    assume(encoding != "cp1252" or written.isascii() or not _is_utf_8(written))
    wanted = [
        dict(zip(header, cells, strict=True)) for cells in table if any(map(str.strip, cells))
    ]

    async def cells(**options: str) -> Sequence[object]:
        with TemporaryDirectory() as folder:
            path = Path(folder) / f"rows{packing}"
            content = {".csv": written, ".csv.gz": gzipped(written)}.get(packing)
            source = await opened(path, content or zipped(**{"rows.csv": written}), **options)
            return [line.cells for line in await rows_of(source)]

    async def check() -> None:
        try:
            assert await cells() == wanted
        except InvalidArgumentError:
            assert encoding == "cp1252"
            assert await cells(encoding=encoding, delimiter=delimiter) == wanted

    anyio.run(check)


def _is_utf_8(written: bytes) -> bool:
    try:
        return bool(written.decode())
    except UnicodeDecodeError:
        return False
