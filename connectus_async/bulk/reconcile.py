"""What became of messages whose outcome is unknown, as the API's reports tell it.

A message counts as absent only if two reads in a row do not show it, long enough after it was
tried, and both show its witnesses, messages of the same report that the API is known to have taken:

- one that was begun after the message had ended: so the report has caught up with it;
- one that had ended before the message was begun, or any row from before it: so the report is not
  cut off above it;
- whatever else was accepted at about the same time, so far as it is looked for.

Without them an absence proves nothing: a report may be late, cut short, or written otherwise than
expected, and then nothing is concluded. Only an identifier makes a witness, for an equal text may
be another's.
"""

import asyncio
import datetime as dt
import math
import sqlite3
import time
import unicodedata
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from connectus_async import _json
from connectus_async.bulk.clock_offsets import CLOCK_SKEW, OFFSETS, ahead, is_new, offsets_in
from connectus_async.bulk.outcomes import Reconciliation
from connectus_async.config import KERNEL_SENDS_FOR
from connectus_async.errors import RequestError, UnreadableAnswerError
from connectus_async.ledger.keys import recipient_key, spellings
from connectus_async.ledger.records import Unresolved
from connectus_async.ledger.sqlite.ledger import (
    ABSENT,
    ROUTE,
    SqliteLedger,
    content_hash,
    hashed,
)
from connectus_async.ledger.states import OnUnknown, State
from connectus_async.products.sms import SmsService
from connectus_async.products.whatsapp import WhatsAppService

MAX_READS: Final = 5
WITNESSES: Final = 50
WITNESS_SPAN: Final = 60.0
"""Seconds around the messages in question from which more witnesses are taken."""

NEAR: Final = 86_400.0
"""Seconds from a message within which another can be its witness: they are in the same report."""

DAY: Final = dt.timedelta(days=1)

NO_REPORT: Final = "the API has no report of emails"
AMBIGUOUS: Final = "the reports show the same text to the same recipient, but at another time"
ALTERED: Final = "the reports show another text to the same recipient at that time"
LATE: Final = "the reports do not show yet what they are known to have"
UNREADABLE: Final = "the reports cannot be read"
NO_LATER: Final = (
    "no message accepted after it shows that the reports have caught up: send one more of the same"
    " campaign, for instance to yourself, and reconcile again"
)
NO_LATER_IN_CHAT: Final = (
    "no later message of the same conversation shows that its report has caught up: once one was"
    " accepted, reconcile again"
)
NO_EARLIER: Final = (
    "the reports show nothing from before it, so they may be cut off there: ask the recipient, or"
    " have it sent again with --on-unknown resend (on_unknown='resend')"
)
CLOCK_CHANGED: Final = "the clock of this machine was changed meanwhile, so the order is not known"
UNPROVEN: Final = frozenset({NO_LATER, NO_LATER_IN_CHAT, NO_EARLIER, CLOCK_CHANGED})
"""Reasons that hold however often the reports are read."""

ACCEPTED_NEAR: Final = """
SELECT id FROM message
WHERE state = 'accepted' AND provider_id IS NOT NULL AND kind = ?
  AND started_at BETWEEN ? AND ? AND {route} ORDER BY random() LIMIT ?
"""

NEIGHBOURS: Final = """
SELECT id, started_at, ended_at FROM message
WHERE state = 'accepted' AND provider_id IS NOT NULL AND kind = ?
  AND ended_at >= ? AND started_at <= ? AND {route}
"""
SAME_ROUTE: Final = " AND ".join(f"json_extract(body, '$.{name}') IS ?" for name in ROUTE)
ROUTES: Final = {"sms": SAME_ROUTE, "whatsapp": f"{SAME_ROUTE} AND recipient = ?"}
"""The condition that a message is in the same report, by its kind: whether a report shows those of
another sub-client, or of a delivery that is still to come, nobody says."""

WITNESSES_BY_NUMBER: Final = """
SELECT id, provider_id, recipient, body, started_at FROM message
WHERE id IN (SELECT value FROM json_each(?))
"""

KNOWN_IDS: Final = """
SELECT provider_id FROM message
WHERE provider_id IN (SELECT value FROM json_each(?)) AND state = 'accepted'
"""

ACCEPTED_ALIKE: Final = """
SELECT recipient, body, provider_id, started_at, ended_at FROM message
WHERE state = 'accepted' AND recipient IN (SELECT value FROM json_each(?))
"""

RESOLVE: Final = """
UPDATE message SET state = ?, reason = ?, provider_id = coalesce(?, provider_id),
                   body = coalesce(?, body)
WHERE id = ? AND state = 'unknown'
"""


class Sighting(NamedTuple):
    """A message in a report; `part` says in which one, where several are read.

    Its recipient, like all that it is compared with, is written as `recipient_key` writes it: a
    report may show a number in another spelling than the one that was sent.
    """

    id: str | None
    recipient: str
    text: str
    at: float | None
    part: int = 0


class Reading(NamedTuple):
    """What one read of a report showed.

    Attributes:
        sightings: Its messages.
        problem: Why nothing can be concluded from what it lacks, or ``None``.
        ahead: Seconds by which the API's clock was ahead of ours, if it told.
    """

    sightings: Sequence[Sighting]
    problem: str | None = None
    ahead: float | None = None


class Verdict(NamedTuple):
    """Where a message goes from unknown.

    Attributes:
        state: Where it goes; ``State.UNKNOWN`` if nothing can be said.
        reason: Why it did not turn out accepted.
        provider_id: The identifier that the report gave it.
    """

    state: State
    reason: str | None = None
    provider_id: str | None = None


class Witness(NamedTuple):
    """A message that the API is known to have; the text is ``None`` where it was forgotten."""

    id: str
    recipient: str
    text: str | None
    started_at: float


class Witnesses(NamedTuple):
    """Messages that the report must show.

    Attributes:
        all: All of them, by the number of their entry.
        around: For each message in question, the numbers of the last before it and of the first
            after it, where there are any.
    """

    all: Mapping[int, Witness]
    around: Mapping[Unresolved, tuple[int | None, int | None]]


Read = Callable[[], Awaitable[Reading]]


class Reconciler:
    """Asks the API for the messages of a ledger that may have been sent.

    Args:
        ledger: The ledger, held by the caller.
        sms: The SMS calls.
        whatsapp: The WhatsApp calls.
        zone: The zone of the API's dates that have none.
        timeout: Seconds that an attempt may take.
        on_unknown: What becomes of a message that is absent.
    """

    def __init__(
        self,
        ledger: SqliteLedger,
        sms: SmsService,
        whatsapp: WhatsAppService,
        *,
        zone: ZoneInfo,
        timeout: float,
        on_unknown: OnUnknown,
    ) -> None:
        self._ledger = ledger
        self._sms = sms
        self._whatsapp = whatsapp
        self._zone = zone
        self._leaves_within = timeout + KERNEL_SENDS_FOR
        self._offsets: set[float] = {0.0}
        self._when_absent = State.QUEUED if on_unknown is OnUnknown.RESEND_IF_ABSENT else State.HELD

    async def reconcile(self, settle: float) -> Reconciliation:
        """Ask, and put down what the answers tell.

        Args:
            settle: Seconds after the last attempt before a report is believed to be complete, and
                between two reads. The first is not before the last byte can have arrived, either.
        """
        unresolved = await self._ledger.unresolved()
        counts: dict[State, int] = defaultdict(int)
        reasons: dict[str, int] = defaultdict(int)
        asked = [message for message in unresolved if message.kind != "email"]
        if asked:
            await asyncio.sleep(max(self._unsettled(message, settle) for message in asked))
            self._offsets |= offsets_in((await self._ledger.facts()).get(OFFSETS))
        for read, group in self._groups(unresolved):
            verdicts = await self._verdicts(read, group, settle)
            await self._put_down(verdicts)
            for verdict in verdicts.values():
                counts[verdict.state] += 1
                if verdict.reason is not None and verdict.state is not State.QUEUED:
                    reasons[verdict.reason] += 1
        return Reconciliation(
            accepted=counts[State.ACCEPTED],
            queued=counts[State.QUEUED],
            held=counts[State.HELD],
            unknown=counts[State.UNKNOWN],
            reasons=dict(reasons),
        )

    def _unsettled(self, message: Unresolved, settle: float) -> float:
        """Seconds until a report may be complete that is to show a message."""
        now = _now()
        left = settle - _since(message.ended_at, now)
        return max(0.0, left, self._leaves_within - _since(message.started_at, now))

    def _groups(
        self, unresolved: Iterable[Unresolved]
    ) -> Iterable[tuple[Read | None, Sequence[Unresolved]]]:
        """Put together what one report tells of."""
        groups: dict[tuple[Any, ...], list[Unresolved]] = defaultdict(list)
        for message in unresolved:
            if message.kind == "email":
                groups[(message.kind,)].append(message)
            else:
                groups[message.kind, *_route(message)].append(message)
        for group in groups.values():
            yield self._read(group), group

    def _read(self, group: Sequence[Unresolved]) -> Read | None:
        kind, recipient = group[0].kind, group[0].recipient
        if kind == "email":
            return None
        id_delivery, _, src_number, *_ = _route(group[0])
        if kind == "whatsapp":
            return lambda: self._conversation(src_number, recipient)
        if id_delivery is not None:
            return lambda: self._delivery(id_delivery)
        return lambda: self._days(group)

    async def _verdicts(
        self, read: Read | None, group: Sequence[Unresolved], settle: float
    ) -> Mapping[Unresolved, Verdict]:
        if read is None:
            return dict.fromkeys(group, Verdict(State.HELD, NO_REPORT))
        witnesses = await self._witnesses(group)
        before: Mapping[Unresolved, Verdict] | None = None
        verdicts: Mapping[Unresolved, Verdict] = {}
        for count in range(MAX_READS):
            if count:
                await asyncio.sleep(settle)
            reading = await read()
            if reading.ahead is not None and is_new(reading.ahead, self._offsets):
                self._offsets.add(reading.ahead)
                reading = await read()  # which may be of other days now
            reading = _checked(reading, witnesses)
            verdicts = await self._judge(group, reading, witnesses)
            is_conclusive = all(map(_is_conclusive, verdicts.values()))
            needs_no_second = all(verdict.state is State.ACCEPTED for verdict in verdicts.values())
            if needs_no_second or (is_conclusive and verdicts == before):
                return verdicts
            before = verdicts
        return {
            message: verdict if verdict.state is State.ACCEPTED else _undecided(verdict)
            for message, verdict in verdicts.items()
        }

    async def _witnesses(self, group: Sequence[Unresolved]) -> Witnesses:
        """Take messages that the report must show."""
        kind = group[0].kind
        route = _route(group[0])
        span = (
            min(message.started_at for message in group),
            max(message.ended_at for message in group),
        )
        near = (kind, span[0] - NEAR, span[1] + NEAR, *route)
        about = (kind, span[0] - WITNESS_SPAN, span[1] + WITNESS_SPAN, *route, WITNESSES)

        def find(connection: sqlite3.Connection) -> Witnesses:
            rows = connection.execute(NEIGHBOURS.format(route=ROUTES[kind]), near)
            around = _neighbours(group, rows)
            numbers = {number for pair in around.values() for number in pair if number is not None}
            more = connection.execute(ACCEPTED_NEAR.format(route=ROUTES[kind]), about)
            numbers |= {number for (number,) in more}
            document = _json.dumps(sorted(numbers)).decode()
            found = connection.execute(WITNESSES_BY_NUMBER, (document,))
            return Witnesses({number: _witness(*row) for number, *row in found}, around)

        witnesses: Witnesses = await self._ledger.ask(find)
        return witnesses

    async def _judge(
        self, group: Sequence[Unresolved], reading: Reading, witnesses: Witnesses
    ) -> Mapping[Unresolved, Verdict]:
        free, missing = await self._unaccounted(group, reading.sightings)
        proof = _Proof(reading, witnesses)
        earliest = min(self._offsets)
        by_recipient: dict[str, list[Sighting]] = defaultdict(list)
        if (
            not witnesses.all and group[0].kind == "sms"
        ):  # nothing shows that texts stay as they are
            for sight in reading.sightings:
                by_recipient[sight.recipient].append(sight)
        verdicts = {}
        for message in group:
            alike = _alike(message)
            candidates = free[alike]
            own = next((sight for sight in candidates if _may_be(sight, message, earliest)), None)
            if own is not None:
                candidates.remove(own)
                verdicts[message] = Verdict(State.ACCEPTED, None, own.id)
            elif candidates:
                verdicts[message] = Verdict(State.HELD, AMBIGUOUS)
            elif reading.problem is not None:
                verdicts[message] = Verdict(State.UNKNOWN, reading.problem)
            elif alike in missing:
                verdicts[message] = Verdict(State.UNKNOWN, LATE)
            elif any(
                sight.text != alike[1] and _may_be(sight, message, earliest)
                for sight in by_recipient[alike[0]]
            ):
                verdicts[message] = Verdict(State.HELD, ALTERED)
            elif lack := proof.lacks(message):
                verdicts[message] = Verdict(State.UNKNOWN, lack)
            else:
                verdicts[message] = Verdict(self._when_absent, ABSENT)
        return verdicts

    async def _unaccounted(
        self, group: Sequence[Unresolved], sightings: Sequence[Sighting]
    ) -> tuple[Mapping[tuple[str, str], list[Sighting]], frozenset[tuple[str, str]]]:
        """Sort out the sightings that belong to none of the accepted messages.

        An accepted message of which the identifier is not shown may be shown under another one. Its
        sighting is nobody else's then; what is like it is returned as well.
        """
        wanted = set(map(_alike, group))
        bodies = {
            (recipient_key(message.recipient), content_hash(message.body)): message
            for message in group
        }
        matching = [sight for sight in sightings if (sight.recipient, sight.text) in wanted]
        ids = _json.dumps([sight.id for sight in matching if sight.id is not None]).decode()
        people = {recipient for recipient, _ in wanted}
        recipients = _json.dumps([spelt for who in people for spelt in spellings(who)]).decode()
        known = {
            provider_id
            for (provider_id,) in await self._ledger.ask(
                lambda connection: connection.execute(KNOWN_IDS, (ids,))
            )
        }
        free: dict[tuple[str, str], list[Sighting]] = defaultdict(list)
        for sight in sorted(matching, key=lambda sight: sight.at or 0.0):
            if sight.id is None or sight.id not in known:
                free[sight.recipient, sight.text].append(sight)
        missing = set()
        accepted = await self._ledger.ask(
            lambda connection: connection.execute(ACCEPTED_ALIKE, (recipients,))
        )
        for spelt, body, provider_id, started_at, ended_at in accepted:
            if provider_id in known:
                continue
            recipient = recipient_key(spelt)
            fields = _json.loads(body.encode())
            twin = bodies.get((recipient, fields.get("hash", "")))
            alike = recipient, _content(twin) if twin else _text(fields)
            if provider_id is None:
                _account(free[alike], started_at, ended_at)
            elif own := next((one for one in free[alike] if _is_near(one, started_at)), None):
                free[alike].remove(own)
                missing.add(alike)
        return free, frozenset(missing)

    async def _put_down(self, verdicts: Mapping[Unresolved, Verdict]) -> None:
        def kept(message: Unresolved, verdict: Verdict) -> str | None:
            is_forgotten = verdict.state is State.ACCEPTED and self._ledger.forgets_content
            return hashed(message.body) if is_forgotten else None

        rows = [
            (*verdict, kept(message, verdict), message.number)
            for message, verdict in verdicts.items()
        ]
        await self._ledger.ask(lambda connection: connection.executemany(RESOLVE, rows) and None)

    async def _delivery(self, id_delivery: str) -> Reading:
        return await self._report(lambda: self._sms.by_delivery(id_delivery), "sms_content")

    async def _days(self, group: Sequence[Unresolved]) -> Reading:
        """Read the days on which the messages may be, whatever zone the API's days are in.

        Where our clock is or was another than the API's, the days of both are read.
        """
        days = set()
        for message in group:
            for offset in self._offsets:
                day = _day(message.started_at + offset, self._zone)
                days |= {day - DAY, day, day + DAY}
        sightings: list[Sighting] = []
        difference = None
        for part, (begin, end) in enumerate(_ranges(sorted(days))):
            reading = await self._report(lambda: self._sms.by_date(begin, end), "sms_content")  # noqa: B023 - awaited at once
            if reading.problem is not None:
                return reading
            sightings += [sight._replace(part=part) for sight in reading.sightings]
            difference = reading.ahead
        return Reading(sightings, ahead=difference)

    async def _conversation(self, src_number: str, dst_number: str) -> Reading:
        return await self._report(
            lambda: self._whatsapp.messages(src_number, dst_number), "whatsapp_content"
        )

    async def _report(self, ask: Callable[[], Awaitable[Any]], content: str) -> Reading:
        try:
            report = await ask()
        except UnreadableAnswerError:
            return Reading((), UNREADABLE)
        except RequestError as error:
            return Reading((), str(error))
        rows = [
            Sighting(row.id, _who(row.dst_number), _normal(getattr(row, content)), self._at(row))
            for row in report.messages
            if row.dst_number is not None and getattr(row, content) is not None
        ]
        is_whole = len(rows) == len(report.messages) and _has_list(report.raw)
        is_whole &= all(row.dst_number.isdecimal() for row in report.messages if row.dst_number)
        return Reading(rows, None if is_whole else UNREADABLE, ahead(report.response))

    def _at(self, row: Any) -> float | None:
        moment: dt.datetime | None = row.created_at
        if moment is None:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=self._zone)).timestamp()


class _Proof:
    """Proof of an absence: the messages that a reading shows around those that it does not."""

    def __init__(self, reading: Reading, witnesses: Witnesses) -> None:
        self._sightings = reading.sightings
        self._witnesses = witnesses
        self._shown = _by_id(reading)
        self._oldest = _oldest(reading)

    def lacks(self, message: Unresolved) -> str | None:
        """Say why the absence of a message proves nothing; ``None`` if it does."""
        before, after = self._witnesses.around[message]
        if after is None:
            return NO_LATER if message.kind == "sms" else NO_LATER_IN_CHAT
        later, later_off = self._sight(after)
        if before is not None:
            earlier, earlier_off = self._sight(before)
            if earlier.part == later.part:
                return CLOCK_CHANGED if _differ(earlier_off, later_off) else None
        oldest = self._oldest.get(later.part)
        if oldest is None or later_off is None:
            return NO_EARLIER
        is_older = oldest < message.started_at + later_off - CLOCK_SKEW
        return None if is_older else NO_EARLIER

    def _sight(self, number: int) -> tuple[Sighting, float | None]:
        """Find the sighting of a witness, and by how many seconds the API was ahead then."""
        witness = self._witnesses.all[number]
        sight = self._shown[witness.id]
        return sight, None if sight.at is None else sight.at - witness.started_at


def _by_id(reading: Reading) -> Mapping[str, Sighting]:
    return {sight.id: sight for sight in reading.sightings if sight.id is not None}


def _oldest(reading: Reading) -> Mapping[int, float]:
    """The first moment that each part of a report shows."""
    found: dict[int, float] = {}
    for sight in reading.sightings:
        if sight.at is not None:
            found[sight.part] = min(sight.at, found.get(sight.part, math.inf))
    return found


def _differ(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and abs(one - other) > CLOCK_SKEW


def _neighbours(
    group: Sequence[Unresolved], accepted: Iterable[tuple[int, float, float]]
) -> Mapping[Unresolved, tuple[int | None, int | None]]:
    """Find, for each message, the last that had ended before it and the first begun after it.

    One look at what may be a million messages: each is put to the message that it is next to, and
    those farther off take what is nearest to them.
    """
    begun = sorted(group, key=lambda message: message.started_at)
    ended = sorted(group, key=lambda message: message.ended_at)
    starts = [message.started_at for message in begun]
    ends = [message.ended_at for message in ended]
    last: list[tuple[float, int] | None] = [None] * (len(group) + 1)
    first: list[tuple[float, int] | None] = [None] * (len(group) + 1)
    for number, started_at, ended_at in accepted:
        place = bisect_left(starts, ended_at)
        if (best := last[place]) is None or best[0] < ended_at:
            last[place] = ended_at, number
        place = bisect_right(ends, started_at)
        if (best := first[place]) is None or best[0] > started_at:
            first[place] = started_at, number
    before: dict[Unresolved, int | None] = {}
    nearest = None
    for message, found in zip(begun, last, strict=False):
        nearest = found or nearest
        is_near = nearest is not None and nearest[0] >= message.started_at - NEAR
        before[message] = nearest[1] if nearest is not None and is_near else None
    around: dict[Unresolved, tuple[int | None, int | None]] = {}
    nearest = None
    for message, found in zip(reversed(ended), reversed(first), strict=False):
        nearest = found or nearest
        is_near = nearest is not None and nearest[0] <= message.ended_at + NEAR
        after = nearest[1] if nearest is not None and is_near else None
        around[message] = before[message], after
    return around


def _route(message: Unresolved) -> tuple[Any, ...]:
    """Read the fields that tell the report of a message from others of its kind; see `ROUTES`."""
    fields = _json.loads(message.body.encode())
    route = tuple(fields.get(name) for name in ROUTE)
    return route if message.kind == "sms" else (*route, message.recipient)


def _witness(provider_id: str, recipient: str, body: str, started_at: float) -> Witness:
    fields = _json.loads(body.encode())
    text = None if "hash" in fields else _text(fields)
    return Witness(provider_id, recipient_key(recipient), text, started_at)


def _now() -> float:
    return time.time()


def _since(moment: float, now: float) -> float:
    """Seconds that have passed; none if the clock was put back."""
    return max(0.0, now - moment)


def _day(moment: float, zone: ZoneInfo) -> dt.date:
    return dt.datetime.fromtimestamp(moment, zone).date()


def _checked(reading: Reading, witnesses: Witnesses) -> Reading:
    """Compare a reading with what it must show."""
    if reading.problem is not None or not witnesses.all:
        return reading
    shown = _by_id(reading)
    for witness in witnesses.all.values():
        sight = shown.get(witness.id)
        if sight is None:
            return reading._replace(problem=LATE)
        if sight.recipient != witness.recipient or witness.text not in (None, sight.text):
            return reading._replace(problem=UNREADABLE)
    return reading


def _is_conclusive(verdict: Verdict) -> bool:
    return verdict.state is not State.UNKNOWN or verdict.reason in UNPROVEN


def _undecided(verdict: Verdict) -> Verdict:
    return Verdict(State.UNKNOWN, LATE if verdict.reason == ABSENT else verdict.reason)


def _may_be(sight: Sighting, message: Unresolved, offset: float) -> bool:
    """Tell whether a sighting may be of a message, by the smallest offset of the API's clock."""
    return sight.at is None or sight.at >= message.started_at + offset - CLOCK_SKEW


def _account(sightings: list[Sighting], started_at: float, ended_at: float) -> None:
    """Take off the sighting of an accepted message that has no identifier.

    One without a time may be of another message as well, so nothing can be concluded from it.
    """
    for place, sight in enumerate(sightings):
        if sight.at is None:
            sightings[place] = sight._replace(at=-math.inf)
            return
        if started_at - CLOCK_SKEW <= sight.at <= ended_at + CLOCK_SKEW:
            del sightings[place]
            return


def _is_near(sight: Sighting, moment: float) -> bool:
    """Whether a sighting may be of a moment, whatever zone its time is in."""
    return sight.at is None or abs(sight.at - moment) <= DAY.total_seconds() + CLOCK_SKEW


def _who(number: str) -> str:
    """Take off what a report may write around the digits of a number, and spell them in one way."""
    return recipient_key("".join(sign for sign in number if sign.isdecimal()))


def _alike(message: Unresolved) -> tuple[str, str]:
    """What a sighting of a message has in common with it."""
    return recipient_key(message.recipient), _content(message)


def _content(message: Unresolved) -> str:
    return _text(_json.loads(message.body.encode()))


def _text(fields: Mapping[str, Any]) -> str:
    return _normal(fields.get("sms_content") or fields.get("whatsapp_content") or "")


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


def _has_list(raw: Any) -> bool:
    """Tell whether a report has a list somewhere: without one, its emptiness says nothing."""
    if isinstance(raw, list):
        return True
    return isinstance(raw, Mapping) and any(map(_has_list, raw.values()))


def _ranges(days: Sequence[dt.date]) -> Iterable[tuple[dt.date, dt.date]]:
    """Put days that follow one another together."""
    begin = end = days[0]
    for day in days[1:]:
        if day > end + DAY:
            yield begin, end
            begin = day
        end = day
    yield begin, end
