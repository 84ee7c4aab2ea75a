"""The metrics of a campaign, as Prometheus wants them.

Messages and pace are those of the last progress, however many processes send. The times of requests
and of the ledger are measured in this process, so they are left out where others send.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from connectus_async.bulk.progress import DelayCause, Progress
from connectus_async.extras import library
from connectus_async.instrumentation import BulkEvent, CallEnded, CallStarted, MessageBegun
from connectus_async.ledger.states import State

OUTCOMES: Final = (State.ACCEPTED, State.REJECTED, State.UNKNOWN, State.SKIPPED, State.QUEUED)
COMMITS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
"""Bounds of the buckets of a ledger, in seconds."""


class CampaignMetrics:
    """Metrics of the campaign that a command sends, in a registry of their own.

    Attributes:
        registry: The registry.
    """

    def __init__(self) -> None:
        self._prometheus = library("--metrics", "prometheus_client", extra="metrics")
        core = library("--metrics", "prometheus_client.core", extra="metrics")
        self._counter, self._gauge = core.CounterMetricFamily, core.GaugeMetricFamily
        self.registry = self._prometheus.CollectorRegistry()
        self._progress: Progress | None = None
        self._is_running = False

    def begin(self, campaign: str, waiting: int, *, is_alone: bool) -> None:
        """Begin to measure.

        Args:
            campaign: Name of the campaign, or an empty one; then the metrics have no such label.
            waiting: Number of messages to send.
            is_alone: Whether this process sends them, and no other.
        """
        self._waiting, self._began, self._is_running = waiting, time.time(), True
        self._labels = {"campaign": campaign} if campaign else {}
        self._requests = self._commits = None
        if is_alone:
            self._requests = self._histogram(
                "connectus_request_duration_seconds", "Duration of requests.", ["outcome"]
            )
            self._commits = self._histogram(
                "connectus_ledger_commit_duration_seconds",
                "Time until the ledger had a message on disk before it was sent.",
                buckets=COMMITS,
            )
        self.registry.register(self)

    def look(self, progress: Progress) -> None:
        """Take the figures of this moment, for whoever asks next."""
        self._progress = progress

    def end(self) -> None:
        """Note that nothing more is sent."""
        self._is_running = False

    def on_call(self, _: CallStarted) -> Callable[[CallEnded], None]:
        """Measure a request."""
        return self._measure

    def on_event(self, event: BulkEvent) -> None:
        """Measure the ledger."""
        if isinstance(event, MessageBegun) and event.ledger_seconds is not None:
            self._of(self._commits).observe(event.ledger_seconds)

    def _measure(self, ended: CallEnded) -> None:
        if self._requests is not None:
            self._of(self._requests, ended.outcome.value).observe(ended.seconds)

    def _of(self, histogram: Any, *values: str) -> Any:
        labels = (*self._labels.values(), *values)
        return histogram.labels(*labels) if labels else histogram

    def _histogram(self, name: str, text: str, labels: Any = (), **options: Any) -> Any:
        names = [*self._labels, *labels]
        kind = self._prometheus.Histogram
        return kind(name, text, names, registry=self.registry, **options)

    def collect(self) -> Iterator[Any]:
        """Yield the metrics, for the registry; in a thread of whoever asks."""
        progress = self._progress
        yield self._one("connectus_campaign_running", "1 while it is sent.", self._is_running)
        yield self._one(
            "connectus_campaign_start_time_seconds", "Start, as a Unix time.", self._began
        )
        if progress is None:
            return
        counts = progress.summary.counts
        yield self._many(
            self._counter(
                "connectus_messages", "Messages by outcome.", labels=self._with("outcome")
            ),
            {state.value: counts[state] for state in OUTCOMES},
        )
        left = max(0, self._waiting - progress.summary.total)
        yield self._one("connectus_messages_queued", "Messages without an outcome yet.", left)
        yield self._one("connectus_messages_in_flight", "Messages in flight.", progress.in_flight)
        yield self._one(
            "connectus_rate_per_second", "Messages or segments sent per second.", progress.rate
        )
        if progress.rate_limit is not None:
            yield self._one(
                "connectus_rate_limit_per_second", "Present rate limit.", progress.rate_limit
            )
        yield self._one(
            "connectus_concurrency_limit",
            "Present maximum number of messages in flight.",
            progress.concurrency_limit,
        )
        present = {delay.cause for delay in progress.delays}
        yield self._many(
            self._gauge(
                "connectus_delayed", "1 while a cause delays messages.", labels=self._with("cause")
            ),
            {cause.value: cause in present for cause in DelayCause},
        )

    def _with(self, *names: str) -> list[str]:
        return [*self._labels, *names]

    def _one(self, name: str, text: str, value: float) -> Any:
        family = self._gauge(name, text, labels=self._with())
        family.add_metric([*self._labels.values()], float(value))
        return family

    def _many(self, family: Any, values: dict[str, Any]) -> Any:
        for label, value in values.items():
            family.add_metric([*self._labels.values(), label], float(value))
        return family
