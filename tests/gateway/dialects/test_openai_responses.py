from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import strategies as st

from gateway.dialects import responses_stream
from gateway.dialects.framing import Frame
from gateway.dialects.openai_responses import OpenAIResponses
from gateway.question import Bypass, NotCacheable, PictureRef, Question, Reply, Unstored, Usage
from tests.contracts.dialect_contract import FRESH, JSON_VALUES, DialectContract, call, key
from tests.wire.recorded import reply_of

URL = "data:image/png;base64,AAAA"
PICTURE = {"type": "input_image", "image_url": URL}
TEXT = {"type": "input_text", "text": "What is it?"}
MINIMAL = {"model": "qwen3-vl-8b", "store": False, "input": [{"role": "user", "content": [PICTURE, TEXT]}]}

_TEXT = st.text(max_size=12)
_UNKNOWN = st.dictionaries(st.text(max_size=8).map(lambda name: f"x_{name}"), JSON_VALUES, max_size=3)
_PART = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("output_text"), "text": _TEXT},
        optional={
            "annotations": st.lists(_UNKNOWN, max_size=1),
            "logprobs": st.none() | st.lists(_UNKNOWN, max_size=1),
        },
    ),
    st.fixed_dictionaries({"type": st.just("refusal"), "refusal": _TEXT}),
    st.fixed_dictionaries({"type": st.just("reasoning_text"), "text": _TEXT}),
    _UNKNOWN,
)
_ITEM = st.builds(
    lambda known, unknown: known | unknown,
    st.fixed_dictionaries(
        {"type": st.sampled_from(["message", "reasoning", "function_call", "web_search_call"])},
        optional={
            "id": _TEXT,
            "status": st.sampled_from(["completed", "incomplete"]),
            "content": st.none() | st.lists(_PART, max_size=2),
            "summary": st.lists(st.fixed_dictionaries({"type": st.just("summary_text"), "text": _TEXT}), max_size=1),
        },
    ),
    _UNKNOWN,
)
_BODY = st.builds(
    lambda head, unknown: head | unknown,
    st.fixed_dictionaries(
        {
            "id": _TEXT,
            "output": st.lists(_ITEM, max_size=3),
            "status": st.sampled_from(["completed", "incomplete", "cancelled"]),
        },
        optional={
            "created_at": st.integers(0, 2**40) | st.floats(0, 2e9),
            "completed_at": st.none() | st.integers(0, 2**40),
            "incomplete_details": st.none() | st.fixed_dictionaries({"reason": _TEXT | st.just("content_filter")}),
            "metadata": st.none() | st.just({}),
            "usage": st.none() | st.dictionaries(_TEXT, st.none() | st.integers(0, 9) | _UNKNOWN, max_size=3),
        },
    ),
    _UNKNOWN,
)


class TestOpenAIResponses(DialectContract):
    dialect = OpenAIResponses()
    folder = "openai_responses"
    minimal = MINIMAL
    asks = "What is it?"
    not_asked = {  # noqa: RUF012
        "stream": True,
        "stream_options": {"include_obfuscation": False},
        "user": "someone",
        "safety_identifier": "someone",
        "metadata": {"run": "7"},
        "request_id": "r1",
        "rid": "r1",
        "session_id": "s",
        "prompt_cache_key": "k",
        "service_tier": "flex",
        "priority": 3,
        "extra_key": "k",
    }
    hints = ("id",)
    refused = {  # noqa: RUF012
        **dict.fromkeys(("openai-py-responses-stream", "openai-py-responses-stream-2"), Bypass.NO_PICTURE),
        **dict.fromkeys(("98-responses", "openai-py-responses", "openai-py-responses-2"), Bypass.STATEFUL),
        **dict.fromkeys(("ark-responses", "50-previous-response", "51-background"), Bypass.STATEFUL),
        "52-web-search": Bypass.SERVER_TOOLS,
        "53-file-id": Bypass.PICTURE_BY_REFERENCE,
        "54-file": Bypass.UNKNOWN_PART,
        "55-item-reference": Bypass.STATEFUL,
    }
    closing = '"type":"response.completed"'
    unread = dict.fromkeys(("ark__62-err-in-stream", "openai__62-failed"), Unstored.ERROR_IN_REPLY)
    ids = ("id", "item_id")
    times = ("created_at", "completed_at")
    whole_bodies = _BODY

    def answers(self, reply: Reply) -> int:
        return 1

    def named(self, reply: Reply) -> Iterator[dict[str, Any]]:
        for value in (reply.body, *reply.chunks):
            yield from _objects(value)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(inner)


def parsed(stateless: bool = False, **fields: Any) -> Question:
    return OpenAIResponses().parse(replace(call(MINIMAL | fields), stateless=stateless))


def about(*parts: object, **fields: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts), **fields}


def refusal(stateless: bool = False, **fields: Any) -> Bypass:
    with pytest.raises(NotCacheable) as refused:
        parsed(stateless, **fields)
    return refused.value.why


def said(text: str = "A cat.", **more: Any) -> dict[str, Any]:
    return {"type": "message", "id": "msg_1", "status": "completed", "content": [output(text)]} | more


def output(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []} | more


def answer(*items: dict[str, Any], **more: Any) -> Reply:
    return Reply({"id": "resp_1", "status": "completed", "output": list(items)} | more)


def frames(*events: dict[str, Any], names: bool = True) -> list[Frame]:
    return [Frame(orjson.dumps(event).decode(), event["type"] if names else None) for event in events]


def recorded(name: str) -> Reply:
    body = reply_of("openai_responses", name).body
    reply = responses_stream.assemble(OpenAIResponses().framing().feed(body))
    assert isinstance(reply, Reply)
    return reply


@pytest.mark.parametrize(
    ("path", "claimed"),
    [
        ("/v1/responses", True),
        ("/responses", True),
        ("/api/v3/responses", True),
        ("/compatible-mode/v1/responses", True),
        ("/v1/responses/resp_1", False),
        ("/v1/responses/resp_1/cancel", False),
        ("/v1/responses/input_tokens", False),
        ("/v1/responses/compact", False),
    ],
)
def test_paths_are_claimed_by_their_end(path: str, claimed: bool) -> None:
    assert claimed is OpenAIResponses().claims(path)


def test_what_the_upstream_may_keep_is_refused_unless_it_keeps_nothing() -> None:
    for store in (None, True):
        assert Bypass.STATEFUL is refusal(store=store)
        assert parsed(stateless=True, store=store).pictures
    assert parsed(store=False).pictures


@pytest.mark.parametrize(
    "fields",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": "conv_1"},
        {"prompt": {"id": "pmpt_1"}},
        {"background": True},
        {"caching": {"type": "enabled"}},
        {"kv_transfer_params": {"a": 1}},
        {"input": [about(PICTURE), {"type": "item_reference", "id": "msg_1"}]},
        {"input": [about(PICTURE), {"type": "reasoning", "id": "rs_1", "summary": []}]},
    ],
)
def test_what_builds_on_state_is_refused_even_where_the_upstream_keeps_nothing(fields: dict[str, Any]) -> None:
    assert Bypass.STATEFUL is refusal(stateless=True, **fields)


def test_state_that_is_turned_off_is_none() -> None:
    assert parsed(background=False, previous_response_id=None, caching={"type": "disabled"}).pictures


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"tools": [{"type": "web_search"}]}, Bypass.SERVER_TOOLS),
        ({"tools": [{"type": "mcp", "server_url": "https://h"}]}, Bypass.SERVER_TOOLS),
        ({"tools": ["look"]}, Bypass.SERVER_TOOLS),
        ({"enable_search": True}, Bypass.SERVER_TOOLS),
        ({"tools": {}}, Bypass.UNKNOWN_SHAPE),
        ({"stream": 1}, Bypass.UNKNOWN_SHAPE),
        ({"stream_options": []}, Bypass.UNKNOWN_SHAPE),
        ({"model": 7}, Bypass.UNKNOWN_SHAPE),
        ({"input": "What is it?"}, Bypass.NO_PICTURE),
        ({"input": [about(TEXT)]}, Bypass.NO_PICTURE),
        ({"input": 7}, Bypass.UNKNOWN_SHAPE),
        ({"input": ["What?"]}, Bypass.UNKNOWN_SHAPE),
        ({"input": [{"role": "user", "content": 7}]}, Bypass.UNKNOWN_SHAPE),
        ({"input": [about(PICTURE), {"type": "web_search_call", "id": "ws_1"}]}, Bypass.UNKNOWN_PART),
        ({"input": [about(PICTURE), {"content": "nobody's"}]}, Bypass.UNKNOWN_PART),
        ({"input": [about(PICTURE, {"type": "input_audio"})]}, Bypass.UNKNOWN_PART),
        ({"input": [about(PICTURE, "text")]}, Bypass.UNKNOWN_PART),
        ({"input": [about({"type": "input_image", "file_id": "file-1"})]}, Bypass.PICTURE_BY_REFERENCE),
        ({"input": [about({"type": "input_image", "image_url": 7})]}, Bypass.UNKNOWN_SHAPE),
        ({"Input": []}, Bypass.AMBIGUOUS_JSON),
    ],
)
def test_what_is_not_a_plain_question_about_pictures_is_refused_for_its_reason(
    fields: dict[str, Any], why: Bypass
) -> None:
    assert why is refusal(**fields)


def test_pictures_in_turns_and_tool_outputs_all_count_in_their_order() -> None:
    def picture(data: str) -> dict[str, Any]:
        return {"type": "input_image", "image_url": f"data:image/png;base64,{data}"}

    called = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c", "output": [TEXT, picture("BBBB")]}
    question = parsed(input=[about(picture("AAAA")), called, result, about(picture("CCCC"))])

    assert question.pictures == tuple(PictureRef(f"data:image/png;base64,{data}") for data in ("AAAA", "BBBB", "CCCC"))


def test_the_ids_of_earlier_turns_do_not_count_unless_sealed_thoughts_hang_on_them() -> None:
    def after(**fields: Any) -> bytes:
        return key(
            parsed(
                input=[
                    about(PICTURE),
                    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "A cat?"}]} | fields,
                    about(TEXT),
                ]
            )
        )

    assert after(id="rs_1") == after(id="rs_2") == after()
    assert after(id="rs_1", encrypted_content="sealed") != after(id="rs_2", encrypted_content="sealed")


def test_the_prompt_is_what_is_asked_and_not_what_model_or_tools_said() -> None:
    turns = [
        about(PICTURE, TEXT),
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "not this"}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "nor this"}]},
        {"type": "function_call_output", "call_id": "c", "output": "nor this"},
        about({"type": "input_text", "text": "And now?"}),
    ]

    assert parsed(instructions="Be terse.", input=turns).prompt == "Be terse.\nWhat is it?\nAnd now?"


def test_the_limit_of_tokens_is_told_for_servers_that_call_every_answer_completed() -> None:
    assert parsed(max_output_tokens=12).tokens_max == 12
    assert parsed().tokens_max is None


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (answer(said()), None),
        (answer({"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}), None),
        (answer(said(), status="incomplete", incomplete_details={"reason": "max_output_tokens"}), Unstored.TRUNCATED),
        (answer(said(), status="incomplete", incomplete_details={"reason": "content_filter"}), Unstored.REFUSED),
        (answer(said(), status="incomplete", incomplete_details=None), Unstored.UNFINISHED),
        (answer(said(), status="cancelled"), Unstored.UNFINISHED),
        (answer(said(), status=None), Unstored.UNFINISHED),
        (answer(said(status="incomplete")), Unstored.UNFINISHED),
        (answer(said(), {"type": "function_call", "name": "look"}), Unstored.TOOL_CALLS),
        (answer({"type": "web_search_call"}, said()), Unstored.SERVER_TOOLS_RAN),
        (answer({"type": None}, said()), Unstored.MALFORMED),
        (answer(said(content=[output("A", annotations=[{"type": "url_citation"}])])), Unstored.SERVER_TOOLS_RAN),
        (answer(said(content=[{"type": "refusal", "refusal": "No."}])), Unstored.REFUSED),
        (answer(said("")), Unstored.EMPTY),
        (answer(), Unstored.EMPTY),
    ],
)
def test_only_an_answer_that_ended_well_may_be_kept(reply: Reply, why: Unstored | None) -> None:
    assert why is OpenAIResponses().unstorable(reply)


def test_recorded_answers_that_met_their_limit_are_told_by_status_or_by_their_tokens() -> None:
    by_status = OpenAIResponses().whole(reply_of("openai_responses", "vllm__98-responses").body)
    by_tokens = OpenAIResponses().whole(reply_of("openai_responses", "llamacpp__98-responses").body)
    assert isinstance(by_status, Reply)
    assert isinstance(by_tokens, Reply)

    assert Unstored.TRUNCATED is OpenAIResponses().unstorable(by_status)
    assert Usage(106, 12) == OpenAIResponses().usage(by_tokens) == OpenAIResponses().usage(by_status)


def test_a_stream_that_ends_at_a_limit_is_a_truncated_answer() -> None:
    met = answer(said(), status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    events = list(responses_stream.cut(met.body))
    reply = responses_stream.assemble(frames(*events))

    assert events[-1]["type"] == "response.incomplete"
    assert isinstance(reply, Reply)
    assert Unstored.TRUNCATED is OpenAIResponses().unstorable(reply)


def test_an_end_mark_of_another_format_and_heartbeats_are_tolerated() -> None:
    end = {"type": "response.completed", "response": answer(said()).body}
    beat = {"type": "keepalive", "sequence_number": 3}

    assembled = responses_stream.assemble([*frames(beat, end, beat), Frame("[DONE]")])
    assert isinstance(assembled, Reply)
    assert assembled.chunks == (end,)
    assert Unstored.MALFORMED is responses_stream.assemble([Frame("[DONE]"), *frames(end)])
    assert Unstored.MALFORMED is responses_stream.assemble(frames(end, end))


@pytest.mark.parametrize(
    ("event", "why"),
    [
        ({"type": "error", "message": "no"}, Unstored.ERROR_IN_REPLY),
        ({"type": "response.failed", "response": {"output": []}}, Unstored.ERROR_IN_REPLY),
        ({"type": "response.created", "response": {"output": [], "error": {"code": "x"}}}, Unstored.ERROR_IN_REPLY),
        ({"type": "response.created", "response": 7}, Unstored.MALFORMED),
        ({"type": "response.completed"}, Unstored.MALFORMED),
        ({"type": "response.completed", "response": {}}, Unstored.MALFORMED),
        ({"type": "response.completed", "response": {"output": ["A"]}}, Unstored.MALFORMED),
        ({"type": 7}, Unstored.MALFORMED),
    ],
)
@pytest.mark.parametrize("names", [True, False])
def test_an_event_that_is_an_error_or_makes_no_sense_spoils_the_stream(
    event: dict[str, Any], why: Unstored, names: bool
) -> None:
    end = {"type": "response.completed", "response": answer(said()).body}
    found = [Frame(orjson.dumps(event).decode(), str(event["type"]) if names else None), *frames(end)]

    assert why is responses_stream.assemble(found)


def test_the_events_of_an_answer_in_one_piece_come_in_their_order_and_are_numbered() -> None:
    events = list(responses_stream.cut(answer(said()).body))

    assert [event["type"].removeprefix("response.") for event in events] == [
        *("created", "in_progress", "output_item.added", "content_part.added", "output_text.delta"),
        *("output_text.done", "content_part.done", "output_item.done", "completed"),
    ]
    assert [event["sequence_number"] for event in events] == list(range(9))
    assert {event["item_id"] for event in events if "item_id" in event} == {"msg_1"}


@pytest.mark.parametrize("name", ["openai__22-stream-reasoning", "vllm__21-stream-image1", "tf__98-responses"])
def test_one_answer_has_one_id_in_every_event_and_each_item_another(name: str) -> None:
    renewed = OpenAIResponses().renew(recorded(name), parsed(), FRESH)
    responses = {event["response"]["id"] for event in renewed.chunks if "response" in event}
    items = {event["item"]["id"] for event in renewed.chunks if "item" in event}

    assert responses == {renewed.body["id"]} == {f"resp_{FRESH.token}"}
    assert items == {item["id"] for item in renewed.body["output"]}
    assert {event["item_id"] for event in renewed.chunks if "item_id" in event} <= items


def test_ids_that_only_events_have_are_exchanged_too() -> None:
    delta = {"type": "response.output_text.delta", "item_id": "msg_streamed", "delta": "A cat."}
    end = {"type": "response.completed", "response": answer(said()).body}
    renewed = OpenAIResponses().renew(Reply(end["response"], (delta, end)), parsed(), FRESH)  # type: ignore[arg-type]

    assert renewed.chunks[0]["item_id"] not in ("msg_streamed", renewed.body["output"][0]["id"])


def test_sealed_thoughts_keep_the_id_that_they_are_sealed_with() -> None:
    thoughts = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed"}
    renewed = OpenAIResponses().renew(answer(thoughts, said()), parsed(), FRESH)

    assert renewed.body["output"][0] == thoughts
    assert renewed.body["output"][1]["id"] != "msg_1"


def test_a_name_that_the_caller_chose_is_replaced_by_the_next_callers() -> None:
    stored = replace(answer(said(), id="resp_mine"), named=True)

    assert OpenAIResponses().renew(stored, parsed(request_id="yours"), FRESH).body["id"] == "resp_yours"


def test_what_the_reply_repeats_comes_from_the_request_that_it_answers() -> None:
    repeats = {"instructions": "Be terse.", "metadata": {"run": "1"}, "user": "first", "prompt_cache_key": None}
    created = {"type": "response.created", "response": answer().body | repeats}
    end = {"type": "response.completed", "response": answer(said()).body | repeats}
    stored = responses_stream.assemble(frames(created, end))
    assert isinstance(stored, Reply)
    now = {"instructions": "Be terse.", "metadata": {"run": "2"}, "user": None, "prompt_cache_key": "k"}
    replayed = OpenAIResponses().renew(stored, parsed(**now, safety_identifier="s"), FRESH)

    for response in (replayed.body, *(event["response"] for event in replayed.chunks)):
        assert {name: response[name] for name in repeats} == now
        assert "safety_identifier" not in response
    assert OpenAIResponses().renew(stored, parsed(), FRESH).body["metadata"] == {}


def test_what_a_reply_repeats_of_its_request_is_not_kept() -> None:
    body = answer(said()).body | {"instructions": "the prompt", "metadata": {"run": "1"}, "user": "someone"}
    whole = OpenAIResponses().whole(orjson.dumps(body))
    streamed = responses_stream.assemble(frames(*responses_stream.cut(body)))

    for reply in (whole, streamed):
        assert isinstance(reply, Reply)
        assert not any(word in repr(reply) for word in ("the prompt", "'run'", "someone"))
