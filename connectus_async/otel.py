"""Traces and metrics for OpenTelemetry, by hooks. It needs the extra ``otel``.

Spans and ``http.client.request.duration`` follow the stable conventions for HTTP clients. All else
has names of our own, ``connectus.…``: those for messaging are not stable yet. Nothing has a number,
an address, a text, an identifier or a credential: ``url.full`` has ``REDACTED`` in place of
identifiers, and no query.

Example:
    telemetry = Telemetry()
    async with AsyncConnectus(on_call=telemetry.on_call) as connectus:
        async with connectus.bulk(on_event=telemetry.campaign("navidad")) as bulk:
            ...
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from connectus_async._version import __version__
from connectus_async.extras import library
from connectus_async.instrumentation import (
    BulkEvent,
    CallEnded,
    CallStarted,
    EventHook,
    MessageBegun,
    MessageEnded,
    Pace,
)

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.propagators.textmap import TextMapPropagator
    from opentelemetry.trace import TracerProvider

NAME: Final = "connectus_async"
SCHEMA: Final = "https://opentelemetry.io/schemas/1.37.0"
"""Version of the conventions."""

DURATIONS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Bounds of the buckets of requests, in seconds, as the conventions have them."""

COMMITS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
"""Bounds of the buckets of a ledger, in seconds."""

_IDENTIFIER: Final = re.compile(r"\{\w+\}")


class Telemetry:
    """Reports calls and campaigns to OpenTelemetry.

    The trace context goes along with each request, in its header fields. Baggage does not, unless
    the propagator is one for it: it may have what another company should not see.

    Args:
        detailed: ``True`` adds attributes that are not in the stable conventions: the call, in the
            name of a span and as ``connectus.call``; ``connectus.outcome``; and the sizes of both
            bodies in bytes, ``connectus.request.bytes`` and ``connectus.response.bytes``.
        tracer_provider: Provider of the tracer. Default: the global one.
        meter_provider: Provider of the meter. Default: the global one.
        propagator: Writes the header fields of a request. Default: W3C Trace Context.

    Raises:
        LibraryMissingError: OpenTelemetry is not installed.
    """

    def __init__(
        self,
        *,
        detailed: bool = False,
        tracer_provider: "TracerProvider | None" = None,
        meter_provider: "MeterProvider | None" = None,
        propagator: "TextMapPropagator | None" = None,
    ) -> None:
        self._context = library("telemetry", "opentelemetry.context", extra="otel")
        self._trace = library("telemetry", "opentelemetry.trace", extra="otel")
        metrics = library("telemetry", "opentelemetry.metrics", extra="otel")
        w3c = library("telemetry", "opentelemetry.trace.propagation.tracecontext", extra="otel")
        self._detailed = detailed
        self._tracer = self._trace.get_tracer(NAME, __version__, tracer_provider, SCHEMA)
        self._propagator: Any = propagator or w3c.TraceContextTextMapPropagator()
        self._meter = metrics.get_meter(NAME, __version__, meter_provider, SCHEMA)
        self._durations = self._meter.create_histogram(
            "http.client.request.duration",
            unit="s",
            description="Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=DURATIONS,
        )
        self._instruments = _CampaignInstruments(self._meter)

    def on_call(self, started: CallStarted) -> Callable[[CallEnded], None]:
        """Begin the span of an attempt; to be given to a client as its ``on_call``."""
        attributes = self._attributes(started)
        span = self._tracer.start_span(
            started.call if self._detailed else started.method,
            kind=self._trace.SpanKind.CLIENT,
            attributes=attributes,
        )
        context = self._trace.set_span_in_context(span)
        self._propagator.inject(started.headers, context)
        token = self._context.attach(context)

        def end(ended: CallEnded) -> None:
            self._context.detach(token)
            self._end(span, ended)

        return end

    def campaign(self, name: str | None = None) -> EventHook:
        """Return a hook for a campaign, to be given to ``bulk()`` as its ``on_event``.

        Args:
            name: Name of the campaign, for the attribute ``connectus.campaign`` of its metrics.
                Campaigns that run at the same time need different ones. Default: none.
        """
        labels = {} if name is None else {"connectus.campaign": name}
        return _Campaign(self._instruments, labels)

    def _attributes(self, started: CallStarted) -> dict[str, Any]:
        attributes = {**_place(started.method, started.host, started.port)}
        attributes["url.full"] = _redacted(started.url)
        if started.attempt > 1:
            attributes["http.request.resend_count"] = started.attempt - 1
        if self._detailed:
            attributes["connectus.call"] = started.call
            attributes["connectus.request.bytes"] = started.request_bytes
        return attributes

    def _end(self, span: Any, ended: CallEnded) -> None:
        started, status = ended.started, ended.status
        found: dict[str, Any] = {}
        if status is not None:
            found["http.response.status_code"] = status
        if ended.error is not None:
            is_refused = status is not None and status >= 400
            found["error.type"] = str(status) if is_refused else ended.error
        if span.is_recording():
            span.set_attributes(found)
            if self._detailed:
                span.set_attribute("connectus.outcome", ended.outcome.value)
                if ended.response_bytes is not None:
                    span.set_attribute("connectus.response.bytes", ended.response_bytes)
            if ended.error is not None:
                span.set_status(self._trace.StatusCode.ERROR)
        self._durations.record(
            ended.seconds, {**_place(started.method, started.host, started.port), **found}
        )
        span.end()


@lru_cache(maxsize=64)
def _place(method: str, host: str, port: int) -> Mapping[str, Any]:
    return {"http.request.method": method, "server.address": host, "server.port": port}


@lru_cache(maxsize=64)
def _redacted(url: str) -> str:
    return _IDENTIFIER.sub("REDACTED", url)


class _CampaignInstruments:
    """Instruments of all campaigns."""

    def __init__(self, meter: Any) -> None:
        self.messages = meter.create_counter(
            "connectus.messages", unit="{message}", description="Messages with an outcome."
        )
        self.commits = meter.create_histogram(
            "connectus.ledger.commit.duration",
            unit="s",
            description="Time until the ledger had a message on disk before it was sent.",
            explicit_bucket_boundaries_advisory=COMMITS,
        )
        self.in_flight = meter.create_gauge(
            "connectus.messages.in_flight", unit="{message}", description="Messages in flight."
        )
        self.queued = meter.create_gauge(
            "connectus.messages.queued",
            unit="{message}",
            description="Messages of the ledger without an outcome yet.",
        )
        self.rate = meter.create_gauge(
            "connectus.rate", unit="1/s", description="Messages or segments sent per second."
        )
        self.rate_limit = meter.create_gauge(
            "connectus.rate.limit", unit="1/s", description="Present rate limit."
        )
        self.concurrency_limit = meter.create_gauge(
            "connectus.concurrency.limit",
            unit="{message}",
            description="Present maximum number of messages in flight.",
        )
        self.delayed = meter.create_gauge(
            "connectus.delayed",
            unit="1",
            description="1 while a cause delays the campaign, else 0.",
        )
        self.stops = meter.create_counter(
            "connectus.stops", unit="{stop}", description="Runs that an error stopped."
        )


class _Campaign:
    """Hook for the events of one campaign."""

    def __init__(self, instruments: _CampaignInstruments, labels: Mapping[str, str]) -> None:
        self._to = instruments
        self._labels = labels
        self._causes: set[str] = set()

    def __call__(self, event: BulkEvent) -> None:
        if isinstance(event, MessageEnded):
            self._to.messages.add(1, self._of_message(event))
        elif isinstance(event, MessageBegun):
            if event.ledger_seconds is not None:
                self._to.commits.record(event.ledger_seconds, self._labels)
        elif isinstance(event, Pace):
            self._set_pace(event)
        elif event.stopped_by is not None:
            self._to.stops.add(1, {**self._labels, "error.type": event.stopped_by})

    def _of_message(self, event: MessageEnded) -> dict[str, str]:
        labels = {**self._labels, "connectus.outcome": event.state.value}
        if event.channel is not None:
            labels["connectus.channel"] = event.channel
        if event.skipped is not None:
            labels["connectus.skipped"] = event.skipped.value
        return labels

    def _set_pace(self, pace: Pace) -> None:
        to, labels = self._to, self._labels
        to.in_flight.set(pace.in_flight, labels)
        to.rate.set(pace.rate, labels)
        to.concurrency_limit.set(pace.concurrency_limit, labels)
        if pace.queued is not None:
            to.queued.set(pace.queued, labels)
        if pace.rate_limit is not None:
            to.rate_limit.set(pace.rate_limit, labels)
        present = {cause.value for cause in pace.delays}
        self._causes |= present
        for cause in self._causes:
            to.delayed.set(int(cause in present), {**labels, "connectus.cause": cause})
