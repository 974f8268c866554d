"""An upstream that says what it is asked, so that an answer under another id is seen. It counts its calls."""

import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.asgi import lifespan, read, send_json


@dataclass
class Parrot:
    """`called` are the texts that it was asked, each as often as it was asked."""

    called: Counter[str] = field(default_factory=Counter)
    reached: threading.Event = field(default_factory=threading.Event)
    wanted: int = 0  # calls after which `reached` is set

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        asked = json.loads((await read(scope, receive)).body)
        text = asked["messages"][-1]["content"]
        self.called[text] += 1
        if self.called.total() >= self.wanted:
            self.reached.set()
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
        head = {"id": f"chatcmpl-{text}", "object": "chat.completion", "created": 0, "model": "parrot"}
        return await send_json(send, {**head, "choices": [choice], "usage": usage})

    def after(self, more: int) -> None:
        """`reached` is set once so many more calls have come."""
        self.reached.clear()
        self.wanted = self.called.total() + more
