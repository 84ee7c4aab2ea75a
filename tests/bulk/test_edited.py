"""A text that was edited: who got the old one does not get the new one unasked."""

from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from connectus_async import AsyncConnectus, Email, Sms
from connectus_async.bulk.loading import EditedError
from connectus_async.emulator import Emulator, Fault
from connectus_async.errors import ConfigurationError
from connectus_async.ledger.states import HAS_ANOTHER, SkipReason, State
from connectus_async.products.messages import Row

FIRST = 56_960_000_000
OLD, NEW = "Hola mudno", "Hola mundo"


def texts(text: str, *indices: int) -> list[Sms]:
    return [Sms(FIRST + index, text) for index in indices]


def mail(address: str, text: str) -> Email:
    return Email(address, "Hola", text, src_email="ventas@example.com")


def got(emulator: Emulator) -> Counter[tuple[int, str]]:
    return Counter((int(sms.recipient) - FIRST, sms.content) for sms in emulator.received)


async def sent(
    client: AsyncConnectus, ledger: Path | str, source: list[Any], **options: Any
) -> Any:
    """Load a source and send what waits; tell how many of each state there are."""
    async with client.bulk(ledger=ledger, **options) as bulk:
        await bulk.load(source, replaces=True)
        await bulk.run()
        return await bulk.counts()


@pytest.fixture(params=["load", "run"])
def send(request: pytest.FixtureRequest) -> Any:
    """Load and then send, or do both at once."""

    async def run(
        client: AsyncConnectus, ledger: Path | str, source: list[Any], **options: Any
    ) -> Any:
        async with client.bulk(ledger=ledger, **options) as bulk:
            await bulk.run(source)
            return await bulk.counts()

    return {"load": sent, "run": run}[request.param]


@pytest.mark.parametrize("forget_content", [False, True])
async def test_an_edited_text_is_refused_before_anything_is_sent(
    client: AsyncConnectus, emulator: Emulator, ledger: Path | str, *, forget_content: bool
):
    """It says how many people have another text; so it does each time that it is asked."""
    options = {"edited": "abort", "forget_content": forget_content}
    await sent(client, ledger, texts(OLD, 0, 1, 2), **options)
    for _ in range(2):
        async with client.bulk(ledger=ledger, **options) as bulk:
            with pytest.raises(EditedError, match=r"^edited: 3 people may have got") as raised:
                await bulk.load(texts(NEW, 0, 1, 2, 3), replaces=True)

    assert raised.value.people == 3
    assert got(emulator) == Counter({(index, OLD): 1 for index in range(3)})


async def test_what_is_refused_is_not_sent_by_running_on(
    client: AsyncConnectus, emulator: Emulator, ledger: Path | str
):
    """Who caught the error, or resumes, reaches nobody twice; the ledger is not loaded."""
    await sent(client, ledger, texts(OLD, 0, 1))
    async with client.bulk(ledger=ledger, edited="abort") as bulk:
        with pytest.raises(ConfigurationError, match="2 people"):
            await bulk.load(texts(NEW, 0, 1))
        await bulk.run()
        assert (await bulk._ledger.metadata())["loaded"] == "0"

    assert got(emulator) == Counter({(0, OLD): 1, (1, OLD): 1})


async def test_the_old_text_can_be_gone_back_to(
    client: AsyncConnectus, emulator: Emulator, ledger: Path | str
):
    """After a refusal the old file is sent to its end, and nothing else."""
    await stopped(client, emulator, ledger, OLD)
    with pytest.raises(EditedError):
        await sent(client, ledger, texts(NEW, *range(5)), edited="abort")
    await sent(client, ledger, texts(OLD, *range(5)), edited="abort")

    assert got(emulator) == Counter({(index, OLD): 1 for index in range(5)})


async def stopped(
    client: AsyncConnectus, emulator: Emulator, ledger: Path | str, text: str
) -> None:
    """Send a text to two of five people, and stop."""
    async with client.bulk(ledger=ledger, concurrency=1, edited="abort") as bulk:
        await bulk.load(texts(text, *range(5)), replaces=True)
        async for _ in bulk.stream():
            if len(emulator.received) == 2:
                break


async def test_remaining_sends_only_to_those_who_have_nothing_yet(
    client: AsyncConnectus, emulator: Emulator, ledger: Path | str, send: Any
):
    """The others are skipped, and named; the same again sends nothing more."""
    await stopped(client, emulator, ledger, OLD)
    for _ in range(2):
        counts = await send(client, ledger, texts(NEW, *range(5)), edited="remaining")

    assert got(emulator) == Counter({(index, OLD if index < 2 else NEW): 1 for index in range(5)})
    assert counts == {State.ACCEPTED: 5, State.SKIPPED: 5}


async def test_everyone_sends_to_all_again(
    client: AsyncConnectus, emulator: Emulator, ledger: Path | str, send: Any
):
    """So it does after it was refused, and after some were left out."""
    await stopped(client, emulator, ledger, OLD)
    with pytest.raises(EditedError):
        await send(client, ledger, texts(NEW, *range(5)), edited="abort")
    await send(client, ledger, texts(NEW, *range(4)), edited="remaining")
    await sent(client, ledger, texts(NEW, *range(5)), edited="everyone")

    expected = {(index, NEW): 1 for index in range(5)}
    assert got(emulator) == Counter(expected | {(0, OLD): 1, (1, OLD): 1})


@pytest.mark.parametrize("edited", ["abort", "remaining"])
@pytest.mark.parametrize("stops_after", [0, 1, 2, 3])
async def test_several_texts_to_one_person_are_no_edit(
    client: AsyncConnectus,
    emulator: Emulator,
    ledger: Path | str,
    edited: Any,
    stops_after: int,
    send: Any,
):
    """Neither at first, nor when the campaign goes on after a stop."""
    source = [sms for index in range(2) for text in ("uno", "dos") for sms in texts(text, index)]
    async with client.bulk(ledger=ledger, concurrency=1, edited=edited) as bulk:
        await bulk.load(source, replaces=True)
        if stops_after:
            async for _ in bulk.stream():
                if len(emulator.received) == stops_after:
                    break
    counts = await send(client, ledger, source, edited=edited)

    assert counts == {State.ACCEPTED: 4}
    assert got(emulator) == Counter({(i, text): 1 for i in range(2) for text in ("uno", "dos")})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Sms(541123456789, OLD), Sms(5491123456789, NEW)),
        (Sms(5215512345678, OLD), Sms(525512345678, NEW)),
        (Sms(551187654321, OLD), Sms(5511987654321, NEW)),
        (mail("ana@xn--and-6ma2c.cl", OLD), mail("Ana@ñandú.cl", NEW)),
        (mail("jose\u0301@example.com", OLD), mail("jos\u00e9@example.com", NEW)),
    ],
)
async def test_who_is_spelt_otherwise_is_no_other_person(
    client: AsyncConnectus, emulator: Emulator, ledger: Path | str, before: Any, after: Any
):
    """A list that is exported anew may write its people in another way."""
    await sent(client, ledger, [before])

    with pytest.raises(EditedError, match="1 person"):
        await sent(client, ledger, [Row(2, ValueError("no number")), after], edited="abort")
    await sent(client, ledger, [after], edited="remaining")

    assert [message.content for message in emulator.received] == [OLD]


async def test_another_row_for_the_same_people_is_no_edit(
    client: AsyncConnectus, emulator: Emulator, ledger: Path | str
):
    """The file still has the first one."""
    await sent(client, ledger, texts("uno", 0, 1), edited="abort")
    await sent(client, ledger, texts("uno", 0, 1) + texts("dos", 0, 1), edited="abort")

    assert len(emulator.received) == 4


@pytest.mark.parametrize(
    ("fault", "people"),
    [(Fault.reset_after(), 1), (Fault.reset_before(), 1), (Fault.status(400), 0)],
    ids=lambda value: getattr(value, "name", str(value)),
)
async def test_what_may_have_been_sent_counts_and_what_was_refused_does_not(
    client: AsyncConnectus, emulator: Emulator, ledger: Path | str, fault: Fault, people: int
):
    """An unknown message may have arrived; a rejected one has not."""
    with emulator.fault(fault, route="sms.send"):
        await sent(client, ledger, texts(OLD, 0))
    with pytest.raises(EditedError, match="1 person") if people else nullcontext():
        await sent(client, ledger, texts(NEW, 0), edited="abort")


async def test_who_is_left_out_is_named_in_the_outcomes(
    client: AsyncConnectus, emulator: Emulator, ledger: Path | str
):
    """A run yields each row: those that are sent, and why the others are not."""
    await sent(client, ledger, texts(OLD, 0, 1))
    rows = [Row(line, sms) for line, sms in enumerate(texts(NEW, 0, 1, 2, 2), 1)]
    async with client.bulk(ledger=ledger, edited="remaining") as bulk:
        outcomes = [outcome async for outcome in bulk.stream([*rows, Row(9, ValueError("x"))])]
        summary = bulk.summary

    said = sorted((outcome.line, outcome.state, outcome.skipped) for outcome in outcomes)
    assert said == [
        (1, State.SKIPPED, SkipReason.HAS_ANOTHER),
        (2, State.SKIPPED, SkipReason.HAS_ANOTHER),
        (3, State.ACCEPTED, None),
        (4, State.SKIPPED, SkipReason.DUPLICATE),
        (9, State.SKIPPED, SkipReason.INVALID),
    ]
    assert sum(HAS_ANOTHER in str(outcome.error) for outcome in outcomes) == 2
    assert (summary.accepted, summary.skipped) == (1, 4)


async def test_who_turns_out_to_have_nothing_gets_the_new_text(
    client: AsyncConnectus, emulator: Emulator, ledger: Path | str
):
    """A message that was unknown when its text was edited never arrived, as reconcile tells."""
    async with client.bulk(ledger=ledger, concurrency=1) as bulk:
        await bulk.load(texts(OLD, 0))
        await bulk.run()
        with emulator.fault(Fault.reset_before(), route="sms.send"):
            await bulk.load(texts(OLD, 1))
            await bulk.run()
        await bulk.load(texts(OLD, 2))
        await bulk.run()
    await sent(client, ledger, texts(NEW, 1), edited="remaining")
    async with client.bulk(ledger=ledger, on_unknown="resend_if_absent") as bulk:
        assert (await bulk.reconcile(settle=0.001)).queued == 1
    await sent(client, ledger, texts(NEW, 1), edited="remaining")

    assert got(emulator) == Counter({(0, OLD): 1, (1, NEW): 1, (2, OLD): 1})


async def test_a_source_that_fails_midway_sends_nothing(
    client: AsyncConnectus, emulator: Emulator, ledger: Path | str
):
    """Only a whole source tells what was edited."""

    def source() -> Any:
        yield from texts(NEW, 0)
        raise ValueError

    async with client.bulk(ledger=ledger, edited="abort") as bulk:
        with pytest.raises(ValueError, match=r"^$"):
            await bulk.run(source())

    assert emulator.received == []


async def test_a_key_of_the_users_and_one_message_a_recipient_need_no_word(
    client: AsyncConnectus, emulator: Emulator, ledger: Path | str, tmp_path: Path
):
    """The message is the same however its text reads."""
    for text in (OLD, NEW):
        rows = [Row(None, sms, key="a") for sms in texts(text, 0)]
        await sent(client, ledger, rows, edited="abort")
        options = {"edited": "abort", "identity": "recipient"}
        await sent(client, tmp_path / "b.db", texts(text, 1), **options)

    assert got(emulator) == Counter({(0, OLD): 1, (1, OLD): 1})


async def test_the_library_sends_to_everyone_unless_told(
    client: AsyncConnectus, emulator: Emulator, ledger: Path | str
):
    """A campaign may say several things to one person, as they come up."""
    for text in (OLD, NEW):
        await sent(client, ledger, texts(text, 0))

    assert got(emulator) == Counter({(0, OLD): 1, (0, NEW): 1})


@pytest.mark.parametrize(("options", "problem"), [({"edited": "all"}, "one of"), ({}, "ledger")])
async def test_it_needs_a_ledger_and_one_of_three_words(
    client: AsyncConnectus, options: dict[str, Any], problem: str
):
    """Without a ledger nobody knows who was reached."""
    with pytest.raises(ConfigurationError, match=f"^edited: .*{problem}"):
        client.bulk(**{"edited": "abort", **options})


@pytest.fixture
async def client(settings: dict[str, Any]) -> Any:
    async with AsyncConnectus(**settings) as client:
        yield client
