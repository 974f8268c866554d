"""In a model's place, so that every example can be tried at once: it is no model, and its name says so.

It finds out which of an example's own pictures it was sent, in whatever encoding or size, and says what
`standin.json` beside them has for it. A question without a picture, as a classifier asks it, is answered by the first
phrase of `texts` that is in it.
"""

import base64
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

MODEL = "stand-in-no-model"
_SIZE = (720, 540)


class Standin:
    """`calls` counts what it was asked."""

    def __init__(self, folder: Path) -> None:
        said = json.loads((folder / "standin.json").read_text("utf-8"))
        self._answers: dict[str, str] = said["pictures"]
        self._texts: dict[str, str] = said.get("texts", {})
        self._known = {name: _pixels((folder / "pictures" / name).read_bytes()) for name in self._answers}
        self.calls = 0
        self.app = Starlette(routes=[Route("/v1/chat/completions", self.complete, methods=["POST"])])

    async def complete(self, request: Request) -> Response:
        self.calls += 1
        body = json.loads(await request.body())
        text = await run_in_threadpool(self._answer, body["messages"])
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 800, "completion_tokens": 40, "total_tokens": 840}
        head = {"id": f"chatcmpl-{self.calls}", "object": "chat.completion", "created": 0, "model": MODEL}
        return JSONResponse({**head, "choices": [choice], "usage": usage})

    def _answer(self, messages: list[dict[str, Any]]) -> str:
        parts = [part for one in messages if isinstance(one["content"], list) for part in one["content"]]
        pictures = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        if pictures:
            sent = _pixels(base64.b64decode(pictures[0].partition(",")[2]))
            return self._answers[min(self._known, key=lambda name: _apart(self._known[name], sent))]
        asked = " ".join(one["content"] for one in messages if isinstance(one["content"], str))
        return next((label for phrase, label in self._texts.items() if phrase in asked), "none")


def _pixels(file: bytes) -> NDArray[np.float32]:
    return np.asarray(Image.open(BytesIO(file)).convert("RGB").resize(_SIZE), np.float32)


def _apart(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.abs(one - other).mean())
