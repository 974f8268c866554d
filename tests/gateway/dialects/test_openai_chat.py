from typing import Any

import orjson
import pytest
from hypothesis import strategies as st

from gateway.dialects.openai_chat import OpenAIChat
from gateway.question import Bypass, Question, Reply, Unstored, Usage
from tests.contracts.dialect_contract import FRESH, JSON_VALUES, DialectContract, call
from tests.wire.recorded import Message, messages

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
MINIMAL = {
    "model": "qwen3-vl-8b",
    "messages": [{"role": "user", "content": [PICTURE, {"type": "text", "text": "What is it?"}]}],
}
FAILED_IN_STREAM = ("sglang", "lmdeploy", "vllm", "llamacpp", "dashscope")
TEXT_ONLY = ("10-text", "20-stream-text", "42-stop-string", "65-client-aborts-stream", "76-chunked-request")

_TEXT = st.text(max_size=12)
_UNKNOWN = st.dictionaries(st.text(max_size=8).map(lambda name: f"x_{name}"), JSON_VALUES, max_size=3)
_TOKEN = st.fixed_dictionaries({"token": _TEXT, "logprob": st.floats(-9, 0), "bytes": st.lists(st.integers(0, 255))})
_MESSAGE = st.builds(
    lambda known, unknown: known | unknown,
    st.fixed_dictionaries(
        {"role": st.just("assistant")},
        optional={
            "content": st.none() | _TEXT,
            "refusal": st.none() | _TEXT,
            "reasoning": st.none() | _TEXT,
            "reasoning_content": st.none() | _TEXT,
            "tool_calls": st.none() | st.lists(st.fixed_dictionaries({"id": _TEXT, "type": _TEXT}), max_size=2),
            "annotations": st.none() | st.lists(st.just({"type": "url_citation"}), max_size=1),
            "audio": st.none(),
        },
    ),
    _UNKNOWN,
)


def _choice(index: int, message: dict[str, Any], rest: dict[str, Any], unknown: dict[str, Any]) -> dict[str, Any]:
    return {"index": index, "message": message, **rest, **unknown}


_REST_OF_CHOICE = st.fixed_dictionaries(
    {"finish_reason": st.sampled_from(["stop", "length", "tool_calls", "content_filter", "eos", "new"])},
    optional={
        "logprobs": st.none() | st.fixed_dictionaries({"content": st.none() | st.lists(_TOKEN, max_size=2)}),
        "token_ids": st.none() | st.lists(st.integers(0, 9), max_size=3),
        "stop_reason": st.none() | st.integers(0, 9) | _TEXT,
    },
)
_BODY = st.builds(
    lambda head, unknown, parts: (
        head | unknown | {"choices": [_choice(index, *part) for index, part in enumerate(parts)]}
    ),
    st.fixed_dictionaries(
        {"id": _TEXT, "object": st.just("chat.completion"), "created": st.integers(0, 2**40)},
        optional={
            "model": st.none() | _TEXT,
            "system_fingerprint": st.none() | _TEXT,
            "service_tier": st.none() | _TEXT,
            "usage": st.none() | st.dictionaries(_TEXT, st.none() | st.integers(0, 9) | _UNKNOWN, max_size=3),
        },
    ),
    _UNKNOWN,
    st.lists(st.tuples(_MESSAGE, _REST_OF_CHOICE, _UNKNOWN), min_size=1, max_size=3),
)


class TestOpenAIChat(DialectContract):
    dialect = OpenAIChat()
    folder = "openai_chat"
    minimal = MINIMAL
    asks = "What is it?"
    not_asked = {  # noqa: RUF012
        "stream": True,
        "stream_options": {"include_usage": True, "include_obfuscation": False},
        "user": "someone",
        "safety_identifier": "someone",
        "metadata": {"run": "7"},
        "store": False,
        "request_id": "r1",
        "rid": "r1",
        "session_id": 7,
        "prompt_cache_key": "k",
        "prompt_cache_retention": "24h",
        "prompt_cache_options": {"ttl": 1},
        "service_tier": "flex",
        "priority": 3,
        "data_parallel_rank": 1,
        "routed_dp_rank": 1,
        "extra_key": "k",
        "id_slot": 2,
        "cache_prompt": False,
        "n_cache_reuse": 5,
        "sse_ping_interval": 10,
        "stream_interval": 4,
        "keep_alive": "5m",
    }
    refused = {  # noqa: RUF012
        **dict.fromkeys(
            (*TEXT_ONLY, "60-err-no-messages", "80-request-id", "83-err-not-json-type", "ark-chat-stream"),
            Bypass.NO_PICTURE,
        ),
        "61-err-unknown-part": Bypass.UNKNOWN_PART,
        "82-err-broken-json": Bypass.NOT_JSON,
        "84-err-empty-body": Bypass.NOT_JSON,
        "91-uuid-without-bytes": Bypass.STATEFUL,
        "109-dashscope-search": Bypass.SERVER_TOOLS,
        **dict.fromkeys(("110-dashscope-video", "111-vllm-image-embeds"), Bypass.UNKNOWN_PART),
        "112-sglang-session": Bypass.STATEFUL,
        "92-uuid-unknown": Bypass.STATEFUL,
    }
    hints = ("cache_control",)
    choices = {"46-n2-stream-usage": 2}  # noqa: RUF012
    unread = {  # noqa: RUF012
        "tf__46-n2-stream-usage": Unstored.CUT_SHORT,  # that server has one answer for any n
        **{f"{server}__62-err-in-stream": Unstored.ERROR_IN_REPLY for server in FAILED_IN_STREAM},
        "sglang__63-stream-named-event": Unstored.MALFORMED,
    }
    whole_bodies = _BODY

    def test_a_stream_of_fewer_or_more_answers_than_asked_for_is_not_whole(self, stream_: Message) -> None:
        choices = self.choices.get(stream_.case, 1)

        assert self.assembled(stream_.body, choices + 1) is Unstored.CUT_SHORT
        assert self.assembled(stream_.body, choices - 1) is Unstored.CUT_SHORT


def parsed(**fields: Any) -> Question:
    return OpenAIChat().parse(call(MINIMAL | fields))


def answer(**choice: Any) -> Reply:
    message = {"role": "assistant", "content": "A cat.", **choice.pop("message", {})}
    return Reply({"id": "chatcmpl-1", "choices": [{"index": 0, "message": message, "finish_reason": "stop", **choice}]})


@pytest.mark.parametrize(
    ("path", "claimed"),
    [
        ("/v1/chat/completions", True),
        ("/chat/completions", True),
        ("/compatible-mode/v1/chat/completions", True),
        ("/openai/deployments/x/chat/completions", True),
        ("/api/v3/batch/chat/completions", True),
        ("/api/v3/bots/chat/completions", False),
        ("/api/v3/context/chat/completions", False),
        ("/v1/chat/completions/batch", False),
        ("/v1/completions", False),
        ("/v1/responses", False),
        ("/v1/mychat/completions", False),
    ],
)
def test_paths_are_claimed_by_their_end(path: str, claimed: bool) -> None:
    assert claimed is OpenAIChat().claims(path)


@pytest.mark.parametrize(
    ("choice", "why"),
    [
        ({}, None),
        ({"finish_reason": "eos"}, None),
        ({"finish_reason": "length"}, Unstored.TRUNCATED),
        ({"finish_reason": "tool_calls"}, Unstored.TOOL_CALLS),
        ({"finish_reason": "content_filter"}, Unstored.REFUSED),
        ({"finish_reason": "abort"}, Unstored.UNFINISHED),
        ({"finish_reason": "repetition"}, Unstored.UNFINISHED),
        ({"finish_reason": "null"}, Unstored.UNFINISHED),
        ({"finish_reason": None}, Unstored.UNFINISHED),
        ({"finish_reason": ["stop"]}, Unstored.UNFINISHED),
        ({"moderation_hit_type": "violence"}, Unstored.REFUSED),
        ({"message": {"tool_calls": [{"id": "call_1"}]}}, Unstored.TOOL_CALLS),
        ({"message": {"tool_calls": []}}, None),
        ({"message": {"refusal": "I cannot."}}, Unstored.REFUSED),
        ({"message": {"annotations": [{"type": "url_citation"}]}}, Unstored.SERVER_TOOLS_RAN),
        ({"message": {"content": ""}}, Unstored.EMPTY),
        ({"message": {"content": None}}, Unstored.EMPTY),
        ({"message": {"content": "", "reasoning": "Hm."}}, None),
    ],
)
def test_only_an_answer_that_ended_well_may_be_kept(choice: dict[str, Any], why: Unstored | None) -> None:
    assert why is OpenAIChat().unstorable(answer(**choice))


@pytest.mark.parametrize("index", [0, None, "1", [1]])
def test_two_choices_that_would_be_one_in_a_stream_are_no_reply(index: Any) -> None:
    good = answer().body["choices"][0]

    assert isinstance(OpenAIChat().whole(orjson.dumps({"choices": [good, good | {"index": 1}]})), Reply)
    assert Unstored.MALFORMED is OpenAIChat().whole(orjson.dumps({"choices": [good, good | {"index": index}]}))


def test_one_bad_choice_of_two_keeps_the_reply_from_being_kept() -> None:
    good, cut = answer().body["choices"][0], answer(finish_reason="length").body["choices"][0]

    assert Unstored.TRUNCATED is OpenAIChat().unstorable(Reply({"choices": [good, cut]}))
    assert Unstored.SERVER_TOOLS_RAN is OpenAIChat().unstorable(Reply({"choices": [good], "search_info": {"n": 1}}))


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 0}, Usage(5, 0)),
        ({"prompt_tokens": 5}, Usage(5, None)),
        ({"prompt_tokens": -5, "completion_tokens": "7"}, Usage(None, None)),
        ({"prompt_tokens": True, "completion_tokens": 1.5}, Usage(None, None)),
        (None, Usage(None, None)),
        ([], Usage(None, None)),
    ],
)
def test_tokens_are_unknown_unless_the_upstream_counted_them(usage: object, expected: Usage) -> None:
    assert expected == OpenAIChat().usage(Reply({"usage": usage}))


def test_recorded_error_replies_are_never_answers() -> None:
    errors = [m for m in messages("openai_chat", "replies") if m.status != 200]

    assert len(errors) > 30
    assert {Unstored.ERROR_IN_REPLY, Unstored.MALFORMED} >= {OpenAIChat().whole(m.body) for m in errors}


@pytest.mark.parametrize(
    ("name", "request_id", "expected"),
    [
        ("chatcmpl-my-own-id-1", "your-id-2", "chatcmpl-your-id-2"),  # vLLM
        ("my-own-id-1", "your-id-2", "your-id-2"),  # SGLang, transformers
        ("my-own-id-1", None, FRESH.token),
        ("chatcmpl-my-own-id-1", None, f"chatcmpl-{FRESH.token}"),
    ],
)
def test_a_name_that_the_caller_chose_is_replaced_by_the_next_callers(
    name: str, request_id: str | None, expected: str
) -> None:
    stored = Reply({"id": name, "created": 1}, ({"id": name},), named=True)
    renewed = OpenAIChat().renew(stored, parsed(request_id=request_id), FRESH)

    assert expected == renewed.body["id"] == renewed.chunks[0]["id"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("chatcmpl-b141fb0e", f"chatcmpl-{FRESH.token}"),
        ("as-b141fb0e", f"as-{FRESH.token}"),
        ("0a787dab-1eb4-4802", FRESH.token),
        ("02176", FRESH.token),
        ("", FRESH.token),
    ],
)
def test_a_name_that_the_server_chose_keeps_its_prefix(name: str, expected: str) -> None:
    renewed = OpenAIChat().renew(Reply({"id": name}), parsed(request_id="mine"), FRESH)

    assert {"id": expected} == renewed.body


def test_a_reply_without_a_name_still_gets_a_new_time() -> None:
    assert {"created": FRESH.now_s} == OpenAIChat().renew(Reply({"created": 1}), parsed(), FRESH).body
    assert OpenAIChat().renew(Reply({"id": 7}), parsed(), FRESH).body == {"id": 7}
