"""Ordinary rows take a short way to the ledger; they arrive as they do by the long one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectus_async import AsyncConnectus, Email, InvalidArgumentError
from connectus_async.bulk.channels import Channel, channels
from connectus_async.ledger.keys import KeyMaker
from connectus_async.ledger.records import Entry
from connectus_async.products.messages import Row
from connectus_async.products.sms import Sms
from connectus_async.recipients import composing
from connectus_async.recipients.cells import ErrorCell, Shown, ShownDigits, ShownFloat, ShownInt
from connectus_async.recipients.composer import Column, Composer
from connectus_async.recipients.composing import composed
from connectus_async.recipients.phone_numbers import normaliser
from connectus_async.recipients.plain_sms import PlainRows, PlainSms, example
from connectus_async.recipients.sources import Line, open_source
from connectus_async.recipients.templates import parse_template
from connectus_async.transliteration import to_gsm7

pytestmark = pytest.mark.both("bodies are written by orjson or by the standard library")

KEYS = KeyMaker("navidad", by_recipient=False)
TEXT = parse_template("text", "50 % para {name}: {{{code}}}")


def shown(cell: Shown, text: str) -> Shown:
    cell.shown = text
    return cell


SHOWN = st.one_of(
    st.builds(lambda it: shown(ShownInt(it), f"{it:,}"), st.integers(-99, 10**12)),
    st.builds(lambda it: shown(ShownDigits(it), f"{it:012}"), st.integers(1, 10**12)),
    st.builds(lambda it: shown(ShownFloat(it), f"{it:%}"), st.floats()),
    st.just(ErrorCell("#N/A")),
)
CELL = st.one_of(
    SHOWN,
    st.text(max_size=12),
    st.sampled_from(["Ana", " José ", "“Sí”", "\t", "", "a\nb", 'a"b\\c', "\ud800", "10 €"]),
    st.integers(),
    st.floats(),
    st.none(),
    st.binary(),
)
NUMBER = st.one_of(
    SHOWN,
    st.sampled_from(["987688060", " 9 8768 8060", "+56987688060", "0056987688060", "12", "", "x"]),
    st.integers(0, 10**12),
    st.floats(),
    st.none(),
)
COMPOSERS = [
    Composer(kind="sms", sms_content=TEXT),
    Composer(kind="sms", sms_content=TEXT, normalise=normaliser("CL"), transliterate=to_gsm7),
    Composer(kind="sms", sms_content=TEXT, to="phone", key="code", src_number="56 44 234 1000"),
    Composer(kind="sms", sms_content=TEXT, id_delivery="7", id_client='7"b\\ñ', src_number=1),
    Composer(kind="sms", sms_content=parse_template("text", 'Hola, "100 %"')),
    Composer(kind="sms", sms_content=parse_template("text", "{name}", html=True)),
]


@pytest.fixture(scope="module")
def channel() -> Channel:
    connectus = AsyncConnectus("user", "key")
    found = channels(connectus.sms, connectus.email, connectus.whatsapp)
    return found[Sms]


def entry_of(channel: Channel) -> Callable[[Sms], Entry]:
    return lambda sms: channel.entry(sms, None, None, KEYS)


def the_long_way(channel: Channel, row: Row) -> Entry | None:
    if isinstance(row.content, Exception):
        return None
    try:
        return channel.entry(row.content, row.line, row.key, KEYS)
    except InvalidArgumentError:
        return None


@given(number=NUMBER, name=CELL, code=CELL)
@pytest.mark.parametrize("composer", COMPOSERS)
def test_the_short_way_leads_where_the_long_one_does(
    channel: Channel, composer: Composer, number: Any, name: Any, code: Any
):
    """Same key, same line, same number, same body; or the row is left to the long way."""
    sms = example(composer)
    assert sms is not None
    plain = PlainRows(composer, KEYS, sms, entry_of(channel)(sms).body)
    line = Line(7, {"dst_number": number, "phone": number, "name": name, "code": code})
    found = plain.sms(line)
    if found is not None:
        row = composer.compose(line)
        assert found.entry == the_long_way(channel, row)
        assert (found.text, found.id_client) == (row.content.sms_content, row.content.id_client)
        assert (found.row.line, type(found.row.content)) == (row.line, Sms)


def test_an_ordinary_row_takes_the_short_way(channel: Channel):
    """A number of a workbook does too; a row that is broken does not."""
    composer = COMPOSERS[0]
    sms = example(composer)
    assert sms is not None
    plain = PlainRows(composer, KEYS, sms, entry_of(channel)(sms).body)
    cells = {"dst_number": "+56 9 8768 8060", "name": "Ana", "code": "7"}
    assert isinstance(plain.sms(Line(2, cells)), PlainSms)
    assert isinstance(plain.sms(Line(2, {**cells, "dst_number": 56987688060})), PlainSms)
    assert plain.sms(Line(2, {**cells, "dst_number": 56987688060.0})) is None
    assert plain.sms(Line(2, {**cells, "name": ""})) is None
    assert plain.sms(Line(2, InvalidArgumentError("row", "is cut off"))) is None


@pytest.mark.parametrize(
    "composer",
    [
        Composer(
            kind="email", subject=TEXT, email_content=TEXT, src_email="yo@empresa.cl", to="name"
        ),
        Composer(kind="whatsapp", whatsapp_content=TEXT, src_number="56911112222"),
        Composer(kind="sms", sms_content=TEXT, id_delivery=Column("code")),
        Composer(kind="sms", sms_content=parse_template("text", "{{ name }}", engine="jinja")),
    ],
)
def test_other_messages_have_no_short_way(composer: Composer):
    """Nor have texts that take long anyway."""
    assert example(composer) is None


async def test_rows_are_composed_in_order_and_in_batches(
    tmp_path: Path, channel: Channel, monkeypatch: pytest.MonkeyPatch
):
    """Ordinary ones and others; a missing column is found before any."""
    monkeypatch.setattr(composing, "ROWS_A_TRANSACTION", 2)
    path = tmp_path / "recipients.csv"
    path.write_text("dst_number,name,code\n56987688060,Ana,1\n12,Juan,2\n56987688061,Luis,3\n")
    source = await open_source(path)
    batches = [batch async for batch in composed(source, COMPOSERS[0], entry_of(channel), KEYS)]

    assert [2, 1] == [len(batch) for batch in batches]
    (first, wrong), (last,) = batches
    assert isinstance(first, PlainSms)
    assert isinstance(last, PlainSms)
    assert (first.entry.line, wrong.line, last.entry.line) == (2, 3, 4)
    assert isinstance(wrong.content, InvalidArgumentError)
    with pytest.raises(InvalidArgumentError, match="there is no column 'phone'"):
        await anext(composed(source, COMPOSERS[2], entry_of(channel), KEYS))


async def test_a_batch_of_long_texts_is_short(
    tmp_path: Path, channel: Channel, monkeypatch: pytest.MonkeyPatch
):
    """An email may have ten million characters: memory is bounded by them, not by rows."""
    monkeypatch.setattr(composing, "CHARACTERS_A_TRANSACTION", 20)
    path = tmp_path / "recipients.csv"
    path.write_text("dst_email,name,code\n" + "ana@ejemplo.cl,Ana,1\n" * 3)
    composer = Composer(kind="email", subject=TEXT, email_content=TEXT, src_email="yo@empresa.cl")
    source = await open_source(path)
    batches = [batch async for batch in composed(source, composer, entry_of(channel), KEYS)]

    assert [2, 1] == [len(batch) for batch in batches]
    assert all(isinstance(row.content, Email) for batch in batches for row in batch)
