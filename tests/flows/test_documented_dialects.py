"""docs/dialects.md is true: its tables are read, and what they say is asked of the dialects and of a real gateway."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cache.keys import canonical
from gateway.config import Settings
from gateway.dialects import DIALECTS, claim
from gateway.dialects.base import Dialect
from gateway.question import Call, Question, Reply, Unstored
from tests.fakes.asgi import lifespan, read, send_json
from tests.flows.conftest import gateway_over, serving
from tests.wire.recorded import Message, message, messages, replies

DOCUMENT = Path(__file__).parents[2] / "docs/dialects.md"
SERVERS = {"llama.cpp": "llamacpp", "transformers serve": "tf", "a service": "service"}  # where it is not the name
REQUESTS = {  # the plainest recorded question of each format
    "openai-chat": "11-image1",
    "openai-responses": "11-image1",
    "anthropic-messages": "11-image1",
    "ollama-chat": "image4",
    "ollama-generate": "image4",
    "dashscope": "image4",
    "service-inference": "image1",
}
PATHS = {
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "anthropic-messages": "/v1/messages",
    "ollama-chat": "/api/chat",
    "ollama-generate": "/api/generate",
    "dashscope": "/api/v1/services/aigc/multimodal-generation/generation",
    "service-inference": "/api/v1/services/qwen-vl-8b/inference",
}
# How a stream is refused and asked for: (body, headers) each.
STREAMING: dict[str, tuple[tuple[dict[str, Any], dict[str, str]], ...]] = {
    "`stream` in the body": (({}, {}), ({"stream": True}, {})),
    "`stream` in the body, on unless false": (({"stream": False}, {}), ({}, {})),
    "header `X-DashScope-SSE: enable`": (({}, {}), ({}, {"x-dashscope-sse": "enable"})),
    "none known": (({}, {}),),
}
CACHED = {
    (2, True): "whole and streamed, each for the other",
    (2, False): "whole and streamed, each for itself",
    (1, True): "whole",
}


def table(first_column: str) -> list[list[str]]:
    """The rows of the table whose heading begins with this column."""
    heading = rf"^\| {first_column} \|.*\n\|[-|]+\|\n"
    found = re.search(heading + r"((?:\|.*\n)+)", DOCUMENT.read_text(), re.MULTILINE)
    assert found, first_column
    return [re.split(r" \| ", row.strip("| ")) for row in found[1].splitlines()]


def code(cell: str) -> str:
    return cell.strip("`")


READ = table("server")
PASSING = table("passes through")
BYPASSED = [row for row in table("format") if len(row) == 5]
NOT_KEPT = re.findall(r"^\| `([a-z-]+)` \| `(\{.*\})` \| `([a-z-]+)` \|$", DOCUMENT.read_text(), re.MULTILINE)


def dialect(name: str) -> Dialect:
    return next(dialect for dialect in DIALECTS if dialect.name == name)


def folder(name: str) -> str:
    return name.replace("-", "_")


def question_of(name: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(message(folder(name), "requests", REQUESTS[name]).body)
    body.pop("stream", None)
    return body


def merged(value: Any, patch: Any) -> Any:
    """`patch` laid over `value`: objects member by member, lists of one length item by item."""
    match value, patch:
        case dict(), dict():
            return value | {name: merged(value.get(name), inner) for name, inner in patch.items()}
        case list(), list() if len(value) == len(patch):
            return [merged(old, new) for old, new in zip(value, patch, strict=True)]
        case _:
            return patch


def answer(dialect: Dialect, reply: Message) -> Reply | Unstored:
    """A recorded reply as the gateway would keep it, or why it would not."""
    frames = dialect.framing().feed(reply.body) if reply.streamed else None
    found = dialect.whole(reply.body) if frames is None else dialect.assemble(frames, 1)
    return (dialect.unstorable(found) or found) if isinstance(found, Reply) else found


def answers(name: str, server: str, kind: str) -> list[Message]:
    sent = [reply for reply in messages(folder(name), kind) if reply.server == server and reply.status == 200]
    return [reply for reply in sent if reply.complete and isinstance(answer(dialect(name), reply), Reply)]


@pytest.mark.parametrize("row", READ, ids=[f"{row[0]} {code(row[1])}" for row in READ])
def test_what_is_said_to_be_read_and_cached_is(row: list[str]):
    server, form, path, streaming, cached, source = row
    spoken = dialect(code(form))
    kind = {"recorded": "replies", "documents": "documented"}[source]

    assert claim("POST", code(path)) is spoken
    assert answers(spoken.name, SERVERS.get(server, server.lower()), kind)
    asked: list[Question] = []
    for number, (fields, headers) in enumerate(STREAMING[streaming]):
        body = json.dumps(question_of(spoken.name) | fields).encode()
        asked.append(spoken.parse(Call(code(path), "", headers, body, "tenant")))
        assert asked[-1].stream == bool(number)
    assert cached == CACHED[len(asked), len({canonical(question.asked) for question in asked}) == 1]


def test_every_format_and_every_server_of_which_there_are_replies_is_in_the_table():
    said = {(code(row[1]), SERVERS.get(row[0], row[0].lower())) for row in READ}
    held = {(one.name, reply.server) for one in DIALECTS for reply in replies(folder(one.name))}

    # vLLM with other flags is vLLM; of OpenAI's own chat there is one stream.
    assert {pair for pair in held if pair[1] != "vllm-flags"} - {("openai-chat", "openai")} == said


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    async def upstream(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        await read(scope, receive)
        return await send_json(send, {})

    with serving(upstream) as url:
        settings = Settings(upstream=url, cache_dir=tmp_path_factory.mktemp("cache"), store="memory", embedder="dct")
        with gateway_over(settings) as stage, httpx.Client(base_url=stage.gateway) as client:
            yield client


@pytest.mark.parametrize("row", PASSING, ids=[code(row[0]) for row in PASSING])
def test_what_is_said_to_pass_through_does(gateway: httpx.Client, row: list[str]):
    method, path = code(row[0]).split()
    reply = gateway.request(method, path, json=question_of("openai-chat"))

    assert reply.headers["cache-status"] == "lookalike; fwd=bypass; detail=no-dialect"


@pytest.mark.parametrize("row", BYPASSED, ids=[f"{code(row[0])} {code(row[2])[:40]}" for row in BYPASSED])
def test_what_is_said_to_be_bypassed_is_and_would_be_looked_up_without(gateway: httpx.Client, row: list[str]):
    form, _, told, reason, _ = row
    for name in REQUESTS if form == "any" else [code(form)]:
        body, headers = question_of(name), {}
        plain = gateway.post(PATHS[name], json=body)
        if told.startswith("`{"):
            body = merged(body, json.loads(code(told)))
        else:
            field, value = code(told).split(": ")
            headers = {field: value}
        reply = gateway.post(PATHS[name], json=body, headers=headers)

        assert plain.headers["cache-status"] == "lookalike; fwd=miss; detail=first-asked", name
        assert reply.headers["cache-status"] == f"lookalike; fwd=bypass; detail={code(reason)}", name


@pytest.mark.parametrize(("form", "told", "reason"), NOT_KEPT, ids=[f"{row[0]} {row[1][:40]}" for row in NOT_KEPT])
def test_what_is_said_not_to_be_kept_is_not_and_would_be_without(form: str, told: str, reason: str):
    spoken = dialect(form)
    wholes = [reply for reply in replies(folder(form)) if reply.status == 200 and not reply.streamed]
    kept = [reply for reply in wholes if isinstance(answer(spoken, reply), Reply)]
    whole = min(kept, key=lambda reply: len(reply.case))  # the plainest
    body = json.dumps(merged(json.loads(whole.body), json.loads(told))).encode()
    found = spoken.whole(body)

    assert (spoken.unstorable(found) if isinstance(found, Reply) else found) == reason


def test_no_table_is_empty():
    assert [len(rows) > 5 for rows in (READ, PASSING, BYPASSED, NOT_KEPT)] == [True] * 4
