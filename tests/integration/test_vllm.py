"""The main flow in front of a genuine vLLM: VLLM_URL=http://127.0.0.1:8000 scripts/test tests/integration

Any vLLM that serves a vision-language model will do. The answer is the model's own, so what is compared
is the gateway's replay with what the server said, never two answers of the server.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from gateway.config import Settings
from gateway.demo import cards
from tests.fakes.pictures import data_url, jpeg, png, resized
from tests.flows.conftest import Stage, gateway_over, wait_until_ready

URL = os.environ.get("VLLM_URL")
pytestmark = [pytest.mark.integration, pytest.mark.skipif(not URL, reason="VLLM_URL names no vLLM")]

VOLATILE = {"id", "created"}
# An answer that is cut by the token limit is not stored, and models with random weights ramble: this ends them.
ENDS = {"max_tokens": 400, "stop": ["ing", "tion", "er", "st"], "extra_body": {"min_tokens": 5}}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("vllm")
    with gateway_over(Settings(upstream=str(URL), cache_dir=folder, embedder="dct", read_timeout_s=120)) as stage:
        wait_until_ready(stage)
        yield stage


@pytest.fixture(scope="module")
def client(stage: Stage) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{stage.gateway}/v1", api_key="EMPTY", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def model(client: OpenAI) -> str:
    return client.models.list().data[0].id


def ask(model: str, file: bytes, question: str, **more: Any) -> dict[str, Any]:
    part = {"type": "image_url", "image_url": {"url": data_url(file)}}
    content = [part, {"type": "text", "text": question}]
    base = {"model": model, "messages": [{"role": "user", "content": content}], "temperature": 0}
    return base | ENDS | more


def test_a_reencoded_and_resized_picture_gets_the_servers_own_answer_again(client: OpenAI, model: str, stage: Stage):
    picture = cards.draw("48.20")
    copy = jpeg(resized(picture, 0.8), 88)
    first = client.chat.completions.with_raw_response.create(**ask(model, png(picture), "What is the price?"))
    again = client.chat.completions.with_raw_response.create(**ask(model, copy, "What is the price?"))

    assert "fwd=miss" in first.headers["cache-status"]
    assert first.parse().choices[0].finish_reason == "stop"
    assert again.headers["cache-status"].endswith("detail=near")
    assert again.parse().model_dump(exclude=VOLATILE) == first.parse().model_dump(exclude=VOLATILE)
    assert stage.stats()["saved"]["tokens_in"] == first.parse().usage.prompt_tokens


def test_a_stream_is_replayed_chunk_for_chunk(client: OpenAI, model: str):
    file = png(cards.draw("48.20"))
    asked = ask(model, file, "Describe it.", stream=True, stream_options={"include_usage": True})
    first = list(client.chat.completions.create(**asked))
    again = list(client.chat.completions.create(**asked))
    whole = client.chat.completions.with_raw_response.create(**ask(model, file, "Describe it."))

    assert [c.model_dump(exclude=VOLATILE) for c in again] == [c.model_dump(exclude=VOLATILE) for c in first]
    assert again[0].id != first[0].id
    assert "hit" in whole.headers["cache-status"]
    text = "".join(c.choices[0].delta.content or "" for c in first if c.choices)
    assert whole.parse().choices[0].message.content == text
    assert whole.parse().usage == first[-1].usage


def test_a_lookalike_is_asked_upstream(client: OpenAI, model: str):
    client.chat.completions.create(**ask(model, png(cards.draw("70.10")), "Price?"))
    other = client.chat.completions.with_raw_response.create(**ask(model, png(cards.draw("70.16")), "Price?"))

    assert "fwd=miss" in other.headers["cache-status"]
