from typing import Any

import pytest
from hypothesis import strategies as st

from gateway.dialects.ollama import OllamaChat, OllamaGenerate
from gateway.question import Bypass, NotCacheable, PictureRef, Question, Reply, Unstored, Usage
from tests.contracts.dialect_contract import JSON_VALUES, DialectContract, call, key

PICTURE = "iVBORw0KGgo="
CHAT = {"model": "qwen3-vl:8b", "messages": [{"role": "user", "content": "What is it?", "images": [PICTURE]}]}
GENERATE = {"model": "qwen3-vl:8b", "prompt": "What is it?", "images": [PICTURE]}

_TEXT = st.text(max_size=12)
_UNKNOWN = st.dictionaries(st.text(max_size=8).map(lambda name: f"x_{name}"), JSON_VALUES, max_size=3)
_LOGPROBS = st.none() | st.lists(st.fixed_dictionaries({"token": _TEXT, "logprob": st.floats(-9, 0)}), max_size=2)
_HEAD = st.fixed_dictionaries(
    {"model": _TEXT, "created_at": _TEXT, "done": st.just(True)},
    optional={
        "done_reason": st.sampled_from(["stop", "length", "load", "new"]),
        "total_duration": st.none() | st.integers(0, 2**40),
        "prompt_eval_count": st.none() | st.integers(0, 9),
        "eval_count": st.none() | st.integers(0, 9),
        "logprobs": _LOGPROBS,
    },
)
_MESSAGE = st.fixed_dictionaries(
    {},
    optional={
        "role": st.just("assistant"),
        "content": st.none() | _TEXT,
        "thinking": st.none() | _TEXT,
        "tool_calls": st.none() | st.lists(st.fixed_dictionaries({"function": _UNKNOWN}), max_size=2),
    },
)
_CHATTED = st.builds(
    lambda *parts: parts[0] | parts[1] | {"message": parts[2] | parts[3]}, _HEAD, *[_UNKNOWN] * 2, _MESSAGE
)
_GENERATED = st.builds(
    lambda head, unknown, said: head | unknown | said,
    _HEAD,
    _UNKNOWN,
    st.fixed_dictionaries(
        {"response": _TEXT},
        optional={"thinking": st.none() | _TEXT, "context": st.none() | st.lists(st.integers(0, 9), max_size=3)},
    ),
)


class OllamaContract(DialectContract):
    not_asked = {"stream": False, "keep_alive": "5m"}  # noqa: RUF012
    closing = '"done":true'
    ids = ()
    times = ("created_at",)
    now = "2033-05-18T03:33:20Z"
    unread = {  # noqa: RUF012
        "ollama__stream-error": Unstored.ERROR_IN_REPLY,
        "ollama__stream-without-end": Unstored.CUT_SHORT,
    }

    def answers(self, reply: Reply) -> int:
        return 1


class TestOllamaChat(OllamaContract):
    dialect = OllamaChat()
    folder = "ollama_chat"
    path = "/api/chat"
    minimal = CHAT
    asks = "What is it?"
    refused = {  # noqa: RUF012
        "load": Bypass.STATEFUL,
        "unload": Bypass.STATEFUL,
        "text": Bypass.NO_PICTURE,
        "capital-letters": Bypass.AMBIGUOUS_JSON,
        "capital-images": Bypass.AMBIGUOUS_JSON,
    }
    whole_bodies = _CHATTED


class TestOllamaGenerate(OllamaContract):
    dialect = OllamaGenerate()
    folder = "ollama_generate"
    path = "/api/generate"
    minimal = GENERATE
    asks = "What is it?"
    refused = {  # noqa: RUF012
        "load": Bypass.STATEFUL,
        "unload": Bypass.STATEFUL,
        "context": Bypass.STATEFUL,
        "text": Bypass.NO_PICTURE,
        "capital-letters": Bypass.AMBIGUOUS_JSON,
    }
    whole_bodies = _GENERATED


def chatted(**fields: Any) -> Question:
    return OllamaChat().parse(call(CHAT | fields))


def generated(**fields: Any) -> Question:
    return OllamaGenerate().parse(call(GENERATE | fields))


def refusal(dialect: OllamaChat | OllamaGenerate, body: dict[str, Any]) -> Bypass:
    with pytest.raises(NotCacheable) as refused:
        dialect.parse(call(body))
    return refused.value.why


@pytest.mark.parametrize(
    ("path", "chat", "generate"),
    [
        ("/api/chat", True, False),
        ("/ollama/api/chat", True, False),
        ("/api/generate", False, True),
        ("/api/chat/completions", False, False),
        ("/api/embed", False, False),
        ("/generate", False, False),
        ("/v1/chat/completions", False, False),
    ],
)
def test_paths_are_claimed_by_their_end(path: str, chat: bool, generate: bool) -> None:
    assert (chat, generate) == (OllamaChat().claims(path), OllamaGenerate().claims(path))


@pytest.mark.parametrize(
    ("said", "stream"), [({}, True), ({"stream": True}, True), ({"stream": None}, True), ({"stream": False}, False)]
)
def test_a_stream_is_what_one_gets_without_asking(said: dict[str, Any], stream: bool) -> None:
    assert stream is chatted(**said).stream is generated(**said).stream


def test_pictures_are_raw_base64_in_the_order_they_were_sent() -> None:
    first, second = {"role": "user", "content": "a", "images": ["AAAA", "BBBB"]}, {"role": "tool", "images": ["CCCC"]}
    question = chatted(messages=[first, second])

    assert question.pictures == tuple(PictureRef(f"data:;base64,{name * 4}") for name in "ABC")
    assert question.asked == {
        "model": "qwen3-vl:8b",
        "messages": [
            {"role": "user", "content": "a", "images": [{"picture": 0}, {"picture": 1}]},
            {"role": "tool", "images": [{"picture": 2}]},
        ],
    }
    assert generated(images=["AAAA", "BBBB"]).asked["images"] == [{"picture": 0}, {"picture": 1}]  # type: ignore[index, call-overload]


def test_unset_lists_are_no_lists() -> None:
    quiet = {"role": "system", "content": "Be terse."}

    assert key(chatted()) == key(chatted(tools=[])) == key(chatted(tools=None))
    assert key(chatted(messages=[quiet, *CHAT["messages"]])) == key(
        chatted(messages=[{**quiet, "images": [], "tool_calls": None}, *CHAT["messages"]])
    )


@pytest.mark.parametrize("name", ["Model", "STREAM", "Images", "\u017ftream", "\u212aeep_alive", "Messages", "Prompt"])
def test_a_key_that_go_takes_for_another_is_ambiguous(name: str) -> None:
    assert Bypass.AMBIGUOUS_JSON is refusal(OllamaChat(), CHAT | {name: "x"})
    assert Bypass.AMBIGUOUS_JSON is refusal(OllamaGenerate(), GENERATE | {name: "x"})


def test_options_are_names_of_their_own_in_any_case() -> None:
    assert key(chatted(options={"seed": 1})) != key(chatted(options={"Seed": 1}))


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": "text"},
        {"messages": ["text"]},
        {"messages": [{"role": "user", "content": [{"type": "text"}], "images": [PICTURE]}]},
        {"messages": [{"role": "user", "content": "a", "images": PICTURE}]},
        {"messages": [{"role": "user", "content": "a", "images": [7]}]},
        {"model": 7},
        {"stream": "false"},
        {"_debug_render_only": True},
    ],
)
def test_a_request_of_another_shape_is_not_read(fields: dict[str, Any]) -> None:
    assert Bypass.UNKNOWN_SHAPE is refusal(OllamaChat(), CHAT | fields)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"prompt": ["a"]}, Bypass.UNKNOWN_SHAPE),
        ({"images": {"a": PICTURE}}, Bypass.UNKNOWN_SHAPE),
        ({"images": []}, Bypass.NO_PICTURE),
        ({"prompt": ""}, Bypass.STATEFUL),
        ({"context": [1]}, Bypass.STATEFUL),
    ],
)
def test_generate_is_read_only_where_it_asks(fields: dict[str, Any], why: Bypass) -> None:
    assert why is refusal(OllamaGenerate(), GENERATE | fields)


def test_an_empty_context_is_none() -> None:
    assert generated(context=[]).pictures


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, None),
        ({"done_reason": "length"}, Unstored.TRUNCATED),
        ({"done_reason": "load"}, Unstored.UNFINISHED),
        ({"done_reason": "unload"}, Unstored.UNFINISHED),
        ({"done_reason": "new"}, Unstored.UNFINISHED),
        ({"done_reason": None}, Unstored.UNFINISHED),
        ({"done_reason": ["stop"]}, Unstored.UNFINISHED),
        ({"message": {"content": ""}}, Unstored.EMPTY),
        ({"message": {"content": None}}, Unstored.EMPTY),
        ({"message": {"content": "", "thinking": "Hm."}}, None),
        ({"message": {"content": "", "tool_calls": [{"function": {}}]}}, Unstored.TOOL_CALLS),
    ],
)
def test_only_an_answer_that_ended_well_may_be_kept(fields: dict[str, Any], why: Unstored | None) -> None:
    body = {"message": {"content": "A cat."}, "done": True, "done_reason": "stop"}

    assert why is OllamaChat().unstorable(Reply(body | fields))


def test_an_answer_to_generate_that_says_nothing_is_not_kept() -> None:
    said = {"done": True, "done_reason": "stop", "response": "A cat."}

    assert OllamaGenerate().unstorable(Reply(said)) is None
    assert Unstored.EMPTY is OllamaGenerate().unstorable(Reply(said | {"response": ""}))


def test_tokens_are_unknown_where_the_server_left_them_out() -> None:
    assert Usage(312, 5) == OllamaChat().usage(Reply({"prompt_eval_count": 312, "eval_count": 5}))
    assert Usage(None, 5) == OllamaChat().usage(Reply({"eval_count": 5}))
    assert Usage(None, None) == OllamaChat().usage(Reply({"prompt_eval_count": None, "eval_count": -1}))


def test_an_unknown_field_that_changes_from_line_to_line_is_not_joined() -> None:
    lines = b'{"message":{"content":"a"},"x":1,"done":false}\n{"message":{"content":""},"x":2,"done":true}\n'
    dialect = OllamaChat()

    assert Unstored.MALFORMED is dialect.assemble(dialect.framing().feed(lines), 1)


def test_a_line_after_the_end_is_not_read_over() -> None:
    lines = b'{"response":"a","done":true}\n{"response":"b","done":true}\n'
    dialect = OllamaGenerate()

    assert Unstored.MALFORMED is dialect.assemble(dialect.framing().feed(lines), 1)


@pytest.mark.parametrize(("options", "most"), [({"num_predict": 64}, 64), ({"num_predict": -1}, None), ({}, None)])
def test_the_limit_of_an_answer_is_known_where_there_is_one(options: dict[str, Any], most: int | None) -> None:
    assert most == chatted(options=options).tokens_max
    assert chatted(options="text").tokens_max is None
