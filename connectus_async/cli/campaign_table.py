"""Tables of campaigns: one for its status, or one line for each of many."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from connectus_async.bulk.outcomes import BulkSummary
from connectus_async.cli.campaign_state import CampaignState, Snapshot
from connectus_async.cli.delays import clock_time, told
from connectus_async.cli.durations import duration
from connectus_async.cli.language import gettext as _
from connectus_async.cli.language import ngettext, number, translated
from connectus_async.cli.progress_line import Figures
from connectus_async.ledger import name_of
from connectus_async.ledger.places import LEDGER_SUFFIX
from connectus_async.ledger.states import State

COLOURS: Final[Mapping[CampaignState, str]] = {
    CampaignState.SENDING: "green",
    CampaignState.LOADING: "green",
    CampaignState.SCHEDULED: "yellow",
    CampaignState.PAUSED: "yellow",
    CampaignState.QUIET_HOURS: "yellow",
    CampaignState.STOPPED: "red",
    CampaignState.UNSENT: "red",
    CampaignState.UNCONFIRMED: "yellow",
    CampaignState.UNCLEAR: "red",
}


def state_of(campaign: Snapshot) -> str:
    """Write the state in one line."""
    return "; ".join(filter(None, (_state_of(campaign), *_unreleased_of(campaign))))


def _state_of(campaign: Snapshot) -> str:
    state, delays = campaign.state, told(campaign.present_delays)
    match state:
        case CampaignState.LOADING:
            return _("loading: {count} rows so far").format(count=number(campaign.rows))
        case CampaignState.SENDING:
            return "; ".join((_("sending"), *delays))
        case CampaignState.SCHEDULED | CampaignState.PAUSED | CampaignState.QUIET_HOURS:
            return "; ".join(delays)
        case CampaignState.STOPPED:
            return _("stopped: {reason}").format(reason=translated(campaign.why_stopped or ""))
        case CampaignState.UNSENT if not campaign.is_loaded:
            return _("its file was not read to the end: run bulk send again")
        case CampaignState.UNSENT:
            return _("{count} wait, and nobody sends them").format(
                count=number(campaign.count(State.QUEUED, State.IN_FLIGHT))
            )
        case CampaignState.UNCONFIRMED:
            return ""
        case CampaignState.UNCLEAR:
            return _("ended; {count} may have been sent").format(
                count=number(campaign.count(State.UNKNOWN))
            )
        case CampaignState.FINISHED:
            return _("finished")


def _unreleased_of(campaign: Snapshot) -> Iterator[str]:
    """Write what nobody has said yes to, and where somebody can."""
    for count, place in campaign.unreleased:
        if place is not None:
            said = ngettext(
                "{count} waits for a yes at {place}", "{count} wait for a yes at {place}", count
            )
        elif campaign.is_loaded:
            said = ngettext(
                "{count} waits for a yes: run bulk resume",
                "{count} wait for a yes: run bulk resume",
                count,
            )
        else:
            said = ngettext("{count} waits for a yes", "{count} wait for a yes", count)
        yield said.format(count=number(count), place=place)


def figures_of(campaign: Snapshot) -> Figures:
    """Make the figures of a progress line."""
    counts = {state: campaign.count(state) for state in (State.REJECTED, State.UNKNOWN)}
    summary = BulkSummary()
    summary.counts.update(counts)
    return Figures(
        final=campaign.sent,
        total=campaign.total,
        rate=campaign.rate,
        summary=summary,
        is_halted=campaign.state is not CampaignState.SENDING,
    )


def watched(campaign: Snapshot) -> RenderableType:
    """Draw a campaign that is being watched."""
    title = Text.assemble(
        (campaign.name, "bold"), ": ", (state_of(campaign), COLOURS.get(campaign.state, ""))
    )
    lines: list[RenderableType] = [title]
    if campaign.state is not CampaignState.LOADING:
        lines.append(figures_of(campaign))
    lines += map(Text, senders_of(campaign))
    return Group(*lines)


def senders_of(campaign: Snapshot) -> Iterator[str]:
    """Write who sends it, a line each."""
    for sender in campaign.senders:
        yield _("sent by {place} since {time}").format(
            place=sender.place, time=_clock(sender.since)
        )


def table(campaigns: Sequence[Snapshot]) -> Table:
    """Make a table with a line for each campaign."""
    found = Table(box=None, pad_edge=False, header_style="bold")
    found.add_column(_("campaign"), overflow="fold", ratio=2)
    found.add_column(_("state"), overflow="fold", ratio=3)
    found.add_column(_("sent by"), overflow="fold", ratio=1)
    found.add_column(_("since"))
    found.add_column(_("sent"), justify="right")
    found.add_column(_("rate"), justify="right")
    found.add_column(_("left"), justify="right")
    for campaign in campaigns:
        found.add_row(*_cells(campaign))
    return found


def blocks(campaigns: Sequence[Snapshot]) -> Group:
    """Write a few short lines for each campaign, where a table does not fit."""
    lines: list[RenderableType] = []
    for campaign in campaigns:
        name, state, senders, since, sent, rate, left = _cells(campaign)
        lines.append(Text.assemble((str(name), "bold"), ": ", state))
        rest = [sent, *(it for it in (rate, left) if it)]
        lines.append(Text("  " + ", ".join(map(str, rest))))
        if since:
            lines.append(Text("  " + ", ".join(filter(None, (senders, since)))))
    return Group(*lines)


def _cells(campaign: Snapshot) -> tuple[str, Text, str, str, str, str, str]:
    figures = figures_of(campaign)
    rate, left = (*figures.pace(), "", "")[:2]
    seconds = campaign.seconds_left
    return (
        short_name(campaign),
        Text(state_of(campaign), style=COLOURS.get(campaign.state, "")),
        ", ".join(sender.place for sender in campaign.senders),
        "" if campaign.since is None else _clock(campaign.since),
        figures.counts(),
        rate,
        "" if not left or seconds is None else duration(seconds),
    )


def short_name(campaign: Snapshot) -> str:
    """Name a campaign as a list does: by its file without its end, or by its name."""
    if isinstance(campaign.place, str):
        return campaign.name
    return name_of(campaign.place).removesuffix(LEDGER_SUFFIX)


def _clock(seconds: float) -> str:
    return clock_time(dt.datetime.fromtimestamp(seconds, dt.UTC).astimezone())
