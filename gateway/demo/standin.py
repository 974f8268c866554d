"""A stand-in for a server of vision-language models, for the demo, the benchmarks and the tests.

It speaks OpenAI chat completions, waits as long as it is told to, and answers what it can read off the
pictures: prices, from the demo's own cards. Its model name says that it is no model.
"""

import base64
import uuid
from collections.abc import AsyncIterator, Callable
from io import BytesIO
from typing import Any

import anyio
import orjson
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from gateway.demo import cards

MODEL = "stand-in-no-model"
_TOKENS_PER_PICTURE = 760


def create_standin(delay_s: float, clock: Callable[[], float]) -> Starlette:
    async def complete(request: Request) -> Response:
        body = orjson.loads(await request.body())
        pictures = _pictures(body)
        try:
            prices = [cards.read(Image.open(BytesIO(picture))) for picture in pictures]
        except OSError:
            return _error(400, "a picture cannot be read")
        await anyio.sleep(delay_s)
        text = _sentence(prices)
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(clock()), "model": MODEL}
        usage = _usage(body, len(pictures), text)
        if body.get("stream"):
            asked = bool((body.get("stream_options") or {}).get("include_usage"))
            return StreamingResponse(_events(head, text, usage if asked else None), media_type="text/event-stream")
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return JSONResponse({**head, "object": "chat.completion", "choices": [choice], "usage": usage})

    async def models(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "lookalike"}]})

    return Starlette(routes=[Route("/v1/chat/completions", complete, methods=["POST"]), Route("/v1/models", models)])


def _pictures(body: dict[str, Any]) -> list[bytes]:
    parts = [
        part for message in body["messages"] if isinstance(message["content"], list) for part in message["content"]
    ]
    urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    return [base64.b64decode(url.partition(",")[2]) for url in urls]


def _sentence(prices: list[str]) -> str:
    if not prices:
        return "There is no picture in this question."
    return f"It says {' and '.join(prices)}."


def _usage(body: dict[str, Any], pictures: int, text: str) -> dict[str, int]:
    words = sum(
        len(str(message["content"]).split()) for message in body["messages"] if isinstance(message["content"], str)
    )
    sent, said = pictures * _TOKENS_PER_PICTURE + words + 12, len(text.split()) * 2
    return {"prompt_tokens": sent, "completion_tokens": said, "total_tokens": sent + said}


async def _events(head: dict[str, Any], text: str, usage: dict[str, int] | None) -> AsyncIterator[bytes]:
    def event(choices: list[dict[str, Any]], **more: Any) -> bytes:
        chunk = {**head, "object": "chat.completion.chunk", "choices": choices, **more}
        return b"data: " + orjson.dumps(chunk) + b"\n\n"

    yield event([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
    for n, word in enumerate(text.split(" ")):
        yield event([{"index": 0, "delta": {"content": f" {word}" if n else word}, "finish_reason": None}])
    yield event([{"index": 0, "delta": {}, "finish_reason": "stop"}])
    if usage is not None:
        yield event([], usage=usage)
    yield b"data: [DONE]\n\n"


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message, "type": "invalid_request_error"}}, status)
