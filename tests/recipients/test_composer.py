"""A row becomes a valid message, or an error with the reason."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from connectus_async import (
    AsyncConnectus,
    ConfigurationError,
    ConnectusError,
    Email,
    InvalidArgumentError,
    Sms,
    WhatsApp,
)
from connectus_async.arguments import ToDigits
from connectus_async.products.messages import Row
from connectus_async.recipients.cells import Cell
from connectus_async.recipients.composer import Column, Composer
from connectus_async.recipients.phone_numbers import checker, normaliser
from connectus_async.recipients.sources import Line, open_source
from connectus_async.recipients.templates import Template, parse_template

NUMBER = "56987688060"
TEXT = Template.parse("sms_content", "Hola {name}")
ROW: Mapping[str, Cell] = {"dst_number": "+56 9 8768 8060", "name": "José", "id": 7, "empty": None}


def compose(composer: Composer, **cells: Cell) -> Row:
    return composer.compose(Line(2, {**ROW, **cells}))


def test_an_sms_is_made_of_a_row():
    """Its number is in the form that goes on the wire, and its key is the user's."""
    composer = Composer(
        kind="sms",
        sms_content=TEXT,
        src_number=" 56 44 234 1000",
        id_delivery=Column("id"),
        id_client="7b8d",
        key="id",
        normalise=normaliser("CL"),
        transliterate=str.upper,
    )

    row = compose(composer, dst_number=987688060)

    sms = Sms(NUMBER, "HOLA JOSÉ", src_number=56442341000, id_delivery="7", id_client="7b8d")
    assert row == Row(2, sms, key="7")


def test_an_email_is_made_of_a_row():
    """Its HTML is escaped where the row comes in, its subject is not HTML."""
    composer = Composer(
        kind="email",
        to="mail",
        subject=parse_template("subject", "Para {{ name }}", engine="jinja"),
        email_content=Template.parse("email_content", "<p>{name}</p>", html=True),
        src_email=Column("from"),
    )

    row = compose(composer, **{"mail": " ana@example.com ", "name": "A&B", "from": "b@example.com"})

    assert row == Row(
        2,
        Email("ana@example.com", "Para A&B", "<p>A&amp;B</p>", src_email="b@example.com"),
    )


def test_a_whatsapp_message_is_made_of_a_row():
    """Its numbers are text."""
    content = Template.parse("whatsapp_content", "Hola {name}")
    composer = Composer(kind="whatsapp", whatsapp_content=content, src_number="56 999 944 837")

    assert compose(composer) == Row(2, WhatsApp(NUMBER, "Hola José", src_number="56999944837"))


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ({"dst_number": None}, "dst_number: is empty in this row"),
        ({"dst_number": " "}, "dst_number: is empty in this row"),
        ({"dst_number": 5.6987688060e10}, "dst_number: is a decimal number"),
        ({"dst_number": "5,69877E+10"}, "dst_number: is in scientific notation"),
        ({"dst_number": True}, "dst_number: must be text or int, not bool"),
        ({"dst_number": "5698"}, "dst_number: has 4 digits"),
        ({"name": ""}, "name: is empty in this row"),
        ({"name": "#N/D "}, "name: is #N/D in this row"),
        ({"dst_number": "#REF!"}, "dst_number: is #REF! in this row"),
        ({"from": "nan"}, "from: is nan in this row"),
        ({"name": "x" * 40_000}, "sms_content: has 40005 characters"),
        ({"name": "\ud800"}, "sms_content: has half a surrogate pair"),
        ({"from": ""}, "from: is empty in this row"),
        ({"from": "x"}, "from: has something other than digits"),
        ({"client": 1.0}, "client: must be text or int, not float"),
        ({"client": "a\nb"}, "client: has a line break"),
    ],
)
def test_a_row_that_cannot_be_sent_is_its_error(cells: dict[str, Cell], problem: str):
    """The column or the field is named; the key says whose error it is."""
    composer = Composer(
        kind="sms",
        sms_content=TEXT,
        src_number=Column("from"),
        id_client=Column("client"),
        key="id",
    )

    row = compose(composer, **{"from": "56442341000", "client": "c", **cells})

    assert (row.line, row.key) == (2, "7")
    assert isinstance(row.content, InvalidArgumentError)
    assert str(row.content).startswith(problem)


@pytest.mark.parametrize("key", [None, "", 7.0, "a\0b"])
def test_a_row_without_its_key_is_an_error(key: Cell):
    """It could not be told from others when the file is sent again."""
    row = compose(Composer(kind="sms", sms_content=TEXT, key="id"), id=key)

    assert isinstance(row.content, InvalidArgumentError)
    assert (row.content.field, row.key) == ("id", None)


def test_a_broken_line_stays_its_error():
    """An error of the source is not checked again."""
    error = InvalidArgumentError("row", "has 3 cells, but the header has 2")

    assert Composer(kind="sms", sms_content=TEXT).compose(Line(5, error)) == Row(5, error)


def test_what_a_normaliser_makes_is_checked_too():
    """A user's own function may forget the country code."""
    composer = Composer(kind="sms", sms_content=TEXT, normalise=lambda _field, _value: "0987")

    assert str(compose(composer).content).startswith("dst_number: has 4 digits")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"to": "phone"}, "to: there is no column 'phone'; the columns are "),
        ({"src_number": Column("src")}, "src_number: there is no column 'src'"),
        ({"id_client": Column("client")}, "id_client: there is no column 'client'"),
        ({"key": "uid"}, "key: there is no column 'uid'"),
        ({"sms_content": Template.parse("text", "{nombre}")}, "text: there is no column 'nombre'"),
    ],
)
def test_every_column_is_looked_for_before_any_row(fields: dict[str, object], problem: str):
    """The error names the field; only that of a placeholder lists the columns."""
    composer = Composer(**{"kind": "sms", "sms_content": TEXT, **fields})

    Composer(kind="sms", sms_content=TEXT).bound([*ROW])
    with pytest.raises(InvalidArgumentError) as caught:
        composer.bound([*ROW])

    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (
            {
                "kind": "email",
                "sms_content": None,
                "subject": TEXT,
                "email_content": TEXT,
                "src_email": "a@b.cl",
                "first_number": True,
            },
            "first_number: does not apply when kind is email",
        ),
        ({"kind": "fax"}, "kind: must be one of sms, email, whatsapp"),
        ({"kind": "sms"}, "sms_content: is required when kind is sms"),
        ({"kind": "whatsapp", "whatsapp_content": TEXT}, "src_number: is required when kind is"),
        ({"kind": "email", "subject": TEXT}, "email_content: is required when kind is email"),
        ({"kind": "email", "subject": TEXT, "email_content": TEXT}, "src_email: is required"),
        ({"kind": "sms", "sms_content": TEXT, "subject": TEXT}, "subject: does not apply"),
        ({"kind": "sms", "sms_content": TEXT, "src_email": "a@b.cl"}, "src_email: does not apply"),
        (
            {
                "kind": "email",
                "subject": TEXT,
                "email_content": TEXT,
                "src_email": "a@b.cl",
                "normalise": normaliser("CL"),
            },
            "normalise: does not apply when kind is email",
        ),
        (
            {
                "kind": "whatsapp",
                "whatsapp_content": TEXT,
                "src_number": NUMBER,
                "transliterate": str.upper,
            },
            "transliterate: does not apply when kind is whatsapp",
        ),
        ({"kind": "sms", "sms_content": TEXT, "src_number": "x"}, "src_number: has something"),
        ({"kind": "sms", "sms_content": TEXT, "id_delivery": "."}, "id_delivery: has only dots"),
    ],
)
def test_a_composer_that_makes_no_sense_is_refused_at_once(fields: dict[str, object], problem: str):
    """Before any file is opened."""
    with pytest.raises(ConnectusError) as caught:
        Composer(**fields)

    assert isinstance(caught.value, ConfigurationError | InvalidArgumentError)
    assert str(caught.value).startswith(problem)


async def test_a_file_is_composed_in_batches(tmp_path: Path):
    """Every row comes once, in order, and the columns are checked first."""
    path = tmp_path / "recipients.csv"
    path.write_text("dst_number,name\n" + f"{NUMBER},Ana\n" * 1_200 + ",Ana\n", "utf-8")
    source = await open_source(path)
    composer = Composer(kind="sms", sms_content=TEXT)

    batches = [batch async for batch in composer.batches(source)]
    rows = [row async for row in composer.rows(source)]

    assert [len(batch) for batch in batches] == [500, 500, 201]
    assert [row.line for row in rows] == list(range(2, 1_203))
    assert [row.content for row in rows[:-1]] == [Sms(NUMBER, "Hola Ana")] * 1_200
    assert isinstance(rows[-1].content, InvalidArgumentError)
    with pytest.raises(InvalidArgumentError, match="no column 'phone'"):
        await anext(Composer(kind="sms", sms_content=TEXT, to="phone").batches(source))


@pytest.mark.parametrize("kind", ["sms", "email", "whatsapp"])
async def test_what_is_composed_is_what_the_call_sends(
    connectus: AsyncConnectus, emulator, kind: str
):
    """The checks here and there agree, and normalise to the same."""
    texts = {
        "sms": {"sms_content": TEXT},
        "email": {"subject": TEXT, "email_content": TEXT, "src_email": "contacto@example.com"},
        "whatsapp": {"whatsapp_content": TEXT, "src_number": "56999944837"},
    }[kind]
    to = {"email": "ana@example.com"}.get(kind, "+56 9 8768 8060")
    message = compose(Composer(kind=kind, to="to", **texts), to=to).content

    fields = {name: getattr(message, name) for name in message.__slots__ if name[0] != "_"}
    await getattr(connectus, kind).send(**fields)

    (received,) = emulator.received
    assert received.recipient == str(fields.get("dst_number", fields.get("dst_email")))
    assert received.content == "Hola José"


def test_a_composer_shows_no_number():
    """Its `repr` may reach a log."""
    shown = repr(Composer(kind="sms", sms_content=TEXT, src_number="56442341000"))

    assert "56442341000" not in shown
    assert "Hola" not in shown


@pytest.mark.parametrize(
    ("cell", "digits"),
    [
        ("56987688060 ::: 56987688061", "56987688060"),
        ("123456 / 56987688061; 56987688062", "56987688061"),
        ("tel:+56 9 8768 8060\n+56 9 8768 8061", "56987688060"),
        ("56987688060 y 61", "56987688060"),
        ("+56 2/2345 6789", "56223456789"),
        (" 56987688060 ", "56987688060"),
        (56987688060, "56987688060"),
    ],
)
@pytest.mark.parametrize("kind", ["sms", "whatsapp"])
def test_the_first_valid_number_is_taken_where_that_was_asked_for(
    kind: str, cell: Cell, digits: str
):
    """Of a cell with one number it is that one."""
    others = {"whatsapp_content": TEXT, "src_number": "56987688000"}
    composer = Composer(
        kind=kind,
        normalise=checker(None),
        first_number=True,
        **({"sms_content": TEXT} if kind == "sms" else others),
    )

    assert compose(composer, dst_number=cell).content.dst_number == digits


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("123456 / 1234567", "dst_number: has 2 numbers"),
        ("56987688060 ext. 4 / 56987688061 ext. 5", "dst_number: has an extension"),
        ("Ana", "dst_number: has something other than digits"),
    ],
)
def test_a_cell_without_a_valid_number_stays_an_error(cell: str, problem: str):
    """It is that of the whole cell."""
    composer = Composer(kind="sms", sms_content=TEXT, normalise=checker(None), first_number=True)

    assert str(compose(composer, dst_number=cell).content).startswith(problem)


@pytest.mark.parametrize("normalise", [None, checker(None), checker("CL")])
@pytest.mark.parametrize("value", ["56987688060", "5.6987688060E10", "56987688060.00"])
def test_a_whole_decimal_is_a_number(value: str, normalise: ToDigits | None):
    """A database gives numbers so; one that lacks digits is none."""
    composer = Composer(kind="sms", sms_content=TEXT, key="key", normalise=normalise)
    row = compose(composer, key=Decimal(value), dst_number=Decimal(value))
    rounded = compose(composer, key=7, dst_number=Decimal("5.7E10"))

    assert (row.content.dst_number, row.key) == ("56987688060", "56987688060")
    assert str(rounded.content).startswith("dst_number: is a decimal number")
