"""Charts of a campaign's page: coordinates and texts. The template draws them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta, tzinfo
from itertools import groupby
from typing import Final, NamedTuple

import attrs

from connectus_async.ledger.records import Latency
from connectus_async.ledger.states import ATTEMPTED, State
from connectus_async.report.figures import Bucket, Timeline
from connectus_async.report.formats import duration, moment, number, tick_labels, title
from connectus_async.report.scales import time_ticks, unit_of, value_ticks
from connectus_async.translation import Language

WIDTH: Final = 440
HEIGHT: Final = 260
"""Half of a wide page and all of a phone: the text stays legible on both."""

LEFT: Final = 66
RIGHT: Final = 402
TOP: Final = 14
BOTTOM: Final = 216
"""The corners of the part within the axes."""

MOST_STEPS_OF_TIME: Final = 4
LEAST_SECONDS: Final = 2.0
"""On the axis of time, whose ticks are a second apart at least."""
GAP: Final = 0.6
NARROWEST_BAR: Final = 1.5

Point = tuple[float, float]


class Tick(NamedTuple):
    """A label on an axis.

    Attributes:
        place: Distance from the left or from the top.
        text: The label.
        day: A second line, for the day, on an axis of time.
    """

    place: float
    text: str
    day: str = ""


class Bar(NamedTuple):
    """A part of a stacked bar.

    Attributes:
        state: State of its messages.
        top: Distance from the top.
        height: Height.
    """

    state: State
    top: float
    height: float


@attrs.frozen
class Part:
    """A part of the time, over the whole height of a chart.

    Attributes:
        left: Distance from the left.
        width: Width.
        tip: Text shown under the pointer.
        bars: The stacked bars in it, the lowest first.
    """

    left: float
    width: float
    tip: str
    bars: Sequence[Bar] = ()


class Line(NamedTuple):
    """A line of a chart.

    Attributes:
        name: The percentile.
        runs: Points without a gap between them.
    """

    name: str
    runs: Sequence[Sequence[Point]]


@attrs.frozen(kw_only=True)
class Chart:
    """A chart over time.

    Attributes:
        name: Name for the ids of the page.
        heading: Heading.
        long_heading: Heading for those who do not see the axis of time.
        sentence: Description of the values.
        values: The axis of values.
        times: The axis of time.
        parts: The parts of the time, with their bars.
        lines: The lines, the first at the bottom.
        legend: Meaning of each color, by its name.
    """

    name: str
    heading: str
    long_heading: str
    sentence: str
    values: Sequence[Tick]
    times: Sequence[Tick]
    parts: Sequence[Part]
    lines: Sequence[Line] = ()
    legend: Mapping[str, str]


def throughput(timeline: Timeline, zone: tzinfo, language: Language) -> Chart:
    """Place the messages a second over time, stacked by outcome.

    Args:
        timeline: The figures.
        zone: The zone whose clocks are shown.
        language: The language of the texts.
    """
    _ = language.gettext
    present = [
        state for state in ATTEMPTED if any(state in bucket.outcomes for bucket in timeline.buckets)
    ]
    rates = [sum(bucket.outcomes.values()) / timeline.width for bucket in timeline.buckets]
    ticks = value_ticks(max(rates))
    return Chart(
        name="throughput",
        heading=_("Messages a second"),
        long_heading=_("Messages a second over time"),
        sentence=_("On average {average}, between {least} and {most}.").format(
            average=number(sum(rates) / len(rates), language),
            least=number(min(rates), language),
            most=number(max(rates), language),
        ),
        values=[Tick(_height(tick, ticks), number(tick, language)) for tick in ticks],
        times=_times(timeline, zone, language),
        parts=[
            attrs.evolve(part, bars=_bars(bucket, timeline.width, ticks))
            for part, bucket in zip(
                _parts(timeline, zone, language, _outcomes_said),
                timeline.buckets,
                strict=True,
            )
        ],
        legend={state.value: title(state, language) for state in present},
    )


def latency(timeline: Timeline, zone: tzinfo, language: Language) -> Chart:
    """Place how long the API took to answer, over time, as percentiles.

    Args:
        timeline: The figures, with a latency at least.
        zone: The zone whose clocks are shown.
        language: The language of the texts.
    """
    _ = language.gettext
    known = [bucket.latency for bucket in timeline.buckets if bucket.latency]
    longest = max(each.p99 for each in known)
    medians = [each.p50 for each in known]
    unit, name = unit_of(longest)
    ticks = value_ticks(longest / unit)
    return Chart(
        name="latency",
        heading=_("Time until the API answered"),
        long_heading=_("Time until the API answered over time"),
        sentence=_("Half within {least} to {most}; 99 % within {longest} at worst.").format(
            least=duration(min(medians), language),
            most=duration(max(medians), language),
            longest=duration(longest, language),
        ),
        values=[Tick(_height(tick, ticks), f"{number(tick, language)} {name}") for tick in ticks],
        times=_times(timeline, zone, language),
        parts=_parts(timeline, zone, language, _latency_said),
        lines=[
            Line(percentile, _runs(timeline, place, unit, ticks))
            for place, percentile in reversed([*enumerate(Latency._fields)])
        ],
        legend={
            "p50": _("half of the answers (p50)"),
            "p95": "95 % (p95)",
            "p99": "99 % (p99)",
        },
    )


def _height(value: float, ticks: Sequence[float]) -> float:
    return round(BOTTOM - (BOTTOM - TOP) * value / ticks[-1], 2)


def _place(seconds: float, timeline: Timeline) -> float:
    return round(LEFT + (RIGHT - LEFT) * seconds / _span(timeline), 2)


def _span(timeline: Timeline) -> float:
    return max(timeline.width * len(timeline.buckets), LEAST_SECONDS)


def _times(timeline: Timeline, zone: tzinfo, language: Language) -> list[Tick]:
    begin = timeline.buckets[0].begin
    end = begin + timedelta(seconds=_span(timeline))
    ticks = time_ticks(begin, end, zone, MOST_STEPS_OF_TIME)
    return [
        Tick(_place((tick - begin).total_seconds(), timeline), *label)
        for tick, label in zip(ticks, tick_labels(ticks, language), strict=True)
    ]


def _parts(
    timeline: Timeline, zone: tzinfo, language: Language, said: Callable[[Language, Bucket], str]
) -> list[Part]:
    width = _place(timeline.width, timeline) - LEFT
    return [
        Part(
            left=_place(place * timeline.width, timeline),
            width=round(max(width - GAP, NARROWEST_BAR), 2),
            tip=f"{moment(bucket.begin.astimezone(zone), language)}: {said(language, bucket)}",
        )
        for place, bucket in enumerate(timeline.buckets)
    ]


def _outcomes_said(language: Language, bucket: Bucket) -> str:
    counts = {state: bucket.outcomes[state] for state in ATTEMPTED if state in bucket.outcomes}
    said = (
        f"{number(count, language)} {language.sentence(state)}" for state, count in counts.items()
    )
    return ", ".join(said) or language.gettext("none")


def _latency_said(language: Language, bucket: Bucket) -> str:
    if bucket.latency is None:
        return language.gettext("no answer")
    percentiles = bucket.latency._asdict().items()
    return ", ".join(f"{name} {duration(seconds, language)}" for name, seconds in percentiles)


def _bars(bucket: Bucket, seconds: float, ticks: Sequence[float]) -> list[Bar]:
    bars, messages, bottom = [], 0, float(BOTTOM)
    for state in ATTEMPTED:
        if state in bucket.outcomes:
            messages += bucket.outcomes[state]
            top = _height(messages / seconds, ticks)
            bars.append(Bar(state, top, round(bottom - top, 2)))
            bottom = top
    return bars


def _runs(timeline: Timeline, place: int, unit: float, ticks: Sequence[float]) -> list[list[Point]]:
    """Draw a percentile in the middle of each part of the time, and nothing where there is none."""
    points = [
        bucket.latency
        and (
            _place((index + 0.5) * timeline.width, timeline),
            _height(bucket.latency[place] / unit, ticks),
        )
        for index, bucket in enumerate(timeline.buckets)
    ]
    return [[*filter(None, run)] for drawn, run in groupby(points, key=bool) if drawn]
