"""The official `openai` package for Responses: in step, in asyncio, and with its helper for streams."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from gateway.config import Settings
from tests.contracts.client_contract import MODEL, ClientContract, Turn, Turns, one, original
from tests.contracts.heard import Heard
from tests.fakes.servers.base import Server
from tests.fakes.servers.named_events import ResponsesServer
from tests.flows.clients.packages import client_package, connected
from tests.flows.conftest import Stage, gateway_over, serving

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

    def test_what_a_reply_repeats_of_its_request_is_the_callers_own(self, stage: Stage, upstream: Server) -> None:
        question = asked(one(original("48.20"))) | {"instructions": "Be terse."}
        with connected("openai", stage.gateway, OpenAI=openai.OpenAI) as client:
            client.responses.create(**question, metadata={"run": "1"})
            whole = client.responses.create(**question, metadata={"run": "2"})
            *_, end = client.responses.create(**question, metadata={"run": "3"}, stream=True)
            silent = client.responses.create(**question)

        assert upstream.calls == 1
        replies = (whole, end.response, silent)
        assert [reply.metadata for reply in replies] == [{"run": "2"}, {"run": "3"}, {}]
        assert {reply.instructions for reply in replies} == {"Be terse."}
        assert whole._request_id

    def test_an_answer_that_the_upstream_may_keep_is_always_asked_there(self, stage: Stage, upstream: Server) -> None:
        question = asked(one(original("48.20"))) | {"store": openai.omit}
        with connected("openai", stage.gateway, OpenAI=openai.OpenAI) as client:
            replies = [client.responses.with_raw_response.create(**question) for _ in range(2)]

        assert {reply.headers["cache-status"] for reply in replies} == {"lookalike; fwd=bypass; detail=stateful"}
        assert upstream.calls == 2

    def test_where_the_upstream_keeps_nothing_any_answer_is_served_again(
        self, upstream: Server, tmp_path: Path
    ) -> None:
        question = asked(one(original("48.20"))) | {"store": openai.omit}
        with serving(upstream) as url:
            settings = Settings(
                upstream=url, cache_dir=tmp_path, store="memory", embedder="dct", upstream_stateless=True
            )
            with (
                gateway_over(settings) as stage,
                connected("openai", stage.gateway, OpenAI=openai.OpenAI) as client,
            ):
                first, again = (client.responses.create(**question) for _ in range(2))

        assert first.output_text == again.output_text == "prices: 48.20"
        assert upstream.calls == 1


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

    @pytest.mark.parametrize("streamed", [False, True])
    def test_an_answer_serves_the_other_way_of_asking_too(self, stage: Stage, upstream: Server, streamed: bool) -> None:
        first = self.ask(stage.gateway, one(original("48.20")), streamed)
        other = self.ask(stage.gateway, one(original("48.20")), not streamed)

        assert first.text == other.text == "prices: 48.20"
        assert upstream.calls == 1
