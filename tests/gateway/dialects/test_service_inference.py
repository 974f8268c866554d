from typing import Any, ClassVar

import orjson
import pytest

from gateway.dialects.service_inference import ServiceInference
from gateway.question import Bypass, Fresh, NotCacheable, Object, PictureRef, Reply, Unstored, Usage
from tests.contracts.dialect_contract import WholeContract, call, key

URL = "data:image/jpeg;base64,AAAA"
PATH = "/api/v1/services/qwen-vl-8b/inference"
CONTENT = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": URL}}]
MINIMAL = {
    "model": "qwen-vl-8b",
    "input": {"messages": [{"role": "user", "content": CONTENT}]},
    "parameters": {"max_new_tokens": 512, "temperature": 0.01, "top_p": 0.8},
}


class TestServiceInference(WholeContract):
    dialect = ServiceInference()
    folder = "service_inference"
    path = PATH
    minimal = MINIMAL
    asks = "What is it?"
    not_asked: ClassVar[dict[str, Any]] = {}
    refused = {  # noqa: RUF012
        "text": Bypass.NO_PICTURE,
        "no-input": Bypass.UNKNOWN_SHAPE,
        "stream": Bypass.UNKNOWN_SHAPE,
        "sse": Bypass.UNKNOWN_SHAPE,
        "search": Bypass.SERVER_TOOLS,
    }
    unread = {  # noqa: RUF012
        "service__error-in-200": Unstored.ERROR_IN_REPLY,
        "service__error-code-in-200": Unstored.ERROR_IN_REPLY,
        "service__failed-in-200": Unstored.ERROR_IN_REPLY,
    }
    ids = ("request_id", "id")

    def test_two_replays_of_one_answer_have_two_ids(self) -> None:
        stored = Reply({"request_id": "r", "output": {"text": "A cat."}})
        one, other = (self.dialect.renew(stored, self._asked(), Fresh(token, 1)) for token in ("aa", "bb"))

        assert one.body["request_id"] != other.body["request_id"]
        assert list(one.body) == ["request_id", "output"]


@pytest.mark.parametrize(
    ("path", "claimed"),
    [
        (PATH, True),
        ("/services/any-name/inference", True),
        ("/services/a/b/inference", False),
        ("/services//inference", False),
        ("/services/a/inference/x", False),
        ("/api/v1/services/aigc/multimodal-generation/generation", False),
    ],
)
def test_paths_are_claimed_by_their_end(path: str, claimed: bool) -> None:
    assert claimed is ServiceInference().claims(path)


def test_the_picture_leaves_its_place() -> None:
    question = ServiceInference().parse(call(MINIMAL, PATH))

    assert question.pictures == (PictureRef(URL),)
    assert not question.stream
    assert question.asked == MINIMAL | {
        "input": {
            "messages": [
                {"role": "user", "content": [CONTENT[0], {"type": "image_url", "image_url": {"url": {"picture": 0}}}]}
            ]
        }
    }


@pytest.mark.parametrize(
    ("fields", "headers"),
    [
        ({"stream": True}, {}),
        ({"parameters": {"stream": True}}, {}),
        ({"parameters": {"incremental_output": True}}, {}),
        ({}, {"accept": "text/event-stream"}),
        ({}, {"x_dashscope_sse": "enable"}),
        ({"input": "a"}, {}),
        ({"input": {"messages": "a"}}, {}),
        ({"parameters": [1]}, {}),
        ({"model": 7}, {}),
    ],
)
def test_streams_and_other_shapes_are_not_read(fields: Object, headers: dict[str, str]) -> None:
    with pytest.raises(NotCacheable) as refused:
        ServiceInference().parse(call(MINIMAL | fields, PATH, **headers))
    assert Bypass.UNKNOWN_SHAPE is refused.value.why


def test_no_stream_wanted_is_no_stream() -> None:
    assert ServiceInference().parse(call(MINIMAL | {"stream": False}, PATH)).pictures


def test_every_setting_is_part_of_the_key() -> None:
    keys = {key(ServiceInference().parse(call(MINIMAL | {"parameters": {"max_new_tokens": n}}, PATH))) for n in (1, 2)}

    assert len(keys) == 2


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"output": {"text": "A cat."}}, None),
        ({"output": {"text": "A cat."}, "code": None, "error_code": 0, "success": True, "error": ""}, None),
        ({"output": {"text": "A cat.", "finish_reason": "stop"}}, None),
        ({"output": {"text": ""}}, Unstored.EMPTY),
        ({"output": {"text": "A", "finish_reason": "length"}}, Unstored.TRUNCATED),
        ({"output": {"text": "A"}, "finish_reason": "length"}, Unstored.TRUNCATED),
        ({"output": {"text": "A", "finish_reason": "null"}}, Unstored.UNFINISHED),
        ({"output": {"text": "A", "finish_reason": ["stop"]}}, Unstored.UNFINISHED),
    ],
)
def test_only_an_answer_that_ended_well_may_be_kept(body: Object, why: Unstored | None) -> None:
    assert why is ServiceInference().unstorable(Reply(body))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"code": "InvalidParameter"}, Unstored.ERROR_IN_REPLY),
        ({"code": 17}, Unstored.ERROR_IN_REPLY),
        ({"error": {"message": "m"}}, Unstored.ERROR_IN_REPLY),
        ({"error_code": 17}, Unstored.ERROR_IN_REPLY),
        ({"success": False}, Unstored.ERROR_IN_REPLY),
        ({"output": None}, Unstored.MALFORMED),
        ({"output": {"text": None}}, Unstored.MALFORMED),
        ({"output": "A cat."}, Unstored.MALFORMED),
    ],
)
def test_a_reply_that_says_that_it_is_none_is_not_read(fields: Object, why: Unstored) -> None:
    assert why is ServiceInference().whole(orjson.dumps({"output": {"text": "A cat."}} | fields))


def test_a_stream_is_never_kept() -> None:
    assert Unstored.MALFORMED is ServiceInference().assemble(ServiceInference().framing().feed(b"data: {}\n\n"), 1)


def test_tokens_are_counted_under_either_name() -> None:
    dialect = ServiceInference()

    assert Usage(3, 4) == dialect.usage(Reply({"usage": {"input_tokens": 3, "output_tokens": 4}}))
    assert Usage(3, 4) == dialect.usage(Reply({"usage": {"prompt_tokens": 3, "completion_tokens": 4}}))
    assert Usage(None, None) == dialect.usage(Reply({}))


def test_the_limit_of_an_answer_is_known() -> None:
    assert ServiceInference().parse(call(MINIMAL, PATH)).tokens_max == 512
    assert ServiceInference().parse(call(MINIMAL | {"parameters": {"max_tokens": 16}}, PATH)).tokens_max == 16
    assert ServiceInference().parse(call(MINIMAL | {"parameters": {}}, PATH)).tokens_max is None
