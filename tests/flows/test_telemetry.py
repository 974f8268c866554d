"""Traces: one span per stage, the caller's trace continued, the upstream's part of it; and nothing at all when off."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from gateway.app import create_app
from gateway.config import Settings
from gateway.errors import ConfigError
from gateway.make import make_tracing, open_store
from gateway.server import InThread
from gateway.telemetry import Telemetry
from tests.fakes.pictures import card
from tests.fakes.upstream import FakeUpstream
from tests.flows.conftest import Stage, serving
from tests.flows.test_passthrough import question

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLERS = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{CALLERS}-01"


@contextmanager
def traced(folder: Path) -> Iterator[tuple[Stage, InMemorySpanExporter]]:
    fake, exported = FakeUpstream(), InMemorySpanExporter()
    with serving(fake) as upstream:
        settings = Settings(upstream=upstream, cache_dir=folder, embedder="dct")

        async def made() -> Any:
            tracing = Telemetry(SimpleSpanProcessor(exported), "1.0", time.time, time.perf_counter)
            return create_app(settings, open_store(settings), tracing=tracing)

        with InThread(made) as server:
            yield Stage(server.url, fake, upstream, None), exported  # type: ignore[arg-type]


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[Stage, InMemorySpanExporter]]:
    with traced(tmp_path / "cache") as made:
        yield made


def post(stage: Stage, price: str = "48.20", **headers: str) -> httpx.Response:
    return httpx.post(f"{stage.gateway}/v1/chat/completions", json=question(card(price)), headers=headers)


def spans(stage: Stage, exported: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    stage.stats()  # waits until the request is over
    found = exported.get_finished_spans()
    exported.clear()
    return {span.name: span for span in found}


def test_a_miss_has_a_span_per_stage_within_its_own(both: tuple[Stage, InMemorySpanExporter]):
    post(both[0])
    found = spans(*both)
    root = found.pop("POST miss")

    assert set(found) >= {"receive", "read", "look", "upstream_first_byte", "upstream", "decode", "store"}
    assert root.parent is None
    assert (root.kind, found["upstream"].kind) == (SpanKind.SERVER, SpanKind.CLIENT)
    for span in found.values():
        assert span.parent is not None
        assert root.context is not None
        assert span.parent.span_id == root.context.span_id
        assert root.start_time <= span.start_time <= span.end_time <= root.end_time  # type: ignore[operator]
    assert root.attributes is not None
    assert root.attributes["http.response.status_code"] == 200
    assert root.attributes["lookalike.reason"] == "first-asked"
    assert root.resource.attributes["service.name"] == "lookalike"


def test_a_hit_has_no_upstream(both: tuple[Stage, InMemorySpanExporter]):
    post(both[0])
    spans(*both)
    post(both[0])
    found = spans(*both)

    assert "POST exact" in found
    assert "serve" in found
    assert "upstream" not in found


def test_the_callers_trace_goes_on_through_us_to_the_upstream(both: tuple[Stage, InMemorySpanExporter]):
    stage, _ = both
    post(stage, traceparent=TRACEPARENT, tracestate="vendor=1")
    found = spans(*both)
    root, upstream = found["POST miss"], found["upstream"]
    assert root.parent is not None
    assert upstream.context is not None

    assert (f"{root.parent.trace_id:032x}", f"{root.parent.span_id:016x}") == (TRACE, CALLERS)
    (seen,) = stage.upstream.seen
    assert [value for name, value in seen.headers if name == "traceparent"] == [
        f"00-{TRACE}-{upstream.context.span_id:016x}-01"
    ]
    assert seen.header("tracestate") == "vendor=1"


@pytest.mark.parametrize("broken", ["", "garbage", "00-0-0-00", f"00-{'0' * 32}-{CALLERS}-01"])
def test_a_traceparent_that_is_none_begins_a_trace_of_its_own(both: tuple[Stage, InMemorySpanExporter], broken: str):
    assert post(both[0], traceparent=broken).status_code == 200

    assert spans(*both)["POST miss"].parent is None


def test_a_request_that_the_caller_does_not_sample_is_not_exported(both: tuple[Stage, InMemorySpanExporter]):
    post(both[0], traceparent=TRACEPARENT[:-1] + "0")

    assert spans(*both) == {}
    assert (both[0].upstream.seen[0].header("traceparent") or "").endswith("-00")


def test_an_error_is_said_on_the_span(both: tuple[Stage, InMemorySpanExporter]):
    post(both[0], **{"cache-control": "only-if-cached"})
    (root,) = [span for span in spans(*both).values() if span.kind is SpanKind.SERVER]

    assert not root.status.is_ok
    assert root.attributes is not None
    assert root.attributes["error.type"] == "not_in_cache"


def test_no_span_holds_a_prompt_or_a_credential(both: tuple[Stage, InMemorySpanExporter]):
    post(both[0], authorization="Bearer sk-secret-one")
    told = " ".join(span.to_json() for span in spans(*both).values())

    assert "sk-secret-one" not in told
    assert question(card("48.20"))["messages"][0]["content"][-1]["text"] not in told


def test_without_an_endpoint_a_traceparent_passes_and_nothing_is_traced(stage: Stage):
    post(stage, traceparent=TRACEPARENT)

    assert stage.upstream.seen[0].header("traceparent") == TRACEPARENT


def test_the_collector_gets_the_spans_over_http(tmp_path: Path):
    collector = FakeUpstream()
    with serving(collector) as address, serving(FakeUpstream()) as upstream:
        settings = Settings(
            upstream=upstream, cache_dir=tmp_path / "cache", embedder="dct", otlp_endpoint=f"{address}/"
        )

        async def made() -> Any:
            return create_app(settings, open_store(settings))

        with InThread(made) as server:
            httpx.post(f"{server.url}/v1/chat/completions", json=question(card("48.20")))
    sent = [seen for seen in collector.seen if seen.path == "/v1/traces"]

    assert b"lookalike" in sent[0].body
    assert b"POST miss" in b"".join(seen.body for seen in sent)


def test_traces_without_the_extra_are_refused_in_words(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "gateway.telemetry", None)
    settings = Settings(upstream="http://upstream", otlp_endpoint="http://collector:4318")

    with pytest.raises(ConfigError, match=r"\.\[otel\]"):
        make_tracing(settings, time.time, time.perf_counter)


@pytest.mark.slow
def test_where_no_traces_are_wanted_no_library_is_imported():
    code = (
        "import sys; from gateway.app import create_app; from gateway.make import open_store;"
        "from gateway.config import Settings;"
        "settings = Settings(upstream='http://h', store='memory'); create_app(settings, open_store(settings));"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
