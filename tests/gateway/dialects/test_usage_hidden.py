from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.openai_chat import OpenAIChat
from gateway.dialects.openai_stream import UsageHidden
from tests.examples import examples

TEXT = b'data: {"choices":[{"index":0,"delta":{"content":"\\"usage\\" is a word"}}]}\n\n'
COUNTED = b'data: {"choices":[{"index":0,"delta":{}}],"usage":{"total_tokens":3}}\r\n\r\n'
USAGE = b'data: {"choices":[],"usage":{"total_tokens":3}}\n\n'
REST = b": ping\n\ndata: [DONE]\n\n"


def edited(data: bytes, cuts: list[int]) -> bytes:
    editor = UsageHidden()
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return b"".join(editor.feed(data[a:b]) for a, b in pairwise(edges)) + editor.rest()


@examples(100)
@given(st.lists(st.integers(0, 10**6), max_size=8))
def test_only_the_chunk_that_holds_nothing_but_usage_is_dropped_however_the_bytes_come(cuts: list[int]) -> None:
    assert edited(TEXT + COUNTED + USAGE + REST, cuts) == TEXT + COUNTED + REST


def test_an_event_that_never_ends_passes_as_it_is() -> None:
    assert edited(TEXT + USAGE[:-1], []) == TEXT + USAGE[:-1]


def test_of_an_event_that_goes_on_and_on_little_is_held_back() -> None:
    editor, passed = UsageHidden(), 0
    for _ in range(1000):
        passed += len(editor.feed(b"data: " + b"x" * 994))
        assert len(editor.rest()) < 70_000

    assert passed + len(editor.rest()) == 1_000_000
    assert editor.feed(b"\n\n" + USAGE + REST).endswith(b"x\n\n" + REST)


def test_a_request_asks_for_usage_without_another_change() -> None:
    body = b' {"model": "m", "messages": []}'
    asked = OpenAIChat().asking_usage(body)

    assert asked is not None
    asking, editor = asked
    assert isinstance(editor, UsageHidden)
    assert asking == b' {"stream_options":{"include_usage":true},"model": "m", "messages": []}'
    assert OpenAIChat().asking_usage(asking) is None
