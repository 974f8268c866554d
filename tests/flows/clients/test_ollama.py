"""The official `ollama` package: chat and generate, in step and in asyncio."""

import asyncio
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from gateway.config import Settings
from tests.contracts.client_contract import MODEL, ClientContract, Turns, one, original
from tests.contracts.heard import Heard
from tests.fakes.servers.base import Server
from tests.fakes.servers.ollama import OllamaServer
from tests.flows.clients.packages import client_package, connected
from tests.flows.conftest import Stage, gateway_over

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

    def test_an_error_of_the_gateways_own_is_in_the_clients_words(self, tmp_path: Path) -> None:
        nowhere = Settings(upstream="http://127.0.0.1:9", cache_dir=tmp_path, store="memory", embedder="dct")
        with gateway_over(nowhere) as stage, pytest.raises(ollama.ResponseError) as refused:
            self.ask(stage.gateway, one(original("48.20")), streamed=False)

        assert refused.value.status_code == 502
        assert refused.value.error.startswith("lookalike: the upstream http://127.0.0.1:9 cannot be reached")


class TestChatOfSGLang(TestChat):
    """All that the last line leaves unset is null there."""

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
        first = self.heard(stage, one(original("48.20")), recorded)
        other = self.heard(stage, one(original("48.20")), not recorded)

        assert other.text == first.text == "prices: 48.20"
        last, told_last = dict(first.held[-1]), dict(other.held[-1])
        for held in (last, told_last):
            del held["created_at"], held["message"]  # a stream's last line says nothing more
        assert told_last == last
        assert upstream.calls == 1
