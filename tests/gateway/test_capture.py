import gzip
import random
import zlib
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.entry import pack as pack_row
from cache.errors import CorruptRow
from gateway.capture import Answered, Tap, pack, read, unpack
from gateway.dialects.framing import Frame, encode_sse
from gateway.dialects.openai_chat import OpenAIChat
from gateway.question import Question, Reply, Unstored
from tests.contracts.dialect_contract import JSON_VALUES
from tests.examples import examples
from tests.wire.recorded import Message, messages

BYTES_MAX = 10_000
BODY = {
    "id": "chatcmpl-mine-7",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "A cat."}, "finish_reason": "stop"}],
}
PLAIN = orjson.dumps(BODY)
STREAM = b"".join(
    encode_sse(Frame(data))
    for data in (
        '{"id":"1","choices":[{"index":0,"delta":{"role":"assistant","content":"A "},"finish_reason":null}]}',
        '{"id":"1","choices":[{"index":0,"delta":{"content":"cat."},"finish_reason":"stop"}]}',
        "[DONE]",
    )
)
EVENTS = (b"Content-Type", b"text/event-stream; charset=utf-8")
RECORDED = messages("openai_chat", "replies")


def question(choices: int = 1, request_id: str | None = None) -> Question:
    return Question("m", {}, (), stream=False, include_usage=False, choices=choices, prompt="", request_id=request_id)


def answered(body: bytes = PLAIN, *headers: tuple[bytes, bytes], **facts: Any) -> Answered:
    return Answered(
        **({"status": 200, "complete": True, "too_large": False, "seconds": 1.0} | facts), headers=headers, body=body
    )


def kept(answer: Answered, asked: Question | None = None) -> Reply | Unstored:
    return read(OpenAIChat(), asked or question(), answer, BYTES_MAX)


def coded(coding: str, body: bytes) -> Answered:
    return answered(body, (b"Content-Encoding", coding.encode()))


def test_an_answer_of_another_upstream_is_not_kept() -> None:
    assert kept(answered(elsewhere=True)) is Unstored.OTHER_UPSTREAM


def raw_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


def test_an_answer_in_one_piece_is_read() -> None:
    reply = kept(answered(PLAIN, (b"Content-Type", b"application/json")))

    assert Reply(BODY, media_type="application/json") == reply


def test_a_stream_is_read_as_its_chunks() -> None:
    reply = kept(answered(STREAM, EVENTS))

    assert isinstance(reply, Reply)
    assert reply.body["choices"][0]["message"]["content"] == "A cat."
    assert len(reply.chunks) == 2
    assert reply.media_type == "text/event-stream; charset=utf-8"


def test_only_the_content_type_says_what_is_a_stream() -> None:
    assert Unstored.MALFORMED is kept(answered(STREAM))
    assert Unstored.CUT_SHORT is kept(answered(PLAIN, EVENTS))
    assert isinstance(kept(answered(STREAM, (b"content-type", b"Text/Event-Stream"))), Reply)


@pytest.mark.parametrize("status", [201, 204, 206, 301, 400, 401, 404, 429, 500, 503])
def test_only_200_is_an_answer(status: int) -> None:
    assert Unstored.STATUS is kept(answered(status=status))


def test_what_did_not_end_or_was_too_large_is_not_kept() -> None:
    assert Unstored.CUT_SHORT is kept(answered(complete=False))
    assert Unstored.REPLY_TOO_LARGE is kept(answered(b"", too_large=True))


def test_a_reply_that_must_not_be_kept_is_not() -> None:
    assert Unstored.TRUNCATED is kept(answered(PLAIN.replace(b'"stop"', b'"length"')))
    assert Unstored.TRUNCATED is kept(answered(STREAM.replace(b'"stop"', b'"length"'), EVENTS))
    assert Unstored.MALFORMED is kept(answered(STREAM.replace(b"cat", b"\xff"), EVENTS))


def test_an_answer_as_long_as_was_allowed_is_not_kept_where_the_reply_does_not_tell_why_it_ended() -> None:
    body = orjson.dumps(BODY | {"usage": {"prompt_tokens": 7, "completion_tokens": 12}})

    assert Unstored.TRUNCATED is kept(answered(body), replace(question(), tokens_max=12))
    assert isinstance(kept(answered(body), replace(question(), tokens_max=13)), Reply)
    assert isinstance(kept(answered(PLAIN), replace(question(), tokens_max=12)), Reply)


def test_a_stream_cut_at_any_byte_is_not_kept() -> None:
    whole = [end for end in range(len(STREAM) + 1) if isinstance(kept(answered(STREAM[:end], EVENTS)), Reply)]

    assert [len(STREAM)] == whole


@pytest.mark.parametrize("message", RECORDED, ids=[message.name for message in RECORDED])
def test_a_recorded_reply_is_kept_only_if_it_ended_well(message: Message) -> None:
    choices = 2 if message.case in ("46-n2-stream-usage", "40-n2-seed") else 1
    answer = Answered(message.status, message.headers, message.body, message.complete, too_large=False, seconds=1)
    reply = kept(answer, question(choices))
    ended_well = message.status == 200 and b'"finish_reason":"stop"' in message.body

    assert ended_well is isinstance(reply, Reply)
    if isinstance(reply, Reply):
        assert reply == unpack(pack(reply))


# Codings


@pytest.mark.parametrize(
    ("coding", "encode"),
    [
        ("identity", bytes),
        ("", bytes),
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        (" GZip ", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
    ],
)
def test_a_coded_reply_is_read(coding: str, encode: Any) -> None:
    assert Reply(BODY) == kept(coded(coding, encode(PLAIN)))


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, br", "gzip, gzip", "unknown"])
def test_a_coding_that_cannot_be_read_is_not_kept(coding: str) -> None:
    assert Unstored.ENCODED_REPLY is kept(coded(coding, PLAIN))


@pytest.mark.parametrize(
    ("coding", "encode"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate)]
)
def test_a_coded_reply_cut_at_any_byte_is_not_kept(coding: str, encode: Any) -> None:
    whole = encode(PLAIN)
    for end in range(len(whole)):
        assert isinstance(kept(coded(coding, whole[:end])), Unstored), end


@pytest.mark.parametrize(
    "more",
    [b"\0", b"garbage", gzip.compress(b""), gzip.compress(PLAIN)],
    ids=["zero", "garbage", "empty member", "second member"],  # gzip writes the time; ids may not change by the second
)
def test_a_coded_reply_with_something_behind_it_is_not_kept(more: bytes) -> None:
    assert Unstored.ENCODED_REPLY is kept(coded("gzip", gzip.compress(PLAIN) + more))


def test_what_only_says_that_it_is_coded_is_not_kept() -> None:
    assert Unstored.ENCODED_REPLY is kept(coded("gzip", PLAIN))
    assert Unstored.ENCODED_REPLY is kept(coded("deflate", PLAIN))


@pytest.mark.parametrize(
    ("coding", "encode"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate)]
)
def test_a_bomb_is_not_inflated(coding: str, encode: Any) -> None:
    bomb = encode(bytes(20_000_000))

    assert len(bomb) < 100_000
    assert Unstored.REPLY_TOO_LARGE is kept(coded(coding, bomb))


@examples(60)
@given(st.randoms(use_true_random=False), st.sampled_from(["gzip", "deflate"]))
def test_no_damage_to_a_coded_reply_raises(chance: random.Random, coding: str) -> None:
    data = bytearray(gzip.compress(PLAIN) if coding == "gzip" else zlib.compress(PLAIN))
    for _ in range(chance.randint(1, 4)):
        data[chance.randrange(len(data))] = chance.randrange(256)

    reply = kept(coded(coding, bytes(data)))
    assert isinstance(reply, Unstored) or reply.body == BODY  # gzip's own header holds bytes that do not matter


# Names


@pytest.mark.parametrize(
    ("request_id", "named"), [("mine-7", True), ("chatcmpl-mine-7", True), ("yours", False), (None, False), ("", False)]
)
def test_a_reply_named_after_the_callers_request_is_known(request_id: str | None, named: bool) -> None:
    reply = kept(answered(), question(request_id=request_id))

    assert isinstance(reply, Reply)
    assert named is reply.named


def test_recorded_servers_that_name_after_the_caller_are_known() -> None:
    named = {}
    for message in RECORDED:
        if message.case == "80-request-id" and message.status == 200:
            body = message.body.replace(b'"length"', b'"stop"')
            reply = kept(answered(body, *message.headers), question(request_id="my-own-id-1"))
            assert isinstance(reply, Reply)
            named[message.server] = reply.named

    assert named == {"vllm": True, "tf": True, "llamacpp": False}


# The tap and the codec


def test_a_tap_takes_up_to_its_limit_and_then_nothing() -> None:
    tap = Tap(5)
    for chunk in (b"ab", b"", b"cde"):
        tap.feed(chunk)
    assert (tap.taken(), tap.too_large) == (b"abcde", False)

    for chunk in (b"f", b"", b"g"):
        tap.feed(chunk)
        assert (tap.taken(), tap.too_large) == (b"", True)


@examples(15)
@given(
    st.dictionaries(st.text(max_size=5), JSON_VALUES, max_size=4),
    st.lists(st.dictionaries(st.text(max_size=5), JSON_VALUES, max_size=3), max_size=3),
    st.booleans(),
    st.text(max_size=10),
)
def test_a_reply_comes_back_as_it_was_packed(
    body: dict[str, Any], chunks: list[dict[str, Any]], named: bool, media_type: str
) -> None:
    reply = Reply(body, tuple(chunks), named, media_type)
    again = unpack(pack(reply))

    assert reply == again
    assert list(reply.body) == list(again.body)


@pytest.mark.parametrize(
    "row",
    [
        *(b"", b"LKA1", b"garbage", pack(Reply(BODY))[:-1], pack(Reply(BODY)) + b"\0"),
        *(pack_row({}), pack_row({"body": {}}), pack_row({"body": {}, "chunks": 7})),
        pack_row({"body": {}, "chunks": [], "named": False, "media_type": "", "of a later version": 1}),
    ],
)
def test_a_row_that_is_no_reply_is_corrupt(row: bytes) -> None:
    with pytest.raises(CorruptRow):
        unpack(row)


@pytest.mark.parametrize("odd", [{"body": 7}, {"chunks": [7]}, {"named": 1}, {"media_type": None}])
def test_a_stored_answer_with_a_field_of_another_type_is_corrupt(odd: dict[str, Any]) -> None:
    row = {"body": {}, "chunks": [], "named": False, "media_type": ""}

    assert unpack(pack_row(row)) == Reply({})
    with pytest.raises(CorruptRow):
        unpack(pack_row(row | odd))
