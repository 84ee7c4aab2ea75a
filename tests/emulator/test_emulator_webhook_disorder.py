"""Duplicated, swapped, late, lost and retried webhooks, and waiting for them."""

import asyncio
from collections import Counter, defaultdict

import pytest
from aiohttp import web

from connectus_async.emulator import Emulator, WebhookDisorder

WORDS = ["EN_COLA", "ENVIADO_A_CARRIER", "ESPERANDO_RESPUESTA", "ENTREGADO"]
EVERYTHING = WebhookDisorder(duplicated=0.2, swapped=0.2, lost=0.1, late=0.2, late_by=60)
REPLY = {"src_number": "56987688060", "dst_number": "56442341000", "sms_content": "Sí"}


class Recorder:
    """A webhook that keeps what it is told, and answers with `answers`, then 200."""

    def __init__(self):
        self.told = defaultdict(list)
        self.answers = []
        self.connections = set()
        self.come, self.gate = asyncio.Event(), asyncio.Event()
        self.gate.set()
        self.url = ""

    @property
    def words(self):
        """What it was told of the first message."""
        return self.told["id-1"]

    async def handle(self, request):
        self.connections.add(request.transport)
        body = await request.json()
        self.told[body["id_sms"]].append(body.get("status"))
        self.come.set()
        await self.gate.wait()
        answer = self.answers.pop(0) if self.answers else 200
        if answer is None:
            request.transport.abort()
        headers = {"Location": "/elsewhere"} if answer == 302 else {}
        return web.Response(status=answer or 200, headers=headers)


@pytest.fixture
async def recorder():
    recorder = Recorder()
    runner = web.ServerRunner(web.Server(recorder.handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    recorder.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield recorder
    await runner.cleanup()


@pytest.fixture
def start(clock, recorder):
    """Makes an emulator that knows the recorder."""

    def start(**settings):
        urls = {"status_webhook": recorder.url, "incoming_webhook": recorder.url}
        ids = (f"id-{n}" for n in range(1, 10_000))
        return Emulator(**{"clock": clock, "ids": ids} | urls | settings)

    return start


@pytest.fixture
async def emulator(start):
    async with start() as emulator:
        yield emulator


async def settle(emulator, clock, **by):
    clock.advance(**by)
    await emulator.webhooks_settled()


async def test_a_test_waits_for_all_that_is_due(call, clock, emulator, recorder):
    """The clock jumps over three changes, and each is posted, in order."""
    await call.sms()
    await settle(emulator, clock)
    assert recorder.words == ["EN_COLA"]
    await settle(emulator, clock, days=1)
    assert recorder.words == WORDS
    assert emulator.webhooks == {"posted": 4}


async def test_settled_means_answered(call, emulator, recorder):
    """A request under way is waited for."""
    recorder.gate.clear()
    await call.sms()
    settling = asyncio.create_task(emulator.webhooks_settled())
    await recorder.come.wait()
    assert not settling.done()
    recorder.gate.set()
    await settling


async def test_who_waits_is_let_go_when_the_emulator_closes(start, calling, recorder):
    """There is nothing to wait for any more."""
    async with start() as emulator:
        recorder.gate.clear()
        await calling(emulator).sms()
        settling = asyncio.create_task(emulator.webhooks_settled())
        await recorder.come.wait()
    await settling
    await emulator.webhooks_settled()
    recorder.gate.set()


async def test_without_webhooks_there_is_nothing_to_wait_for(calling, clock):
    """At once."""
    async with Emulator(clock=clock) as emulator:
        await calling(emulator).sms()
        await settle(emulator, clock, days=1)
        assert emulator.webhooks == {}


async def test_an_emulator_that_starts_again_goes_on_telling(start, calling, clock, recorder):
    """Of messages that are new, and it counts on."""
    emulator = start()
    for _ in range(2):
        async with emulator:
            await calling(emulator).sms()
            await settle(emulator, clock, days=1)
    assert recorder.told == {"id-1": WORDS, "id-2": WORDS}
    assert emulator.webhooks == {"posted": 8}


async def test_duplicates_follow_at_once(call, clock, emulator, recorder):
    """Each change twice, before the next one."""
    emulator.webhook_disorder = WebhookDisorder(duplicated=1)
    await call.sms()
    await settle(emulator, clock, days=1)
    assert recorder.words == [word for word in WORDS for _ in range(2)]
    assert emulator.webhooks == {"posted": 8, "duplicated": 4}


async def test_a_swapped_change_waits_for_the_next_one(call, clock, emulator, recorder):
    """Until the next one comes to pass; one that is swapped too waits with it."""
    emulator.webhook_disorder = WebhookDisorder(swapped=1)
    await call.sms()
    await settle(emulator, clock)
    assert recorder.words == []
    emulator.webhook_disorder = WebhookDisorder()
    await settle(emulator, clock, seconds=1)
    assert recorder.words == ["ENVIADO_A_CARRIER", "EN_COLA"]
    emulator.webhook_disorder = WebhookDisorder(swapped=1)
    await call.sms()
    await settle(emulator, clock, days=1)
    assert recorder.words[2:] == ["ENTREGADO", "ESPERANDO_RESPUESTA"]
    assert recorder.told["id-2"] == WORDS[::-1]
    assert emulator.webhooks == {"posted": 8, "swapped": 5}


async def test_a_lost_change_is_never_posted(call, clock, emulator, recorder):
    """Neither is its duplicate; the emulator knows the status all the same."""
    emulator.webhook_disorder = WebhookDisorder(lost=1, duplicated=1, swapped=1, late=1)
    await call.sms()
    await settle(emulator, clock, days=1)
    assert recorder.words == []
    assert emulator.webhooks == {"lost": 4}
    assert emulator.status_of("id-1") == "ENTREGADO"


async def test_what_waits_for_a_lost_change_comes_in_its_turn(call, clock, emulator, recorder):
    """Swapped with one that is never posted."""
    emulator.webhook_disorder = WebhookDisorder(swapped=1)
    await call.sms()
    await settle(emulator, clock)
    emulator.webhook_disorder = WebhookDisorder(lost=1)
    await settle(emulator, clock, seconds=1)
    assert recorder.words == ["EN_COLA"]


async def test_a_late_change_is_overtaken(call, clock, emulator, recorder):
    """It is posted when so many seconds went by on the emulator's clock."""
    emulator.webhook_disorder = WebhookDisorder(late=1, late_by=2.5)
    await call.sms()
    await settle(emulator, clock)
    emulator.webhook_disorder = WebhookDisorder()
    await settle(emulator, clock, seconds=2)
    assert recorder.words == ["ENVIADO_A_CARRIER", "ESPERANDO_RESPUESTA"]
    await settle(emulator, clock, seconds=1)
    assert recorder.words[2:] == ["EN_COLA", "ENTREGADO"]
    assert emulator.webhooks == {"posted": 4, "late": 1}


@pytest.mark.parametrize("answer", [500, 404, 302, None])
async def test_what_is_not_2xx_is_tried_again_after_growing_pauses(
    call, clock, emulator, recorder, answer
):
    """As often as there are pauses, and then given up."""
    emulator.webhook_retry_pauses = (1, 10)
    recorder.answers = [answer] * 3
    await call.sms()
    await settle(emulator, clock)
    emulator.webhook_disorder = WebhookDisorder(lost=1)
    for seconds, tries in ((0.5, 1), (0.5, 2), (9.5, 2), (0.5, 3), (60, 3)):
        await settle(emulator, clock, seconds=seconds)
        assert recorder.words == ["EN_COLA"] * tries
    assert emulator.webhooks == {"posted": 3, "failed": 3, "retried": 2, "lost": 3}


async def test_what_follows_does_not_wait_for_a_further_try(call, clock, emulator, recorder):
    """So a failure puts changes out of order; an answer of 2xx ends the tries."""
    emulator.webhook_retry_pauses = (1.5, 1.5)
    recorder.answers = [503, 204]
    await call.sms()
    for _ in range(4):
        await settle(emulator, clock)
        clock.advance(seconds=1)
    assert recorder.words == ["EN_COLA", WORDS[1], "EN_COLA", *WORDS[2:]]
    assert emulator.webhooks == {"posted": 5, "failed": 1, "retried": 1}


async def test_a_failure_is_not_tried_again_unless_told_to(call, clock, emulator, recorder):
    """The pauses may be taken away while it runs."""
    recorder.answers = [500] * 5
    await call.sms()
    await settle(emulator, clock)
    emulator.webhook_retry_pauses = (0, 0)
    await settle(emulator, clock, seconds=1)
    assert recorder.words == WORDS[:1] + WORDS[1:2] * 3
    emulator.webhook_retry_pauses = ()
    await settle(emulator, clock, seconds=1)
    assert recorder.words[4:] == WORDS[2:3]
    assert emulator.webhooks == {"posted": 5, "failed": 5, "retried": 2}


async def test_a_reply_is_tried_again_with_the_same_id(start, clock, recorder):
    """The caller sees the first answer; disorder does not touch it."""
    settings = {"webhook_retry_pauses": (5,), "webhook_disorder": WebhookDisorder(lost=1)}
    async with start(status_webhook=None, **settings) as emulator:
        recorder.answers = [500]
        assert await emulator.incoming(**REPLY) == 500
        await settle(emulator, clock, seconds=4)
        assert len(recorder.words) == 1
        await settle(emulator, clock, seconds=1)
        assert (len(recorder.words), list(recorder.told)) == (2, ["id-1"])
        assert emulator.webhooks == {"posted": 2, "failed": 1, "retried": 1}


async def told_by(start, calling, clock, recorder, *, seconds=1, **settings):
    """What is told of twenty messages while the clock goes on by so many seconds at a time."""
    recorder.told.clear()
    async with start(**settings) as emulator:
        call = calling(emulator)
        for _ in range(20):
            await call.sms()
        for _ in range(0, 100, seconds):
            await settle(emulator, clock)
            clock.advance(seconds=seconds)
        await emulator.webhooks_settled()
        return dict(recorder.told), emulator.webhooks


async def test_the_seed_decides(start, calling, clock, recorder):
    """The same one does the same, another one something else."""
    run = (start, calling, clock, recorder)
    told = await told_by(*run, webhook_disorder=EVERYTHING, seed=1)
    assert told == await told_by(*run, webhook_disorder=EVERYTHING, seed=1)
    assert told != await told_by(*run, webhook_disorder=EVERYTHING, seed=2)


async def test_the_steps_of_the_clock_do_not_decide(start, calling, clock, recorder):
    """One jump over everything, or a second at a time."""
    run = (start, calling, clock, recorder)
    told = await told_by(*run, webhook_disorder=EVERYTHING)
    assert told == await told_by(*run, webhook_disorder=EVERYTHING, seconds=100)


async def test_no_share_decides_what_another_strikes(start, calling, clock, recorder):
    """The lost ones are the same, whatever happens to the others."""
    run = (start, calling, clock, recorder)
    alone, counts = await told_by(*run, webhook_disorder=WebhookDisorder(lost=0.1))
    among, _ = await told_by(*run, webhook_disorder=EVERYTHING)
    assert counts["lost"] > 0
    assert changes(alone) == changes(among)


def changes(told):
    return {(id_sms, word) for id_sms, words in told.items() for word in words}


async def test_thousands_of_changes_in_disorder_are_posted(start, calling, clock, recorder):
    """Over a few connections, and the counts match the disorder."""
    disorder = WebhookDisorder(duplicated=0.1, swapped=0.1, lost=0.05)
    async with start(webhook_disorder=disorder) as emulator:
        call = calling(emulator)
        await asyncio.gather(*(call.sms() for _ in range(1000)))
        await settle(emulator, clock, seconds=3)
        done = emulator.webhooks
        finals = {emulator.status_of(f"id-{n}") for n in range(1, 1001)}
    assert done["posted"] == sum(map(len, recorder.told.values()))
    assert done["posted"] - done["duplicated"] + done["lost"] == 4000
    assert (done["failed"], done["retried"], finals) == (0, 0, {"ENTREGADO"})
    assert done["duplicated"] == sum(map(duplicates, recorder.told.values()))
    assert 320 < done["duplicated"] < 440
    assert 220 < done["swapped"] < 350
    assert 150 < done["lost"] < 250
    assert len(recorder.connections) <= 32


def duplicates(words):
    return sum(many - 1 for many in Counter(words).values())


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"lost": 1.1}, "lost"),
        ({"swapped": -0.1}, "swapped"),
        ({"duplicated": float("nan")}, "duplicated"),
        ({"late": 60}, "late"),
        ({"late_by": -1}, "late_by"),
    ],
)
def test_a_disorder_that_makes_no_sense_is_refused(settings, field):
    """By name."""
    with pytest.raises(ValueError, match=f"^{field} must be 0 (to 1|or more), not "):
        WebhookDisorder(**settings)


async def test_the_status_of_a_message_is_what_the_emulator_holds(call, clock, emulator):
    """Of every product, as the clock stands."""
    await call.sms()
    email = {"dst_email": "0000@example.com", "subject": "Aviso", "email_content": "Hola"}
    await call("POST /email/send_single", email)
    for word in WORDS:
        assert word == emulator.status_of("id-1")
        clock.advance(seconds=1)
    assert emulator.status_of("id-2") == "NO_ENTREGABLE"


async def test_there_is_no_status_of_what_is_not_remembered(start, calling):
    """An unknown id, and any id where messages are not kept."""
    async with start(keep_received=False) as emulator:
        await calling(emulator).sms()
        await emulator.webhooks_settled()
        assert emulator.webhooks == {"posted": 1}
        with pytest.raises(LookupError, match="no message has this id"):
            emulator.status_of("id-1")
