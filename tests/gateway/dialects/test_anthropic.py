from typing import Any

import orjson
import pytest
from hypothesis import strategies as st

from gateway.dialects import anthropic_stream
from gateway.dialects.anthropic import AnthropicMessages
from gateway.dialects.framing import Frame
from gateway.question import Bypass, NotCacheable, PictureRef, Question, Reply, Unstored, Usage
from tests.contracts.dialect_contract import FRESH, JSON_VALUES, DialectContract, call, key
from tests.wire.recorded import reply_of

PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
BY_URL = {"type": "image", "source": {"type": "url", "url": "https://pictures.example/1.png"}}
TEXT = {"type": "text", "text": "What is it?"}
MINIMAL = {"model": "qwen3-vl-8b", "max_tokens": 9, "messages": [{"role": "user", "content": [PICTURE, TEXT]}]}

_TEXT = st.text(max_size=12)
_UNKNOWN = st.dictionaries(st.text(max_size=8).map(lambda name: f"x_{name}"), JSON_VALUES, max_size=3)
_BLOCK = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": _TEXT}, optional={"citations": st.none()}),
    st.fixed_dictionaries({"type": st.just("thinking"), "thinking": _TEXT, "signature": _TEXT}),
    st.fixed_dictionaries({"type": st.just("redacted_thinking"), "data": _TEXT}),
    st.fixed_dictionaries({"type": st.just("tool_use"), "id": _TEXT, "name": _TEXT, "input": _UNKNOWN}),
    st.fixed_dictionaries({"type": st.just("web_search_tool_result"), "content": st.lists(_UNKNOWN, max_size=2)}),
)
_BODY = st.builds(
    lambda head, unknown: head | unknown,
    st.fixed_dictionaries(
        {
            "id": _TEXT,
            "type": st.just("message"),
            "role": st.just("assistant"),
            "content": st.lists(st.builds(lambda block, unknown: block | unknown, _BLOCK, _UNKNOWN), max_size=3),
            "stop_reason": st.sampled_from(["end_turn", "max_tokens", "tool_use", "refusal", "pause_turn", "new"]),
        },
        optional={
            "model": _TEXT,
            "stop_sequence": st.none() | _TEXT,
            "usage": st.none() | st.dictionaries(_TEXT | st.just("output_tokens"), st.none() | st.integers(0, 9)),
        },
    ),
    _UNKNOWN,
)


class TestAnthropicMessages(DialectContract):
    dialect = AnthropicMessages()
    folder = "anthropic_messages"
    minimal = MINIMAL
    asks = "What is it?"
    not_asked = {  # noqa: RUF012
        "stream": True,
        "metadata": {"user_id": "someone"},
        "service_tier": "auto",
        "speed": "fast",
        "inference_geo": "eu",
        "cache_control": {"type": "ephemeral"},
        "diagnostics": {"previous_message_id": None},
        "request_id": "r1",
        "priority": 3,
    }
    hints = ("cache_control", "media_type")
    refused = {  # noqa: RUF012
        **dict.fromkeys(("10-text", "anthropic-node"), Bypass.NO_PICTURE),
        "50-mcp-servers": Bypass.SERVER_TOOLS,
        "51-container": Bypass.STATEFUL,
        "52-document": Bypass.UNKNOWN_PART,
        "53-file-id": Bypass.PICTURE_BY_REFERENCE,
        "54-web-search": Bypass.SERVER_TOOLS,
    }
    closing = '"stop_reason":"'
    unread = dict.fromkeys(("anthropic__62-err-in-stream", "vllm__62-err-in-stream"), Unstored.ERROR_IN_REPLY)
    heartbeats = ("ping",)
    times = ()
    whole_bodies = _BODY

    def answers(self, reply: Reply) -> int:
        return 1

    def named(self, reply: Reply) -> Any:
        yield reply.body
        yield from (event["message"] for event in reply.chunks if event["type"] == "message_start")


def parsed(**fields: Any) -> Question:
    return AnthropicMessages().parse(call(MINIMAL | fields))


def about(*blocks: object, role: str = "user") -> list[dict[str, Any]]:
    return [{"role": role, "content": list(blocks)}]


def refusal(**fields: Any) -> Bypass:
    with pytest.raises(NotCacheable) as refused:
        parsed(**fields)
    return refused.value.why


def answer(*content: dict[str, Any], **more: Any) -> Reply:
    return Reply({"id": "msg_1", "content": list(content), "stop_reason": "end_turn"} | more)


def frames(*events: dict[str, Any]) -> list[Frame]:
    return [Frame(orjson.dumps(event).decode(), event["type"]) for event in events]


SAID = {"type": "text", "text": "A cat."}
START = {"type": "message_start", "message": {"id": "msg_1", "content": [], "stop_reason": None, "usage": {"a": 1}}}
OPEN = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
WORD = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "A cat."}}
CITED = WORD | {"delta": {"type": "citations_delta", "citation": {"cited_text": "A"}}}
CLOSE = {"type": "content_block_stop", "index": 0}
END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}
STOP = {"type": "message_stop"}
WHOLE = (START, OPEN, WORD, CLOSE, END, STOP)


@pytest.mark.parametrize(
    ("path", "claimed"),
    [
        ("/v1/messages", True),
        ("/messages", True),
        ("/apps/anthropic/v1/messages", True),
        ("/v1/messages/count_tokens", False),
        ("/v1/messages/batches", False),
        ("/v1/threads/thread_1/messages", False),
        ("/v1/mymessages", False),
    ],
)
def test_paths_are_claimed_by_their_end(path: str, claimed: bool) -> None:
    assert claimed is AnthropicMessages().claims(path)


def test_a_picture_is_the_same_in_base64_of_any_media_type_and_by_url() -> None:
    as_jpeg = {"type": "image", "source": PICTURE["source"] | {"media_type": "image/jpeg"}}  # type: ignore[operator]
    by_url = parsed(messages=about(BY_URL, TEXT))

    assert parsed(messages=about(as_jpeg, TEXT)).pictures == parsed().pictures == (PictureRef("data:;base64,AAAA"),)
    assert by_url.pictures == (PictureRef("https://pictures.example/1.png", inlines=False),)
    assert key(by_url) == key(parsed())


def test_pictures_in_system_turns_and_tool_results_all_count_in_their_order() -> None:
    def picture(data: str) -> dict[str, Any]:
        return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}

    result = {"type": "tool_result", "tool_use_id": "t", "content": [picture("BBBB"), SAID]}
    question = parsed(system=[picture("AAAA")], messages=about(result, picture("CCCC")))

    assert [str(ref.url)[-4:] for ref in question.pictures] == ["AAAA", "BBBB", "CCCC"]


def test_the_prompt_is_what_is_asked_and_not_what_tools_said() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": [PICTURE, {"type": "text", "text": "not this"}]}
    turns = [*about(result, TEXT), *about({"type": "text", "text": "nor this"}, role="assistant")]

    assert parsed(system="Be terse.", messages=turns).prompt == "Be terse.\nWhat is it?"


def test_the_clients_billing_line_is_no_part_of_the_question() -> None:
    def billed(text: str) -> bytes:
        return key(parsed(system=[{"type": "text", "text": text}, {"type": "text", "text": "Be terse."}]))

    line = "x-anthropic-billing-header: cc_version=2; cch="

    assert billed(line + "1") == billed(line + "2") == key(parsed(system=[{"type": "text", "text": "Be terse."}]))
    for said in ("1\nAnswer in {}.", "1; Answer in {}."):
        assert billed(line + said.format("French")) != billed(line + said.format("German"))
    assert billed("x-anthropic-billing-header: answer in French") != billed(
        "x-anthropic-billing-header: answer in German"
    )


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"mcp_servers": [{"name": "m"}]}, Bypass.SERVER_TOOLS),
        ({"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]}, Bypass.SERVER_TOOLS),
        ({"tools": [{"name": "look", "input_schema": {}}, 7]}, Bypass.SERVER_TOOLS),
        ({"tools": {}}, Bypass.UNKNOWN_SHAPE),
        ({"enable_search": True}, Bypass.SERVER_TOOLS),
        ({"container": {"id": "c"}}, Bypass.STATEFUL),
        ({"stream": 1}, Bypass.UNKNOWN_SHAPE),
        ({"model": 7}, Bypass.UNKNOWN_SHAPE),
        ({"system": 7}, Bypass.UNKNOWN_SHAPE),
        ({"Stream": True}, Bypass.AMBIGUOUS_JSON),
        ({"messages": "Hello?"}, Bypass.UNKNOWN_SHAPE),
        ({"messages": [{"role": "user"}]}, Bypass.UNKNOWN_SHAPE),
        ({"messages": about(PICTURE, "text")}, Bypass.UNKNOWN_PART),
        ({"messages": about(PICTURE, {"type": "container_upload", "file_id": "f"})}, Bypass.UNKNOWN_PART),
        ({"messages": about({"type": "image"})}, Bypass.UNKNOWN_SHAPE),
        ({"messages": about({"type": "image", "source": {"type": "base64", "data": 7}})}, Bypass.UNKNOWN_SHAPE),
        ({"messages": about({"type": "image", "source": {"type": "new", "data": "A"}})}, Bypass.UNKNOWN_SHAPE),
    ],
)
def test_what_is_not_a_plain_question_about_pictures_is_refused_for_its_reason(
    fields: dict[str, Any], why: Bypass
) -> None:
    assert why is refusal(**fields)


def test_tools_that_the_client_runs_are_part_of_the_key() -> None:
    tools = [{"name": "look", "input_schema": {"type": "object"}}]

    assert key(parsed(tools=tools)) != key(parsed()) == key(parsed(tools=[]))


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (answer(SAID), None),
        (answer(SAID, stop_reason="stop_sequence", stop_sequence="END"), None),
        (answer({"type": "thinking", "thinking": "Hm.", "signature": "s"}), None),
        (answer(SAID, stop_reason="max_tokens"), Unstored.TRUNCATED),
        (answer(SAID, stop_reason="model_context_window_exceeded"), Unstored.TRUNCATED),
        (answer(SAID, stop_reason="tool_use"), Unstored.TOOL_CALLS),
        (answer({"type": "tool_use", "id": "t", "name": "look", "input": {}}), Unstored.TOOL_CALLS),
        (answer(SAID, stop_reason="refusal"), Unstored.REFUSED),
        (answer(SAID, stop_reason="pause_turn"), Unstored.UNFINISHED),
        (answer(SAID, stop_reason=None), Unstored.UNFINISHED),
        (answer(SAID, container={"id": "c"}), Unstored.SERVER_TOOLS_RAN),
        (answer({"type": "server_tool_use", "name": "web_search"}, SAID), Unstored.SERVER_TOOLS_RAN),
        (answer(SAID | {"citations": [{"type": "web_search_result_location"}]}), Unstored.SERVER_TOOLS_RAN),
        (answer(), Unstored.EMPTY),
        (answer(SAID | {"text": ""}), Unstored.EMPTY),
    ],
)
def test_only_an_answer_that_ended_well_may_be_kept(reply: Reply, why: Unstored | None) -> None:
    assert why is AnthropicMessages().unstorable(reply)


def test_all_tokens_of_the_question_count_however_they_were_read() -> None:
    usage = {"input_tokens": 5, "cache_read_input_tokens": 100, "cache_creation_input_tokens": None}

    assert Usage(105, 7) == AnthropicMessages().usage(answer(usage=usage | {"output_tokens": 7}))
    assert Usage(None, 7) == AnthropicMessages().usage(answer(usage={"output_tokens": 7}))
    assert Usage(None, None) == AnthropicMessages().usage(answer(usage=None))


def test_a_stream_has_its_counts_in_two_places_and_the_body_has_both() -> None:
    reply = anthropic_stream.assemble(frames(*WHOLE))

    assert isinstance(reply, Reply)
    assert reply.body["usage"] == {"a": 1, "output_tokens": 2}
    assert reply.body["content"] == [SAID]


def test_a_ping_is_one_by_its_name_or_by_its_type() -> None:
    pings = [Frame("{}", "ping"), Frame('{"type":"ping"}')]
    reply = anthropic_stream.assemble([*pings, *frames(*WHOLE[:3]), *pings, *frames(*WHOLE[3:])])

    assert isinstance(reply, Reply)
    assert reply.chunks == WHOLE


def test_an_end_mark_of_another_format_is_tolerated_after_the_end_alone() -> None:
    done = Frame("[DONE]")

    assert isinstance(anthropic_stream.assemble([*frames(*WHOLE), done]), Reply)
    assert Unstored.MALFORMED is anthropic_stream.assemble([*frames(*WHOLE[:-1]), done])


@pytest.mark.parametrize(
    "events",
    [
        (*WHOLE, STOP),
        (START, *WHOLE),
        (OPEN, *WHOLE),
        (START, OPEN, OPEN, WORD, CLOSE, END, STOP),
        (START, OPEN, WORD | {"index": 1}, CLOSE, END, STOP),
        (START, OPEN, CLOSE, WORD, END, STOP),
        (START, OPEN, WORD, END, STOP),
        (START, OPEN, WORD | {"delta": {"type": "new_delta", "text": "A"}}, CLOSE, END, STOP),
        (START, OPEN, WORD | {"delta": {"type": "text_delta"}}, CLOSE, END, STOP),
        (START, OPEN, WORD | {"delta": {"type": "input_json_delta", "partial_json": "{"}}, CLOSE, END, STOP),
        (START | {"message": {"content": [SAID]}}, END, STOP),
        (START, {"type": "new_event"}, END, STOP),
        (START, END | {"delta": {"stop_reason": "end_turn", "content": 7}}, STOP),
        (START, OPEN | {"content_block": {"type": "text", "text": "", "citations": 7}}, CITED, CLOSE, END, STOP),
        (STOP,),
    ],
)
def test_events_in_an_order_that_makes_no_sense_spoil_the_stream(events: tuple[dict[str, Any], ...]) -> None:
    assert Unstored.MALFORMED is anthropic_stream.assemble(frames(*events))


def test_citations_and_arguments_that_come_in_pieces_are_joined() -> None:
    tool = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
    pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in ('{"at"', ":[1]}")]
    called = [
        {"type": "content_block_start", "index": 1, "content_block": tool},
        *({"type": "content_block_delta", "index": 1, "delta": piece} for piece in pieces),
        {"type": "content_block_stop", "index": 1},
    ]
    reply = anthropic_stream.assemble(frames(START, OPEN, WORD, CITED, CLOSE, *called, END, STOP))

    assert isinstance(reply, Reply)
    assert reply.body["content"] == [SAID | {"citations": [{"cited_text": "A"}]}, tool | {"input": {"at": [1]}}]


def test_every_event_of_a_replay_has_its_name() -> None:
    recorded = reply_of("anthropic_messages", "anthropic__21-stream-image1").body
    reply = anthropic_stream.assemble(AnthropicMessages().framing().feed(recorded))
    assert isinstance(reply, Reply)
    for frame in AnthropicMessages().stream(reply, include_usage=True):
        assert frame.event == orjson.loads(frame.data)["type"]


def test_a_seal_on_thoughts_is_kept_and_a_name_that_the_caller_chose_is_not() -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "sealed"}
    stored = Reply(answer(thought).body | {"id": "chatcmpl-mine"}, named=True)
    renewed = AnthropicMessages().renew(stored, parsed(request_id="yours"), FRESH)

    assert renewed.body["content"] == [thought]
    assert renewed.body["id"] == "chatcmpl-yours"


@pytest.mark.parametrize(
    ("status", "kind"), [(400, "invalid_request_error"), (502, "api_error"), (504, "timeout_error")]
)
def test_our_own_errors_have_the_shape_that_its_clients_read(status: int, kind: str) -> None:
    error = orjson.loads(AnthropicMessages().error(status, "some_code", "what went wrong"))

    assert error == {"type": "error", "error": {"type": kind, "message": "what went wrong"}}
