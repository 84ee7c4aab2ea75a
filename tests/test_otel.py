"""Spans and metrics, as the SDK of OpenTelemetry receives them."""

import sys
from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
from hostile import HostileServer, http, in_turn, keep_alive, reset_after
from opentelemetry import baggage, context, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanContext, SpanKind, StatusCode
from test_privacy import KEY, NUMBER, TEXT, TOKEN, USER, assert_hidden, everything
from test_privacy import client as personal_client
from ways import WAYS

from connectus_async import (
    AsyncConnectus,
    AuthenticationError,
    LibraryMissingError,
    RequestError,
    Sms,
)
from connectus_async.emulator import Emulator, Fault
from connectus_async.emulator.app import Api
from connectus_async.otel import Telemetry

FIRST = 56_960_000_000
MESSAGES = "connectus.messages"


@attrs.define
class Received:
    """A telemetry, and what its exporters got."""

    telemetry: Telemetry
    tracers: TracerProvider
    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def points(self) -> dict[str, list[Any]]:
        """The data points by metric."""
        data = self.reader.get_metrics_data()
        return {
            metric.name: list(metric.data.data_points)
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


def received(**options: Any) -> Received:
    sampler = options.pop("sampler", None)
    tracers, exporter = TracerProvider(sampler=sampler), InMemorySpanExporter()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    reader = InMemoryMetricReader()
    telemetry = Telemetry(
        tracer_provider=tracers, meter_provider=MeterProvider([reader]), **options
    )
    return Received(telemetry, tracers, exporter, reader)


@pytest.fixture
def otel() -> Received:
    return received()


@pytest.fixture
async def server() -> AsyncIterator[HostileServer]:
    async with HostileServer() as server:
        yield server


def client_of(server: HostileServer, otel: Received, **options: Any) -> AsyncConnectus:
    return AsyncConnectus(
        "user",
        "key",
        base_url=server.url,
        backoff_base=0,
        on_call=otel.telemetry.on_call,
        **options,
    )


def traceparent_of(span: SpanContext) -> str:
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])


async def test_a_span_follows_the_stable_conventions_alone(server, otel):
    """A call with an identifier in its path, which is not shown."""
    async with client_of(server, otel) as connectus:
        await connectus.sms.status("quetzal")

    (span,) = otel.spans
    assert (span.name, span.kind, span.status.status_code) == (
        "GET",
        SpanKind.CLIENT,
        StatusCode.UNSET,
    )
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "server.address": "127.0.0.1",
        "server.port": port_of(server.url),
        "url.full": f"{server.url}/sms/REDACTED",
        "http.response.status_code": 200,
    }
    assert span.instrumentation_scope.name == "connectus_async"


async def test_more_attributes_have_to_be_asked_for(server):
    """They have our own names."""
    otel = received(detailed=True)
    async with client_of(server, otel) as connectus:
        await connectus.sms.send(NUMBER, TEXT)

    (span,) = otel.spans
    assert span.name == "POST /sms/send_individual"
    own = {name: value for name, value in span.attributes.items() if "connectus" in name}
    assert own.pop("connectus.request.bytes") > len(TEXT)
    assert own == {
        "connectus.call": "POST /sms/send_individual",
        "connectus.outcome": "accepted",
        "connectus.response.bytes": 2,
    }


async def test_each_attempt_has_a_span_and_repetitions_count():
    """By the conventions: 4xx and 5xx are errors, and their type is the status."""
    otel = received()
    replies = [keep_alive(http(503)), reset_after(), keep_alive(http())]
    async with (
        HostileServer(in_turn(*replies)) as server,
        client_of(server, otel) as connectus,
    ):
        await connectus.account.get()

    names = ("http.request.resend_count", "http.response.status_code", "error.type")
    assert [
        (span.status.status_code, *(span.attributes.get(name) for name in names))
        for span in otel.spans
    ] == [
        (StatusCode.ERROR, None, 503, "503"),
        (StatusCode.ERROR, 1, None, "ConnectionLostError"),
        (StatusCode.UNSET, 2, 200, None),
    ]
    assert not any(span.events or span.status.description for span in otel.spans)


async def test_an_error_in_a_success_is_an_error(otel):
    """Its type is the class of the error, for the status is none."""
    reply = keep_alive(http(200, b'{"error": "not a mobile"}'))
    async with HostileServer(reply) as server, client_of(server, otel) as connectus:
        with pytest.raises(RequestError):
            await connectus.sms.send(NUMBER, TEXT)

    (span,) = otel.spans
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "RejectedError"


async def test_durations_have_the_attributes_and_buckets_of_the_conventions(server, otel):
    """In seconds."""
    async with client_of(server, otel) as connectus:
        await connectus.sms.send(NUMBER, TEXT)

    (point,) = otel.points()["http.client.request.duration"]
    assert dict(point.attributes) == {
        "http.request.method": "POST",
        "server.address": "127.0.0.1",
        "server.port": port_of(server.url),
        "http.response.status_code": 200,
    }
    assert (point.count, point.explicit_bounds[0], point.explicit_bounds[-1]) == (1, 0.005, 10)
    assert 0 < point.sum < 200


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_the_trace_goes_along_with_a_request(way, monkeypatch, server, otel):
    """A child of the caller's span; the present span is the caller's again after it."""
    way(monkeypatch)
    tracer = otel.tracers.get_tracer("test")
    async with client_of(server, otel) as connectus:
        with tracer.start_as_current_span("order") as order:
            await connectus.sms.send(NUMBER, TEXT)
            assert trace.get_current_span() is order

    span = next(span for span in otel.spans if span.name == "POST")
    assert span.parent.span_id == order.get_span_context().span_id
    traceparent = f"traceparent: {traceparent_of(span.get_span_context())}"
    assert traceparent in server.heads[0].split("\r\n")


async def test_baggage_goes_along_only_if_it_is_asked_for(server):
    """It is for another company."""
    token = context.attach(baggage.set_baggage("customer", "ana"))
    try:
        both = CompositePropagator([W3CBaggagePropagator()])
        for otel in (received(), received(propagator=both)):
            async with client_of(server, otel) as connectus:
                await connectus.sms.send(NUMBER, TEXT)
    finally:
        context.detach(token)

    assert ["customer=ana" in head for head in server.heads] == [False, True]


async def test_a_trace_that_is_not_sampled_is_still_passed_on(server):
    """With its flag, so that the server does not sample it either."""
    otel = received(sampler=ALWAYS_OFF)
    async with client_of(server, otel) as connectus:
        await connectus.sms.send(NUMBER, TEXT)

    assert otel.spans == ()
    assert "traceparent: 00-" in server.heads[0]
    assert otel.points()["http.client.request.duration"][0].count == 1


async def test_nothing_happens_without_an_sdk(settings, emulator, caplog):
    """The API alone does nothing."""
    telemetry = Telemetry()
    async with (
        AsyncConnectus(**settings, on_call=telemetry.on_call) as connectus,
        connectus.bulk(on_event=telemetry.campaign()) as bulk,
    ):
        await bulk.run([Sms(NUMBER, TEXT)])

    assert len(emulator.received) == 1
    assert not caplog.records


async def test_a_campaign_of_a_thousand_arrives_with_its_spans_and_metrics(
    settings, emulator, otel, tmp_path, monkeypatch
):
    """The emulator sees the trace of each request."""
    seen: list[str] = []
    limited = Api._limited

    async def recording(self: Api, call: Any, request: Any) -> Any:
        seen.append(request.headers["traceparent"])
        return await limited(self, call, request)

    monkeypatch.setattr(Api, "_limited", recording)
    emulator.fault(Fault.status(400), times=3)
    telemetry = otel.telemetry
    with otel.tracers.get_tracer("test").start_as_current_span("campaign") as campaign:
        async with (
            AsyncConnectus(**settings, on_call=telemetry.on_call) as connectus,
            connectus.bulk(
                ledger=tmp_path / "a.db", on_event=telemetry.campaign("navidad")
            ) as bulk,
        ):
            await bulk.load(Sms(FIRST + number, TEXT) for number in range(1_000))
            await bulk.run()

    posts = [span.get_span_context() for span in otel.spans if span.name == "POST"]
    assert len(posts) == 1_000
    assert {post.trace_id for post in posts} == {campaign.get_span_context().trace_id}
    assert sorted(seen) == sorted(map(traceparent_of, posts))
    points = otel.points()
    labels = {"connectus.campaign": "navidad", "connectus.channel": "sms"}
    outcomes = {dict(p.attributes)["connectus.outcome"]: p.value for p in points[MESSAGES]}
    assert outcomes == {"accepted": 997, "rejected": 3}
    assert all(labels.items() <= dict(point.attributes).items() for point in points[MESSAGES])
    assert sum(point.count for point in points["http.client.request.duration"]) == 1_000
    (commits,) = points["connectus.ledger.commit.duration"]
    assert commits.count == 1_000
    present = {
        name: points[name][0].value
        for name in ("connectus.messages.in_flight", "connectus.messages.queued")
    }
    assert present == {"connectus.messages.in_flight": 0, "connectus.messages.queued": 0}
    assert points["connectus.rate"][0].value > 0
    assert points["connectus.concurrency.limit"][0].value > 0


async def test_what_delays_and_stops_a_campaign_is_a_metric(settings, emulator, otel):
    """A 429 that asks for a pause, and then wrong credentials."""
    emulator.fault(Fault.too_many(retry_after=1), times=1)
    telemetry = otel.telemetry
    async with AsyncConnectus(**settings) as connectus:
        async with connectus.bulk(concurrency=1, on_event=telemetry.campaign()) as bulk:
            await bulk.run([Sms(NUMBER, TEXT)])
        emulator.fault(Fault.status(401))
        async with connectus.bulk(on_event=telemetry.campaign()) as bulk:
            with pytest.raises(AuthenticationError):
                await bulk.run([Sms(NUMBER, TEXT)])

    points = otel.points()
    assert [dict(point.attributes) for point in points["connectus.delayed"]] == [
        {"connectus.cause": "rate_limit"}
    ]
    assert [(point.value, dict(point.attributes)) for point in points["connectus.stops"]] == [
        (1, {"error.type": "AuthenticationError"})
    ]


@pytest.mark.parametrize("fault", [None, Fault.status(500, {"error": f"{NUMBER} {KEY}"})])
async def test_nothing_personal_is_in_a_span_or_a_metric(fault: Fault | None):
    """With all attributes, in a run through all calls and a campaign."""
    otel = received(detailed=True)
    telemetry = otel.telemetry
    async with Emulator(api_user=USER, api_key=KEY, qr_token=TOKEN) as emulator:
        if fault:
            emulator.fault(fault)
        async with personal_client(emulator, max_retries=1, on_call=telemetry.on_call) as connectus:
            await everything(connectus)
            async with connectus.bulk(concurrency=1, on_event=telemetry.campaign()) as bulk:
                await bulk.run([Sms(NUMBER, TEXT)])

    assert otel.spans
    for span in otel.spans:
        assert_hidden([span.name, dict(span.attributes), span.events, span.status.description])
    assert_hidden(otel.points())


def test_a_missing_library_is_named_with_its_extra(monkeypatch):
    """When the hooks are made."""
    monkeypatch.setitem(sys.modules, "opentelemetry.context", None)
    with pytest.raises(LibraryMissingError, match=r"pip install 'connectus-async\[otel\]'"):
        Telemetry()
