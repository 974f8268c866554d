"""The official `anthropic` package: in step, in asyncio, and with its helper for streams."""

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from tests.contracts.client_contract import MODEL, ClientContract, Turn, Turns, one, original
from tests.contracts.heard import Heard
from tests.fakes.servers.base import Server
from tests.fakes.servers.named_events import MessagesServer
from tests.flows.clients.packages import client_package, connected
from tests.flows.conftest import Stage

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

    def test_a_replay_has_a_name_to_ask_about(self, stage: Stage) -> None:
        with connected("anthropic", stage.gateway, Anthropic=anthropic.Anthropic) as client:
            replies = [client.messages.create(**asked(one(original("48.20")))) for _ in range(2)]

        assert replies[1]._request_id

    def test_our_own_errors_are_the_clients_own_exceptions(self, stage: Stage, upstream: Server) -> None:
        only_cached = {"cache-control": "only-if-cached"}
        with (
            connected("anthropic", stage.gateway, Anthropic=anthropic.Anthropic) as client,
            pytest.raises(anthropic.APIStatusError) as refused,
        ):
            client.with_options(max_retries=0).messages.create(
                **asked(one(original("48.20"))), extra_headers=only_cached
            )

        assert refused.value.status_code == 504
        assert refused.value.body["type"] == "error"
        assert refused.value.body["error"]["type"] == "timeout_error"
        assert "only-if-cached" in refused.value.body["error"]["message"]
        assert upstream.calls == 0


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

    @pytest.mark.parametrize("streamed", [False, True])
    def test_an_answer_serves_the_other_way_of_asking_too(self, stage: Stage, upstream: Server, streamed: bool) -> None:
        first = self.ask(stage.gateway, one(original("48.20")), streamed)
        other = self.ask(stage.gateway, one(original("48.20")), not streamed)

        assert first.text == other.text == "prices: 48.20"
        assert upstream.calls == 1
