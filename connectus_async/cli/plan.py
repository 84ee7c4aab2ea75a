"""Plan of a campaign: what would be sent, to whom, and whether the balance covers it."""

import datetime as dt
import sys
import time
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, Self

import attrs
from anyio.to_thread import run_sync

from connectus_async.cli.durations import duration
from connectus_async.cli.language import gettext as _
from connectus_async.cli.language import ngettext, number, translated
from connectus_async.cli.plan_messages import (
    as_dicts,
    fitted,
    print_messages,
    width_of_terminal,
)
from connectus_async.cli.runner import echo, print_json
from connectus_async.cli.stops import Balance, Stop, country_name, stops_of
from connectus_async.client import AsyncConnectus
from connectus_async.errors import AuthenticationError, ConfigurationError, RequestError
from connectus_async.ledger.states import SkipReason, State
from connectus_async.products.product import Product
from connectus_async.recipients.preflight import (
    CharacterCost,
    Finding,
    Need,
    PreflightReport,
    Shortfall,
    Skipped,
    SkippedAlike,
    balances,
    shortfalls,
)

MAX_COUNTRIES: Final = 10
MAX_BALANCES: Final = 10

Plurals = Callable[[int], str]


@attrs.frozen(kw_only=True)
class Plan:
    """What a campaign would send.

    Attributes:
        report: The preflight report.
        balances: The balance for each need; ``None`` if they were not looked up.
        stops: What stops it.
        is_later: Whether it starts later: the report is about that time.
    """

    report: PreflightReport
    balances: Sequence[Balance] | None = None
    stops: Sequence[Stop] = ()
    is_later: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Convert it to types that JSON has, without any message."""
        found = self.balances
        return {
            "type": "plan",
            "preflight": self.report.as_dict(),
            "shortfalls": None if found is None else [it.as_dict() for it in shortfalls(found)],
            "balances": None if found is None else [Shortfall(*it).as_dict() for it in found],
            "stopped_by": [stop.flag for stop in self.stops],
        }


class StoppedError(ConfigurationError):
    """Something stops a campaign. Nothing was sent.

    Attributes:
        plan: Its plan, with what stops it.
    """

    def __init__(self, plan: Plan) -> None:
        flags = ", ".join(stop.flag for stop in plan.stops)
        problems = "; ".join(stop.problem for stop in plan.stops)
        super().__init__(flags, _("{problems}; nothing was sent").format(problems=problems))
        self.plan = plan


@attrs.frozen(kw_only=True)
class Planner:
    """Makes, checks and shows the plan of a campaign.

    Attributes:
        ignores_balance: Whether it may be sent though the balance does not cover it.
        countries: The only countries that it may go to; see `stops_of`.
        allows_braces: Whether a text may have the name of a column in braces.
        shows_messages: Whether to show messages where there is no terminal, too.
        is_trial: Whether nothing is sent, so that nothing has to be stopped.
        starts_at: Time at which sending starts, in Unix seconds; now if left out or past.
        as_json: Whether to print JSON.
    """

    ignores_balance: bool = False
    countries: Collection[str] | None = None
    allows_braces: bool = False
    shows_messages: bool = False
    is_trial: bool = False
    starts_at: float | None = None
    as_json: bool = False

    @classmethod
    def of(cls, given: dict[str, Any], *, is_trial: bool = False, as_json: bool) -> Self:
        """Take the options of a command out of all that were given."""
        return cls(
            ignores_balance=given.pop("ignore_balance"),
            countries=given.pop("allow_countries"),
            allows_braces=given.pop("allow_braces"),
            shows_messages=given.pop("show_messages"),
            is_trial=is_trial,
            as_json=as_json,
        )

    @property
    def start(self) -> dt.datetime:
        """The time at which sending starts."""
        return dt.datetime.fromtimestamp(max(self.starts_at or 0.0, time.time()), dt.UTC)

    async def check(
        self, report: PreflightReport, client: AsyncConnectus | None = None, *, region: str | None
    ) -> Plan:
        """Make a plan, and refuse to send what is stopped; a trial is not refused.

        Without a client, nobody is asked for the balances, and they stop nothing.

        Raises:
            StoppedError: Something stops it.
        """
        plan = await self.plan(report, client, region=region)
        if plan.stops and not self.is_trial:
            raise StoppedError(plan)
        return plan

    async def plan(
        self, report: PreflightReport, client: AsyncConnectus | None, *, region: str | None
    ) -> Plan:
        """Make a plan; without a client, nobody is asked for the balances."""
        found = await _balances_of(client, report) if client and report.to_send else None
        stops = await self._stops(report, found, region)
        is_later = (self.starts_at or 0.0) > time.time()
        return Plan(report=report, balances=found, stops=stops, is_later=is_later)

    async def _stops(
        self, report: PreflightReport, found: Sequence[Balance] | None, region: str | None
    ) -> list[Stop]:
        return await run_sync(  # the names of countries are in files
            partial(
                stops_of,
                report,
                found,
                region=region,
                ignores_balance=self.ignores_balance,
                countries=self.countries,
                allows_braces=self.allows_braces,
            )
        )

    async def show(self, plan: Plan) -> None:
        """Print a plan. Messages are shown on a terminal alone, or where that was asked for."""
        await run_sync(self._show, plan)  # the names of countries are in files

    def _show(self, plan: Plan) -> None:
        if self.as_json:
            messages = {"messages": as_dicts(plan.report)} if self.shows_messages else {}
            print_json({**plan.as_dict(), **messages})
            return
        width = width_of_terminal() if sys.stdout.isatty() else None
        for line in _plan_lines(plan):
            echo(fitted(line, width))
        print_messages(plan.report, on_output=self.shows_messages or width is not None)
        if self.is_trial:
            for stop in plan.stops:
                line = _("Not sent without {flag}: {problem}").format(**stop._asdict())
                echo(fitted(line, width))


async def _balances_of(client: AsyncConnectus, report: PreflightReport) -> list[Balance] | None:
    """Look the balances up; ``None`` if the API does not give them."""
    try:
        found = await client.clients.list()
    except AuthenticationError:
        raise
    except RequestError:
        return None
    return [Balance(*it) for it in balances(report, found)]


def _plan_lines(plan: Plan) -> Iterator[str]:
    report = plan.report
    rows = ngettext("{count} row", "{count} rows", report.rows)
    messages = ngettext("{count} message to send", "{count} messages to send", report.to_send)
    yield ", ".join(
        (rows.format(count=number(report.rows)), messages.format(count=number(report.to_send)))
    )
    yield from ("  " + translated(note) for note in report.notes)
    for state, count in report.known.items():
        yield "  " + _KNOWN[state](count).format(count=number(count))
    for reason, skipped in report.skipped.items():
        yield from _skipped_lines(reason, skipped)
    yield from _sums_lines(report)
    yield from _country_lines(report)
    yield from _finding_lines(report)
    yield from _limit_lines(report, is_later=plan.is_later)
    if plan.balances is not None:
        yield from _balance_lines(report, plan.balances)


def _skipped_lines(reason: SkipReason, skipped: Skipped) -> Iterator[str]:
    named = _SKIPPED.get(reason, lambda: reason.replace("_", " "))()
    yield "  " + _("{count} skipped: {reason}").format(count=number(skipped.count), reason=named)
    for group in skipped.groups:
        yield "    " + _group(group)


def _group(group: SkippedAlike) -> str:
    sentence = translated(group.sentence) if group.sentence else _("other reasons")
    if not group.lines:
        return _("{count} times {sentence}").format(count=number(group.count), sentence=sentence)
    lines = ", ".join(map(str, group.lines))
    return ngettext(
        "line {lines}: {sentence}", "{count} lines ({lines}): {sentence}", group.count
    ).format(
        count=number(group.count),
        lines=lines + (", …" if group.count > len(group.lines) else ""),
        sentence=sentence,
    )


def _sums_lines(report: PreflightReport) -> Iterator[str]:
    if report.sms:
        yield "  " + _("SMS: {messages}; billed: {billed}; carrier parts: {parts}").format(
            messages=number(report.sms),
            billed=number(report.billed_sms),
            parts=number(report.parts),
        )
    if report.extra_parts:
        yield "    " + ngettext(
            "{ucs2} need UCS-2, which costs {count} part more than GSM-7",
            "{ucs2} need UCS-2, which costs {count} parts more than GSM-7",
            report.extra_parts,
        ).format(ucs2=number(report.ucs2), count=number(report.extra_parts))
    for cost in report.ucs2_characters:
        if cost.extra_parts:
            yield "      " + _character(cost)
    if report.emails:
        yield "  " + ngettext("{count} email", "{count} emails", report.emails).format(
            count=number(report.emails)
        )
    if report.whatsapp:
        yield "  " + ngettext(
            "{count} WhatsApp message", "{count} WhatsApp messages", report.whatsapp
        ).format(count=number(report.whatsapp))


def _character(cost: CharacterCost) -> str:
    character = cost.character
    code_point = f"U+{ord(character):04X} {unicodedata.name(character, '')}".rstrip()
    return ngettext(
        "{character}: in {messages} SMS, {count} part more",
        "{character}: in {messages} SMS, {count} parts more",
        cost.extra_parts,
    ).format(
        character=f"{character} ({code_point})" if _is_seen(character) else code_point,
        messages=number(cost.messages),
        count=number(cost.extra_parts),
    )


def _is_seen(character: str) -> bool:
    return character.isprintable() and not unicodedata.category(character).startswith("M")


def _country_lines(report: PreflightReport) -> Iterator[str]:
    if report.by_country is None and report.sms + report.whatsapp:
        yield "  " + _("Phone numbers were not checked: {command}").format(
            command="pip install 'connectus-async[phone]'"
        )
    countries = [*(report.by_country or {}).items()]
    for code, count in countries[:MAX_COUNTRIES]:
        yield "  " + _("{country}: {count}").format(country=country_name(code), count=number(count))
    if others := countries[MAX_COUNTRIES:]:
        yield "  " + ngettext(
            "{count} other country: {messages}",
            "{count} other countries: {messages}",
            len(others),
        ).format(
            count=number(len(others)), messages=number(sum(count for _country, count in others))
        )


def _finding_lines(report: PreflightReport) -> Iterator[str]:
    sentences = _FINDINGS if report.sms else {**_FINDINGS, **_WHATSAPP_FINDINGS}
    for finding, count in report.findings.items():
        if finding in sentences:
            yield "  " + sentences[finding](count).format(count=number(count))


def _limit_lines(report: PreflightReport, *, is_later: bool) -> Iterator[str]:
    if report.in_quiet_hours is not None:
        said = _("{count} now in quiet hours")
        if is_later:
            said = _("{count} in quiet hours at the start")
        yield "  " + said.format(count=number(report.in_quiet_hours))
    if report.budget is not None:
        yield "  " + _("{count} not covered by the budget of {budget}").format(
            count=number(report.over_budget or 0), budget=number(report.budget)
        )
    if report.seconds:
        yield "  " + _("{time} to send at the given rate").format(
            time=duration(max(report.seconds, 1.0))
        )


def _balance_lines(report: PreflightReport, found: Sequence[Balance]) -> Iterator[str]:
    worst_first = sorted(found, key=lambda it: (not it.lacks, it.has is not None))
    for balance in worst_first[:MAX_BALANCES]:
        yield "  " + balance_line(balance)
    if others := len(worst_first[MAX_BALANCES:]):
        yield "  " + ngettext("{count} other balance", "{count} other balances", others).format(
            count=number(others)
        )
    if report.by_country is None and report.sms:
        yield "  " + _("To compare the balance of each country: {command}").format(
            command="pip install 'connectus-async[phone]'"
        )


def balance_line(balance: Balance) -> str:
    """Write what a balance has to pay, and has."""
    need, has = balance
    if has is None:
        form = _("Balance of {payer} for {product}: needs {needs}; what it has is unknown")
    elif balance.lacks:
        form = _("Balance of {payer} for {product}: needs {needs}, has {has}, lacks {lacks}")
    else:
        form = _("Balance of {payer} for {product}: needs {needs}, has {has}")
    return form.format(
        payer=_("sub-client {id}").format(id=need.id_client)
        if need.id_client
        else _("the account"),
        product=_product(need),
        needs=number(need.amount),
        has=number(has or 0),
        lacks=number(balance.lacks),
    )


def _product(need: Need) -> str:
    if need.product is Product.EMAIL:
        return _("email")
    if need.product is Product.WHATSAPP:
        return "WhatsApp"
    if need.country is None:
        return "SMS"
    return _("SMS to {country}").format(country=country_name(need.country))


_KNOWN: Final[Mapping[State, Plurals]] = {
    State.IN_FLIGHT: lambda count: ngettext(
        "{count} in flight in an earlier run", "{count} in flight in an earlier run", count
    ),
    State.ACCEPTED: lambda count: ngettext(
        "{count} accepted in an earlier run", "{count} accepted in an earlier run", count
    ),
    State.REJECTED: lambda count: ngettext(
        "{count} rejected in an earlier run", "{count} rejected in an earlier run", count
    ),
    State.UNKNOWN: lambda count: ngettext(
        "{count} unknown in an earlier run", "{count} unknown in an earlier run", count
    ),
    State.HELD: lambda count: ngettext(
        "{count} held in an earlier run", "{count} held in an earlier run", count
    ),
    State.SKIPPED: lambda count: ngettext(
        "{count} skipped in an earlier run", "{count} skipped in an earlier run", count
    ),
}
_SKIPPED: Final[Mapping[SkipReason, Callable[[], str]]] = {
    SkipReason.INVALID: lambda: _("invalid"),
    SkipReason.DUPLICATE: lambda: _("duplicate"),
    SkipReason.SUPPRESSED: lambda: _("suppressed"),
    SkipReason.EXPIRED: lambda: _("expired"),
    SkipReason.OVER_BUDGET: lambda: _("over budget"),
    SkipReason.TOO_OFTEN: lambda: _("too often"),
    SkipReason.HAS_ANOTHER: lambda: _("has another text"),
}
_FINDINGS: Final[Mapping[Finding, Plurals]] = {
    Finding.LANDLINE: lambda count: ngettext(
        "{count} landline, which may receive no SMS",
        "{count} landlines, which may receive no SMS",
        count,
    ),
    Finding.TOLL_FREE: lambda count: ngettext(
        "{count} toll-free number, which receives no SMS",
        "{count} toll-free numbers, which receive no SMS",
        count,
    ),
    Finding.BRACES: lambda count: ngettext(
        "{count} text with the name of a column in braces",
        "{count} texts with the name of a column in braces",
        count,
    ),
}
_WHATSAPP_FINDINGS: Final[Mapping[Finding, Plurals]] = {
    Finding.LANDLINE: lambda count: ngettext(
        "{count} landline, which may have no WhatsApp",
        "{count} landlines, which may have no WhatsApp",
        count,
    ),
    Finding.TOLL_FREE: lambda count: ngettext(
        "{count} toll-free number, which may have no WhatsApp",
        "{count} toll-free numbers, which may have no WhatsApp",
        count,
    ),
}
