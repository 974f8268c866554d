"""Traces by OpenTelemetry: the only file that imports it, and it is imported only where traces are wanted.

A request is one server span, each stage a span below it, and the call upstream a client span whose context travels
with it (W3C Trace Context). Stages are measured by the trail; their spans are made when the request is over.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gateway.tracing import Raw, Span

Clock = Callable[[], float]

_CONTEXT = TraceContextTextMapPropagator()
_FIELDS = (b"traceparent", b"tracestate")
_UPSTREAM = "upstream"
# A collector that does not answer must not hold up a shutdown, which waits for the last batch.
_EXPORT_S = 3
# Facts of the log line under OpenTelemetry's own names; all others are "lookalike.…".
_NAMES = {
    "method": "http.request.method",
    "path": "url.path",
    "status": "http.response.status_code",
    "model": "gen_ai.request.model",
    "error": "error.type",
}
_LEFT_OUT = {"ms", "stages_ms"}  # what the spans say


def to_collector(endpoint: str) -> SpanProcessor:
    """Sends spans in batches to the OTLP/HTTP endpoint with this base URL."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    exporter: SpanExporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=_EXPORT_S)
    return BatchSpanProcessor(exporter)


class Telemetry:
    """`Tracing`, over whatever takes the spans."""

    def __init__(self, processor: SpanProcessor, version: str, clock: Clock, monotonic: Clock) -> None:
        resource = Resource.create({SERVICE_NAME: "lookalike", SERVICE_VERSION: version})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("lookalike", version)
        self._clock = clock
        self._monotonic = monotonic

    def begin(self, fields: Raw) -> "RequestTrace":
        return RequestTrace(self._tracer, fields, self._clock() - self._monotonic(), self._monotonic())

    def close(self) -> None:
        self._provider.shutdown()


class RequestTrace:
    def __init__(self, tracer: trace.Tracer, fields: Raw, offset_s: float, begun_s: float) -> None:
        """`offset_s` takes the monotonic clock to Unix time."""
        self._tracer = tracer
        self._offset_s = offset_s
        carrier = {name.decode(): value.decode("latin-1") for name, value in fields if name in _FIELDS}
        parent = _CONTEXT.extract(carrier)
        self._root = tracer.start_span("request", parent, SpanKind.SERVER, start_time=self._unix_ns(begun_s))
        self._below = trace.set_span_in_context(self._root)
        self._upstream: trace.Span | None = None

    def upstream(self, fields: Raw) -> Raw:
        self._upstream = self._tracer.start_span(_UPSTREAM, self._below, SpanKind.CLIENT)
        carrier: dict[str, str] = {}
        _CONTEXT.inject(carrier, trace.set_span_in_context(self._upstream))
        own = [(name.encode(), value.encode("latin-1")) for name, value in carrier.items()]
        return [*(field for field in fields if field[0] not in _FIELDS), *own]

    def end(self, facts: Mapping[str, Any], spans: Sequence[Span], ended_s: float) -> None:
        upstream_ended_s = ended_s
        for name, begun_s, stage_ended_s in spans:
            if name == _UPSTREAM:
                upstream_ended_s = stage_ended_s
                continue
            span = self._tracer.start_span(name, self._below, start_time=self._unix_ns(begun_s))
            span.end(self._unix_ns(stage_ended_s))
        if self._upstream is not None:
            self._upstream.end(self._unix_ns(upstream_ended_s))
        for fact, value in facts.items():
            if fact not in _LEFT_OUT:
                self._root.set_attribute(_NAMES.get(fact, f"lookalike.{fact}"), value)
        if "error" in facts:
            self._root.set_status(Status(StatusCode.ERROR, facts["error"]))
        self._root.update_name(f"{facts['method']} {facts['cache']}")
        self._root.end(self._unix_ns(ended_s))

    def _unix_ns(self, monotonic_s: float) -> int:
        return int((monotonic_s + self._offset_s) * 1e9)
