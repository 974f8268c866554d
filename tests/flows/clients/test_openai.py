"""The official `openai` package for chat completions: in step, and in asyncio."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any, ClassVar

from tests.contracts.client_contract import MODEL, ClientContract, Turns
from tests.contracts.heard import Heard
from tests.fakes.servers.base import Server
from tests.fakes.servers.openai_chat import ChatServer
from tests.flows.clients.openai_chat import messages, text
from tests.flows.clients.packages import client_package, connected

openai = client_package("openai")


def heard(reply: Any) -> Heard:
    return Heard(reply.choices[0].message.content, reply.model_dump())


def heard_chunks(chunks: list[Any]) -> Heard:
    return Heard(text(chunks), [chunk.model_dump() for chunk in chunks])


class TestOpenAI(ClientContract):
    server: ClassVar[Callable[[], Server]] = functools.partial(ChatServer, "vllm")
    refusal = openai.NotFoundError

    def ask(self, gateway: str, turns: Turns, streamed: bool) -> Heard:
        with connected("openai", gateway, OpenAI=openai.OpenAI) as client:
            asked = {"model": MODEL, "messages": messages(turns), "temperature": 0}
            if not streamed:
                return heard(client.chat.completions.create(**asked))
            options = {"stream": True, "stream_options": {"include_usage": True}}
            return heard_chunks(list(client.chat.completions.create(**asked, **options)))


class TestAsyncOpenAI(ClientContract):
    server: ClassVar[Callable[[], Server]] = functools.partial(ChatServer, "llamacpp")
    refusal = openai.NotFoundError

    def ask(self, gateway: str, turns: Turns, streamed: bool) -> Heard:
        return asyncio.run(self._ask(gateway, turns, streamed))

    async def _ask(self, gateway: str, turns: Turns, streamed: bool) -> Heard:
        async with connected("openai, async", gateway, AsyncOpenAI=openai.AsyncOpenAI) as client:
            asked = {"model": MODEL, "messages": messages(turns)}
            if not streamed:
                return heard(await client.chat.completions.create(**asked))
            return heard_chunks([chunk async for chunk in await client.chat.completions.create(**asked, stream=True)])
