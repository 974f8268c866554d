"""Recorded streams of every dialect through a real gateway, cut after every frame and inside every frame.

A dialect joins with one line in `STREAMS`. SDKs take a clean end for the whole answer, so a cut must reach the
client as a cut; and nothing of it may be stored.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config import Settings
from gateway.dialects import claim
from gateway.question import Reply
from tests.fakes.pictures import card, data_url
from tests.fakes.tape import Tape
from tests.flows.conftest import Stage, gateway_over, serving
from tests.wire.recorded import reply_of

URL = data_url(card("48.20"))


@dataclass(frozen=True)
class Streamed:
    """A recorded stream, and a request that it may be the answer to."""

    dialect: str  # the folder in tests/wire
    recorded: str
    path: str
    asked: dict[str, Any]
    headers: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.dialect}-{self.recorded}"


def _chat(recorded: str) -> Streamed:
    content = [{"type": "image_url", "image_url": {"url": URL}}, {"type": "text", "text": "Price?"}]
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": content}]}
    return Streamed("openai_chat", recorded, "/v1/chat/completions", body)


def _responses(recorded: str) -> Streamed:
    content = [{"type": "input_image", "image_url": URL}, {"type": "input_text", "text": "Price?"}]
    body = {"model": "m", "stream": True, "store": False, "input": [{"role": "user", "content": content}]}
    return Streamed("openai_responses", recorded, "/v1/responses", body)


def _messages(recorded: str) -> Streamed:
    source = {"type": "base64", "media_type": "image/png", "data": URL.partition(",")[2]}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "Price?"}]
    body = {"model": "m", "max_tokens": 99, "stream": True, "messages": [{"role": "user", "content": content}]}
    return Streamed("anthropic_messages", recorded, "/v1/messages", body)


def _ollama(kind: str, recorded: str) -> Streamed:
    images = [URL.partition(",")[2]]
    chat = {"messages": [{"role": "user", "content": "Price?", "images": images}]}
    asked = chat if kind == "chat" else {"prompt": "Price?", "images": images}
    return Streamed(f"ollama_{kind}", recorded, f"/api/{kind}", {"model": "m", **asked})


def _dashscope(recorded: str) -> Streamed:
    messages = [{"role": "user", "content": [{"image": URL}, {"text": "Price?"}]}]
    path = "/api/v1/services/aigc/multimodal-generation/generation"
    asked = {"model": "m", "input": {"messages": messages}}
    return Streamed("dashscope", recorded, path, asked, (("X-DashScope-SSE", "enable"),))


STREAMS = (
    _chat("vllm__23-stream-to-stop-usage"),
    _chat("tf__23-stream-to-stop-usage"),
    _responses("openai__22-stream-reasoning"),
    _responses("dashscope__21-stream-image1"),
    _responses("tf__98-responses"),
    _messages("anthropic__32-stream-thinking"),
    _messages("vllm__21-stream-image1"),
    _ollama("chat", "ollama__stream-thinking"),
    _ollama("generate", "ollama__stream"),
    _ollama("chat", "sglang__stream"),
    _dashscope("dashscope__stream-incremental"),
    _dashscope("dashscope__stream-cumulative"),
    _dashscope("dashscope__stream-heartbeat"),
)


@pytest.fixture(params=STREAMS, ids=str)
def streamed(request: pytest.FixtureRequest) -> Streamed:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def tape(streamed: Streamed) -> Tape:
    return Tape(reply_of(streamed.dialect, streamed.recorded))


@pytest.fixture
def stage(tape: Tape, tmp_path: Path) -> Iterator[Stage]:
    with (
        serving(tape) as upstream,
        gateway_over(Settings(upstream=upstream, cache_dir=tmp_path, embedder="dct", store="memory")) as stage,
    ):
        yield stage


@pytest.fixture
def client(stage: Stage) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stage.gateway, timeout=30) as client:
        yield client


def cuts(body: bytes) -> list[int]:
    """After each event but the last, and in the middle of each."""
    end = b"\r\n\r\n" if b"\r\n\r\n" in body else b"\n\n" if b"\n\n" in body else b"\n"
    lengths = [len(event) + len(end) for event in body.split(end) if event.strip()]
    ends = list(accumulate(lengths))
    middles = [after - length // 2 for after, length in zip(ends, lengths, strict=True)]
    return sorted([*middles, *ends[:-1]])


def ask(client: httpx.Client, streamed: Streamed) -> tuple[bytes, str, bool]:
    """(what came, the cache's status, whether it ended cleanly)."""
    came = b""
    with client.stream("POST", streamed.path, json=streamed.asked, headers=dict(streamed.headers)) as reply:
        try:
            for chunk in reply.iter_raw():
                came += chunk
        except httpx.RemoteProtocolError:
            return came, reply.headers["cache-status"], False
    return came, reply.headers["cache-status"], True


def test_a_cut_reaches_the_client_as_a_cut_and_nothing_is_stored(
    stage: Stage, client: httpx.Client, tape: Tape, streamed: Streamed
):
    body = tape.reply.body
    places = cuts(body)
    for tape.cut in places:
        came, status, ended = ask(client, streamed)

        assert (came, ended) == (body[: tape.cut], False), tape.cut
        assert "fwd=miss" in status
    assert len(places) > 8
    assert tape.calls == len(places)
    assert stage.stats()["not_stored"] == {"cut-short": len(places)}
    assert stage.stats()["store"]["entries"] == 0


def test_a_clean_end_before_the_formats_own_end_is_not_stored_either(
    stage: Stage, client: httpx.Client, tape: Tape, streamed: Streamed
):
    body, tape.cleanly = tape.reply.body, True
    places = cuts(body)[::3]
    for tape.cut in places:
        assert ask(client, streamed)[::2] == (body[: tape.cut], True)
    assert stage.stats()["not_stored"] == {"cut-short": len(places)}


def test_the_whole_stream_is_stored_and_served(client: httpx.Client, tape: Tape, streamed: Streamed):
    first, _, _ = ask(client, streamed)
    again, status, ended = ask(client, streamed)

    assert first == tape.reply.body
    assert "hit" in status
    assert ended
    assert tape.calls == 1
    assert told(streamed, again) == told(streamed, first)


def told(streamed: Streamed, body: bytes) -> str:
    dialect = claim("POST", streamed.path)
    assert dialect is not None
    reply = dialect.assemble(dialect.framing().feed(body), 1)
    assert isinstance(reply, Reply)
    return dialect.text(reply)
