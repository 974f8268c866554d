"""Edited answers as the official clients of other formats see them: what they put together is what the rule said."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from gateway.config import Settings
from tests.fakes.pictures import card
from tests.fakes.tape import Tape
from tests.flows.clients.packages import client_package, connected
from tests.flows.conftest import gateway_over, serving
from tests.wire.recorded import message, reply_of

anthropic, ollama = client_package("anthropic"), client_package("ollama")

END = {"append": " [END]", "contains": ["e", "E"]}


@contextmanager
def playing(folder: str, reply: str, cache_dir: Path) -> Iterator[tuple[str, Tape]]:
    """A gateway with a rule, in front of one recorded reply."""
    tape = Tape(reply_of(folder, reply))
    with serving(tape) as upstream:
        rules: Any = [END]
        settings = Settings(upstream=upstream, cache_dir=cache_dir, embedder="dct", rules=rules)
        with gateway_over(settings) as stage:
            yield stage.gateway, tape


def assert_edited(said: list[str], tape: Tape) -> None:
    """A miss and a hit, both as the rule wants it."""
    assert len(said) == 2
    assert said[0] == said[1]
    assert said[0].endswith(" [END]")
    assert said[0].count("[END]") == 1
    assert tape.calls == 1


def question(folder: str, name: str, *fields: str) -> Any:
    body = json.loads(message(folder, "requests", name).body)
    return {field: body[field] for field in fields}


@pytest.mark.parametrize("name", ["anthropic__11-image1", "anthropic__21-stream-image1"])
def test_the_anthropic_sdk_gets_the_edited_answer(tmp_path: Path, name: str):
    asked = question("anthropic_messages", "11-image1", "model", "max_tokens", "messages")
    said = []
    with playing("anthropic_messages", name, tmp_path) as (gateway, tape):
        with anthropic.Anthropic(base_url=gateway, api_key="k") as client:
            for _ in range(2):
                if "stream" in name:
                    with client.messages.stream(**asked) as events:
                        said.append("".join(events.text_stream))
                        assert events.get_final_text() == said[-1]
                else:
                    said.append(client.messages.create(**asked).content[0].text)
        assert_edited(said, tape)


@pytest.mark.parametrize("name", ["openai__11-image1", "openai__21-stream-image1"])
def test_the_openai_sdk_gets_the_edited_response(tmp_path: Path, name: str):
    asked = question("openai_responses", "11-image1", "model", "input") | {"store": False}
    said = []
    with playing("openai_responses", name, tmp_path) as (gateway, tape):
        with OpenAI(base_url=f"{gateway}/v1", api_key="k", max_retries=0) as client:
            for _ in range(2):
                if "stream" in name:
                    with client.responses.stream(**asked) as events:
                        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
                        said.append(events.get_final_response().output_text)
                    assert "".join(deltas) == said[-1]
                else:
                    said.append(client.responses.create(**asked).output_text)
        assert_edited(said, tape)


@pytest.mark.parametrize("name", ["ollama__whole", "ollama__stream"])
def test_the_ollama_client_gets_the_edited_answer(tmp_path: Path, name: str):
    picture = base64.b64encode(card("48.20")).decode()
    asked: Any = {"model": "qwen", "messages": [{"role": "user", "content": "What is it?", "images": [picture]}]}
    said = []
    with playing("ollama_chat", name, tmp_path) as (gateway, tape):
        client = connected("ollama", gateway, Client=ollama.Client)
        with client._client:
            for _ in range(2):
                found = client.chat(**asked, stream=name == "ollama__stream")
                parts = list(found) if name == "ollama__stream" else [found]
                said.append("".join(part.message.content or "" for part in parts))
                assert parts[-1].done
        assert_edited(said, tape)
