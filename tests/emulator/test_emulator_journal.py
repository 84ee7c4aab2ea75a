"""The journal: an emulator restores the state of the previous one, however that ended."""

import asyncio
import json
import resource
import sys
from contextlib import suppress
from itertools import count

import aiohttp
import attrs
import pytest

from connectus_async.emulator import Emulator, Fault, JournalError

NUMBER = "56987688060"
EMAIL = {"dst_email": "ana@example.com", "subject": "Aviso", "email_content": "Hola"}
WHATSAPP = {"src_number": "56999944837", "dst_number": NUMBER, "whatsapp_content": "Hola"}
COMMAND = """
import resource, sys
from connectus_async.cli import main
most = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
main()
"""
GROUP = {"name": "equipo", "numbers": ["584141924112"], "options": {}}


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "journal"


@pytest.fixture
def start(journal, clock):
    """Makes an emulator of the journal; each has random ids and the test's clock."""
    return lambda **settings: Emulator(journal=journal, clock=clock, **settings)


async def change_everything(call, clock):
    """Make each call that changes something, and name the questions that show what it changed."""
    _, client = await call("POST /clients", {"name": "colegio"})
    id_client = client["id_unique"]
    await call(f"PATCH /clients/{id_client}", {"name": "liceo"})
    amount = {"amount": 5, "product": 1, "id_country": 1}
    await call(f"POST /clients/{id_client}/add_balance", amount)
    await call(f"POST /clients/{id_client}/remove_balance", amount | {"amount": 2})
    delivery = {"name": "Julio", "deliver_at": "2026-07-01 13:00:00", "id_product": 1}
    _, created = await call("POST /deliveries", {"delivery": delivery})
    id_delivery = created["id_delivery"]
    await call(f"PATCH /deliveries/{id_delivery}", {"delivery": {"name": "Agosto"}})
    clock.advance(seconds=0.25)
    _, sms = await call.sms(id_delivery=id_delivery, id_client=id_client, src_number=4374)
    await call("POST /sms/send_otp", {"dst_number": 1, "sms_content": "refused"})
    otp = {"dst_number": NUMBER, "sms_content": "1234\ud83d", "save_content": "hash"}
    await call("POST /sms/send_otp", otp)
    _, email = await call("POST /email/send_single", EMAIL)
    await call("POST /email/send_otp_email", EMAIL)
    _, whatsapp = await call("POST /whatsapp/send_message", WHATSAPP)
    _, link = await call("POST /short_link", {"link": "https://example.com"})
    await call.qr("POST /create-group", GROUP)
    group = {"groupName": "equipo", "numbers": ["34624477715"]}
    await call.qr("POST /add-participants", group)
    await call.qr("POST /update-group-info", {"groupName": "equipo", "newSubject": "nuevo"})
    await call.qr("POST /send-message-to-group", {"groupName": "nuevo", "message": "Hola"})
    await call.qr("POST /send", {"number": NUMBER, "message": "Hola"})
    code = link["short_link"].rpartition("/")[2]
    return [
        "GET /clients",
        f"GET /clients/{id_client}",
        f"GET /deliveries/{id_delivery}",
        f"GET /sms/delivery_info?delivery_id={id_delivery}",
        "GET /sms/date_report?begin_date=2026-07-01&end_date=2026-07-01",
        f"GET /sms/{sms['id_sms']}",
        f"GET /email/{email['id']}",
        f"GET /whatsapp/status?message_id={whatsapp['message_id']}",
        f"GET /whatsapp/messages?src_number=56999944837&dst_number={NUMBER}",
        f"GET /short_link/{code}",
    ]


async def seen(emulator, call, questions):
    """Everything that can be seen of an emulator from outside."""
    return (
        [await call(question) for question in questions],
        await call.qr("GET /get-last-group-messages", {"groupName": "nuevo"}),
        await call.qr("GET /get-last-messages", {"number": NUMBER}),
        await call.qr(
            "POST /make-group-admins", {"groupName": "nuevo", "numbers": ["34624477715"]}
        ),
        await call.qr("GET /generate-invite-link", {"groupName": "nuevo"}),
        [attrs.asdict(message) for message in emulator.received],
        emulator.received_counts,
    )


async def test_the_next_emulator_knows_what_the_last_one_knew(start, calling, clock):
    """Every answer is the same, and the one after next knows it too."""
    async with start() as emulator:
        call = calling(emulator)
        questions = await change_everything(call, clock)
        clock.advance(days=1)
        before = await seen(emulator, call, questions)
    assert {200} == {status for status, _ in before[0]}
    assert [6, {"sms": 2, "email": 2, "whatsapp": 1, "whatsapp_qr": 2}] == [
        len({message["id"] for message in before[5]}) - 1,
        before[6],
    ]
    for _ in range(2):
        async with start() as emulator:
            assert before == await seen(emulator, calling(emulator), questions)


async def test_it_goes_on_where_the_last_one_stopped(start, calling):
    """Calls after a restart are added to those before it."""
    for sent in range(3):
        async with start() as emulator:
            assert sent == len(emulator.received)
            await calling(emulator).sms()
            assert {"sms": sent + 1} == emulator.received_counts


async def test_an_emulator_that_starts_twice_does_not_remember_twice(start, calling):
    """Lines already in memory are not replayed."""
    emulator = start()
    for sent in (1, 2):
        async with emulator:
            await calling(emulator).sms()
            assert sent == len(emulator.received)


async def test_no_id_is_handed_out_again(start, calling):
    """Even where ids are counted from one at each start."""
    ids = []
    for _ in range(3):
        async with start(ids=map("{:032}".format, count(1))) as emulator:
            call = calling(emulator)
            ids += [(await call.sms())[1]["id_sms"] for _ in range(2)]
            ids.append((await call("POST /clients", {"name": "a"}))[1]["id_unique"])
    assert [f"{n:032}"[-len(id_) :] for n, id_ in enumerate(ids, 1)] == ids


async def test_a_message_is_in_the_file_before_its_answer(start, calling, journal):
    """A reset after acting included: the phone has it."""
    lines = []

    async def read(_):
        lines.append(await asyncio.to_thread(journal.read_bytes))

    async with start() as emulator:
        emulator.fault(Fault.reset_after())
        emulator.fault(Fault.call(after=read))
        with pytest.raises(aiohttp.ClientError):
            await calling(emulator).sms()
        message = emulator.received[0]
    record = json.loads(lines[0])
    assert lines[0].endswith(b"\n")
    assert ("sms.send", [message.id]) == (record["call"], record["ids"])
    assert {"dst_number": 56987688060, "sms_content": "Hola"} == record["params"]


async def test_a_torn_last_line_is_dropped(start, calling, journal):
    """Wherever it breaks off; what comes next stands on a line of its own."""
    async with start() as emulator:
        call = calling(emulator)
        await call.sms()
        first = journal.stat().st_size
        await call.sms()
    whole = journal.read_bytes()
    for length in range(first, len(whole)):
        journal.write_bytes(whole[:length])
        async with start() as emulator:
            assert len(emulator.received) == 1
            if length % 32 == 0:
                await calling(emulator).sms()
        assert (2 if length % 32 == 0 else 1) == journal.read_bytes().count(b"\n")
    async with start() as emulator:
        assert 1 <= len(emulator.received) <= 2


async def test_what_is_only_counted_is_counted_again(start, calling):
    """Without keeping messages, and with keeping them after all."""
    async with start(keep_received=False) as emulator:
        await calling(emulator).sms()
    async with start(keep_received=False) as emulator:
        assert ([], {"sms": 1}) == (emulator.received, emulator.received_counts)
    async with start() as emulator:
        assert len(emulator.received) == 1


async def test_a_file_of_another_kind_is_refused_and_left_alone(start, journal):
    """A list of recipients is not to be overwritten by mistake."""
    for content in ("dst_number\n56987688060\n", "56987688060", "[]\n", '{"call": "a"}\n', "\n"):
        journal.write_text(content)
        with pytest.raises(JournalError, match=r"journal is not an emulator's journal: line 1"):
            async with start():
                pass
        assert content == journal.read_text()


async def test_a_journal_of_a_richer_emulator_is_refused(start, calling):
    """The error names the line, but no number."""
    async with start() as emulator:
        await calling(emulator).sms()
    with pytest.raises(JournalError, match=r"line 1 is rejected, sms balance is insufficient$"):
        async with start(balance=0):
            pass


async def test_a_path_that_cannot_be_written_is_refused(tmp_path):
    """With the reason of the operating system."""
    tasks = asyncio.all_tasks()
    with pytest.raises(JournalError, match="cannot be used: Is a directory"):
        async with Emulator(journal=str(tmp_path)):
            pass
    assert tasks == asyncio.all_tasks()


async def test_what_cannot_be_written_is_not_answered(journal, session):
    """A full disk is a 500, and what fits after it is written whole."""
    process, settings = await command("--journal", journal, most_bytes=1_000)
    ids = [(await send(session, settings, text)) for text in ("a", "b" * 1_000, "c")]
    process.terminate()
    await process.communicate()
    async with Emulator(journal=journal) as emulator:
        assert [("a", ids[0]), ("c", ids[2])] == [(m.content, m.id) for m in emulator.received]
    assert ids[1] is None


async def test_what_was_answered_outlives_kill_minus_nine(journal, session):
    """Over several kills under load, every id that a client got is known, and none twice."""
    answered = []
    for kill in range(3):
        process, settings = await command("--journal", journal)
        enough = asyncio.Event()
        until = 40 * (kill + 1)
        sending = [send_until_killed(session, settings, answered, until, enough) for _ in range(8)]
        load = asyncio.gather(*sending)
        await enough.wait()
        process.kill()
        await process.communicate()
        await load
    async with Emulator(journal=journal) as emulator:
        remembered = [message.id for message in emulator.received]
    assert set(answered) <= set(remembered)
    assert len(remembered) == len(set(remembered)) <= len(answered) + 3 * 8


async def test_a_command_says_what_is_wrong_with_its_journal(journal):
    """One sentence, and nothing is listened on."""
    journal.write_text("dst_number\n")
    process, _ = await command("--journal", journal)
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert errors.decode().endswith(
        f"journal: {journal} is not an emulator's journal: line 1 is invalid\n"
    )


async def command(*options, most_bytes=resource.RLIM_INFINITY):
    """The emulator as a process of its own, and what it says first."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", COMMAND, str(most_bytes)),
        *("emulator", "--port", "0", "--json", *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    return process, json.loads(await process.stdout.readline() or b"{}")


async def send(session, settings, text="Hola"):
    """The id that a send got, or None when the server could not act."""
    auth = aiohttp.encode_basic_auth(settings["CONNECTUS_API_USER"], settings["CONNECTUS_API_KEY"])
    url = f"{settings['CONNECTUS_BASE_URL']}/sms/send_individual"
    body = {"dst_number": NUMBER, "sms_content": text}
    async with session.post(url, json=body, headers={"Authorization": auth}) as response:
        return (await response.json())["id_sms"] if response.status == 200 else None


async def send_until_killed(session, settings, answered, until, enough):
    """Send until the server is gone, and say when so many were answered."""
    with suppress(aiohttp.ClientError):
        while True:
            answered.append(await send(session, settings))
            if len(answered) >= until:
                enough.set()
