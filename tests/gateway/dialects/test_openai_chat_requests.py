from typing import Any

import orjson
import pytest

from gateway.dialects.openai_chat import OpenAIChat
from gateway.question import Bypass, NotCacheable
from tests.contracts.dialect_contract import call, key
from tests.gateway.dialects.test_openai_chat import MINIMAL, PICTURE, parsed
from tests.wire.recorded import message

LONG_URL = "data:image/png;base64," + "A" * 4000


def refusal(body: dict[str, Any] | bytes) -> Bypass:
    with pytest.raises(NotCacheable) as refused:
        OpenAIChat().parse(call(body))
    return refused.value.why


def test_one_call_of_every_sdk_that_says_the_same_has_one_key() -> None:
    names = ("openai-py-chat-stream", "openai-py-chat-stream-1", "openai-py-3-54-0-chat", "openai-py-1-109-1-chat")
    old_stream, new_stream, new, old = (
        key(OpenAIChat().parse(call(message("openai_chat", "clients", name).body))) for name in names
    )

    assert old_stream == new_stream
    assert old == new
    assert new != new_stream  # it asks for mm_processor_kwargs besides


def test_an_answer_that_the_upstream_is_to_keep_is_not_asked_of_the_cache() -> None:
    assert Bypass.STATEFUL is refusal(MINIMAL | {"store": True})
    assert parsed(store=False).pictures


def test_llama_cpps_word_for_n_counts_too() -> None:
    assert (parsed(n_cmpl=2).choices, parsed(n=3).choices) == (2, 3)


@pytest.mark.parametrize(
    "field", ["kv_transfer_params", "ec_transfer_params", "previous_response_id", "session_params"]
)
def test_a_request_with_state_at_the_upstream_is_refused(field: str) -> None:
    assert Bypass.STATEFUL is refusal(MINIMAL | {field: {"a": 1}})
    assert key(parsed()) == key(parsed(**{field: None}))


@pytest.mark.parametrize(
    "fields",
    [
        {"enable_search": True},
        {"web_search_options": {"search_context_size": "low"}},
        {"tools": [{"type": "function", "function": {"name": "f"}}, {"type": "web_search"}]},
        {"tools": [{"type": "mcp", "server_url": "https://h"}]},
    ],
)
def test_a_request_whose_tools_the_upstream_runs_is_refused(fields: dict[str, Any]) -> None:
    assert Bypass.SERVER_TOOLS is refusal(MINIMAL | fields)


def test_tools_that_the_client_runs_are_part_of_the_key() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]

    assert key(parsed(tools=tools)) != key(parsed())
    assert key(parsed(tools=[])) == key(parsed())


@pytest.mark.parametrize("fields", [{"audio": {"voice": "x"}}, {"modalities": ["text", "audio"]}])
def test_a_request_for_an_audible_answer_is_refused(fields: dict[str, Any]) -> None:
    assert Bypass.UNKNOWN_PART is refusal(MINIMAL | fields)


@pytest.mark.parametrize("fields", [{"model": 7}, {"stream": "yes"}, {"stream": 1}, {"stream_options": []}, {"n": 0}])
@pytest.mark.parametrize("more", [{}, {"n": 1.0}, {"n": True}, {"n": "2"}])
def test_a_field_of_another_type_than_the_servers_know_is_refused(fields: dict[str, Any], more: dict[str, Any]) -> None:
    assert Bypass.UNKNOWN_SHAPE is refusal(MINIMAL | fields | more)


def test_no_picture_is_refused_by_that_name() -> None:
    assert Bypass.NO_PICTURE is refusal({"messages": [{"role": "user", "content": "Hello?"}]})
    assert Bypass.UNKNOWN_SHAPE is refusal({"model": "m"})
    assert Bypass.UNKNOWN_SHAPE is refusal({"messages": "Hello?"})


@pytest.mark.parametrize(
    ("fields", "include_usage", "needs_usage"),
    [
        ({}, False, True),
        ({"stream": True}, False, False),
        ({"stream": True, "stream_options": None}, False, False),
        ({"stream": True, "stream_options": {"include_usage": False}}, False, False),
        ({"stream": True, "stream_options": {"include_usage": True}}, True, True),
        ({"stream": False, "stream_options": {"include_usage": True}}, False, True),
    ],
)
def test_usage_is_wanted_in_one_piece_or_if_a_stream_asks_for_it(
    fields: dict[str, Any], include_usage: bool, needs_usage: bool
) -> None:
    question = parsed(**fields)

    assert (include_usage, needs_usage) == (question.include_usage, question.needs_usage)


def test_a_stream_option_that_shapes_the_chunks_is_part_of_the_key() -> None:
    usage = {"include_usage": True}
    shaped = parsed(stream=True, stream_options={**usage, "continuous_usage_stats": True})
    plain = parsed(stream=True, stream_options={**usage, "continuous_usage_stats": False})

    assert key(shaped) != key(plain) == key(parsed())


def test_the_callers_name_for_its_request_is_found_in_body_or_header() -> None:
    body = orjson.dumps(MINIMAL)

    assert OpenAIChat().parse(call(body)).request_id is None
    assert parsed(request_id="mine").request_id == "mine"
    assert parsed(rid="mine").request_id == "mine"
    assert OpenAIChat().parse(call(body, x_request_id="mine")).request_id == "mine"
    assert key(parsed()) == key(parsed(request_id="mine"))


@pytest.mark.parametrize(
    "fields",
    [
        {"image_url": LONG_URL},
        {"extra": [{"url": LONG_URL}]},
        {"tools": [{"type": "function", "function": {"parameters": {"default": {"url": LONG_URL}}}}]},
        {"messages": [{"role": "user", "url": LONG_URL, "content": [PICTURE]}]},
        {"messages": [{"role": "user", "content": [PICTURE, {"type": "text", "text": "a", "url": LONG_URL}]}]},
        {"messages": [{"role": "user", "content": [PICTURE | {"url": LONG_URL}]}]},
        {"messages": [{"role": "user", "content": [PICTURE | {"image_url": {"url": "data:", "image_url": LONG_URL}}]}]},
    ],
)
def test_a_long_data_url_in_a_place_that_is_no_pictures_is_part_of_the_key(fields: dict[str, Any]) -> None:
    changed = orjson.loads(orjson.dumps(fields).replace(b"A" * 4000, b"A" * 3999 + b"B"))

    assert len(parsed(**fields).pictures) == 1
    assert key(parsed(**fields)) != key(parsed(**changed))


def test_long_pictures_are_told_apart_from_text_and_kept_out_of_the_key() -> None:
    long = PICTURE | {"image_url": {"url": LONG_URL}}
    question = parsed(messages=[{"role": "user", "content": [long, {"type": "text", "text": LONG_URL}]}])

    assert [LONG_URL.encode()] == [bytes(ref.url) for ref in question.pictures]  # type: ignore[arg-type]
    assert key(question).count(b"base64") == 1
