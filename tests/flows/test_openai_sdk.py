"""The official openai SDK through a real gateway: only its base_url is changed."""

from collections.abc import Iterator
from typing import Any

import pytest
from openai import APIStatusError, AsyncOpenAI, OpenAI

from gateway.demo import cards
from tests.fakes.pictures import card, data_url, jpeg, png, resized
from tests.flows.conftest import Build, Stage

QUESTION = "What is the price?"


def ask(*urls: str, question: str = QUESTION, **more: Any) -> dict[str, Any]:
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    content = [*parts, {"type": "text", "text": question}]
    return {"model": "qwen3-vl-8b", "messages": [{"role": "user", "content": content}], "temperature": 0} | more


@pytest.fixture
def client(stage: Stage) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{stage.gateway}/v1", api_key="sk-one", max_retries=0) as client:
        yield client


def copy_of_48_20() -> str:
    """The card of 48.20 as another JPEG, resized."""
    return data_url(jpeg(resized(cards.draw("48.20"), 0.8), 88), "image/jpeg")


def test_a_reencoded_and_resized_picture_gets_the_stored_answer_and_a_header_says_so(stage: Stage, client: OpenAI):
    first = client.chat.completions.with_raw_response.create(**ask(data_url(card("48.20"))))
    second = client.chat.completions.with_raw_response.create(**ask(copy_of_48_20()))

    assert first.headers["cache-status"] == "lookalike; fwd=miss; detail=first-asked"
    assert second.headers["cache-status"].startswith("lookalike; hit; ttl=")
    assert second.headers["cache-status"].endswith("detail=near")
    assert float(second.headers["x-lookalike-similarity"]) > 0.9
    assert len(second.headers["x-lookalike-entry"]) == 32
    assert second.headers["age"] == "0"
    assert second.parse().choices[0].message.content == "prices: 48.20"
    assert second.parse().usage == first.parse().usage
    assert stage.upstream.calls == 1
    stats = stage.stats()
    assert stats["hits"] == {"total": 1, "exact": 0, "pixel": 0, "near": 1}
    assert stats["saved"]["calls"] == 1
    assert stats["saved"]["tokens_in"] == 800


def test_a_replay_has_its_own_id_and_time_and_is_otherwise_the_same(client: OpenAI):
    first = client.chat.completions.create(**ask(data_url(card("48.20"))))
    second = client.chat.completions.create(**ask(data_url(card("48.20"))))

    assert second.id != first.id
    assert second.id.startswith("chatcmpl-")
    assert second.created > first.created
    volatile = {"id", "created"}
    assert second.model_dump(exclude=volatile) == first.model_dump(exclude=volatile)


@pytest.mark.parametrize(
    "lookalike", [cards.draw("48.26"), cards.draw("43.20"), cards.draw("48.20").crop((0, 0, 800, 500))]
)
def test_a_lookalike_is_asked_upstream(stage: Stage, client: OpenAI, lookalike: Any):
    client.chat.completions.create(**ask(data_url(card("48.20"))))
    client.chat.completions.create(**ask(data_url(jpeg(lookalike, 90), "image/jpeg")))

    assert stage.upstream.calls == 2


def test_a_stream_is_replayed_with_its_own_chunk_boundaries(stage: Stage, client: OpenAI):
    asked = ask(data_url(card("48.20")), stream=True)
    first = list(client.chat.completions.create(**asked))
    second = list(client.chat.completions.create(**asked))

    assert [chunk.choices[0].delta.content for chunk in first] == ["", "prices:", " 48.20", None]
    volatile = {"id", "created"}
    assert [c.model_dump(exclude=volatile) for c in second] == [c.model_dump(exclude=volatile) for c in first]
    assert len({chunk.id for chunk in second}) == 1
    assert stage.upstream.calls == 1


def test_an_answer_stored_from_a_stream_serves_a_request_without_stream(stage: Stage, client: OpenAI):
    with_usage = {"stream": True, "stream_options": {"include_usage": True}}
    list(client.chat.completions.create(**ask(data_url(card("48.20")), **with_usage)))
    whole = client.chat.completions.create(**ask(data_url(card("48.20"))))

    assert whole.choices[0].message.content == "prices: 48.20"
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage is not None
    assert whole.usage.prompt_tokens == 800
    assert stage.upstream.calls == 1


def test_a_stream_without_usage_does_not_serve_a_client_that_needs_it(stage: Stage, client: OpenAI):
    list(client.chat.completions.create(**ask(data_url(card("48.20")), stream=True)))
    whole = client.chat.completions.with_raw_response.create(**ask(data_url(card("48.20"))))

    assert whole.headers["cache-status"] == "lookalike; fwd=miss; detail=no-usage"
    assert whole.parse().usage is not None
    again = client.chat.completions.with_raw_response.create(**ask(data_url(card("48.20"))))
    assert "hit" in again.headers["cache-status"]
    assert stage.upstream.calls == 2


def test_where_the_operator_asks_for_usage_every_stream_serves_a_request_without_stream(build: Build):
    stage = build(near=False, stream_usage="always")
    with OpenAI(base_url=f"{stage.gateway}/v1", api_key="sk", max_retries=0) as client:
        streamed = list(client.chat.completions.create(**ask(data_url(card("48.20")), stream=True)))
        whole = client.chat.completions.create(**ask(data_url(card("48.20"))))
        again = list(client.chat.completions.create(**ask(data_url(card("48.20")), stream=True)))

    assert all(chunk.usage is None and chunk.choices for chunk in [*streamed, *again])
    assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed) == "prices: 48.20"
    assert len(again) == len(streamed) == 4
    assert whole.usage is not None
    assert whole.usage.prompt_tokens == 800
    assert stage.upstream.calls == 1
    assert stage.stats()["saved"]["hits_with_unknown_tokens"] == 0


def test_an_answer_stored_whole_serves_a_stream_with_and_without_usage(stage: Stage, client: OpenAI):
    client.chat.completions.create(**ask(data_url(card("48.20"))))
    plain = list(client.chat.completions.create(**ask(data_url(card("48.20")), stream=True)))
    options = {"include_usage": True}
    counted = list(client.chat.completions.create(**ask(data_url(card("48.20")), stream=True, stream_options=options)))

    def text(chunks: list[Any]) -> str:
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

    assert text(plain) == text(counted) == "prices: 48.20"
    assert all(chunk.usage is None for chunk in plain)
    assert counted[-1].usage.prompt_tokens == 800
    assert counted[-1].choices == []
    assert stage.upstream.calls == 1


@pytest.mark.anyio
async def test_the_async_client_hits_too_streaming_and_not(stage: Stage):
    async with AsyncOpenAI(base_url=f"{stage.gateway}/v1", api_key="sk-one", max_retries=0) as client:
        await client.chat.completions.create(**ask(data_url(card("48.20"))))
        whole = await client.chat.completions.create(**ask(copy_of_48_20()))
        stream = await client.chat.completions.create(**ask(copy_of_48_20(), stream=True))
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]

    assert whole.choices[0].message.content == "".join(pieces) == "prices: 48.20"
    assert stage.upstream.calls == 1


def test_four_pictures_hit_together_in_their_order_only(stage: Stage, client: OpenAI):
    prices = ["11.11", "22.22", "33.33", "44.44"]
    files = [data_url(card(price)) for price in prices]
    copies = [data_url(jpeg(cards.draw(price), 88), "image/jpeg") for price in prices]
    client.chat.completions.create(**ask(*files))
    hit = client.chat.completions.with_raw_response.create(**ask(*copies))
    turned = client.chat.completions.create(**ask(*reversed(copies)))

    assert "detail=near" in hit.headers["cache-status"]
    assert hit.parse().choices[0].message.content == "prices: 11.11, 22.22, 33.33, 44.44"
    assert turned.choices[0].message.content == "prices: 44.44, 33.33, 22.22, 11.11"
    assert stage.upstream.calls == 2


def test_one_changed_picture_among_four_is_a_miss(stage: Stage, client: OpenAI):
    client.chat.completions.create(**ask(*(data_url(card(p)) for p in ("11.11", "22.22", "33.33", "44.44"))))
    other = client.chat.completions.create(**ask(*(data_url(card(p)) for p in ("11.11", "22.22", "33.38", "44.44"))))

    assert other.choices[0].message.content == "prices: 11.11, 22.22, 33.38, 44.44"


def test_pictures_anywhere_in_the_history_count(stage: Stage, client: OpenAI):
    def talk(first: str, second: str) -> dict[str, Any]:
        turns = [
            {"role": "system", "content": "Be terse."},
            *ask(first)["messages"],
            {"role": "assistant", "content": "48.20"},
            *ask(second, question="And this one?")["messages"],
        ]
        return {"model": "qwen3-vl-8b", "messages": turns}

    client.chat.completions.create(**talk(data_url(card("48.20")), data_url(card("10.00"))))
    hit = client.chat.completions.with_raw_response.create(**talk(copy_of_48_20(), data_url(card("10.00"))))
    client.chat.completions.create(**talk(data_url(card("48.26")), data_url(card("10.00"))))

    assert "hit" in hit.headers["cache-status"]
    assert stage.upstream.calls == 2


def test_another_question_another_system_message_or_tools_is_another_question(stage: Stage, client: OpenAI):
    url = data_url(card("48.20"))
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    system = {"role": "system", "content": "Answer in French."}
    client.chat.completions.create(**ask(url))
    client.chat.completions.create(**ask(url, question="What colour is it?"))
    client.chat.completions.create(**ask(url) | {"messages": [system, *ask(url)["messages"]]})
    client.chat.completions.create(**ask(url, tools=[tool]))
    client.chat.completions.create(**ask(url, max_tokens=5))
    client.chat.completions.create(**ask(url, extra_body={"top_k": 3}))

    assert stage.upstream.calls == 6


def test_a_tool_call_is_not_stored(stage: Stage, client: OpenAI):
    for _ in range(2):
        client.chat.completions.create(**ask(data_url(card("48.20"))), extra_headers={"x-fake": "finish=tool_calls"})

    assert stage.upstream.calls == 2
    assert stage.stats()["not_stored"] == {"tool-calls": 2}


def test_an_answer_cut_by_the_token_limit_is_not_stored(stage: Stage, client: OpenAI):
    for _ in range(2):
        client.chat.completions.create(**ask(data_url(card("48.20"))), extra_headers={"x-fake": "finish=length"})

    assert stage.upstream.calls == 2
    assert stage.stats()["not_stored"] == {"truncated-answer": 2}


def test_an_error_of_the_upstream_is_the_clients_to_see_and_is_not_stored(stage: Stage, client: OpenAI):
    with pytest.raises(APIStatusError) as failure:
        client.chat.completions.create(**ask(data_url(card("48.20"))), extra_headers={"x-fake": "status=429"})
    again = client.chat.completions.create(**ask(data_url(card("48.20"))))

    assert failure.value.status_code == 429
    assert failure.value.response.headers["retry-after"] == "1"
    assert again.choices[0].message.content == "prices: 48.20"
    assert stage.stats()["not_stored"] == {"upstream-status": 1}


def test_another_key_never_gets_the_answer(stage: Stage, client: OpenAI):
    client.chat.completions.create(**ask(data_url(card("48.20"))))
    with OpenAI(base_url=f"{stage.gateway}/v1", api_key="sk-two") as other:
        missed = other.chat.completions.with_raw_response.create(**ask(data_url(card("48.20"))))

    assert "fwd=miss" in missed.headers["cache-status"]
    assert stage.upstream.calls == 2


def test_lossless_resaving_is_a_pixel_hit_and_the_same_bytes_an_exact_one(stage: Stage, client: OpenAI):
    picture = cards.draw("48.20")
    client.chat.completions.create(**ask(data_url(png(picture))))
    repacked = png(picture, comment="from another program", compress_level=1)
    pixel = client.chat.completions.with_raw_response.create(**ask(data_url(repacked)))
    exact = client.chat.completions.with_raw_response.create(**ask(data_url(png(picture), "image/x-whatever")))

    assert pixel.headers["cache-status"].endswith("detail=pixel")
    assert exact.headers["cache-status"].endswith("detail=exact")
    assert stage.upstream.calls == 1


def test_a_string_image_url_as_ollama_takes_it_is_read(stage: Stage, client: OpenAI):
    part = {"type": "image_url", "image_url": data_url(card("48.20"))}
    body = {"model": "m", "messages": [{"role": "user", "content": [part, {"type": "text", "text": QUESTION}]}]}
    for _ in range(2):
        client.chat.completions.create(**body)  # type: ignore[call-overload]

    assert stage.upstream.calls == 1


def test_a_picture_by_url_is_forwarded_and_not_stored(stage: Stage, client: OpenAI):
    for _ in range(2):
        client.chat.completions.create(**ask("https://pictures.example/1.png"), extra_headers={"x-fake": "text=hello"})

    assert stage.upstream.calls == 2
    assert stage.stats()["bypasses"]["by_reason"] == {"picture-by-reference": 2}


def test_upstream_and_client_may_name_v1_or_not(build: Build):
    for suffix in ("", "/v1"):
        stage = build(near=False, suffix=suffix, store="memory")
        for base in ("", "/v1"):
            with OpenAI(base_url=stage.gateway + base, api_key="sk") as client:
                client.chat.completions.create(**ask(data_url(card("48.20"))))
        assert {seen.path for seen in stage.upstream.seen} == {"/v1/chat/completions"}


def test_text_alone_passes_by_the_cache(stage: Stage, client: OpenAI):
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
    for _ in range(2):
        raw = client.chat.completions.with_raw_response.create(**body)  # type: ignore[call-overload]

    assert raw.headers["cache-status"] == "lookalike; fwd=bypass; detail=no-picture"
    assert stage.stats()["hit_rate"] is None
