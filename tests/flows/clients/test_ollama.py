"""The official `ollama` package: chat and generate, in step and in asyncio."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from tests.contracts.client_contract import MODEL, ClientContract, Stage, Turns, one, original
from tests.contracts.heard import Heard
from tests.fakes.servers.base import Server
from tests.fakes.servers.ollama import OllamaServer
from tests.flows.clients.packages import client_package, connected

ollama = client_package("ollama")


def messages(turns: Turns) -> list[dict[str, Any]]:
    """The client takes bytes and base64, among other things."""
    return [
        {"role": turn.role, "content": turn.text, "images": [picture.data for picture in turn.pictures]}
        for turn in turns
    ]


def prompted(turns: Turns) -> dict[str, Any]:
    """`generate` has one prompt: earlier turns are part of its text."""
    images = [picture.base64 for turn in turns for picture in turn.pictures]
    return {"prompt": "\n".join(f"{turn.role}: {turn.text}" for turn in turns), "images": images}


def chatted(parts: list[Any]) -> Heard:
    return Heard("".join(part.message.content for part in parts), [part.model_dump() for part in parts])


def generated(parts: list[Any]) -> Heard:
    return Heard("".join(part.response for part in parts), [part.model_dump() for part in parts])


class TestChat(ClientContract):
    server: ClassVar[Callable[[], Server]] = functools.partial(OllamaServer, "ollama_chat")
    refusal = ollama.ResponseError

    def ask(self, gateway: str, turns: Turns, streamed: bool) -> Heard:
        client = connected("ollama", gateway, Client=ollama.Client)
        with client._client:
            asked = {"model": MODEL, "messages": messages(turns), "options": {"temperature": 0, "seed": 1}}
            if not streamed:
                return chatted([client.chat(**asked)])
            return chatted(list(client.chat(**asked, stream=True)))


class TestChatOfSGLang(TestChat):
    server: ClassVar[Callable[[], Server]] = functools.partial(OllamaServer, "ollama_chat", "sglang")


class TestGenerate(ClientContract):
    server: ClassVar[Callable[[], Server]] = functools.partial(OllamaServer, "ollama_generate")
    refusal = ollama.ResponseError

    def ask(self, gateway: str, turns: Turns, streamed: bool) -> Heard:
        client = connected("ollama", gateway, Client=ollama.Client)
        with client._client:
            asked = {"model": MODEL, **prompted(turns), "keep_alive": "5m"}
            if not streamed:
                return generated([client.generate(**asked)])
            return generated(list(client.generate(**asked, stream=True)))


class TestAsyncChat(ClientContract):
    server: ClassVar[Callable[[], Server]] = functools.partial(OllamaServer, "ollama_chat")
    refusal = ollama.ResponseError

    def ask(self, gateway: str, turns: Turns, streamed: bool) -> Heard:
        return asyncio.run(self._ask(gateway, turns, streamed))

    async def _ask(self, gateway: str, turns: Turns, streamed: bool) -> Heard:
        client = connected("ollama, async", gateway, AsyncClient=ollama.AsyncClient)
        async with client._client:
            asked = {"model": MODEL, "messages": messages(turns)}
            if not streamed:
                return chatted([await client.chat(**asked)])
            return chatted([part async for part in await client.chat(**asked, stream=True)])

    @pytest.mark.parametrize("recorded", [False, True], ids=["whole", "streamed"])
    def test_an_answer_that_came_the_other_way_is_the_same_answer(
        self, stage: Stage, upstream: Server, recorded: bool
    ) -> None:
        first = self.ask(stage.gateway, one(original("48.20")), recorded)
        other = self.ask(stage.gateway, one(original("48.20")), not recorded)

        assert other.text == first.text == "prices: 48.20"
        assert {**other.held[-1], "message": None, "created_at": None} == {
            **first.held[-1],
            "message": None,
            "created_at": None,
        }
        assert upstream.calls == 1
