"""Answers that are known already: asked like any question, and answered by whoever brings the answer, not the upstream.

There is one way into the store, and this is it: the request is read, keyed and stored by the very parts that live
traffic goes through, so it is found by the very request that a client sends later. Only what stands at the far end is
another: a transport that replies with the known answer.
"""

import secrets
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

import anyio
import httpx
import orjson
from starlette.types import ASGIApp, Message

from gateway.headers import MODE_HEADER, Raw
from gateway.outcome import Outcome
from gateway.question import Mode

FINGERPRINT: Final = "lookalike-import"  # system_fingerprint of every such reply: it stays on hits
_PREFIX: Final = "chatcmpl-imported-"


@dataclass(slots=True)
class Known:
    """One known answer on its way: the reply's bytes, and in the end what became of it."""

    reply: bytes
    outcome: Outcome | None = None


_under_way: ContextVar[Known] = ContextVar("known")


class KnownAnswers(httpx.AsyncBaseTransport):
    """In the place of the connections to an upstream."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        stream = httpx.ByteStream(_under_way.get().reply)  # as `content` it would count as read already
        return httpx.Response(200, headers={"content-type": "application/json"}, stream=stream)


def note(outcome: Outcome) -> None:
    """Hears what became of the request at hand."""
    _under_way.get().outcome = outcome


def completion(answer: str, model: str, now_s: float) -> bytes:
    """The whole reply of OpenAI chat that says this. Without `usage`: nobody counted, and nothing is invented."""
    message = {"role": "assistant", "content": answer, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    head = {"id": f"{_PREFIX}{secrets.token_hex(12)}", "object": "chat.completion", "created": int(now_s)}
    return orjson.dumps(head | {"model": model, "choices": [choice], "system_fingerprint": FINGERPRINT})


async def take(gateway: ASGIApp, path: str, fields: Raw, body: bytes, reply: bytes, replace: bool) -> Outcome:
    """Ask `gateway`, whose far end is KnownAnswers, as a client with these header fields would. A hit by bytes or
    pixels is what was there before; with `replace`, it is asked afresh."""
    known = Known(reply)
    _under_way.set(known)
    wishes = [(MODE_HEADER, Mode.PIXEL.encode())]  # an answer for a picture that is only alike is no answer to this one
    wishes += [(b"cache-control", b"no-cache")] if replace else []
    framing = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [*fields, *framing, *wishes],
    }
    await gateway(scope, _receiving(body), _nowhere)
    assert known.outcome is not None
    return known.outcome


def _receiving(data: bytes) -> Any:
    messages: list[Message] = [{"type": "http.request", "body": data, "more_body": False}]

    async def receive() -> Message:
        if not messages:
            await anyio.sleep_forever()  # a client that stays
        return messages.pop()

    return receive


async def _nowhere(message: Message) -> None:
    return None
