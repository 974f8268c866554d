"""Streams as they come: what passes at once, what waits, and what becomes of a fault."""

import re
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.anthropic import AnthropicMessages
from gateway.dialects.framing import Frames, ServerSentEvents
from gateway.dialects.openai_chat import OpenAIChat
from gateway.dialects.texts import recut
from gateway.rules.book import Facing, Facts, LeftAlone, Rulebook
from gateway.rules.edit import Report, edited
from gateway.rules.live import Live
from gateway.rules.settings import Rule
from tests.examples import examples


def facing(*rules: Rule) -> Facing:
    found = Rulebook(rules).facing(Facts("openai-chat", "miss"))
    assert found is not None
    return found


def chunk(**choice: Any) -> bytes:
    return b"data: " + orjson.dumps({"id": "c", "choices": [{"index": 0, "finish_reason": None, **choice}]}) + b"\n\n"


def said(text: str) -> bytes:
    return chunk(delta={"content": text})


STOP = chunk(delta={}, finish_reason="stop")
DONE = b"data: [DONE]\n\n"


def live(*rules: Rule, bytes_max: int = 2**20) -> tuple[Live, Report]:
    report = Report()
    return Live(OpenAIChat(), facing(*rules), bytes_max, report), report


def test_every_piece_passes_at_once_and_the_text_comes_before_the_end():
    editor, report = live(Rule(append=" more", contains="red"))

    assert editor.feed(said("a red")) == said("a red")
    assert editor.feed(b": ping\n\n") == b": ping\n\n"
    assert editor.feed(said(" car")) == said(" car")
    ending = editor.feed(STOP)
    assert ending.endswith(STOP)
    assert b'" more"' in ending.removesuffix(STOP)
    assert editor.feed(DONE) == DONE
    assert report.answers[0].delivered == "a red car more"


def test_a_text_before_goes_out_with_the_first_piece_that_says_something():
    editor, _ = live(Rule(prepend="AI: "))

    assert editor.feed(said("")) == said("")
    assert editor.feed(said("a")) == said("AI: a")
    assert editor.feed(said("b")) == said("b")


def test_a_character_that_is_cut_between_two_packets_is_whole_again():
    editor, _ = live(Rule(prepend="→"))
    data = "data: " + '{"choices":[{"index":0,"delta":{"content":"😀"},"finish_reason":null}]}' + "\n\n"
    passed = b"".join(editor.feed(bytes([byte])) for byte in data.encode())

    assert "→😀" in passed.decode()


def test_a_fault_lets_the_rest_pass_as_it_comes(monkeypatch: pytest.MonkeyPatch):
    editor, report = live(Rule(append="x", matches="a"))
    assert editor.feed(said("a")) == said("a")
    monkeypatch.setattr(Facing, "judge", lambda self, text: 1 / 0)

    assert editor.feed(STOP + DONE) == STOP + DONE
    assert report.left_alone is LeftAlone.FAULT
    assert report.answers == []


def test_a_fault_leaves_a_whole_answer_as_it_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(re, "sub", lambda *args: 1 / 0)
    body = orjson.dumps({"choices": [{"message": {"content": "a"}}]})
    report = Report()
    rules = facing(Rule(replace=({"pattern": "a", "with": "b"},)))  # type: ignore[arg-type]

    assert edited(OpenAIChat(), rules, body, False, report) == body
    assert report.left_alone is LeftAlone.FAULT


def test_what_is_beyond_the_bound_passes_as_it_comes():
    editor, report = live(Rule(append="x"), bytes_max=100)

    assert editor.feed(said("a" * 50) + STOP) == said("a" * 50) + STOP
    assert report.left_alone is LeftAlone.TOO_LARGE


def test_a_tool_that_is_called_keeps_an_answer_from_being_edited():
    editor, report = live(Rule(append="x", tag="t"))
    call = chunk(delta={"tool_calls": [{"index": 0, "id": "1"}]})

    assert editor.feed(said("a") + call + STOP) == said("a") + call + STOP
    assert report.answers[0].delivered == "a"
    assert report.answers[0].judged.rules


def test_a_closing_event_waits_for_the_next_and_heartbeats_wait_with_it():
    editor = Live(AnthropicMessages(), facing(Rule(append="!")), 2**20, report := Report())

    def event(kind: str, **fields: Any) -> bytes:
        return f"event: {kind}\ndata: ".encode() + orjson.dumps({"type": kind, **fields}) + b"\n\n"

    start = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    delta = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "a"})
    stop, ping = event("content_block_stop", index=0), event("ping")
    end = event("message_delta", delta={"stop_reason": "end_turn"})

    assert editor.feed(start + delta + ping) == start + delta + ping
    assert editor.feed(stop + ping) == b""
    more = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "!"})
    assert editor.feed(end) == more + stop + ping + end
    assert report.answers[0].delivered == "a!"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_frames_are_taken_apart_with_any_end_of_line(end: str):
    data = f"event: a{end}data: 1{end}{end}: comment{end}{end}data: 2{end}{end}".encode()

    @examples(30)
    @given(st.lists(st.integers(0, len(data)), max_size=5))
    def check(cuts: list[int]) -> None:
        frames = Frames(ServerSentEvents())
        ends = [0, *sorted(cuts), len(data)]
        found = [frame for n, begin in enumerate(ends[:-1]) for frame in frames.feed(data[begin : ends[n + 1]])]

        assert b"".join(found) + frames.rest() == data
        assert len(found) == (2 if end == "\r" else 3)  # a CR may yet become a CRLF

    check()


def test_data_is_replaced_and_the_rest_of_a_frame_is_kept():
    frame = b"id:7\r\ndata: one\r\ndata: two\r\n:HTTP_STATUS/200\r\n\r\n"

    assert ServerSentEvents.with_data(frame, b"new") == b"id:7\r\ndata: new\r\n:HTTP_STATUS/200\r\n\r\n"


@examples(200)
@given(st.lists(st.text("ab", max_size=4), min_size=1, max_size=6), st.text("abc", max_size=12))
def test_a_new_text_is_cut_into_as_many_pieces(pieces: list[str], text: str):
    new = recut(pieces, text)

    assert len(new) == len(pieces)
    assert "".join(new) == text
    if text == "".join(pieces):
        assert new == pieces


@examples(100)
@given(st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=6))
def test_what_is_the_same_is_cut_as_before(pieces: list[str]):
    old = "".join(pieces)

    assert recut(pieces, f"X{old}") == [f"X{pieces[0]}", *pieces[1:]]
    assert recut(pieces, f"{old}X") == [*pieces[:-1], f"{pieces[-1]}X"]
