"""The charts of a campaign's page: SVG that needs no script, no font and no network."""

import sys
from collections.abc import Sequence
from typing import Any, Final
from xml.etree.ElementTree import Element

from connectus_async.extras import library
from connectus_async.ledger.states import State
from connectus_async.report.figures import ATTEMPTED, Bucket, Latency, Timeline
from connectus_async.report.words import clock, duration, moment, number, title

WIDTH: Final = 520
HEIGHT: Final = 300
"""Half of a wide page and all of a phone: the text stays legible on both."""
LABELS_OF_TIME: Final = 5

_NEEDED_BY_SCRIPTS_ONLY: Final = frozenset({"script", "desc"})


def throughput(timeline: Timeline) -> str:
    """Draw the messages a second over time, stacked by outcome."""
    present = outcomes(timeline)
    colors = [f"var(--{state.value})" for state in present]
    chart = _pygal().StackedBar(
        style=_style(colors), value_formatter=number, **_over_time(timeline)
    )
    chart._series_margin = chart._serie_margin = 0.02  # noqa: SLF001
    for state in present:
        rates = [bucket.outcomes.get(state, 0) / timeline.width for bucket in timeline.buckets]
        chart.add(
            title(state),
            [
                {"value": rate, "tooltip": f"{moment(bucket.begin)}: {number(rate)} a second"}
                if rate
                else None
                for bucket, rate in zip(timeline.buckets, rates, strict=True)
            ],
        )
    return _drawn(chart, f"Messages a second over time. {throughput_said(timeline)}")


def outcomes(timeline: Timeline) -> list[State]:
    """The outcomes that there were, in the order in which the chart stacks them."""
    return [
        state for state in ATTEMPTED if any(state in bucket.outcomes for bucket in timeline.buckets)
    ]


def throughput_said(timeline: Timeline) -> str:
    """Say what the chart shows."""
    rates = [sum(bucket.outcomes.values()) / timeline.width for bucket in timeline.buckets]
    mean = sum(rates) / len(rates)
    return f"On average {number(mean)}, between {number(min(rates))} and {number(max(rates))}."


def latency(timeline: Timeline) -> str:
    """Draw how long the API took to answer, over time, as percentiles."""
    chart = _pygal().Line(
        style=_style([f"var(--{name})" for name in Latency._fields]),
        value_formatter=duration,
        dots_size=1.2,
        allow_interruptions=True,
        **_over_time(timeline),
    )
    for name in Latency._fields:
        chart.add(name, [_percentile(bucket, name) for bucket in timeline.buckets])
    return _drawn(chart, f"Time until the API answered. {latency_said(timeline)}")


def latency_said(timeline: Timeline) -> str:
    """Say what the chart shows."""
    known = [bucket.latency for bucket in timeline.buckets if bucket.latency]
    medians = [each.p50 for each in known]
    return (
        f"Half within {duration(min(medians))} to {duration(max(medians))}; "
        f"99 % within {duration(max(each.p99 for each in known))} at worst."
    )


def _pygal() -> Any:
    pygal = library("report", "pygal", extra="report")
    # Its import hook is of Python 3.3's kind: every later import that fails would warn of it.
    sys.meta_path[:] = [hook for hook in sys.meta_path if hasattr(hook, "find_spec")]
    return pygal


def _percentile(bucket: Bucket, name: str) -> dict[str, Any] | None:
    if bucket.latency is None:
        return None
    seconds = getattr(bucket.latency, name)
    return {"value": seconds, "tooltip": f"{moment(bucket.begin)}: {name} {duration(seconds)}"}


def _over_time(timeline: Timeline) -> dict[str, Any]:
    buckets = timeline.buckets
    every = -(-len(buckets) // LABELS_OF_TIME)
    span = timeline.width * len(buckets)
    labels = [
        "" if place % every else clock(bucket.begin, span) for place, bucket in enumerate(buckets)
    ]
    return {
        "height": HEIGHT,
        "x_labels": labels,
        "x_labels_major": [label for label in labels if label],
        "show_minor_x_labels": False,
        "truncate_label": -1,
        "show_legend": False,
        "max_scale": 5,
        "include_x_axis": True,
    }


def _style(colors: Sequence[str]) -> Any:
    return library("report", "pygal.style", extra="report").Style(
        background="transparent",
        plot_background="transparent",
        foreground="var(--text)",
        foreground_strong="var(--text)",
        foreground_subtle="var(--line)",
        guide_stroke_color="var(--line)",
        major_guide_stroke_color="var(--line)",
        guide_stroke_dasharray="none",
        major_guide_stroke_dasharray="none",
        font_family="inherit",
        label_font_size=14,
        major_label_font_size=14,
        value_font_size=14,
        legend_font_size=14,
        opacity="1",
        opacity_hover=".7",
        stroke_opacity="1",
        stroke_width="1.6",
        stroke_width_hover="1.6",
        transition="0s",
        colors=tuple(colors),
    )


def _drawn(chart: Any, label: str) -> str:
    chart.config(width=WIDTH, margin=6, spacing=8, js=[], disable_xml_declaration=True)
    chart.add_xml_filter(lambda svg: _quiet(svg, label))
    svg: str = chart.render(is_unicode=True)
    return svg


def _quiet(svg: Element, label: str) -> Element:
    """Leave only what is seen and read out."""
    for parent in list(svg.iter()):
        for child in list(parent):
            if not isinstance(child.tag, str) or child.tag in _NEEDED_BY_SCRIPTS_ONLY:
                parent.remove(child)
    if (title_of_all := svg.find("title")) is not None:
        svg.remove(title_of_all)
    svg.set("role", "img")
    svg.set("aria-label", label)
    return svg
