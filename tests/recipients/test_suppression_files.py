"""Files of suppression lists: any that recipients come in, and no opt-out of them is overlooked."""

import gzip
import io
import zipfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectus_async import InvalidArgumentError
from connectus_async.ledger.keys import recipient_key
from connectus_async.recipients.phone_numbers import checker
from connectus_async.recipients.suppression_file import recipients_in

NUMBER, OTHER, ADDRESS = "56987688060", "56987688061", "ana@example.com"
gzipped = partial(gzip.compress, mtime=0)
"""The same in every process that collects the tests."""

KEYS = [int(recipient_key(NUMBER)), int(recipient_key(OTHER))]


def entries_of(path: Path, region: str | None = "CL") -> list[object]:
    return [*recipients_in(path, checker(region))]


def keys_of(path: Path) -> list[object]:
    found = entries_of(path)
    assert not [it for it in found if isinstance(it, InvalidArgumentError)]
    return found


def errors_of(path: Path, region: str | None = "CL") -> list[str]:
    return [str(it) for it in entries_of(path, region) if isinstance(it, InvalidArgumentError)]


def workbook(*rows: Iterable[object]) -> bytes:
    book, file = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.worksheets[0].append([*row])
    book.save(file)
    return file.getvalue()


def parquet(**columns: list[object]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("bajas.csv", content)
    return file.getvalue()


LIST = f"# bajas, de mayo\n{NUMBER}\n9 8768 8061 # por teléfono, a Ana\n"
TABLE = f"Nombre;Celular\nAna;{NUMBER}\nLuz;+56 9 8768 8061\n"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a.txt", LIST.encode()),
        ("a.txt", LIST.encode("utf-16")),
        ("opt-outs", LIST.encode("cp1252")),
        ("a.txt", ("Teléfono\r" + LIST.replace("\n", "\r")).encode()),
        ("a.csv", f"dst_number\n{NUMBER}\n{OTHER}\n".encode()),
        ("a.csv", f'"{NUMBER}"\n"{OTHER}"\n'.encode()),
        ("a.csv", TABLE.encode()),
        ("a.csv", b"\xef\xbb\xbfsep=;\r\n" + TABLE.encode()),
        ("a.csv", ("Bajas;\n\n" + TABLE).encode()),
        ("a.csv", TABLE.replace(";", "\t").encode("utf-16")),
        ("a.csv.gz", gzipped(TABLE.encode())),
        ("a.zip", zipped(TABLE.encode())),
        ("a.xlsx", workbook(["Celular"], [int(NUMBER)], [OTHER])),
        ("a.xlsx", workbook([int(NUMBER)], [OTHER])),
        ("a.xlsx", workbook(["Fecha", "WhatsApp"], ["1/2", NUMBER], [None, None], ["2/2", OTHER])),
        ("a.parquet", parquet(phone=[int(NUMBER), int(OTHER)], x=[1, 2])),
        ("a.jsonl", f'{{"recipient": {NUMBER}}}\n{{"recipient": "{OTHER}"}}\n'.encode()),
        ("a.vcf", f"BEGIN:VCARD\nTEL:{NUMBER}\nTEL:987688061\nEND:VCARD\n".encode()),
    ],
)
def test_a_list_may_be_any_file_of_recipients(tmp_path: Path, name: str, written: bytes):
    """With a header or, if it has one column, without."""
    path = tmp_path / name
    path.write_bytes(written)

    assert keys_of(path) == KEYS


def test_hidden_rows_of_a_workbook_count(tmp_path: Path):
    """A filter that somebody left in the sheet gives nobody's consent."""
    book, path = openpyxl.Workbook(), tmp_path / "a.xlsx"
    for number, row in enumerate(["Celular", NUMBER, OTHER], 1):
        book.worksheets[0].append([row])
        book.worksheets[0].row_dimensions[number].hidden = number == 3
    book.save(path)

    assert keys_of(path) == KEYS


@pytest.mark.parametrize("shown", ["#N/A", "56987688060.5"])
def test_a_cell_of_a_workbook_that_is_no_number_is_an_error(tmp_path: Path, shown: str):
    """By its row."""
    path = tmp_path / "a.xlsx"
    path.write_bytes(workbook(["Celular"], [NUMBER], [float(shown) if "." in shown else shown]))

    (error,) = errors_of(path)

    assert error.startswith("a.xlsx: line 3 is not a valid number or email address: it ")


def test_all_columns_of_recipients_count(tmp_path: Path):
    """Somebody opts out by a number, an address, or both."""
    path = tmp_path / "a.csv"
    path.write_text(
        "RUT,Celular,Teléfono secundario,E-mail,Tipo de teléfono\n"
        f"123456785,{NUMBER},no tiene,,móvil\n123456785,,{OTHER},{ADDRESS},\n",
        "utf-8",
    )

    assert keys_of(path) == [KEYS[0], ADDRESS, KEYS[1]]


@pytest.mark.parametrize(
    ("written", "problems"),
    [
        ("Nombre;Celular\nAna;\nLuz;987\n", ["line 2", "line 3"]),
        ("Nombre;Celular\nAna;#N/D\n", ["line 2"]),
        ("Nombre;Celular\nAna;987688060;x\n", ["line 2"]),
        ("Nombre;Celular\nAna;5.6987E+10\n", ["line 2"]),
        ("Nombre;Celular;Mail\nAna;987;ana@example.com\n", ["line 2"]),
        ("Tipo de teléfono;x\nmóvil;1\n", ["line 2"]),
        ("Celular\nAna\n", ["line 2"]),
        ("Tel 987688060\n", ["line 1"]),
        ("Ana\n987688060\n", ["line 1"]),
        ("987688060\nCelular\n", ["line 2"]),
        (f"{NUMBER};\nNombre;Celular\nAna;{OTHER}\n", ["line 2", "line 3"]),
        ("PK\3\4", ["line 1"]),
    ],
)
def test_a_line_that_cannot_be_read_is_an_error(tmp_path: Path, written: str, problems: list[str]):
    """Its person is not overlooked."""
    path = tmp_path / "a.csv"
    path.write_text(written, "utf-8")

    found = errors_of(path)

    assert [it.partition(" is not")[0] for it in found] == [f"a.csv: {it}" for it in problems]


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (f"Ana;{NUMBER}\nLuz;{OTHER}\n", "has several columns, and no line above them names them"),
        (f"{NUMBER};{ADDRESS}\n{OTHER};\n", "has several columns, and no line above them names"),
        ("Nombre;Código\nAna;987688060\n", "has no column of numbers or addresses"),
        ("a;Celular,Fono\n1;2,3\n", "may have one delimiter of several"),
        (b"Celular;x\n987688060;Jos\xe9\n987688061;Jos\xc3\xa9\n", "is UTF-8 on line 3 but not"),
    ],
)
def test_a_file_that_does_not_tell_its_opt_outs_is_refused(
    tmp_path: Path, written: str | bytes, problem: str
):
    """The error says how to name the columns."""
    path = tmp_path / "a.csv"
    path.write_bytes(written if isinstance(written, bytes) else written.encode())

    with pytest.raises(InvalidArgumentError, match=rf"a\.csv: {problem}"):
        entries_of(path)


@pytest.mark.parametrize("region", ["CL", "MX", "AR", "BR", "PE", None])
def test_national_numbers_are_of_the_region_or_errors(tmp_path: Path, region: str | None):
    """None of them is taken for a stranger or nobody."""
    path = tmp_path / "a.txt"
    path.write_text("987688060\n541123456789\n5215512345678\n551187654321\n", "utf-8")
    whole = {"CL": "56987688060", "PE": "51987688060"}.get(region or "", "")
    people = [whole, "541123456789", "525512345678", "551187654321"]

    found = entries_of(path, region)

    for entry, person in zip(found, people, strict=True):
        assert isinstance(entry, InvalidArgumentError) or entry == int(recipient_key(person))
    assert isinstance(found[0], InvalidArgumentError) is not bool(whole)


CELLS = st.sampled_from(["", " ", NUMBER, "+56 9 8768 8061", ADDRESS, "Ana", "987", "#N/D", "x@"])


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6))
def test_every_row_gives_a_recipient_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
):
    """Blank rows excepted."""
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text("Celular;Email\n" + "".join(f"{one};{other}\n" for one, other in rows), "utf-8")

    found = entries_of(path)

    filled = [[it for it in row if it.strip()] for row in rows]
    assert len(found) == sum(map(len, filled))
