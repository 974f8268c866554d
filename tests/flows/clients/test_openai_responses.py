"""The official `openai` package for Responses: in step, in asyncio, and with its helper for streams."""

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

from tests.contracts.client_contract import MODEL, ClientContract, Turn, Turns
from tests.contracts.heard import Heard
from tests.fakes.servers.base import Server
from tests.fakes.servers.named_events import ResponsesServer
from tests.flows.clients.packages import client_package, connected

openai = client_package("openai")


def asked(turns: Turns) -> dict[str, Any]:
    said = [{"role": turn.role, "content": _content(turn)} for turn in turns]
    return {"model": MODEL, "input": said, "store": False, "temperature": 0}


def _content(turn: Turn) -> Any:
    if turn.role == "assistant":
        return turn.text
    pictures = [{"type": "input_image", "image_url": picture.url, "detail": "auto"} for picture in turn.pictures]
    return [*pictures, {"type": "input_text", "text": turn.text}]


def heard(reply: Any) -> Heard:
    return Heard(reply.output_text, reply.model_dump())


def heard_events(events: list[Any]) -> Heard:
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    return Heard("".join(deltas), [event.model_dump(warnings=False) for event in events])


class TestResponses(ClientContract):
    server: ClassVar[Callable[[], Server]] = ResponsesServer
    refusal = openai.NotFoundError

    def ask(self, gateway: str, turns: Turns, streamed: bool) -> Heard:
        with connected("openai", gateway, OpenAI=openai.OpenAI) as client:
            if not streamed:
                return heard(client.responses.create(**asked(turns)))
            return heard_events(list(client.responses.create(**asked(turns), stream=True)))


class TestAsyncResponses(ClientContract):
    server: ClassVar[Callable[[], Server]] = ResponsesServer
    refusal = openai.NotFoundError

    def ask(self, gateway: str, turns: Turns, streamed: bool) -> Heard:
        return asyncio.run(self._ask(gateway, turns, streamed))

    async def _ask(self, gateway: str, turns: Turns, streamed: bool) -> Heard:
        async with connected("openai, async", gateway, AsyncOpenAI=openai.AsyncOpenAI) as client:
            if not streamed:
                return heard(await client.responses.create(**asked(turns)))
            async with client.responses.stream(**asked(turns)) as stream:  # puts the answer together itself
                events = [event async for event in stream]
                final = await stream.get_final_response()
            assert final.output_text == heard_events(events).text
            return heard_events(events)
