"""Reconciliation of messages whose outcome is unknown with the API's reports.

A message counts as absent only if two snapshots of its report in a row do not show it, long enough
after it was tried, and both show its witnesses, which are accepted messages of the same report:

- one that was begun after the message had ended: so the report has caught up with it;
- one that had ended before the message was begun, or any row from before it: so the report is not
  cut off above it;
- a sample of the others that were accepted at about the same time.

Without them an absence proves nothing: a report may be late, cut short, or written otherwise than
expected. A witness has an identifier of the API, since an equal text may be another message's.
"""

import asyncio
import datetime as dt
import math
import time
import unicodedata
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from connectus_async import _json
from connectus_async.bulk.clock_offsets import CLOCK_SKEW, ahead, is_new, offsets_in
from connectus_async.bulk.outcomes import Reconciliation
from connectus_async.defaults import KERNEL_SENDS_FOR
from connectus_async.errors import RequestError, UnreadableAnswerError
from connectus_async.ledger.abc import Ledger, SharedLedger
from connectus_async.ledger.content import HASH, content_hash, route_of
from connectus_async.ledger.keys import recipient_key, spellings
from connectus_async.ledger.metadata_names import CLOCK_OFFSETS
from connectus_async.ledger.records import Accepted, Report, Resolution, Unresolved, Witnesses
from connectus_async.ledger.states import ABSENT, OnUnknown, State
from connectus_async.products.sms import SmsService
from connectus_async.products.whatsapp import WhatsAppService

MAX_READS: Final = 5
WITNESSES: Final = 50
WITNESS_SPAN: Final = 60.0
"""Seconds around the messages in question from which more witnesses are taken."""

NEAR: Final = 86_400.0
"""Maximum seconds between a message and its witnesses, which are in the same report then."""

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


class Sighting(NamedTuple):
    """A message in a report; `part` tells in which one, where several are read.

    Its recipient is in the spelling of `recipient_key`, since a report may show a number in another
    spelling than the one that was sent.
    """

    id: str | None
    recipient: str
    text: str
    at: float | None
    part: int = 0


class Snapshot(NamedTuple):
    """A report as it was read once.

    Attributes:
        sightings: Its messages.
        problem: The reason for which nothing can be concluded from what it lacks, or ``None``.
        ahead: Seconds by which the API's clock was ahead of ours, if it told.
    """

    sightings: Sequence[Sighting]
    problem: str | None = None
    ahead: float | None = None


class Verdict(NamedTuple):
    """Result for a message that was unknown.

    Attributes:
        state: Its new state; ``State.UNKNOWN`` if nothing can be concluded.
        reason: The reason for which it did not turn out accepted.
        provider_id: The identifier that the report shows.
    """

    state: State
    reason: str | None = None
    provider_id: str | None = None


Read = Callable[[], Awaitable[Snapshot]]


class Reconciler:
    """Asks the API for the messages of a ledger that may have been sent.

    Args:
        ledger: The ledger, which the caller has open.
        sms: The SMS calls.
        whatsapp: The WhatsApp calls.
        zone: The zone of the API's dates that have none.
        timeout: Seconds that an attempt may take.
        on_unknown: Treatment of a message that is absent.
    """

    def __init__(
        self,
        ledger: Ledger,
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
        late = ledger.lease if isinstance(ledger, SharedLedger) else 0.0
        self._leaves_within = late + timeout + KERNEL_SENDS_FOR
        self._offsets: set[float] = {0.0}
        self._when_absent = State.QUEUED if on_unknown is OnUnknown.RESEND_IF_ABSENT else State.HELD

    async def reconcile(self, settle: float) -> Reconciliation:
        """Ask, and record the results.

        Args:
            settle: Seconds after the last attempt before a report is believed to be complete, and
                between two snapshots. The first one is not taken before the last byte can have
                arrived, either.
        """
        unresolved = await self._ledger.unresolved()
        counts: dict[State, int] = defaultdict(int)
        reasons: dict[str, int] = defaultdict(int)
        asked = [message for message in unresolved if message.kind != "email"]
        if asked:
            await asyncio.sleep(max(self._unsettled(message, settle) for message in asked))
            metadata = await self._ledger.metadata()
            self._offsets |= offsets_in(metadata.get(CLOCK_OFFSETS))
        for report, group in self._groups(unresolved):
            verdicts = await self._verdicts(report, group, settle)
            await self._ledger.resolve(
                [Resolution(message, *verdict) for message, verdict in verdicts.items()]
            )
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
        """Return the seconds until the report of a message may be complete."""
        now = _now()
        left = settle - _since(message.ended_at, now)
        return max(0.0, left, self._leaves_within - _since(message.started_at, now))

    def _groups(
        self, unresolved: Iterable[Unresolved]
    ) -> Iterable[tuple[Report, Sequence[Unresolved]]]:
        """Group the messages by the report that shows them."""
        groups: dict[Report, list[Unresolved]] = defaultdict(list)
        for message in unresolved:
            groups[_report_of(message)].append(message)
        yield from groups.items()

    def _read(self, report: Report, group: Sequence[Unresolved]) -> Read | None:
        if report.kind == "email":
            return None
        id_delivery, _, src_number = report.route
        if report.kind == "whatsapp":
            return lambda: self._conversation(src_number, report.recipient)
        if id_delivery is not None:
            return lambda: self._delivery(id_delivery)
        return lambda: self._days(group)

    async def _verdicts(
        self, report: Report, group: Sequence[Unresolved], settle: float
    ) -> Mapping[Unresolved, Verdict]:
        read = self._read(report, group)
        if read is None:
            return dict.fromkeys(group, Verdict(State.HELD, NO_REPORT))
        witnesses = await self._ledger.witnesses(
            report, group, near=NEAR, about=WITNESS_SPAN, sample=WITNESSES
        )
        before: Mapping[Unresolved, Verdict] | None = None
        verdicts: Mapping[Unresolved, Verdict] = {}
        for count in range(MAX_READS):
            if count:
                await asyncio.sleep(settle)
            snapshot = await read()
            if snapshot.ahead is not None and is_new(snapshot.ahead, self._offsets):
                self._offsets.add(snapshot.ahead)
                snapshot = await read()  # it may be of other days now
            snapshot = _checked(snapshot, witnesses)
            verdicts = await self._judge(group, snapshot, witnesses)
            is_conclusive = all(map(_is_conclusive, verdicts.values()))
            needs_no_second = all(verdict.state is State.ACCEPTED for verdict in verdicts.values())
            if needs_no_second or (is_conclusive and verdicts == before):
                return verdicts
            before = verdicts
        return {
            message: verdict if verdict.state is State.ACCEPTED else _undecided(verdict)
            for message, verdict in verdicts.items()
        }

    async def _judge(
        self, group: Sequence[Unresolved], snapshot: Snapshot, witnesses: Witnesses
    ) -> Mapping[Unresolved, Verdict]:
        free, missing = await self._unaccounted(group, snapshot.sightings)
        proof = _Proof(snapshot, witnesses)
        earliest = min(self._offsets)
        by_recipient: dict[str, list[Sighting]] = defaultdict(list)
        if not witnesses.all and group[0].kind == "sms":  # texts may not stay as they were sent
            for sight in snapshot.sightings:
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
            elif snapshot.problem is not None:
                verdicts[message] = Verdict(State.UNKNOWN, snapshot.problem)
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
        """Find the sightings that belong to none of the accepted messages.

        An accepted message whose identifier is not shown may be shown under another one, and that
        sighting is no other message's. Such recipients and texts are returned as well.
        """
        wanted = set(map(_alike, group))
        bodies = {
            (recipient_key(message.recipient), content_hash(message.body)): message
            for message in group
        }
        matching = [sight for sight in sightings if (sight.recipient, sight.text) in wanted]
        known = await self._ledger.accepted_ids(
            {sight.id for sight in matching if sight.id is not None}
        )
        free: dict[tuple[str, str], list[Sighting]] = defaultdict(list)
        for sight in sorted(matching, key=lambda sight: sight.at or 0.0):
            if sight.id is None or sight.id not in known:
                free[sight.recipient, sight.text].append(sight)
        missing = set()
        people = {recipient for recipient, _ in wanted}
        accepted = await self._ledger.accepted_to(
            [spelt for who in people for spelt in spellings(who)]
        )
        for message in accepted:
            if message.provider_id in known:
                continue
            recipient = recipient_key(message.recipient)
            fields = _json.loads(message.body.encode())
            duplicate = bodies.get((recipient, fields.get(HASH, "")))
            alike = recipient, _content(duplicate) if duplicate else _text(fields)
            begun = message.started_at
            if message.provider_id is None:
                _account(free[alike], begun, message.ended_at)
            elif own := next((one for one in free[alike] if _is_near(one, begun)), None):
                free[alike].remove(own)
                missing.add(alike)
        return free, frozenset(missing)

    async def _delivery(self, id_delivery: str) -> Snapshot:
        return await self._report(lambda: self._sms.by_delivery(id_delivery), "sms_content")

    async def _days(self, group: Sequence[Unresolved]) -> Snapshot:
        """Read the days on which the messages may be, whatever zone the API's days are in.

        Where our clock differs or differed from the API's, the days of both are read.
        """
        days = set()
        for message in group:
            for offset in self._offsets:
                day = _day(message.started_at + offset, self._zone)
                days |= {day - DAY, day, day + DAY}
        sightings: list[Sighting] = []
        difference = None
        for part, (begin, end) in enumerate(_ranges(sorted(days))):
            snapshot = await self._report(lambda: self._sms.by_date(begin, end), "sms_content")  # noqa: B023 - awaited at once
            if snapshot.problem is not None:
                return snapshot
            sightings += [sight._replace(part=part) for sight in snapshot.sightings]
            difference = snapshot.ahead
        return Snapshot(sightings, ahead=difference)

    async def _conversation(self, src_number: Any, dst_number: Any) -> Snapshot:
        return await self._report(
            lambda: self._whatsapp.messages(src_number, dst_number), "whatsapp_content"
        )

    async def _report(self, ask: Callable[[], Awaitable[Any]], content: str) -> Snapshot:
        try:
            report = await ask()
        except UnreadableAnswerError:
            return Snapshot((), UNREADABLE)
        except RequestError as error:
            return Snapshot((), str(error))
        rows = [
            Sighting(row.id, _who(row.dst_number), _normal(getattr(row, content)), self._at(row))
            for row in report.messages
            if row.dst_number is not None and getattr(row, content) is not None
        ]
        is_whole = len(rows) == len(report.messages) and _has_list(report.raw)
        is_whole &= all(row.dst_number.isdecimal() for row in report.messages if row.dst_number)
        return Snapshot(rows, None if is_whole else UNREADABLE, ahead(report.response))

    def _at(self, row: Any) -> float | None:
        moment: dt.datetime | None = row.created_at
        if moment is None:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=self._zone)).timestamp()


class _Proof:
    """Proof of an absence: the messages that a snapshot shows around the absent ones."""

    def __init__(self, snapshot: Snapshot, witnesses: Witnesses) -> None:
        self._around = witnesses.around
        self._witnesses = {witness.number: witness for witness in witnesses.all}
        self._shown = _by_id(snapshot)
        self._oldest = _oldest(snapshot)

    def lacks(self, message: Unresolved) -> str | None:
        """Return the reason for which the absence of a message proves nothing, if there is one."""
        before, after = self._around[message.number]
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
        """Find the sighting of a witness, and the seconds by which the API was ahead then."""
        witness = self._witnesses[number]
        sight = self._shown[witness.provider_id]
        return sight, None if sight.at is None else sight.at - witness.started_at


def _by_id(snapshot: Snapshot) -> Mapping[str | None, Sighting]:
    return {sight.id: sight for sight in snapshot.sightings if sight.id is not None}


def _oldest(snapshot: Snapshot) -> Mapping[int, float]:
    """Find the first moment that each part of a report shows."""
    found: dict[int, float] = {}
    for sight in snapshot.sightings:
        if sight.at is not None:
            found[sight.part] = min(sight.at, found.get(sight.part, math.inf))
    return found


def _differ(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and abs(one - other) > CLOCK_SKEW


def _report_of(message: Unresolved) -> Report:
    """Name the report that shows a message; emails have none."""
    if message.kind == "email":
        return Report(message.kind, ())
    recipient = message.recipient if message.kind == "whatsapp" else None
    return Report(message.kind, route_of(message.body), recipient)


def _now() -> float:
    return time.time()


def _since(moment: float, now: float) -> float:
    """Return the seconds that have passed; 0 if the clock was put back."""
    return max(0.0, now - moment)


def _day(moment: float, zone: ZoneInfo) -> dt.date:
    return dt.datetime.fromtimestamp(moment, zone).date()


def _checked(snapshot: Snapshot, witnesses: Witnesses) -> Snapshot:
    """Compare a snapshot with the witnesses that it must show."""
    if snapshot.problem is not None or not witnesses.all:
        return snapshot
    shown = _by_id(snapshot)
    for witness in witnesses.all:
        sight = shown.get(witness.provider_id)
        if sight is None:
            return snapshot._replace(problem=LATE)
        if not _is_of(witness, sight):
            return snapshot._replace(problem=UNREADABLE)
    return snapshot


def _is_of(witness: Accepted, sight: Sighting) -> bool:
    """Tell whether a report shows a witness as it was sent, as far as its content is kept."""
    fields = _json.loads(witness.body.encode())
    is_same_text = HASH in fields or _text(fields) == sight.text
    return is_same_text and recipient_key(witness.recipient) == sight.recipient


def _is_conclusive(verdict: Verdict) -> bool:
    return verdict.state is not State.UNKNOWN or verdict.reason in UNPROVEN


def _undecided(verdict: Verdict) -> Verdict:
    return Verdict(State.UNKNOWN, LATE if verdict.reason == ABSENT else verdict.reason)


def _may_be(sight: Sighting, message: Unresolved, offset: float) -> bool:
    """Check whether a sighting may be of a message, by the smallest offset of the API's clock."""
    return sight.at is None or sight.at >= message.started_at + offset - CLOCK_SKEW


def _account(sightings: list[Sighting], started_at: float, ended_at: float) -> None:
    """Remove the sighting of an accepted message that has no identifier.

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
    """Check whether a sighting may be of a moment, whatever zone its time is in."""
    return sight.at is None or abs(sight.at - moment) <= DAY.total_seconds() + CLOCK_SKEW


def _who(number: str) -> str:
    """Keep the digits of a number in a report, in the spelling of `recipient_key`."""
    return recipient_key("".join(sign for sign in number if sign.isdecimal()))


def _alike(message: Unresolved) -> tuple[str, str]:
    """Return the recipient and text of a message, which a sighting of it has as well."""
    return recipient_key(message.recipient), _content(message)


def _content(message: Unresolved) -> str:
    return _text(_json.loads(message.body.encode()))


def _text(fields: Mapping[str, Any]) -> str:
    return _normal(fields.get("sms_content") or fields.get("whatsapp_content") or "")


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


def _has_list(raw: Any) -> bool:
    """Check whether a report has a list: without one, its emptiness proves nothing."""
    if isinstance(raw, list):
        return True
    return isinstance(raw, Mapping) and any(map(_has_list, raw.values()))


def _ranges(days: Sequence[dt.date]) -> Iterable[tuple[dt.date, dt.date]]:
    """Merge days that follow one another into ranges."""
    begin = end = days[0]
    for day in days[1:]:
        if day > end + DAY:
            yield begin, end
            begin = day
        end = day
    yield begin, end
