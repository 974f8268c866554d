from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.batchlines import (
    BadLine,
    BatchAnswer,
    BatchError,
    BatchRequest,
    BatchResponse,
    read_requests,
    read_responses,
    write_request,
    write_response,
)
from tests.contracts.dialect_contract import JSON_VALUES
from tests.examples import examples

ASKED = {"custom_id": "r1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m", "messages": []}}
ANSWERED = {
    "id": "batch_req_1",
    "custom_id": "r1",
    "response": {"status_code": 200, "request_id": "q", "body": {"id": "chatcmpl-1"}},
    "error": None,
}
FAILED = {"id": "batch_req_2", "custom_id": "r2", "response": None, "error": {"code": "batch_expired", "message": "m"}}

_NAMES = st.text(min_size=1, max_size=8)
_BODIES = st.dictionaries(_NAMES.filter(lambda name: name != "stream"), JSON_VALUES, max_size=3)
_REQUESTS = st.lists(
    st.builds(BatchRequest, _NAMES, _NAMES.map(lambda name: f"/{name}"), _BODIES),
    max_size=4,
    unique_by=lambda request: request.custom_id,
)
_OUTCOMES = st.builds(BatchAnswer, st.integers(100, 599), st.text(max_size=5), JSON_VALUES) | st.builds(
    BatchError, st.text(max_size=5), st.text(max_size=5)
)
_RESPONSES = st.lists(
    st.builds(BatchResponse, _NAMES, _NAMES, _OUTCOMES), max_size=4, unique_by=lambda response: response.custom_id
)


def line(value: Any) -> bytes:
    return orjson.dumps(value) + b"\n"


def complaint(value: Any, read: Any = read_requests) -> str:
    (bad,) = read([value if isinstance(value, bytes) else line(value)])
    assert isinstance(bad, BadLine)
    return str(bad)


def test_a_line_is_a_request() -> None:
    assert [BatchRequest("r1", "/v1/chat/completions", ASKED["body"], 1)] == list(read_requests([line(ASKED)]))


def test_a_line_is_an_answer_or_why_there_is_none() -> None:
    expected = [
        BatchResponse("batch_req_1", "r1", BatchAnswer(200, "q", {"id": "chatcmpl-1"}), 1),
        BatchResponse("batch_req_2", "r2", BatchError("batch_expired", "m"), 2),
    ]

    assert expected == list(read_responses([line(ANSWERED), line(FAILED)]))


def test_an_error_that_vllm_writes_beside_its_response_is_the_body() -> None:
    response = {"status_code": 400, "request_id": "vllm-batch-1", "body": None}
    (read,) = read_responses([line(ANSWERED | {"response": response, "error": {"error": {"code": 400}}})])

    assert isinstance(read, BatchResponse)
    assert BatchAnswer(400, "vllm-batch-1", {"error": {"code": 400}}) == read.outcome


@examples(60)
@given(_REQUESTS)
def test_requests_that_are_written_are_read_back(requests: list[BatchRequest]) -> None:
    found = list(read_requests(b"".join(map(write_request, requests)).splitlines(keepends=True)))

    assert found == [
        BatchRequest(each.custom_id, each.url, each.body, number) for number, each in enumerate(requests, start=1)
    ]


@examples(60)
@given(_RESPONSES)
def test_responses_that_are_written_are_read_back(responses: list[BatchResponse]) -> None:
    found = list(read_responses(b"".join(map(write_response, responses)).splitlines(keepends=True)))

    assert found == [
        BatchResponse(each.id, each.custom_id, each.outcome, number) for number, each in enumerate(responses, start=1)
    ]


@examples(60)
@given(
    st.lists(st.binary(max_size=30).filter(lambda data: b"\n" not in data) | JSON_VALUES.map(orjson.dumps), max_size=4)
)
def test_whatever_is_in_a_file_each_line_is_told_of_by_its_number(lines: list[bytes]) -> None:
    written = [*lines, line(ASKED)]
    *bad, good = read_requests(written)

    assert isinstance(good, BatchRequest)
    assert good.line == len(written)
    assert all(isinstance(each, BadLine) for each in bad)
    full = [
        number
        for number, each in enumerate(lines, 1)
        if each.removeprefix(b"\xef\xbb\xbf"[: 3 * (number == 1)]).strip(b" \t\r\n")
    ]
    assert [each.line for each in bad] == full


def test_empty_lines_are_counted_and_a_byte_order_mark_is_no_fault() -> None:
    (first, second) = read_requests([b"\xef\xbb\xbf" + line(ASKED), b"\r\n", b"", line(ASKED | {"custom_id": "r2"})])

    assert (first.line, second.line) == (1, 4)
    assert isinstance(first, BatchRequest)
    assert isinstance(second, BatchRequest)


def test_a_long_picture_stays_text() -> None:
    url = "data:image/png;base64," + "A" * 5000
    body = {"messages": [{"content": [{"image_url": {"url": url}}]}]}
    (request,) = read_requests([line(ASKED | {"body": body})])

    assert isinstance(request, BatchRequest)
    assert request.body == body


def test_a_custom_id_that_comes_twice_is_told_with_both_lines() -> None:
    first, second, third = read_requests([line(ASKED), line(ASKED), line(ASKED | {"custom_id": "r2"})])

    assert isinstance(first, BatchRequest)
    assert isinstance(third, BatchRequest)
    assert str(second) == 'line 2 has the custom_id "r1" of line 1; each needs one of its own'
    assert [isinstance(each, BatchResponse) for each in read_responses([line(ANSWERED)] * 2)] == [True, False]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (b"{", "line 1 is not JSON in UTF-8"),
        (b'{"a": "\xff"}', "line 1 is not JSON in UTF-8"),
        (b"[]", "line 1 is JSON, but not an object"),
        (b'{"custom_id": "a", "custom_id": "b"}', "line 1 can be read in more than one way: a key twice"),
        (ASKED | {"custom_id": ""}, 'line 1 has no "custom_id", or one that is not a text'),
        (ASKED | {"custom_id": 7}, 'line 1 has no "custom_id", or one that is not a text'),
        (ASKED | {"method": "GET"}, 'line 1 has the method "GET"; a batch has only "POST"'),
        (ASKED | {"method": None}, "line 1 has the method null"),
        (ASKED | {"url": None}, 'line 1 has no "url", or one that is not a text'),
        (ASKED | {"url": "https://h/v1"}, 'line 1 has the url "https://h/v1"; it is a path'),
        (ASKED | {"body": "text"}, 'line 1 has no "body", or one that is not an object'),
        (ASKED | {"body": {"stream": True}}, "line 1 asks for a stream; a batch has none"),
        (ASKED | {"extra": 1}, 'line 1 has the field "extra", which the format does not know'),
        (ASKED | {"x" * 200: 1}, 'line 1 has the field "' + "x" * 79 + "…, which"),
        ({}, "line 1 has the method null"),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(value: Any, told: str) -> None:
    assert complaint(value).startswith(told)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (ANSWERED | {"error": {"code": "c"}}, 'line 1 has an "error" beside a "response" with a body'),
        (ANSWERED | {"response": None}, 'line 1 has neither a "response" nor an "error"'),
        (ANSWERED | {"response": []}, 'line 1 has a "response" that is not an object'),
        (ANSWERED | {"response": {"status_code": "200"}}, 'line 1 has the status_code "200"'),
        (ANSWERED | {"response": {"status_code": True}}, "line 1 has the status_code true"),
        (ANSWERED | {"response": {"status_code": 600}}, "line 1 has the status_code 600"),
        (ANSWERED | {"response": {"status_code": 200, "request_id": 7}}, "line 1 has the request_id 7"),
        (ANSWERED | {"response": {"status_code": 200, "odd": 7}}, 'line 1 has the field "odd" in its "response"'),
        (FAILED | {"error": "text"}, 'line 1 has an "error" that is not an object'),
        (FAILED | {"error": {"code": 7}}, 'line 1 has an "error" whose code or message is not a text'),
        (ANSWERED | {"id": None}, 'line 1 has no "id"'),
        (ANSWERED | {"custom_id": None}, 'line 1 has no "custom_id"'),
    ],
)
def test_a_bad_response_is_told_what_is_wrong(value: Any, told: str) -> None:
    assert complaint(value, read_responses).startswith(told)
