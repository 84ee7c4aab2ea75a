"""However a file and its text change between runs, nobody gets two messages unasked.

The runs are those of ``bulk send``, over files that are edited in every way that people edit them,
with an API that refuses, breaks off or stops the campaign in the middle. The emulator counts what
each phone got.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectus_async import AsyncConnectus
from connectus_async.cli.plan import Planner
from connectus_async.cli.sending import send_source
from connectus_async.emulator import Emulator, Fault
from connectus_async.errors import ConfigurationError
from connectus_async.ledger.keys import recipient_key
from connectus_async.ledger.states import Edited
from connectus_async.recipients.composer import Composer
from connectus_async.recipients.sources import open_source
from connectus_async.recipients.templates import Template
from connectus_async.transliteration import to_gsm7
from connectus_async.workers.campaign_options import Settings

PEOPLE: Final = 5
TEMPLATES: Final = ("Hla {name}", "Hola {name}", "Hola", "Mañana, {name}")

ANSWERS: Final = {
    "accept": None,
    "refuse": Fault.status(400),
    "break off after": Fault.reset_after(),
    "break off before": Fault.reset_before(),
    "stop": Fault.status(402),
}
FAILS: Final = frozenset({"refuse", "break off before"})
"""Answers after which a message is on record that its phone did not get."""


@attrs.define
class Sheet:
    """The file of a campaign: for each person a number, which may be spelt otherwise, and a name.

    Each of its methods is an edit.
    """

    numbers: list[str] = attrs.field(
        factory=lambda: ["5215512345678", *(f"5698768806{place}" for place in range(1, PEOPLE))]
    )
    names: list[str] = attrs.field(factory=lambda: [f"Ana{place}" for place in range(PEOPLE)])
    order: list[int] = attrs.field(factory=lambda: [0, 1, 2])
    fixes: int = 0

    def nothing(self, _: int) -> None:
        """Leave it as it is."""

    def name(self, person: int) -> None:
        """Correct a name."""
        self.names[person] += "a"

    def old_name(self, person: int) -> None:
        """Undo all corrections of a name."""
        self.names[person] = f"Ana{person}"

    def number(self, person: int) -> None:
        """Fix a number: it is another phone's."""
        self.fixes += 1
        self.numbers[person] = f"569876881{self.fixes:02}"

    def spelling(self, _: int) -> None:
        """Write the number of the first person in another way."""
        other = {"5215512345678": "525512345678", "525512345678": "5215512345678"}
        self.numbers[0] = other.get(self.numbers[0], self.numbers[0])

    def row(self, person: int) -> None:
        """Add a row, or take it out."""
        self.order.remove(person) if person in self.order else self.order.append(person)

    def sorting(self, _: int) -> None:
        """Sort it the other way round."""
        self.order.reverse()

    def write(self, path: Path) -> None:
        rows = (f"{self.numbers[it]},{self.names[it]},{it}" for it in self.order)
        path.write_text("\n".join(["dst_number,name,customer", *rows]), "utf-8")


EDITS: Final = ("nothing", "name", "old_name", "number", "spelling", "row", "sorting")


class Run(NamedTuple):
    """One command: what is edited before it, its options, and what the API answers."""

    edits: Sequence[tuple[str, int]]
    template: int
    transliterates: bool
    choice: Edited | None
    answers: Sequence[str]
    is_resumed: bool


edits = st.lists(st.tuples(st.sampled_from(EDITS), st.integers(0, PEOPLE - 1)), max_size=3)
runs = st.builds(
    Run,
    edits,
    st.integers(0, len(TEMPLATES) - 1),
    st.booleans(),
    st.sampled_from([None, *Edited, Edited.REMAINING]),
    st.lists(st.sampled_from([*ANSWERS, "stop"]), max_size=5),
    st.booleans(),
)
campaigns = st.lists(runs, min_size=2, max_size=4)


@attrs.define
class Campaign:
    """A campaign over several runs."""

    emulator: Emulator
    client: AsyncConnectus
    path: Path
    ledger: Path | str
    has_keys: bool
    sheet: Sheet = attrs.field(factory=Sheet)
    people: dict[str, int] = attrs.field(factory=dict)
    script: list[str] = attrs.field(factory=list)
    failed: set[str] = attrs.field(factory=set)

    async def answer(self, request: Any, act: Callable[[], Awaitable[Any]]) -> Any:
        """Answer as the script has it, and note the phones that did not get what is on record."""
        word = self.script.pop(0) if self.script else "accept"
        if word in FAILS:
            self.failed.add(recipient_key(str((await request.json())["dst_number"])))
        fault = ANSWERS[word]
        return await (fault.run(request, act) if fault else act())

    def texts(self) -> Counter[tuple[str, str]]:
        received = self.emulator.received
        return Counter((recipient_key(sms.recipient), sms.content) for sms in received)

    def got(self) -> Counter[str]:
        return Counter(recipient_key(sms.recipient) for sms in self.emulator.received)

    def wanted(self, run: Run) -> set[tuple[str, str]]:
        """Tell what each phone of the file would get of a run."""
        sheet, template = self.sheet, TEMPLATES[run.template]
        texts = {it: template.format(name=sheet.names[it]) for it in sheet.order}
        return {
            (recipient_key(sheet.numbers[it]), to_gsm7(text) if run.transliterates else text)
            for it, text in texts.items()
        }

    async def send(self, run: Run) -> bool:
        """Run a command; return whether it sent, or was refused."""
        for edit, person in run.edits:
            getattr(self.sheet, edit)(person)
        self.people |= {recipient_key(self.sheet.numbers[it]): it for it in self.sheet.order}
        await asyncio.to_thread(self.sheet.write, self.path)
        self.script = list(run.answers)
        composer = Composer(
            kind="sms",
            sms_content=Template.parse("text", TEMPLATES[run.template]),
            transliterate=to_gsm7 if run.transliterates else None,
            key="customer" if self.has_keys else None,
        )
        try:
            await send_source(
                self.client,
                await open_source(self.path),
                composer,
                Settings(concurrency=1, campaign="navidad"),
                self.ledger,
                edited=run.choice,
                yes=True,
                planner=Planner(as_json=True),
                as_json=True,
            )
        except ConfigurationError as error:
            if error.setting == "--edited":
                return False
            raise
        finally:
            self.script = []
        return True

    async def resume(self) -> None:
        """Send whatever waits, as nobody should after a refusal."""
        async with self.client.bulk(ledger=self.ledger, campaign="navidad") as bulk:
            await bulk.run()


async def check(runs: Sequence[Run], path: Path, ledger: Path | str, *, has_keys: bool) -> None:
    """Run commands, and check after each what every phone got by it."""
    async with (
        Emulator() as emulator,
        AsyncConnectus(emulator.api_user, emulator.api_key, base_url=emulator.base_url) as client,
    ):
        campaign = Campaign(emulator, client, path, ledger, has_keys)
        emulator.fault(Fault("script", campaign.answer), route="sms.send")
        asked = 0
        last = Run(
            [], 1, transliterates=False, choice=Edited.REMAINING, answers=[], is_resumed=False
        )
        for run in [*runs, last]:
            before, texts_before = campaign.got(), campaign.texts()
            was_sent = await campaign.send(run)
            asked += run.choice is Edited.EVERYONE
            if run.is_resumed:
                await campaign.resume()
            new = campaign.got() - before
            if not was_sent:
                assert not new or run.is_resumed
                assert run.choice in {None, Edited.ABORT}
            wanted = campaign.wanted(run)
            assert {*(campaign.texts() - texts_before)} <= wanted
            if run.choice is Edited.EVERYONE and not has_keys:
                missing = {phone for phone, _ in wanted - {*campaign.texts()}}
                assert run.answers or missing <= campaign.failed
            else:
                assert all(before[phone] == 0 and new[phone] == 1 for phone in new), new
            assert all(total <= 1 + asked for total in campaign.got().values())
        got, failed = (
            {campaign.people[it] for it in some} for some in (campaign.got(), campaign.failed)
        )
        assert {*campaign.sheet.order} <= got | failed


@pytest.fixture
def check_all(tmp_path: Path) -> Callable[[Sequence[Run], Path | str], None]:
    def check_all(runs: Sequence[Run], ledger: Path | str, *, has_keys: bool) -> None:
        with asyncio.Runner(debug=False) as runner:
            runner.run(check(runs, tmp_path / "clientes.csv", ledger, has_keys=has_keys))

    return check_all


@pytest.mark.parametrize("has_keys", [False, True])
def test_nobody_gets_two_messages_unasked(check_all: Any, tmp_path: Path, *, has_keys: bool):
    """With a ledger in a file."""
    numbers = count()

    @settings(max_examples=30)
    @given(campaigns)
    def check_some(runs: Sequence[Run]) -> None:
        check_all(runs, tmp_path / f"{next(numbers)}.db", has_keys=has_keys)

    check_some()


@pytest.mark.parametrize("has_keys", [False, True])
def test_nobody_gets_two_messages_unasked_by_a_database(
    check_all: Any, database: Any, *, has_keys: bool
):
    """With a ledger in PostgreSQL."""

    @settings(max_examples=10)
    @given(campaigns)
    def check_some(runs: Sequence[Run]) -> None:
        database.empty()
        check_all(runs, database.address("navidad"), has_keys=has_keys)

    check_some()
