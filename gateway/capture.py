"""From the bytes of a reply to a whole answer, or to the reason why it is not one. Sans-IO.

`Tap` collects the bytes as they pass to the client; `read` makes the answer of them once they have all
come. A stream is kept whole or not at all. `pack`/`unpack` are the stored form of an answer.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

from cache.entry import pack as pack_row
from cache.entry import unpack as unpack_row
from cache.errors import CorruptRow
from gateway.dialects.base import Dialect
from gateway.dialects.fields import is_named
from gateway.question import Fresh, Question, Reply, Unstored

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Answered:
    """An upstream's reply, as bytes. `complete`: it ended as HTTP says that it should."""

    status: int
    headers: Headers
    body: bytes
    complete: bool
    too_large: bool
    seconds: float
    second: bool = False  # by the second upstream: that says nothing of keys at the first
    elsewhere: bool = False  # by another upstream than the one that the key names

    @property
    def is_coded(self) -> bool:
        return any(name.lower() == b"content-encoding" for name, _ in self.headers)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A stored answer as bytes for one client."""

    body: bytes
    media_type: str


class Tap:
    """Collects what passes, up to a limit, and as long as there is `room` for it; beyond, it forgets everything and
    stays forgotten."""

    def __init__(self, bytes_max: int, room: Callable[[int], bool] = lambda size: True) -> None:
        self._bytes_max = bytes_max
        self._room = room
        self._chunks: list[bytes] = []
        self._bytes = 0
        self.too_large = False

    def feed(self, chunk: bytes) -> None:
        self._bytes += len(chunk)
        if self.too_large:
            return
        if self._bytes > self._bytes_max or not self._room(len(chunk)):
            self.too_large = True
            self._chunks.clear()
        else:
            self._chunks.append(chunk)

    def taken(self) -> bytes:
        return b"".join(self._chunks)


def read(dialect: Dialect, question: Question, answered: Answered, bytes_max: int) -> Reply | Unstored:
    """The whole, storable answer, or why there is none."""
    if answered.status != 200:
        return Unstored.STATUS
    if answered.elsewhere:
        return Unstored.OTHER_UPSTREAM
    if not answered.complete:
        return Unstored.CUT_SHORT
    if answered.too_large:
        return Unstored.REPLY_TOO_LARGE
    sent = {name.lower(): value.strip() for name, value in answered.headers}
    coding = sent.get(b"content-encoding", b"identity").lower()
    body = _inflated(answered.body, coding, bytes_max)
    if isinstance(body, Unstored):
        return body
    media_type = sent.get(b"content-type", b"").decode("latin-1")
    if media_type.lower().startswith(dialect.stream_type.partition(";")[0]):
        reply = _stream(dialect, question, body)
    else:
        reply = dialect.whole(body)
    if isinstance(reply, Unstored):
        return reply
    if why := dialect.unstorable(reply):
        return why
    if question.tokens_max is not None:
        tokens_out = dialect.usage(reply).tokens_out
        most = len(dialect.text(reply)) if tokens_out is None else tokens_out  # a token is a character or more
        if most >= question.tokens_max:
            return Unstored.TRUNCATED
    return replace(reply, named=is_named(reply.body.get("id"), question), media_type=media_type)


def render(dialect: Dialect, question: Question, reply: Reply) -> Rendered:
    """A stored answer as this request wants it: in one piece or as a stream, everything at once."""
    as_recorded = question.stream == bool(reply.chunks)
    if question.stream:
        body = b"".join(map(dialect.encode, dialect.stream(reply, question.include_usage)))
        return Rendered(body, reply.media_type if as_recorded else dialect.stream_type)
    return Rendered(dialect.body(reply), reply.media_type if as_recorded else "application/json")


class Retelling:
    """A stream that is under way to the client that asked `leader`, for another one that asked `question`."""

    def __init__(self, dialect: Dialect, leader: Question, question: Question, fresh: Fresh) -> None:
        self._dialect = dialect
        self._framing = dialect.framing()
        self._retell = dialect.retell(leader, question, fresh)

    def feed(self, data: bytes) -> bytes:
        """What these bytes of the stream complete. Raises ValueError where it cannot be read."""
        told = [frame for frame in map(self._retell, self._framing.feed(data)) if frame is not None]
        if any("\n" in frame.data for frame in told):
            raise ValueError("an event of several lines, which is none of this dialect's")
        return b"".join(map(self._dialect.encode, told))


def pack(reply: Reply) -> bytes:
    return pack_row({field.name: getattr(reply, field.name) for field in fields(Reply)})


def unpack(data: bytes) -> Reply:
    """The reverse of `pack`. Raises CorruptRow."""
    head, _ = unpack_row(data)
    try:
        reply = Reply(**(head | {"chunks": tuple(head["chunks"])}))
    except (KeyError, TypeError) as error:
        raise CorruptRow(f"not a reply of this version: {error}") from error
    objects = all(isinstance(each, dict) for each in (reply.body, *reply.chunks))
    if not (objects and isinstance(reply.named, bool) and isinstance(reply.media_type, str)):
        raise CorruptRow("not a reply of this version: a field is of another type")
    return reply


def _stream(dialect: Dialect, question: Question, body: bytes) -> Reply | Unstored:
    framing = dialect.framing()
    try:
        frames = framing.feed(body)
    except ValueError:
        return Unstored.MALFORMED
    return Unstored.CUT_SHORT if framing.rest() else dialect.assemble(frames, question.choices)


def _inflated(body: bytes, coding: bytes, bytes_max: int) -> bytes | Unstored:
    match coding:
        case b"identity" | b"":
            return body
        case b"gzip" | b"x-gzip":
            attempts = [zlib.MAX_WBITS | 16]
        case b"deflate":  # zlib as the RFC says, or raw as some servers send it
            attempts = [zlib.MAX_WBITS, -zlib.MAX_WBITS]
        case _:
            return Unstored.ENCODED_REPLY
    for bits in attempts:
        inflater = zlib.decompressobj(bits)
        try:
            plain = inflater.decompress(body, bytes_max)
        except zlib.error:
            continue
        if inflater.unconsumed_tail:
            return Unstored.REPLY_TOO_LARGE
        if inflater.unused_data:  # a second member, or what is no part of the answer: not ours to guess
            return Unstored.ENCODED_REPLY
        return plain if inflater.eof else Unstored.CUT_SHORT
    return Unstored.ENCODED_REPLY
