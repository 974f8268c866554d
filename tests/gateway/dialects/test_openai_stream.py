from typing import Any

import orjson
import pytest

from gateway.dialects import openai_stream
from gateway.dialects.framing import Frame, ServerSentEvents
from gateway.dialects.openai_chat import OpenAIChat
from gateway.question import Reply, Unstored
from tests.wire.recorded import message


def chunk(
    delta: dict[str, Any] | None = None, reason: str | None = None, index: int = 0, **more: Any
) -> dict[str, Any]:
    return {"id": "1", "choices": [{"index": index, "delta": delta or {}, "finish_reason": reason}], **more}


END = chunk(reason="stop")
USAGE = {"prompt_tokens": 7, "completion_tokens": 2}


def stream(*objects: dict[str, Any], done: bool = True, choices: int = 1) -> Reply | Unstored:
    frames = [Frame(orjson.dumps(item).decode()) for item in objects] + [Frame("[DONE]")] * done
    return openai_stream.assemble(frames, choices)


def sent(reply: Reply, include_usage: bool) -> list[dict[str, Any]]:
    *chunks, end = OpenAIChat().stream(reply, include_usage)
    assert end.data == "[DONE]"
    return [orjson.loads(frame.data) for frame in chunks]


def recorded(name: str, choices: int = 1) -> Reply:
    body = message("openai_chat", "replies", name).body
    reply = openai_stream.assemble(ServerSentEvents().feed(body), choices)
    assert isinstance(reply, Reply)
    return reply


def body_of(*objects: dict[str, Any], choices: int = 1) -> dict[str, Any]:
    reply = stream(*objects, choices=choices)
    assert isinstance(reply, Reply), reply
    return reply.body


def message_of(*deltas: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = body_of(*(chunk(delta) for delta in deltas), END)["choices"][0]["message"]
    return message


def test_pieces_of_text_grow_into_one() -> None:
    joined = message_of(
        {"role": "assistant", "content": ""},
        {"reasoning_content": "Hm", "content": None},
        {"reasoning_content": "m."},
        {"content": "A "},
        {"content": "cat."},
    )

    assert joined == {"role": "assistant", "content": "A cat.", "reasoning_content": "Hmm."}


def test_a_null_is_kept_until_something_is_set_and_never_takes_it_away() -> None:
    assert message_of({"content": None}) == {"content": None}
    assert message_of({"content": None}, {"content": "A"}, {"content": None}) == {"content": "A"}


def test_answers_whose_chunks_interleave_are_told_apart_and_put_in_order() -> None:
    body = body_of(
        chunk({"content": "b"}, index=1),
        chunk({"content": "a"}, index=0),
        chunk({"content": "B"}, "stop", index=1),
        chunk({"content": "A"}, "length", index=0),
        choices=2,
    )

    assert [(choice["index"], choice["message"]["content"], choice["finish_reason"]) for choice in body["choices"]] == [
        (0, "aA", "length"),
        (1, "bB", "stop"),
    ]


def test_log_probabilities_and_token_ids_grow_with_the_text() -> None:
    def piece(token: str, number: int) -> dict[str, Any]:
        whole = chunk({"content": token})
        whole["choices"][0] |= {"logprobs": {"content": [{"token": token}], "refusal": None}, "token_ids": [number]}
        return whole

    choice = body_of(piece("A", 1), piece("B", 2), END)["choices"][0]

    assert choice["logprobs"] == {"content": [{"token": "A"}, {"token": "B"}], "refusal": None}
    assert choice["token_ids"] == [1, 2]


def test_recorded_log_probabilities_are_the_same_in_a_stream_and_in_one_piece() -> None:
    for server in ("vllm", "vllm-flags", "llamacpp"):
        streamed = recorded(f"{server}__47-stream-logprobs").body["choices"][0]
        tokens = [item["token"] for item in streamed["logprobs"]["content"]]

        assert streamed["message"]["content"] == "".join(tokens)
        assert len(tokens) > 1


def test_what_comes_with_the_last_chunks_is_in_the_body() -> None:
    body = body_of(
        chunk({"content": "A"}), END, {"choices": [], "usage": USAGE, "system_fingerprint": "fp", "timings": 1}
    )

    assert (body["usage"], body["system_fingerprint"], body["timings"]) == (USAGE, "fp", 1)
    assert body["object"] == "chat.completion"
    assert list(body)[-1] == "usage"


def test_of_running_usage_the_last_counts() -> None:
    body = body_of(
        chunk({"content": "A"}, usage={"completion_tokens": 1}), END | {"usage": None}, {"choices": [], "usage": USAGE}
    )

    assert body["usage"] == USAGE


def test_padding_against_listeners_is_no_part_of_the_answer() -> None:
    assert "obfuscation" not in body_of(chunk({"content": "A"}, obfuscation="xyz"), END)


def test_a_stream_in_one_piece_and_the_body_in_one_piece_say_the_same() -> None:
    for server in ("vllm", "vllm-flags"):
        whole = orjson.loads(message("openai_chat", "replies", f"{server}__15-image1-to-stop").body)
        streamed = recorded(f"{server}__23-stream-to-stop-usage").body

        assert whole["choices"][0]["message"]["content"] == streamed["choices"][0]["message"]["content"]
        assert whole["choices"][0]["finish_reason"] == streamed["choices"][0]["finish_reason"]
        assert whole["usage"]["completion_tokens"] == streamed["usage"]["completion_tokens"]


def test_without_its_end_mark_a_stream_is_not_whole() -> None:
    text = chunk({"content": "A"})

    assert Unstored.CUT_SHORT is stream(text, END, done=False)
    assert Unstored.CUT_SHORT is stream(done=False)
    assert Unstored.CUT_SHORT is stream()
    assert Unstored.CUT_SHORT is stream(text)


def test_usage_on_the_last_text_alone_is_an_end_mark_too() -> None:
    text, closed = chunk({"content": "A"}), END | {"usage": USAGE}

    assert isinstance(stream(text, closed, done=False), Reply)
    assert isinstance(stream(closed, done=False), Reply)


def test_running_usage_or_usage_by_itself_is_no_end_mark() -> None:
    running, by_itself = chunk({"content": "A"}, usage=USAGE), {"id": "1", "choices": [], "usage": USAGE}

    assert Unstored.CUT_SHORT is stream(running, END | {"usage": USAGE}, done=False)
    assert Unstored.CUT_SHORT is stream(chunk({"content": "A"}), END, by_itself, done=False)


@pytest.mark.parametrize(
    "bad",
    [
        {"choices": None},
        {"choices": {}},
        {"choices": ["A"]},
        {"choices": [{"index": 0}]},
        {"choices": [{"index": 0, "delta": None}]},
        {"choices": [{"index": "0", "delta": {}}]},
        {"choices": [{"index": None, "delta": {}}]},
        {},
    ],
)
def test_a_chunk_of_another_form_spoils_the_stream(bad: dict[str, Any]) -> None:
    assert Unstored.MALFORMED is stream(chunk({"content": "A"}), bad, END)


@pytest.mark.parametrize("data", ["", "{", "null", "[]", "7", '"[DONE]"', "[done]"])
def test_a_frame_that_is_no_object_spoils_the_stream(data: str) -> None:
    frames = [Frame(orjson.dumps(END).decode()), Frame(data), Frame("[DONE]")]

    assert Unstored.MALFORMED is openai_stream.assemble(frames, 1)


def test_nothing_may_follow_the_end_mark() -> None:
    end = Frame(orjson.dumps(END).decode())

    assert Unstored.MALFORMED is openai_stream.assemble([end, Frame("[DONE]"), end], 1)
    assert Unstored.MALFORMED is openai_stream.assemble([end, Frame("[DONE]"), Frame("[DONE]")], 1)


def test_an_event_named_error_is_an_error() -> None:
    frames = [Frame(orjson.dumps(END).decode()), Frame('{"choices":[]}', event="error"), Frame("[DONE]")]

    assert Unstored.ERROR_IN_REPLY is openai_stream.assemble(frames, 1)


def test_a_named_event_is_not_kept_for_a_replay_would_lose_its_name() -> None:
    end = orjson.dumps(END).decode()

    assert Unstored.MALFORMED is openai_stream.assemble([Frame(end, event="sglext_ids"), Frame("[DONE]")], 1)
    assert isinstance(openai_stream.assemble([Frame(end, event="message"), Frame("[DONE]")], 1), Reply)


def test_a_chunk_that_says_it_has_no_error_is_none() -> None:
    assert isinstance(stream(END | {"error": None}), Reply)
    assert isinstance(stream(END | {"code": "0", "message": "ok"}), Reply)


def test_an_odd_field_of_a_whole_answer_never_takes_the_place_of_a_delta() -> None:
    reply = Reply({"choices": [{"message": {"content": "A"}, "delta": None, "finish_reason": "stop"}]})

    assert all(isinstance(piece["choices"][0]["delta"], dict) for piece in openai_stream.cut(reply.body))


def test_every_choice_opens_with_its_role_and_ends_with_its_reason() -> None:
    body = message("openai_chat", "replies", "vllm__40-n2-seed").body
    pieces = list(openai_stream.cut(orjson.loads(body)))
    for index in (0, 1):
        mine = [piece["choices"][0] for piece in pieces if piece["choices"] and piece["choices"][0]["index"] == index]

        assert mine[0]["delta"]["role"] == "assistant"
        assert [None] * (len(mine) - 1) + ["length"] == [piece["finish_reason"] for piece in mine]
    assert {"chat.completion.chunk"} == {piece["object"] for piece in pieces}


@pytest.mark.parametrize("server", ["vllm", "llamacpp"])
def test_a_client_that_did_not_ask_for_usage_does_not_get_the_closing_chunk(server: str) -> None:
    reply = recorded(f"{server}__23-stream-to-stop-usage")

    assert sent(reply, include_usage=True) == list(reply.chunks)
    assert sent(reply, include_usage=False) == list(reply.chunks[:-1])
    assert reply.chunks[-1]["usage"]["total_tokens"] > 0


def test_usage_that_a_server_gives_unasked_stays() -> None:
    for name in ("tf__23-stream-to-stop-usage", "tf__20-stream-text"):
        reply = recorded(name)

        assert sent(reply, include_usage=False) == list(reply.chunks)


def test_a_stream_made_from_one_piece_gives_usage_to_whom_asked_for_it() -> None:
    whole = OpenAIChat().whole(message("openai_chat", "replies", "vllm__15-image1-to-stop").body)
    assert isinstance(whole, Reply)
    with_usage, without = sent(whole, include_usage=True), sent(whole, include_usage=False)

    assert with_usage[-1]["choices"] == []
    assert whole.body["usage"] == with_usage[-1]["usage"]
    assert with_usage[:-1] == without
    assert all("usage" not in chunk for chunk in without)


def test_a_null_usage_is_only_for_those_who_asked_for_usage() -> None:
    chunk = {"id": "1", "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}], "usage": None}
    reply = Reply({}, (chunk,))

    assert [chunk] == sent(reply, include_usage=True)
    assert "usage" not in sent(reply, include_usage=False)[0]


def test_an_error_in_a_stream_is_an_error_even_if_done_follows() -> None:
    text = {"id": "1", "choices": [{"index": 0, "delta": {"content": "A"}, "finish_reason": "stop"}]}
    for error in (
        {"error": {"message": "out of memory", "code": 500}},
        {"error": "Unauthorized"},
        {"object": "error", "message": "aborted", "code": 500},
        {"code": "DataInspectionFailed", "message": "no"},
    ):
        assert Unstored.ERROR_IN_REPLY is stream(text, error)
        assert Unstored.ERROR_IN_REPLY is stream(error, text)
        assert Unstored.ERROR_IN_REPLY is OpenAIChat().whole(orjson.dumps(error))
