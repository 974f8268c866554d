from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.framing import Frame, Lines, ServerSentEvents, encode_line, encode_sse
from tests.examples import examples

LINES = st.sampled_from(
    [
        *("data: a", "data:b", "data:  two spaces", "data", "data:", "event: error", "event:", "id: 7", "retry: 10"),
        *(": comment", ":", "unknown: x", "", "", "", "data: é 中", "data: a:b", " data: no"),
    ]
)

TEXTS = st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=10)


def frames(text: str) -> list[Frame]:
    return ServerSentEvents().feed(text.encode())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data: a\n\n", [Frame("a")]),
        ("data:a\n\n", [Frame("a")]),
        ("data:  a\n\n", [Frame(" a")]),
        ("data: a\r\n\r\n", [Frame("a")]),
        ("data: a\n\ndata: b\n\n", [Frame("a"), Frame("b")]),
        ("data: a\ndata: b\n\n", [Frame("a\nb")]),
        ("data: {\ndata: }\n\n", [Frame("{\n}")]),
        ("data\n\n", [Frame("")]),
        ("data:\ndata:\n\n", [Frame("\n")]),
        ("event: x\ndata: a\n\n", [Frame("a", "x")]),
        ("data: a\nevent: x\n\ndata: b\n\n", [Frame("a", "x"), Frame("b")]),
        ("event: x\n\ndata: a\n\n", [Frame("a")]),
        ("id: 1\nretry: 5\ndata: a\n\n", [Frame("a")]),
        (": keep-alive\n\ndata: a\n\n", [Frame("a")]),
        ("data: a\n: in between\ndata: b\n\n", [Frame("a\nb")]),
        ("\n\n\ndata: a\n\n\n\n", [Frame("a")]),
        ("\ufeffdata: a\n\n", [Frame("a")]),
        ("data: a\n\n\ufeffdata: b\n\n", [Frame("a")]),
        ("data: a\u2028b\x0bc\x85d\n\n", [Frame("a\u2028b\x0bc\x85d")]),
        ("DATA: a\n\n", []),
        (" data: a\n\n", []),
    ],
)
def test_events_are_read_as_the_standard_says(text: str, expected: list[Frame]) -> None:
    assert expected == frames(text)


def test_lines_that_end_in_a_lone_cr_are_lines() -> None:
    assert [Frame("a"), Frame("b")] == frames("data: a\r\rdata: b\r\r\n")


@pytest.mark.parametrize(
    "text", ["data: a", "data: a\n", "data: a\r\n", "data: a\n\nda", "data: a\n\n:", "data: a\r\r"]
)
def test_what_is_not_followed_by_a_blank_line_is_a_rest(text: str) -> None:
    framing = ServerSentEvents()
    framing.feed(text.encode())

    assert framing.rest()


@pytest.mark.parametrize("text", ["", "\n", "data: a\n\n", "data: a\r\n\r\n", ": comment\n", "data: a\n\n\n\r\n"])
def test_after_a_blank_line_nothing_is_left(text: str) -> None:
    framing = ServerSentEvents()
    framing.feed(text.encode())

    assert framing.rest() == b""


def test_a_frame_is_given_out_as_soon_as_its_blank_line_is_there() -> None:
    framing = ServerSentEvents()

    assert [[], [], [Frame("a")], []] == [framing.feed(piece) for piece in (b"data: ", b"a\n", b"\n", b"data: b")]


def test_bytes_that_are_not_utf8_are_a_value_error() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        ServerSentEvents().feed(b"data: \xff\n\n")


def test_a_character_may_be_cut_in_two() -> None:
    framing = ServerSentEvents()
    whole = "data: 中\n\n".encode()

    assert [Frame("中")] == [*framing.feed(whole[:7]), *framing.feed(whole[7:])]


@examples(80)
@given(st.lists(LINES, max_size=12), st.sampled_from(["\n", "\r\n", "\r"]), st.data())
def test_any_chunking_of_any_stream_gives_the_same_frames(lines: list[str], line_end: str, data: st.DataObject) -> None:
    body = (line_end.join(lines) + data.draw(st.sampled_from(["", line_end, line_end * 2, "\n"]))).encode()
    places = data.draw(st.lists(st.integers(0, len(body)), max_size=6))
    at_once, in_pieces, by_bytes = ServerSentEvents(), ServerSentEvents(), ServerSentEvents()
    expected = at_once.feed(body)
    pieces = [body[start:end] for start, end in pairwise([0, *sorted(places), len(body)])]

    assert expected == [frame for piece in pieces for frame in in_pieces.feed(piece)]
    assert expected == [frame for byte in body for frame in by_bytes.feed(bytes([byte]))]
    assert at_once.rest() == in_pieces.rest() == by_bytes.rest()


@examples(60)
@given(st.lists(st.builds(Frame, TEXTS, st.none() | st.just("message_stop")), max_size=5))
def test_what_is_encoded_is_read_back(frames: list[Frame]) -> None:
    assert frames == ServerSentEvents().feed(b"".join(map(encode_sse, frames)))


@pytest.mark.parametrize(
    ("text", "expected", "rest"),
    [
        ('{"a":1}\n', [Frame('{"a":1}')], b""),
        ('{"a":1}\r\n{"b":2}\n', [Frame('{"a":1}'), Frame('{"b":2}')], b""),
        ('\n\n{"a":1}\n \n', [Frame('{"a":1}')], b""),
        ('{"a":1}\n{"b":', [Frame('{"a":1}')], b'{"b":'),
        ('{"a":1}', [], b'{"a":1}'),
        ('{"a":"\u2028\x85"}\n', [Frame('{"a":"\u2028\x85"}')], b""),
        ("", [], b""),
    ],
)
def test_a_line_is_a_frame_once_it_has_ended(text: str, expected: list[Frame], rest: bytes) -> None:
    framing = Lines()

    assert expected == framing.feed(text.encode())
    assert rest == framing.rest()


@examples(60)
@given(st.lists(st.text("aé中\u2028 ", min_size=1, max_size=6).map(str.strip).filter(bool), max_size=5), st.data())
def test_lines_are_read_back_in_any_pieces(texts: list[str], data: st.DataObject) -> None:
    frames = [Frame(text) for text in texts]
    body = b"".join(map(encode_line, frames))
    cut = data.draw(st.integers(0, len(body)))
    framing = Lines()

    assert frames == [*framing.feed(body[:cut]), *framing.feed(body[cut:])]
    assert framing.rest() == b""


def test_a_line_that_is_not_utf8_is_an_error() -> None:
    with pytest.raises(ValueError):
        Lines().feed(b'{"a":"\xff"}\n')
