"""A fake server of vision-language models that answers from what the pictures show.

It reads the price off each card, so an answer that belongs to another picture is visibly wrong. A request
steers it with `x-fake` headers, which the gateway forwards like any other; everything it gets is recorded.
Paths other than chat completions echo what arrived.
"""

import base64
import gzip
import hashlib
import json
import threading
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import anyio
import anyio.to_thread
from PIL import Image

from gateway.demo import cards
from tests.fakes.asgi import Seen, Send, lifespan, read, start


@dataclass
class FakeUpstream:
    seen: list[Seen] = field(default_factory=list)
    answered: int = 0  # chat completions whose answer was sent whole
    holding: dict[str, threading.Event] = field(default_factory=dict)  # by path: a reply waits for it
    left: threading.Event = field(default_factory=threading.Event)  # a client went away in mid-reply

    @property
    def calls(self) -> int:
        return sum(seen.path.endswith("/chat/completions") for seen in self.seen)

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        seen = await read(scope, receive)
        self.seen.append(seen)
        if seen.path in self.holding:
            await anyio.to_thread.run_sync(self.holding[seen.path].wait)
        fakes = dict(part.partition("=")[::2] for part in (seen.header("x-fake") or "").split(";") if part)
        if seen.path.endswith("/chat/completions") and seen.method == "POST":
            return await self._complete(json.loads(seen.body), fakes, receive, send)
        return await _echo(seen, fakes, send)

    async def _complete(self, body: dict[str, Any], fakes: dict[str, str], receive: Any, send: Send) -> None:
        if "status" in fakes:
            error = {"error": {"message": "the fake was told to fail", "type": "server_error", "code": None}}
            return await _json(send, error, status=int(fakes["status"]), more=[(b"retry-after", b"1")])
        text = fakes["text"] if "text" in fakes else _answer(body)
        finish = fakes.get("finish", "stop")
        if body.get("stream"):
            return await self._stream(body, text, finish, fakes, receive, send)
        message = {"role": "assistant", "content": text, "refusal": None}
        if finish == "tool_calls":
            call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
            message |= {"content": None, "tool_calls": [call]}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
        reply = {**_head(self), "object": "chat.completion", "choices": [choice], "usage": _usage(text)}
        await _json(send, reply, gzipped="gzip" in fakes, cut="cut" in fakes)
        self.answered += 1
        return None

    async def _stream(
        self, body: dict[str, Any], text: str, finish: str, fakes: dict[str, str], receive: Any, send: Send
    ) -> None:
        events = _events(_head(self), text, finish, bool((body.get("stream_options") or {}).get("include_usage")))
        if "error-after" in fakes:
            failure = {"error": {"message": "the fake failed in mid-stream", "type": "server_error"}}
            events = [*events[: int(fakes["error-after"])], failure]
        frames = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
        if "without-done" not in fakes:
            frames.append(b"data: [DONE]\n\n")
        await send(start(200, [(b"content-type", b"text/event-stream; charset=utf-8")]))
        for number, frame in enumerate(frames):
            if number == int(fakes.get("cut-after", -1)):
                return  # uvicorn then breaks the connection
            if "forever" in fakes and number == 2:
                await self._until_left(receive)
                return
            if "pause" in fakes:
                await anyio.sleep(float(fakes["pause"]))
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        self.answered += 1

    async def _until_left(self, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left.set()


def _answer(body: dict[str, Any]) -> str:
    lists = [message["content"] for message in body["messages"] if isinstance(message.get("content"), list)]
    urls = []
    for part in (part for parts in lists for part in parts if part.get("type") == "image_url"):
        urls.append(part["image_url"] if isinstance(part["image_url"], str) else part["image_url"]["url"])
    files = [base64.b64decode(url.partition(",")[2]) for url in urls if url.startswith("data:")]
    prices = [cards.read(Image.open(BytesIO(file))) for file in files]
    return "prices: " + ", ".join(prices)


def _head(fake: FakeUpstream) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-fake{len(fake.seen)}",
        "created": 1_700_000_000,
        "model": "fake",
        "system_fingerprint": "fp",
    }


def _usage(text: str) -> dict[str, int]:
    said = len(text.split())
    return {"prompt_tokens": 800, "completion_tokens": said, "total_tokens": 800 + said}


def _events(head: dict[str, Any], text: str, finish: str, usage: bool) -> list[dict[str, Any]]:
    deltas = [{"role": "assistant", "content": ""}, *({"content": word} for word in _words(text))]
    head = {**head, "object": "chat.completion.chunk"}
    events = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    events.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    if usage:
        events.append({**head, "choices": [], "usage": _usage(text)})
    return events


def _words(text: str) -> list[str]:
    first, *rest = text.split(" ")
    return [first, *(f" {word}" for word in rest)]


async def _echo(seen: Seen, fakes: dict[str, str], send: Send) -> None:
    if "status" in fakes:
        return await _json(send, {"status": fakes["status"]}, status=int(fakes["status"]))
    return await _json(
        send,
        {
            "method": seen.method,
            "path": seen.path,
            "query": seen.query,
            "headers": seen.headers,
            "body_sha256": hashlib.sha256(seen.body).hexdigest(),
            "body_bytes": len(seen.body),
        },
        gzipped="gzip" in fakes,
        more=[(b"x-upstream", b"yes"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")],
    )


async def _json(
    send: Send,
    value: Any,
    status: int = 200,
    gzipped: bool = False,
    cut: bool = False,
    more: list[tuple[bytes, bytes]] | None = None,
) -> None:
    body = json.dumps(value).encode()
    fields = [(b"content-type", b"application/json"), *(more or [])]
    if gzipped:
        body = gzip.compress(body)
        fields.append((b"content-encoding", b"gzip"))
    await send(start(status, [*fields, (b"content-length", str(len(body)).encode())]))
    await send({"type": "http.response.body", "body": body[: len(body) // 2] if cut else body, "more_body": cut})
