from typing import Any, ClassVar
from uuid import UUID

import orjson
import pytest
from hypothesis import strategies as st

from gateway.dialects.dashscope import DashScope
from gateway.dialects.framing import Frame
from gateway.question import Bypass, NotCacheable, Object, PictureRef, Question, Reply, Unstored, Usage
from tests.contracts.dialect_contract import FRESH, JSON_VALUES, DialectContract, call, key
from tests.wire.recorded import reply_of

URL = "data:image/png;base64,AAAA"
PATH = "/api/v1/services/aigc/multimodal-generation/generation"
ASKING = [{"image": URL}, {"text": "What is it?"}]
MINIMAL = {"model": "qwen3-vl-8b-instruct", "input": {"messages": [{"role": "user", "content": ASKING}]}}

_TEXT = st.text(max_size=12)
_UNKNOWN = st.dictionaries(st.text(max_size=8).map(lambda name: f"x_{name}"), JSON_VALUES, max_size=3)
_CONTENT = _TEXT | st.lists(st.fixed_dictionaries({"text": _TEXT}), max_size=2)
_MESSAGE = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": st.none() | _CONTENT},
    optional={"reasoning_content": st.none() | _TEXT, "x_unknown": JSON_VALUES},
)
_REASON = st.sampled_from(["stop", "length", "tool_calls", "new"])
_CHOICES = st.lists(st.tuples(_MESSAGE, _REASON, _UNKNOWN), min_size=1, max_size=3).map(
    lambda parts: {
        "choices": [
            {"index": index, "message": said, "finish_reason": reason, **unknown}
            for index, (said, reason, unknown) in enumerate(parts)
        ]
    }
)
_PLAIN = st.fixed_dictionaries({"text": _TEXT, "finish_reason": _REASON}, optional={"choices": st.none()})
_BODY = st.builds(
    lambda output, unknown, rest: {"output": output | unknown, **rest},
    _CHOICES | _PLAIN,
    _UNKNOWN,
    st.fixed_dictionaries(
        {"request_id": _TEXT}, optional={"usage": st.none() | _UNKNOWN, "code": st.just(""), "x_unknown": JSON_VALUES}
    ),
)


class TestDashScope(DialectContract):
    dialect = DashScope()
    folder = "dashscope"
    path = PATH
    minimal = MINIMAL
    asks = "What is it?"
    not_asked: ClassVar[dict[str, Any]] = {}
    hints = ("cache_control",)
    refused = {  # noqa: RUF012
        "text": Bypass.NO_PICTURE,
        "video": Bypass.UNKNOWN_PART,
        "openai-part": Bypass.UNKNOWN_PART,
        "search": Bypass.SERVER_TOOLS,
        "stream-in-parameters": Bypass.UNKNOWN_SHAPE,
        "accept-alone": Bypass.UNKNOWN_SHAPE,
    }
    choices = {"stream-n2": 2}  # noqa: RUF012
    closing = '"finish_reason":"stop"'
    unread = {  # noqa: RUF012
        "dashscope__error-in-200": Unstored.ERROR_IN_REPLY,
        "dashscope__stream-error": Unstored.ERROR_IN_REPLY,
        "dashscope__stream-error-as-result": Unstored.ERROR_IN_REPLY,
        "dashscope__stream-without-end": Unstored.CUT_SHORT,
    }
    ids = ("request_id",)
    times = ()
    whole_bodies = _BODY

    def answers(self, reply: Reply) -> int:
        return len(reply.body["output"].get("choices") or [reply])


def parsed(parameters: Object | None = None, content: Any = ASKING, **headers: str) -> Question:
    messages = [{"role": "user", "content": content}]
    body = MINIMAL | {"input": {"messages": messages}, "parameters": parameters or {}}
    return DashScope().parse(call(body, PATH, **headers))


def refusal(*args: Any, **headers: str) -> Bypass:
    with pytest.raises(NotCacheable) as refused:
        parsed(*args, **headers)
    return refused.value.why


def answer(**choice: Any) -> Reply:
    said = {"role": "assistant", "content": [{"text": "A cat."}], **choice.pop("message", {})}
    return Reply({"output": {"choices": [{"message": said, "finish_reason": "stop", **choice}]}})


def streamed(*texts: str) -> Reply | Unstored:
    last = len(texts) - 1
    frames = [
        Frame(orjson.dumps(answer(message={"content": [{"text": text}]}, finish_reason=reason).body).decode(), "result")
        for number, text in enumerate(texts)
        for reason in ["stop" if number == last else "null"]
    ]
    return DashScope().assemble(frames, 1)


@pytest.mark.parametrize(
    ("path", "claimed"),
    [
        (PATH, True),
        ("/services/aigc/multimodal-generation/generation", True),
        ("/api/v1/services/aigc/text-generation/generation", False),
        ("/api/v1/services/qwen-vl-8b/inference", False),
        ("/api/v1/uploads", False),
    ],
)
def test_paths_are_claimed_by_their_end(path: str, claimed: bool) -> None:
    assert claimed is DashScope().claims(path)


@pytest.mark.parametrize(
    ("headers", "parameters", "stream"),
    [
        ({}, {}, False),
        ({"accept": "application/json; charset=utf-8"}, {}, False),
        ({"x_dashscope_sse": "enable", "accept": "text/event-stream"}, {}, True),
        ({"x_dashscope_sse": "Enable"}, {"stream": True}, True),
        ({"x_dashscope_sse": "disable"}, {"stream": False}, False),
    ],
)
def test_a_header_asks_for_a_stream(headers: dict[str, str], parameters: Object, stream: bool) -> None:
    assert stream is parsed(parameters, **headers).stream


@pytest.mark.parametrize(
    ("headers", "parameters"),
    [
        ({}, {"stream": True}),
        ({}, {"stream": "false"}),
        ({"accept": "text/event-stream"}, {}),
        ({"x_dashscope_sse": "disable", "accept": "text/event-stream"}, {}),
        ({"x_dashscope_sse": "enable"}, {"stream": False}),
    ],
)
def test_whoever_asks_for_a_stream_in_two_minds_is_not_answered(headers: dict[str, str], parameters: Object) -> None:
    assert Bypass.UNKNOWN_SHAPE is refusal(parameters, **headers)


def test_a_stream_and_an_answer_in_one_piece_have_two_keys() -> None:
    whole, stream = parsed(), parsed(x_dashscope_sse="enable")
    repeating = parsed({"incremental_output": False}, x_dashscope_sse="enable")
    adding = parsed({"incremental_output": True}, x_dashscope_sse="enable")

    assert len({key(whole), key(stream), key(repeating), key(adding)}) == 4


def test_two_choices_that_would_be_one_in_a_stream_are_no_reply() -> None:
    choice = {"message": {"content": [{"text": "A cat."}]}, "finish_reason": "stop"}
    numbered = [choice | {"index": 0}, choice | {"index": 1}]

    assert isinstance(DashScope().whole(orjson.dumps({"output": {"choices": numbered}})), Reply)
    assert Unstored.MALFORMED is DashScope().whole(orjson.dumps({"output": {"choices": [choice, choice]}}))


def test_settings_are_left_out_or_none_alike() -> None:
    assert key(parsed()) == key(parsed({"temperature": None})) == key(DashScope().parse(call(MINIMAL, PATH)))


def test_pictures_leave_their_place_and_what_was_said_about_them() -> None:
    long = "data:image/png;base64," + "A" * 5000
    question = parsed(content=[{"image": URL, "min_pixels": 7}, {"text": "a", "type": "text"}, {"image": long}])

    assert PictureRef(URL) == question.pictures[0]
    assert isinstance(question.pictures[1].url, memoryview)
    assert question.asked == {
        "model": "qwen3-vl-8b-instruct",
        "stream": False,
        "parameters": {},
        "input": {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"image": {"picture": 0}, "min_pixels": 7},
                        {"text": "a", "type": "text"},
                        {"image": {"picture": 1}},
                    ],
                }
            ]
        },
    }


@pytest.mark.parametrize(
    "part",
    [
        "text",
        {},
        {"type": "text"},
        {"text": 7},
        {"image": {"url": URL}},
        {"image": URL, "text": "both"},
        {"text": "a", "file": "file-1"},
        {"audio": "https://h/a.mp3"},
        {"video": "https://h/a.mp4"},
    ],
)
def test_a_part_that_may_hold_anything_else_is_not_read(part: Any) -> None:
    assert Bypass.UNKNOWN_PART is refusal({}, [{"image": URL}, part])


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({"enable_search": True}, Bypass.SERVER_TOOLS),
        ({"search_options": {"forced_search": True}}, Bypass.SERVER_TOOLS),
        ({"plugins": {"calculator": {}}}, Bypass.SERVER_TOOLS),
        ({"tools": [{"type": "code_interpreter"}]}, Bypass.SERVER_TOOLS),
        ({"tools": {"type": "function"}}, Bypass.SERVER_TOOLS),
        ({"modalities": ["text", "audio"]}, Bypass.UNKNOWN_PART),
        ({"n": 0}, Bypass.UNKNOWN_SHAPE),
        ({"n": True}, Bypass.UNKNOWN_SHAPE),
        ({"n": "2"}, Bypass.UNKNOWN_SHAPE),
    ],
)
def test_what_the_server_adds_to_a_question_is_not_cached(parameters: Object, why: Bypass) -> None:
    assert why is refusal(parameters)


def test_a_plugin_named_in_a_header_is_a_tool() -> None:
    assert Bypass.SERVER_TOOLS is refusal(x_dashscope_plugin='{"calculator":{}}')


def test_settings_that_change_nothing_at_the_server_are_no_tools() -> None:
    assert parsed({"enable_search": False, "tools": [{"type": "function", "function": {"name": "look"}}]}).pictures


@pytest.mark.parametrize("body", [{"input": []}, {"input": {"messages": "a"}}, {"parameters": []}, {"model": 7}])
def test_a_request_of_another_shape_is_not_read(body: Object) -> None:
    with pytest.raises(NotCacheable) as refused:
        DashScope().parse(call(MINIMAL | body, PATH))
    assert Bypass.UNKNOWN_SHAPE is refused.value.why


@pytest.mark.parametrize(
    ("choice", "why"),
    [
        ({}, None),
        ({"message": {"content": "A cat."}}, None),
        ({"message": {"content": [], "reasoning_content": "Hm."}}, None),
        ({"message": {"content": []}}, Unstored.EMPTY),
        ({"message": {"content": [{"text": ""}]}}, Unstored.EMPTY),
        ({"finish_reason": "null"}, Unstored.UNFINISHED),
        ({"finish_reason": None}, Unstored.UNFINISHED),
        ({"finish_reason": "new"}, Unstored.UNFINISHED),
        ({"finish_reason": "length"}, Unstored.TRUNCATED),
        ({"finish_reason": "content_filter"}, Unstored.REFUSED),
        ({"finish_reason": "stop", "message": {"tool_calls": [{"id": "call_1"}]}}, Unstored.TOOL_CALLS),
    ],
)
def test_only_an_answer_that_ended_well_may_be_kept(choice: Object, why: Unstored | None) -> None:
    assert why is DashScope().unstorable(answer(**choice))


def test_an_answer_that_was_searched_for_is_not_kept() -> None:
    body = answer().body
    body["output"]["search_info"] = None
    assert DashScope().unstorable(Reply(body)) is None

    body["output"]["search_info"] = {"search_results": []}
    assert Unstored.SERVER_TOOLS_RAN is DashScope().unstorable(Reply(body))


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        (("A", " cat", "."), "A cat."),
        (("A", "A cat", "A cat."), "A cat."),
        (("ha", "ha", ""), "haha"),
        (("", "A", "A cat", "A cat"), "A cat"),
        (("A cat",), "A cat"),
    ],
)
def test_a_stream_adds_to_the_text_or_repeats_it(texts: tuple[str, ...], whole: str) -> None:
    reply = streamed(*texts)

    assert isinstance(reply, Reply)
    assert whole == DashScope().text(reply)
    assert len(texts) == len(reply.chunks)


def test_every_recorded_way_to_stream_says_the_same() -> None:
    dialect = DashScope()
    for case in ("stream-incremental", "stream-cumulative", "stream-thinking", "stream-text"):
        frames = dialect.framing().feed(reply_of("dashscope", f"dashscope__{case}").body)
        reply = dialect.assemble(frames, 1)

        assert isinstance(reply, Reply)
        assert dialect.text(reply) == "A red square.", case
        assert dialect.usage(reply) == Usage(31, 5)


def test_an_event_after_the_end_is_not_read_over() -> None:
    last = Frame(orjson.dumps(answer().body).decode(), "result")

    assert isinstance(DashScope().assemble([last], 1), Reply)
    assert Unstored.MALFORMED is DashScope().assemble([last, last], 1)


def test_parts_that_cannot_be_joined_are_not_kept() -> None:
    seen = answer(message={"content": [{"text": "A", "ocr_result": {}}]}, finish_reason="null").body
    frames = [Frame(orjson.dumps(body).decode()) for body in (seen, answer().body)]

    assert Unstored.MALFORMED is DashScope().assemble(frames, 1)


def test_a_stream_is_written_with_numbers_names_and_the_servers_comment() -> None:
    dialect = DashScope()
    raw = reply_of("dashscope", "dashscope__stream-incremental").body
    reply = dialect.assemble(dialect.framing().feed(raw), 1)

    assert isinstance(reply, Reply)
    assert raw == b"".join(map(dialect.encode, dialect.stream(reply, include_usage=False)))


def test_an_id_is_of_the_kind_that_it_replaces() -> None:
    dialect, question = DashScope(), parsed()
    old = "6dd1b1f4-3ffe-9b54-9d0c-1f4a0a7e6a11"

    assert UUID(dialect.renew(Reply({"request_id": old}), question, FRESH).body["request_id"]) != UUID(old)
    assert dialect.renew(Reply({"request_id": "r1"}), question, FRESH).body == {"request_id": FRESH.token}
    assert dialect.renew(Reply({"request_id": None}), question, FRESH).body == {"request_id": None}
