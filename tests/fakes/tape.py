"""A fake upstream that plays one recorded reply to every request, whole or cut."""

from dataclasses import dataclass
from typing import Any

from tests.wire.recorded import Message


@dataclass
class Tape:
    """Plays `reply`. With a `cut`, only that many bytes of its body; then it hangs up, or, `cleanly`, ends as if
    that were all."""

    reply: Message
    cut: int | None = None
    cleanly: bool = False
    calls: int = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": f"{message['type']}.complete"})
            return
        while (await receive()).get("more_body"):
            pass
        self.calls += 1
        fields = [(b"content-type", dict(self.reply.headers)[b"content-type"])]
        await send({"type": "http.response.start", "status": self.reply.status, "headers": fields})
        body = self.reply.body[: self.cut]
        if self.cut is None or self.cleanly:
            await send({"type": "http.response.body", "body": body})
        else:
            await send({"type": "http.response.body", "body": body, "more_body": True})  # then uvicorn hangs up
