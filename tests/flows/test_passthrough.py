"""What the gateway does not understand reaches the upstream, and comes back, byte for byte."""

import gzip
import hashlib
import json
import socket
import socketserver
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.config import Settings
from tests.fakes.pictures import card, data_url
from tests.flows.conftest import Build, Stage, gateway_over, serving


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_any_method_path_query_and_body_arrive_unchanged(stage: Stage, method: str):
    body = b"\x00\x01 not json \xff" * 1000
    path = "/v1/some%2Fthing/%E4%BD%A0;x=1?a=%20b&a=2&empty="
    reply = httpx.request(method, stage.gateway + path, content=body).json()

    assert (reply["method"], reply["path"], reply["query"]) == (method, *path.split("?"))
    assert reply["body_sha256"] == hashlib.sha256(body).hexdigest()


def test_a_request_without_a_body_gets_none(stage: Stage):
    names = {name for name, _ in httpx.get(f"{stage.gateway}/anything").json()["headers"]}

    assert not names & {"content-length", "transfer-encoding"}


def test_headers_travel_except_those_of_one_connection(stage: Stage):
    sent = {
        "connection": "keep-alive, x-mine",
        "x-mine": "for this hop",
        "te": "trailers",
        "x-lookalike-mode": "exact",
        "authorization": "Bearer sk",
        "x-other": "kept",
    }
    reply = httpx.get(f"{stage.gateway}/h", headers=sent)
    arrived = dict(reply.json()["headers"])

    assert arrived["authorization"] == "Bearer sk"
    assert arrived["x-other"] == "kept"
    assert arrived["host"] == urlsplit(stage.upstream_url).netloc
    assert not {"x-mine", "te", "x-lookalike-mode"} & set(arrived)
    assert reply.headers["x-upstream"] == "yes"
    assert reply.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert reply.headers.get_list("date") == []


def test_cookies_of_one_client_never_travel_with_anothers_request(stage: Stage):
    httpx.get(f"{stage.gateway}/sets-cookies")
    arrived = dict(httpx.get(f"{stage.gateway}/second").json()["headers"])

    assert "cookie" not in arrived


def test_a_compressed_reply_is_neither_decoded_nor_recoded(stage: Stage):
    with httpx.stream("GET", f"{stage.gateway}/z", headers={"x-fake": "gzip"}) as reply:
        raw = b"".join(reply.iter_raw())

    assert reply.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(raw))["path"] == "/z"


def test_head_and_an_upstreams_own_health_and_metrics_pass(stage: Stage):
    assert httpx.get(f"{stage.gateway}/health").json()["path"] == "/health"
    assert httpx.get(f"{stage.gateway}/metrics").json()["path"] == "/metrics"
    assert httpx.head(f"{stage.gateway}/x").status_code == 200


def test_nothing_under_cache_is_forwarded(stage: Stage):
    assert httpx.get(f"{stage.gateway}/cache/nothing").status_code == 404
    assert not [seen for seen in stage.upstream.seen if seen.path.startswith("/cache")]


def test_a_large_upload_streams_through_while_it_is_sent(stage: Stage):
    first = b"x" * 100_000

    def chunks() -> Any:
        yield first
        yield b"y" * 5_000_000

    reply = httpx.put(f"{stage.gateway}/upload", content=chunks(), timeout=30).json()

    assert reply["body_bytes"] == 5_100_000
    assert dict(reply["headers"])["transfer-encoding"] == "chunked"


def test_a_body_over_the_limit_is_forwarded_whole_and_not_cached(build: Build):
    stage = build(near=False, body_bytes_max=2048)
    body = question(card("48.20"))
    for _ in range(2):
        reply = httpx.post(f"{stage.gateway}/v1/chat/completions", json=body)
        assert reply.json()["choices"][0]["message"]["content"] == "prices: 48.20"

    assert stage.stats()["bypasses"]["by_reason"] == {"body-too-large": 2}


def test_an_unreachable_upstream_is_a_502_in_the_clients_own_shape(tmp_path: Any):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        upstream = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with gateway_over(Settings(upstream=upstream, cache_dir=tmp_path, embedder="dct")) as stage:
            replies = [
                httpx.get(f"{stage.gateway}/v1/models"),
                httpx.post(f"{stage.gateway}/v1/chat/completions", json=question(card("48.20"))),
            ]
            errors = stage.stats()["errors"]

    for reply in replies:
        assert reply.status_code == 502
        assert reply.json()["error"]["code"] == "upstream_unreachable"
        assert upstream in reply.json()["error"]["message"]
    assert errors == {"upstream_unreachable": 2}


def test_an_upstream_that_says_nothing_for_too_long_is_a_504(build: Build):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        upstream = f"http://127.0.0.1:{silent.getsockname()[1]}"
        stage = build(near=False, upstream=upstream, read_timeout_s=0.2)
        reply = httpx.post(f"{stage.gateway}/v1/chat/completions", json=question(card("48.20")))

    assert reply.status_code == 504
    assert reply.json()["error"]["code"] == "upstream_timeout"


def test_a_long_stream_is_not_cut_as_long_as_bytes_arrive(build: Build):
    stage = build(near=False, read_timeout_s=0.3)
    body = question(card("48.20")) | {"stream": True}
    with httpx.stream(
        "POST", f"{stage.gateway}/v1/chat/completions", json=body, headers={"x-fake": "pause=0.12"}
    ) as reply:
        lines = [line for line in reply.iter_lines() if line]

    assert lines[-1] == "data: [DONE]"  # five frames: longer than the timeout in all


@pytest.mark.parametrize("after", range(1, 5))
def test_a_stream_that_the_upstream_breaks_off_is_broken_off_and_not_stored(stage: Stage, after: int):
    body = question(card("48.20")) | {"stream": True}
    for _ in range(2):
        with (
            pytest.raises(httpx.RemoteProtocolError),
            httpx.stream(
                "POST", f"{stage.gateway}/v1/chat/completions", json=body, headers={"x-fake": f"cut-after={after}"}
            ) as reply,
        ):
            list(reply.iter_raw())

    assert stage.upstream.calls == 2
    assert stage.stats()["not_stored"] == {"cut-short": 2}
    assert stage.stats()["errors"] == {"upstream-cut-short": 2}


def test_a_whole_reply_cut_short_of_its_length_is_cut_short_and_not_stored(stage: Stage):
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(f"{stage.gateway}/v1/chat/completions", json=question(card("48.20")), headers={"x-fake": "cut"})

    assert stage.stats()["not_stored"] == {"cut-short": 1}


@pytest.mark.parametrize("after", [1, 2, 3])
def test_an_error_in_mid_stream_reaches_the_client_and_is_not_stored(stage: Stage, after: int):
    body = question(card("48.20")) | {"stream": True}
    reply = httpx.post(f"{stage.gateway}/v1/chat/completions", json=body, headers={"x-fake": f"error-after={after}"})

    assert "failed in mid-stream" in reply.text
    assert stage.stats()["not_stored"] == {"error-in-reply": 1}


def test_a_client_that_goes_away_cancels_the_upstreams_work(stage: Stage):
    body = question(card("48.20")) | {"stream": True}
    with httpx.stream(
        "POST", f"{stage.gateway}/v1/chat/completions", json=body, headers={"x-fake": "forever"}
    ) as reply:
        next(reply.iter_raw())

    assert stage.upstream.left.wait(5)
    assert eventually(lambda: stage.stats()["errors"] == {"client-gone": 1})


def test_a_client_that_goes_away_before_the_first_byte_cancels_too(tmp_path: Any):
    gone = threading.Event()

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            while (await receive())["type"] != "http.disconnect":
                pass
            gone.set()

    with (
        serving(silent) as upstream,
        gateway_over(Settings(upstream=upstream, cache_dir=tmp_path, embedder="dct")) as stage,
        pytest.raises(httpx.ReadTimeout),
    ):
        httpx.post(f"{stage.gateway}/v1/chat/completions", json=question(card("48.20")), timeout=0.3)
    assert gone.wait(5)


def test_a_gzipped_answer_is_stored_plain_and_served_to_a_client_that_takes_no_gzip(stage: Stage):
    url = f"{stage.gateway}/v1/chat/completions"
    httpx.post(url, json=question(card("48.20")), headers={"x-fake": "gzip"})
    hit = httpx.post(url, json=question(card("48.20")), headers={"accept-encoding": "identity"})

    assert "content-encoding" not in hit.headers
    assert hit.json()["choices"][0]["message"]["content"] == "prices: 48.20"
    assert stage.upstream.calls == 1


def test_a_304_that_tells_the_length_of_what_it_leaves_out_does_not_break_the_connection(build: Build):
    class NotModified(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            self.wfile.write(b"HTTP/1.1 304 Not Modified\r\nconnection: close\r\ncontent-length: 10\r\netag: 1\r\n\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), NotModified) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        stage = build(near=False, upstream=f"http://127.0.0.1:{server.server_address[1]}")
        with httpx.Client(base_url=stage.gateway) as client:
            replies = [client.get("/x") for _ in range(3)]
        server.shutdown()

    assert [reply.status_code for reply in replies] == [304] * 3
    assert replies[0].headers["etag"] == "1"


def question(file: bytes) -> dict[str, Any]:
    part = {"type": "image_url", "image_url": {"url": data_url(file)}}
    return {"model": "m", "messages": [{"role": "user", "content": [part, {"type": "text", "text": "Price?"}]}]}


def eventually(true: Any) -> bool:
    """Some effects of a closed socket come when the kernel brings them."""
    until = time.monotonic() + 5
    while not true() and time.monotonic() < until:
        time.sleep(0.01)
    return bool(true())
