"""A sweep: every format and every outcome, at the most talkative settings; then all that was written is searched for
credentials, prompts and pictures: logs, traces, metrics, statistics, pages, our own errors, and every file."""

import base64
import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gateway import logs
from gateway.app import create_app
from gateway.config import Settings
from gateway.demo import cards
from gateway.dialects import DIALECTS, claim
from gateway.forward import Upstream
from gateway.make import open_store, wall_clock
from gateway.question import Reply
from gateway.server import InThread
from gateway.telemetry import Telemetry
from tests.contracts.store_contract import Clock
from tests.fakes.asgi import Seen, lifespan, read, start
from tests.fakes.pictures import card, data_url, jpeg, webp
from tests.flows.conftest import Stage, serving, wait_until_ready
from tests.flows.test_documented_dialects import PATHS, answer, folder, question_of
from tests.flows.test_privacy import PICTURE_FILES
from tests.wire.recorded import Message, replies

PROMPT = "What does the zebra-striped card 77313 cost?"
MARK = "markedkey"
CREDENTIALS = {
    "authorization": f"Bearer {MARK}-bearer",
    "x-api-key": f"{MARK}-x",
    "api-key": f"{MARK}-azure",
    "x-auth-token": f"{MARK}-token",
    "cookie": f"session={MARK}-cookie",
    "openai-organization": f"{MARK}-organization",
}
QUERY = f"key={MARK}-query&sig={MARK}-signature&v={MARK}-rest"
PICTURES = (card("48.20"), jpeg(cards.draw("48.20"), 80), webp(cards.draw("48.20"), 60), jpeg(cards.draw("77.13"), 90))


def pieces(file: bytes) -> list[bytes]:
    """What tells that a picture's file is in some bytes: of its middle, as it is and in base64."""
    middle = len(file) // 6 * 3
    encoded = base64.b64encode(file)
    return [file[middle : middle + 24], encoded[middle : middle + 32]]


SAID = [PROMPT.encode(), b"zebra-striped", base64.b64encode(PROMPT.encode())[:30], MARK.encode()]
SHOWN = [piece for file in PICTURES for piece in pieces(file)]


class Teller:
    """An upstream that answers in every format, and in its errors repeats everything that it was sent."""

    def __init__(self) -> None:
        self.told = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        seen = await read(scope, receive)
        self.told += 1
        how = seen.header("x-how") or ""
        status, fields, body = self._reply(seen, how)
        await send(start(status, [*fields, (b"content-length", b"%d" % len(body))]))
        half = body[: len(body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        if how != "cut":
            await send({"type": "http.response.body", "body": body[len(half) :]})
        return None

    def _reply(self, seen: Seen, how: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        everything = f"{seen.query} {seen.headers} {seen.body.decode('utf-8', 'replace')}"
        error = json.dumps({"error": {"message": everything, "type": everything, "code": everything}}).encode()
        fields = [
            (b"content-type", b"application/json"),
            (b"x-echo", seen.query.encode()),
            (b"set-cookie", MARK.encode()),
        ]
        if how.isdecimal():
            return int(how), fields, error
        if how == "error":
            return 200, fields, error
        if how == "garbage":
            return 200, fields, everything.encode()
        if how == "stream-error":
            return 200, [(b"content-type", b"text/event-stream")], b"data: " + error + b"\n\n"
        spoken = claim(seen.method, seen.path.partition("?")[0])
        return 200, fields, b"{}" if spoken is None else whole(spoken.name).body


def whole(name: str) -> Message:
    """The plainest reply of a format that is kept."""
    spoken = next(dialect for dialect in DIALECTS if dialect.name == name)
    found = [reply for reply in replies(folder(name)) if reply.status == 200 and not reply.streamed]
    return min((one for one in found if isinstance(answer(spoken, one), Reply)), key=lambda one: len(one.case))


def told_anew(value: Any, picture: bytes, name: str = "") -> Any:
    """A recorded question with our prompt and picture in it."""
    match value:
        case dict():
            return {key: told_anew(inner, picture, key) for key, inner in value.items()}
        case list():
            return [told_anew(inner, picture, name) for inner in value]
        case str() if value.startswith("data:"):
            return data_url(picture)
        case str() if len(value) > 200 and " " not in value:
            return base64.b64encode(picture).decode()
        case str() if name in ("text", "prompt", "content"):
            return PROMPT
    return value


@dataclass
class Written:
    """Everything that the gateway lets others read."""

    folder: Path
    log: io.StringIO = field(default_factory=io.StringIO)
    traces: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    own: list[bytes] = field(default_factory=list)  # pages, statistics, errors of our own, and headers of ours
    outcomes: set[str] = field(default_factory=set)

    def everything(self) -> dict[str, bytes]:
        spans = "\n".join(str(span.to_json()) for span in self.traces.get_finished_spans())
        found = {"log": self.log.getvalue().encode(), "traces": spans.encode(), "own": b"\n".join(self.own)}
        files = [file for file in self.folder.rglob("*") if file.is_file() and file.name != "secret"]
        return found | {str(file.relative_to(self.folder)): file.read_bytes() for file in files}

    def holding(self, wanted: list[bytes]) -> list[tuple[str, bytes]]:
        return [(name, one) for name, text in self.everything().items() for one in wanted if one in text]

    def note(self, reply: httpx.Response) -> None:
        """What is ours in a reply: its headers, and its body where the upstream gave none."""
        status = reply.headers.get("cache-status", "")
        self.outcomes.add(status.rpartition("detail=")[2])
        names = ("cache-status", "x-lookalike-entry", "x-lookalike-request", "x-lookalike-similarity")
        self.own += [f"{name}: {reply.headers.get(name)}".encode() for name in names]
        if "fwd=" not in status:
            self.own.append(reply.content)


@pytest.fixture
def talkative() -> Iterator[io.StringIO]:
    """The log as text and as JSON at its most talkative, as the gateway sets it up."""
    root, written = logging.getLogger(), io.StringIO()
    before = root.handlers[:], root.level
    logs.configure("json", "debug")
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)
    text = logging.StreamHandler(written)
    text.setFormatter(logs.TextLines())
    root.addHandler(text)
    yield written
    root.handlers[:], root.level = before


@contextmanager
def gateway(written: Written, upstream: str, clock: Clock, **settings: Any) -> Iterator[Stage]:
    chosen = Settings(
        **{"upstream": upstream, "cache_dir": written.folder, "embedder": "dct", "log_level": "debug"} | settings
    )
    apps: list[Any] = []

    async def made() -> Any:
        tracing = Telemetry(SimpleSpanProcessor(written.traces), "1.0", wall_clock, clock)
        apps.append(create_app(chosen, open_store(chosen, clock=clock), clock=clock, tracing=tracing))
        return apps[0]

    with InThread(made) as server:
        stage = Stage(server.url, None, upstream, apps[0])  # type: ignore[arg-type]
        wait_until_ready(stage)
        yield stage


PAGES = (
    *("/stats", "/metrics", "/health", "/entries", "/feedback", "/dashboard", "/dashboard/hits", "/dashboard/now"),
    *(f"/stats?by={by}" for by in ("hit_class", "model", "tenant", "dialect", "reason", "kind")),
    "/stats/series",
)


def look_round(stage: Stage, written: Written) -> None:
    for page in PAGES:
        reply = httpx.get(f"{stage.gateway}/cache{page}")
        assert reply.status_code == 200, page
        written.own.append(reply.content)
    for entry in httpx.get(f"{stage.gateway}/cache/entries").json()["entries"]:
        written.own.append(httpx.get(f"{stage.gateway}/cache/entries/{entry['id']}").content)

    for chosen in (
        {"prompt": "asked by nobody"},
        {"prompt": PROMPT, "newer_than_s": 4_000},
    ):  # each noted in the audit log
        reply = httpx.post(f"{stage.gateway}/cache/purge", json=chosen | {"confirm": True})
        written.own.append(reply.raise_for_status().content)


def ask_everything(stage: Stage, written: Written, clock: Clock) -> None:
    with httpx.Client(base_url=stage.gateway, headers=CREDENTIALS, timeout=60) as client:

        def send(path: str, body: Any, **fields: str) -> None:
            named = {name.replace("_", "-"): value for name, value in fields.items()}
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            try:
                reply = client.post(f"{path}?{QUERY}", content=content, headers=named)
            except httpx.RemoteProtocolError:
                return  # cut short, as the upstream's was
            written.note(reply)
            stage.stats()

        for name, path in PATHS.items():
            for picture in PICTURES:
                send(path, told_anew(question_of(name), picture))
            plain = told_anew(question_of(name), PICTURES[0])
            send(path, plain)  # a hit
            for how in ("401", "403", "429", "500", "503", "error", "garbage", "cut", "stream-error", "302"):
                send(path, plain | {"model": f"another-{how}"}, x_how=how)
            send(path, plain, cache_control="no-cache")
            send(path, plain | {"model": "never-asked"}, cache_control="only-if-cached")
            send(path, plain, cache_control="no-store")
            send(path, plain, x_lookalike_mode="off")
            send(path, plain, x_lookalike_mode="no such word")
            send(path, json.dumps(plain).encode()[:-9])  # not JSON
            send(path, json.dumps(plain).encode().replace(b'"model"', b'"model": "twice", "model"', 1))
            send(path, json.dumps(told_anew(question_of(name), b"no picture " + PROMPT.encode() * 9)).encode())
            send(path, told_anew(question_of(name), PICTURES[0][:-2000]))  # a broken one
            send(path, json.dumps(plain).encode(), content_encoding="zstd")
            clock.now_s += 3_600
            send(path, plain)
        send("/v1/models", {"text": PROMPT})
        url = f"https://{MARK}:{MARK}@127.0.0.1/{MARK}.png?sig={MARK}"
        part = {"type": "image_url", "image_url": {"url": url}}
        send(PATHS["openai-chat"], {"model": "m", "messages": [{"role": "user", "content": [part]}]})


@pytest.fixture
def upstream() -> Iterator[str]:
    with serving(Teller()) as url:
        yield url


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["near", "shadow"])
@pytest.mark.parametrize("privacy", ["strict", "standard"])
def test_nothing_that_is_written_holds_a_credential_a_prompt_or_a_picture(
    tmp_path: Path, talkative: io.StringIO, upstream: str, privacy: str, mode: str
):
    written, clock = Written(tmp_path / "cache", talkative), Clock(1_800_000_000.0)
    chosen = {"privacy": privacy, "mode": mode, "fetch_pictures": "public"}
    with gateway(written, upstream, clock, **chosen) as stage:
        ask_everything(stage, written, clock)
        look_round(stage, written)
        running = written.holding(SAID + SHOWN)
    after = written.holding(SAID + SHOWN)

    assert (running, after) == ([], [])
    files = written.everything()
    assert {"log", "traces", "own", "ledger.sqlite", "accepted.json", "audit.jsonl"} <= files.keys()
    assert all(files[name] for name in ("log", "traces", "own", "ledger.sqlite"))
    always = {"mode-off", "not-json", "ambiguous-json", "picture-unreadable", "encoded-body", "no-cache", "no-dialect"}
    always |= {"bad_cache_header", "not_in_cache", "picture-fetch-refused"}
    by_mode = {"near": {"exact", "near", "first-asked", "key-unverified"}, "shadow": {"shadow"}}
    assert always | by_mode[mode] <= written.outcomes
    if privacy == "strict":
        disk = {name: text for name, text in files.items() if name not in ("log", "traces", "own")}
        assert [(name, one) for name, text in disk.items() for one in PICTURE_FILES if one in text] == []


def test_the_search_finds_what_it_is_meant_to_find(tmp_path: Path):
    written = Written(tmp_path)
    (tmp_path / "file").write_bytes(b"..." + PICTURES[1] + base64.b64encode(PICTURES[0]) + PROMPT.encode())
    written.log.write(f"Bearer {MARK}")

    found = written.holding(SAID + SHOWN)
    assert {name for name, _ in found} == {"file", "log"}
    assert len(found) == 5


# Faults of ours, whose exceptions may repeat what they were given


@pytest.mark.parametrize("place", ["parse", "read", "relay", "unretrieved"])
def test_no_traceback_repeats_what_it_was_given(
    tmp_path: Path, talkative: io.StringIO, upstream: str, monkeypatch: pytest.MonkeyPatch, place: str
):
    def broken(*given: Any, **more: Any) -> Any:
        try:
            raise KeyError(f"{PROMPT} {MARK}")
        except KeyError as error:
            error.add_note(PROMPT)
            raise ValueError(f"{PROMPT} {MARK} {PICTURES[0]!r}") from error

    written, clock = Written(tmp_path / "cache", talkative), Clock(1_800_000_000.0)
    with gateway(written, upstream, clock) as stage:
        match place:
            case "parse":
                monkeypatch.setattr(type(DIALECTS[0]), "parse", broken)
            case "read":
                monkeypatch.setattr("gateway.capture.read", broken)
            case "relay":
                monkeypatch.setattr(Upstream, "relay", broken)
            case _:
                lost = ValueError(f"{PROMPT} {MARK}")  # as asyncio says it
                logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: <Task %r>", lost)
        body = told_anew(question_of("openai-chat"), PICTURES[0])
        httpx.post(stage.gateway + PATHS["openai-chat"], json=body, headers=CREDENTIALS)
        stage.stats()

    assert written.holding(SAID + SHOWN) == []
    if place != "unretrieved":
        assert "test_secrets.py" in talkative.getvalue()
        assert "ValueError" in talkative.getvalue()
        assert "KeyError" in talkative.getvalue()
