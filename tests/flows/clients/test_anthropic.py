"""The official `anthropic` package: in step, in asyncio, and with its helper for streams."""

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

from tests.contracts.client_contract import MODEL, ClientContract, Turn, Turns
from tests.contracts.heard import Heard
from tests.fakes.servers.base import Server
from tests.fakes.servers.named_events import MessagesServer
from tests.flows.clients.packages import client_package, connected

anthropic = client_package("anthropic")


def asked(turns: Turns) -> dict[str, Any]:
    said = [{"role": turn.role, "content": _content(turn)} for turn in turns]
    return {"model": MODEL, "max_tokens": 256, "messages": said}


def _content(turn: Turn) -> Any:
    if turn.role == "assistant":
        return turn.text
    sources = [{"type": "base64", "media_type": file.media_type, "data": file.base64} for file in turn.pictures]
    return [*({"type": "image", "source": source} for source in sources), {"type": "text", "text": turn.text}]


def heard(reply: Any) -> Heard:
    return Heard("".join(block.text for block in reply.content if block.type == "text"), reply.model_dump())


def heard_events(events: list[Any]) -> Heard:
    deltas = [event.delta for event in events if event.type == "content_block_delta"]
    said = [delta.text for delta in deltas if delta.type == "text_delta"]
    return Heard("".join(said), [event.model_dump() for event in events])


class TestAnthropic(ClientContract):
    server: ClassVar[Callable[[], Server]] = MessagesServer
    refusal = anthropic.NotFoundError

    def ask(self, gateway: str, turns: Turns, streamed: bool) -> Heard:
        with connected("anthropic", gateway, Anthropic=anthropic.Anthropic) as client:
            if not streamed:
                return heard(client.messages.create(**asked(turns)))
            return heard_events(list(client.messages.create(**asked(turns), stream=True)))


class TestAsyncAnthropic(ClientContract):
    server: ClassVar[Callable[[], Server]] = MessagesServer
    refusal = anthropic.NotFoundError

    def ask(self, gateway: str, turns: Turns, streamed: bool) -> Heard:
        return asyncio.run(self._ask(gateway, turns, streamed))

    async def _ask(self, gateway: str, turns: Turns, streamed: bool) -> Heard:
        async with connected("anthropic, async", gateway, AsyncAnthropic=anthropic.AsyncAnthropic) as client:
            if not streamed:
                return heard(await client.messages.create(**asked(turns)))
            async with client.messages.stream(**asked(turns)) as stream:  # puts the message together itself
                events = [event async for event in stream]
                final = await stream.get_final_message()
            assert heard(final).text == heard_events(events).text
            return Heard(heard(final).text, [final.model_dump(), *(event.model_dump() for event in events)])
