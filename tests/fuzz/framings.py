"""Streams to frames and back, streams that are edited on their way, and batch files line by line.

Any chunking of the same bytes gives the same frames: those of a decoder that is written here once more, plainly.
"""

import re
import zlib
from collections.abc import Callable
from itertools import pairwise
from random import Random

from gateway.batchlines import (
    BadLine,
    BatchRequest,
    BatchResponse,
    read_requests,
    read_responses,
    write_request,
    write_response,
)
from gateway.dialects.framing import Frame, Framing, Lines, ServerSentEvents, encode_line, encode_sse
from gateway.dialects.openai_stream import UsageHidden
from tests.fuzz.target import Check, Target
from tests.gateway.test_batchlines import ANSWERED, ASKED, FAILED, line
from tests.wire.recorded import replies

_SSE_FOLDERS = ("openai_chat", "openai_responses", "anthropic_messages", "dashscope")
_NDJSON_FOLDERS = ("ollama_chat", "ollama_generate")


def _pieces(data: bytes) -> list[bytes]:
    """The same bytes in pieces: small ones, for a limit falls anywhere."""
    chance = Random(zlib.crc32(data))
    places = sorted(chance.randint(0, len(data)) for _ in range(chance.randint(0, 20)))
    return [data[start:end] for start, end in pairwise([0, *places, len(data)])]


def _decoded(framing: Framing, pieces: list[bytes]) -> tuple[list[Frame], bytes] | None:
    """None: not UTF-8."""
    try:
        frames = [frame for piece in pieces for frame in framing.feed(piece)]
    except UnicodeDecodeError:
        return None
    return frames, framing.rest()


def server_sent_events(data: bytes) -> None:
    found = _decoded(ServerSentEvents(), [data])
    assert found == _decoded(ServerSentEvents(), _pieces(data))
    if found is not None:
        assert found[0] == _events(data)
        _come_back(found[0], ServerSentEvents, encode_sse)


def _events(data: bytes) -> list[Frame]:
    """As the standard says it, in one go."""
    *lines, _ = re.split(rb"\r\n|\n|\r(?=[\s\S])", data)  # a CR at the very end may be half of an end of line
    frames, texts, event = [], [], None
    for number, raw in enumerate(lines):
        text = raw.decode()
        text = text.removeprefix("\ufeff") if number == 0 else text
        if not text:
            if texts:
                frames.append(Frame("\n".join(texts), event))
            texts, event = [], None
            continue
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            texts.append(value)
        elif name == "event":
            event = value
    return frames


def lines_of_json(data: bytes) -> None:
    found = _decoded(Lines(), [data])
    assert found == _decoded(Lines(), _pieces(data))
    if found is not None:
        _come_back(found[0], Lines, encode_line)


def _come_back(frames: list[Frame], framing: Callable[[], Framing], encode: Callable[[Frame], bytes]) -> None:
    """What a dialect writes is one line of JSON, which has neither an end of line in it nor blanks around it."""
    plain = [frame for frame in frames if frame.data.strip() == frame.data and frame.data.isprintable()]
    again = framing()
    written = [Frame(frame.data, frame.event or None) for frame in plain if frame.data]
    assert again.feed(b"".join(map(encode, written))) == written
    assert again.rest() == b""


def usage_is_hidden(data: bytes) -> None:
    """Whole events go, every other byte passes, however the stream is cut."""
    pieces = _pieces(data)
    editor, other = UsageHidden(), UsageHidden()
    whole = editor.feed(data) + editor.rest()
    assert whole == b"".join(other.feed(piece) for piece in pieces) + other.rest()
    if b'"usage"' not in data:
        assert whole == data
    left = iter(re.split(rb"(\r?\n\r?\n)", data))
    kept = re.split(rb"(\r?\n\r?\n)", whole)
    assert all(any(piece == event for event in left) for piece in kept if piece)


def batch_requests(data: bytes) -> None:
    lines = data.split(b"\n")
    found = list(read_requests(lines))
    assert all(isinstance(each, BatchRequest | BadLine) for each in found)
    assert [each.line for each in found] == [n for n, text in enumerate(lines, 1) if _holds_something(text, n)]
    good = [each for each in found if isinstance(each, BatchRequest)]
    again = list(read_requests(map(write_request, good)))
    assert [(r.custom_id, r.url, r.body) for r in good] == [
        (r.custom_id, r.url, r.body) for r in again if isinstance(r, BatchRequest)
    ]


def batch_responses(data: bytes) -> None:
    lines = data.split(b"\n")
    found = list(read_responses(lines))
    assert all(isinstance(each, BatchResponse | BadLine) for each in found)
    assert [each.line for each in found] == [n for n, text in enumerate(lines, 1) if _holds_something(text, n)]
    good = [each for each in found if isinstance(each, BatchResponse)]
    again = list(read_responses(map(write_response, good)))
    assert [(r.id, r.custom_id, r.outcome) for r in good] == [
        (r.id, r.custom_id, r.outcome) for r in again if isinstance(r, BatchResponse)
    ]


def _holds_something(text: bytes, number: int) -> bool:
    return bool((text.removeprefix(b"\xef\xbb\xbf") if number == 1 else text).strip(b" \t\r\n"))


def target() -> Target:
    sse = [m.body for folder in _SSE_FOLDERS for m in replies(folder) if m.streamed]
    ndjson = [m.body for folder in _NDJSON_FOLDERS for m in replies(folder) if m.streamed]
    checks = [
        Check("server-sent events", server_sent_events, [*sse, b"\xef\xbb\xbfdata\r\rdata: a\r\ndata:b\n\n:c\n\n"]),
        Check("lines of JSON", lines_of_json, ndjson),
        Check("usage hidden", usage_is_hidden, sse),
        Check("batch requests", batch_requests, [line(ASKED), line(ASKED) + line(ASKED | {"custom_id": "r2"})]),
        Check("batch responses", batch_responses, [line(ANSWERED) + line(FAILED)]),
    ]
    return Target("framing", checks)
