"""Contacts (vCard): each is a row with a name and one number, or all that it may be."""

import base64
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectus_async import InvalidArgumentError
from connectus_async.recipients.sources import MAX_ROW_CHARACTERS, Line, Reading, open_source
from connectus_async.recipients.sources.vcard_file import COLUMNS

NUMBER = "+56 9 8768 8060"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "contacts.vcf"


async def lines_of(path: Path, written: str | bytes, **options: Any) -> list[Line]:
    path.write_bytes(written if isinstance(written, bytes) else written.encode())
    source = await open_source(path, Reading(**options))
    return [line async for batch in source.batches() for line in batch]


def card(*lines: str, version: str = "3.0") -> str:
    return "".join(f"{it}\r\n" for it in ("BEGIN:VCARD", f"VERSION:{version}", *lines, "END:VCARD"))


@pytest.mark.parametrize(
    "written",
    [
        card(
            "N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:Mu=C3=B1oz;Jos=C3=A9;;;",
            "FN;ENCODING=QUOTED-PRINTABLE:Jos=C3=A9 Mu=\r\n=C3=B1oz",
            version="2.1",
        ),
        card("N:Muñoz;José;;;", "FN:José Muñoz"),
        card("FN:José \r\n Muñoz", "item1.N:Mu\r\n\tñoz;José;;;", "NOTE:a\r\n b"),
        card("FN;LANGUAGE=es:José Muñoz", 'N;SORT-AS="Muñoz,José":Muñoz;José;;;', version="4.0"),
        card("N:Muñoz;José"),
        card(
            *("FN;CHARSET=ISO-8859-1;QUOTED-PRINTABLE:Jos=E9 Mu=F1oz", "N:Muñoz;José"),
            version="2.1",
        ),
        card("N:Muñoz;José", "PHOTO;ENCODING=BASE64;JPEG:/9j/4AA", "AAAB3w==", "", version="2.1"),
        "\ufeff\n" + card("n:Muñoz;José").replace("BEGIN:VCARD", "begin:vcard"),
    ],
)
async def test_contacts_of_all_versions_give_the_same_row(path: Path, written: str):
    """Encodings, folded lines, groups and photos do not matter."""
    (line,) = await lines_of(path, written)

    assert isinstance(line.cells, dict)
    assert [line.cells[name] for name in COLUMNS] == ["José Muñoz", "José", "Muñoz", "", "", ""]


@pytest.mark.parametrize(
    ("lines", "tel"),
    [
        ([f"TEL:{NUMBER}"], NUMBER),
        ([f"TEL;CELL;PREF:{NUMBER}", "TEL;HOME:2 2345 6789"], NUMBER),
        ([f"TEL;TYPE=home:{NUMBER}", "TEL;TYPE=CELL:+56987688060"], "+56987688060"),
        ([f"item1.TEL;waid=56987688060:{NUMBER}", "item1.X-ABLabel:Móvil"], NUMBER),
        (['TEL;VALUE=uri;TYPE="voice,cell":tel:+56-9-8768-8060'], "+56-9-8768-8060"),
        (["TEL:+56 9 8768 8060", "TEL;TYPE=WORK:+56987688060"], NUMBER),
        (["TEL;TYPE=HOME:1", "TEL;TYPE=WORK:2"], "1 ::: 2"),
        (["TEL;TYPE=CELL:1", "TEL;TYPE=HOME:3", "TEL;TYPE=CELL,VOICE:2"], "1 ::: 2"),
        (["TEL:"], ""),
    ],
)
async def test_the_number_is_the_only_one_or_the_only_mobile_one(
    path: Path, lines: list[str], tel: str
):
    """Of several nobody chooses: the cell has them all, and cannot be sent to."""
    (line,) = await lines_of(path, card("FN:Ana", *lines))

    assert isinstance(line.cells, dict)
    assert line.cells["TEL"] == tel


async def test_the_other_cells_of_a_contact(path: Path):
    """Escapes are taken away; a preferred address counts."""
    written = card(
        r"FN:Soto\, Ana\; hija",
        r"N:Soto\;x;Ana",
        "EMAIL;TYPE=INTERNET,PREF:ana@example.com",
        "EMAIL:eva@example.com",
        r"ORG:Sal\\Sol\nLtda.;Ventas",
    )

    (line,) = await lines_of(path, written)

    assert line == Line(
        8,
        dict(
            zip(
                COLUMNS,
                ("Soto, Ana; hija", "Ana", "Soto;x", "", "ana@example.com", "Sal\\Sol\nLtda."),
                strict=True,
            )
        ),
    )


async def test_contacts_are_numbered_by_their_last_line(path: Path):
    """Blank lines may stand between them."""
    written = card("FN:Ana") + "\r\n" + card("FN:Eva")

    assert [line.number for line in await lines_of(path, written)] == [4, 9]


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (["TEL:+5698768", "8060"], "row: has a line that is not vCard"),
        (["FN;ENCODING=QUOTED-PRINTABLE:Jos=E9"], "FN: is not in the encoding that it names"),
        (["FN;CHARSET=X-NONE;QUOTED-PRINTABLE:Jos=E9"], "FN: is not in the encoding"),
        (["TEL;ENCODING=B:KzU2"], "TEL: is in Base64"),
        (["BEGIN:VCARD"], "row: has another contact within it"),
        (["FN:" + "x" * 2**19] * 3, "row: has more than 1,048,576 characters"),
    ],
)
async def test_a_broken_contact_becomes_its_error(path: Path, broken: list[str], problem: str):
    """The contacts around it are unaffected."""
    first, bad, last = await lines_of(path, card("FN:Ana") + card(*broken) + card("FN:Eva"))

    assert isinstance(first.cells, dict)
    assert isinstance(last.cells, dict)
    assert str(bad.cells).startswith(problem)


async def test_a_contact_that_the_end_of_the_file_cuts_short_is_an_error(path: Path):
    """A number may be missing."""
    _, cut = await lines_of(path, card("FN:Ana") + "BEGIN:VCARD\r\nTEL:+569876")

    assert "is cut off by the end of the file" in str(cut.cells)


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("", "is no file of contacts"),
        ("dst_number\n56987688060\n", "is no file of contacts"),
        (card("FN:Ana") + "FN:Eva\r\n", "has something on line 5 that is in no contact"),
        (card("FN:x" + "\r\n " + "y" * MAX_ROW_CHARACTERS), "has a row of more than"),
        (card("FN:x" + "\r\n y" * MAX_ROW_CHARACTERS), "has a row of more than"),
    ],
)
async def test_a_file_that_is_no_list_of_contacts_is_refused(
    path: Path, written: str, problem: str
):
    """The error names the line."""
    with pytest.raises(InvalidArgumentError, match=rf"contacts\.vcf: {problem}"):
        await lines_of(path, written)


async def test_a_photo_may_be_longer_than_a_row(path: Path):
    """Nobody sends it."""
    photo = base64.encodebytes(bytes(MAX_ROW_CHARACTERS)).decode().replace("\n", "\r\n ")

    (line,) = await lines_of(path, card(f"PHOTO;ENCODING=b;TYPE=JPEG:{photo}", f"TEL:{NUMBER}"))

    assert isinstance(line.cells, dict)
    assert line.cells["TEL"] == NUMBER


LINES = st.lists(
    st.text(st.sampled_from("TELFN;:,=\\ \tCHARSETQUOTED-PRINTABLE+59é\"'"), max_size=40)
    | st.sampled_from(["BEGIN:VCARD", "END:VCARD", "VERSION:2.1", "FN:Ana", "TEL;CELL:1"])
)


@given(LINES)
def test_any_lines_are_contacts_errors_or_a_refusal(lines: list[str]):
    """Nothing else, whatever the file holds."""

    async def read() -> None:
        with TemporaryDirectory() as folder, suppress(InvalidArgumentError):
            for line in await lines_of(Path(folder) / "a.vcf", "\n".join(["BEGIN:VCARD", *lines])):
                assert isinstance(line.cells, dict | InvalidArgumentError)

    anyio.run(read)
