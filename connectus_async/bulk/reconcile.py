"""What became of messages whose outcome is unknown, as the API's reports tell it.

A message counts as absent only if two reads in a row do not show it, long enough after it was
tried, and both show everything else that they are known to have: the witnesses, messages that the
API took at about the same time. A report that is late, cut short, or written otherwise than
expected shows itself by that, and then nothing is concluded.
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
from connectus_async.bulk.ledger import Unresolved
from connectus_async.bulk.outcomes import Reconciliation
from connectus_async.bulk.sqlite_ledger import ABSENT, SqliteLedger, content_hash, hashed
from connectus_async.bulk.states import OnUnknown, State
from connectus_async.errors import RequestError, UnreadableAnswerError
from connectus_async.products.sms import SmsService
from connectus_async.products.whatsapp import WhatsAppService

MAX_READS: Final = 5
CLOCK_SKEW: Final = 300.0
"""Seconds by which the API's clock and ours may differ."""

WITNESSES: Final = 50
WITNESS_SPAN: Final = 60.0
"""Seconds around the messages in question from which witnesses are taken."""

DAY: Final = dt.timedelta(days=1)

NO_REPORT: Final = "the API has no report of emails"
AMBIGUOUS: Final = "the reports show the same text to the same recipient, but at another time"
ALTERED: Final = "the reports show another text to the same recipient at that time"
LATE: Final = "the reports do not show yet what they are known to have"
UNREADABLE: Final = "the reports cannot be read"

ACCEPTED_NEAR: Final = """
SELECT provider_id, recipient, body FROM message
WHERE state = 'accepted' AND provider_id IS NOT NULL AND kind = ?
  AND started_at BETWEEN ? AND ? ORDER BY random() LIMIT ?
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
    """A message in a report."""

    id: str | None
    recipient: str
    text: str
    at: float | None


class Reading(NamedTuple):
    """What one read of a report showed.

    Attributes:
        sightings: Its messages.
        problem: Why nothing can be concluded from what it lacks, or ``None``.
    """

    sightings: Sequence[Sighting]
    problem: str | None = None


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


Witnesses = Mapping[str, tuple[str, str | None]]
"""Recipients and texts by identifier; the text is ``None`` where it was forgotten."""

Read = Callable[[], Awaitable[Reading]]


class Reconciler:
    """Asks the API for the messages of a ledger that may have been sent.

    Args:
        ledger: The ledger, held by the caller.
        sms: The SMS calls.
        whatsapp: The WhatsApp calls.
        zone: The zone of the API's dates that have none.
        on_unknown: What becomes of a message that is absent.
    """

    def __init__(
        self,
        ledger: SqliteLedger,
        sms: SmsService,
        whatsapp: WhatsAppService,
        *,
        zone: ZoneInfo,
        on_unknown: OnUnknown,
    ) -> None:
        self._ledger = ledger
        self._sms = sms
        self._whatsapp = whatsapp
        self._zone = zone
        self._when_absent = State.QUEUED if on_unknown is OnUnknown.RESEND_IF_ABSENT else State.HELD

    async def reconcile(self, settle: float) -> Reconciliation:
        """Ask, and put down what the answers tell.

        Args:
            settle: Seconds after the last attempt before a report is believed to be complete, and
                between two reads.
        """
        unresolved = await self._ledger.unresolved()
        counts: dict[State, int] = defaultdict(int)
        reasons: dict[str, int] = defaultdict(int)
        if any(message.kind != "email" for message in unresolved):
            latest = max(message.ended_at for message in unresolved)
            ago = max(0.0, time.time() - latest)  # less than nothing if the clock was put back
            await asyncio.sleep(max(0.0, settle - ago))
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

    def _groups(
        self, unresolved: Iterable[Unresolved]
    ) -> Iterable[tuple[Read | None, Sequence[Unresolved]]]:
        """Put together what one report tells of."""
        groups: dict[tuple[Any, ...], list[Unresolved]] = defaultdict(list)
        for message in unresolved:
            fields = _json.loads(message.body.encode())
            if message.kind == "sms":
                groups["sms", fields.get("id_delivery")].append(message)
            elif message.kind == "whatsapp":
                groups["whatsapp", fields["src_number"], message.recipient].append(message)
            else:
                groups[(message.kind,)].append(message)
        for (kind, *names), group in groups.items():
            yield self._read(kind, names, group), group

    def _read(self, kind: str, names: Sequence[Any], group: Sequence[Unresolved]) -> Read | None:
        if kind == "whatsapp":
            return lambda: self._conversation(*names)
        if kind != "sms":
            return None
        (id_delivery,) = names
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
            reading = _checked(reading, witnesses)
            verdicts = await self._judge(group, reading, is_witnessed=bool(witnesses))
            is_conclusive = all(verdict.state is not State.UNKNOWN for verdict in verdicts.values())
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
        if group[0].kind != "sms":
            return {}
        span = (
            min(message.started_at for message in group) - WITNESS_SPAN,
            max(message.ended_at for message in group) + WITNESS_SPAN,
        )
        rows = await self._ledger.ask(
            lambda connection: connection.execute(ACCEPTED_NEAR, (group[0].kind, *span, WITNESSES))
        )
        delivery = _json.loads(group[0].body.encode()).get("id_delivery")
        found = {}
        for provider_id, recipient, body in rows:
            fields = _json.loads(body.encode())
            if fields.get("id_delivery") == delivery:
                found[provider_id] = recipient, None if "hash" in fields else _text(fields)
        return found

    async def _judge(
        self, group: Sequence[Unresolved], reading: Reading, *, is_witnessed: bool
    ) -> Mapping[Unresolved, Verdict]:
        free, missing = await self._unaccounted(group, reading.sightings)
        by_recipient: dict[str, list[Sighting]] = defaultdict(list)
        if not is_witnessed and group[0].kind == "sms":  # nothing shows that texts stay as they are
            for sight in reading.sightings:
                by_recipient[sight.recipient].append(sight)
        verdicts = {}
        for message in group:
            alike = message.recipient, _content(message)
            candidates = free[alike]
            own = next((sight for sight in candidates if _may_be(sight, message)), None)
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
                sight.text != alike[1] and _may_be(sight, message)
                for sight in by_recipient[message.recipient]
            ):
                verdicts[message] = Verdict(State.HELD, ALTERED)
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
        wanted = {(message.recipient, _content(message)) for message in group}
        bodies = {(message.recipient, content_hash(message.body)): message for message in group}
        matching = [sight for sight in sightings if (sight.recipient, sight.text) in wanted]
        ids = _json.dumps([sight.id for sight in matching if sight.id is not None]).decode()
        recipients = _json.dumps(sorted({recipient for recipient, _ in wanted})).decode()
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
        for recipient, body, provider_id, started_at, ended_at in accepted:
            if provider_id in known:
                continue
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
        """Read the days on which the messages may be, whatever zone the API's days are in."""
        days = set()
        for message in group:
            day = dt.datetime.fromtimestamp(message.started_at, self._zone).date()
            days |= {day - DAY, day, day + DAY}
        sightings: list[Sighting] = []
        for begin, end in _ranges(sorted(days)):
            reading = await self._report(lambda: self._sms.by_date(begin, end), "sms_content")  # noqa: B023 - awaited at once
            if reading.problem is not None:
                return reading
            sightings += reading.sightings
        return Reading(sightings)

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
            Sighting(row.id, _digits(row.dst_number), _normal(getattr(row, content)), self._at(row))
            for row in report.messages
            if row.dst_number is not None and getattr(row, content) is not None
        ]
        is_whole = len(rows) == len(report.messages) and _has_list(report.raw)
        is_whole &= all(row.dst_number.isdecimal() for row in report.messages if row.dst_number)
        return Reading(rows, None if is_whole else UNREADABLE)

    def _at(self, row: Any) -> float | None:
        moment: dt.datetime | None = row.created_at
        if moment is None:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=self._zone)).timestamp()


def _checked(reading: Reading, witnesses: Witnesses) -> Reading:
    """Compare a reading with what it must show."""
    if reading.problem is not None or not witnesses:
        return reading
    shown = {sight.id: (sight.recipient, sight.text) for sight in reading.sightings}
    for witness, (recipient, text) in witnesses.items():
        if witness not in shown:
            return reading._replace(problem=LATE)
        if shown[witness] != (recipient, shown[witness][1] if text is None else text):
            return reading._replace(problem=UNREADABLE)
    return reading


def _undecided(verdict: Verdict) -> Verdict:
    return Verdict(State.UNKNOWN, LATE if verdict.reason == ABSENT else verdict.reason)


def _may_be(sight: Sighting, message: Unresolved) -> bool:
    return sight.at is None or sight.at >= message.started_at - CLOCK_SKEW


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


def _digits(number: str) -> str:
    """Take off what a report may write around the digits of a number."""
    return "".join(sign for sign in number if sign.isdecimal())


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
