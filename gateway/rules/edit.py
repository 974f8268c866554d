"""What the rules make of the bytes of a whole reply, or of a whole stream. Pure; live.py does a stream as it comes.

Only frames that change are written anew; every other byte is the upstream's. A reply that cannot be read, or a stream
that has no end, goes on as it is.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Self

import orjson

from gateway.dialects.base import Dialect
from gateway.dialects.framing import Frames
from gateway.dialects.texts import UNCHANGED, Change, Found, Part, Piece, recut
from gateway.question import Object, Unstored
from gateway.rules.book import Facing, Judged, LeftAlone

log = logging.getLogger("lookalike")


@dataclass(frozen=True, slots=True)
class Ruled:
    """One answer: its number, as the model gave it, what the rules say, and as the client gets it."""

    number: int
    text: str
    judged: Judged
    delivered: str


@dataclass(slots=True)
class Report:
    """What became of one reply. Without answers, none was seen to its end."""

    answers: list[Ruled] = field(default_factory=list)
    left_alone: LeftAlone | None = None

    def failed(self) -> None:
        """Called where an exception was caught."""
        log.exception("the rules failed; the answer goes on as it is")
        self.answers.clear()
        self.left_alone = LeftAlone.FAULT


def edited(dialect: Dialect, facing: Facing, data: bytes, streamed: bool, report: Report) -> bytes:
    """The bytes of a whole reply, or of a stream that has come to its end, as the client gets them."""
    try:
        return (_stream if streamed else _whole)(dialect, facing, data, report)
    except Exception:
        report.failed()
        return data


def _whole(dialect: Dialect, facing: Facing, data: bytes, report: Report) -> bytes:
    body = _object(data)
    if body is None or isinstance(dialect.whole(data), Unstored):
        report.left_alone = LeftAlone.UNREADABLE
        return data
    found = dialect.texts.whole(body)
    edits = [_rule(facing, found, number, repeating=False) for number in _numbers(found) or [0]]
    report.answers += [edit.ruled for edit in edits]
    for edit in edits:
        edit.make()
    return orjson.dumps(body) if any(edit.changes for edit in edits) else data


def _stream(dialect: Dialect, facing: Facing, data: bytes, report: Report) -> bytes:
    texts, frames = dialect.texts, Frames(dialect.framing())
    framed = [Framed.of(dialect, raw) for raw in frames.feed(data)]
    chunks = [one.chunk for one in framed if one.chunk is not None]
    found, ended = Found(), set[int]()
    for chunk in chunks:
        found.add(texts.of(chunk))
        ended.update(texts.ends(chunk))
    if not ended.issuperset(_numbers(found)):
        return data  # it was cut, or failed on its way
    edits = [_rule(facing, found, number, texts.repeats(chunks)) for number in sorted(ended)]
    report.answers += [edit.ruled for edit in edits]
    changes: dict[Part, Change] = {}
    for edit in edits:
        changes |= edit.make()
    for chunk in chunks if changes else ():
        texts.settle(chunk, changes)
    return b"".join(one.written(dialect) for one in framed) + frames.rest()


@dataclass(frozen=True, slots=True)
class _Edit:
    """What is to be done with one answer whose text stands in these pieces."""

    pieces: Sequence[Piece]
    ruled: Ruled
    repeating: bool  # each piece holds all that was said before it

    @property
    def changes(self) -> bool:
        return self.ruled.delivered != self.ruled.text

    def make(self) -> dict[Part, Change]:
        """Put the new text in place of the old. What that changes, part by part."""
        if not self.changes:
            return {}
        old = [piece.text for piece in self.pieces]
        if self.repeating:
            new = list(accumulate(recut(steps(old), self.ruled.delivered)))
        else:
            new = recut(old, self.ruled.delivered)
        changes: dict[Part, Change] = {}
        for piece, before, after in zip(self.pieces, old, new, strict=True):
            piece.put(after)
            changes[piece.part] = changes.get(piece.part, UNCHANGED).then(before, after)
        return changes


def _rule(facing: Facing, found: Found, number: int, repeating: bool) -> _Edit:
    pieces = [piece for piece in found.pieces if piece.answer == number]
    said = [piece.text for piece in pieces]
    text = "".join(steps(said) if repeating else said)
    judged = facing.judge(text)
    delivered = text if number in found.sealed else judged.edited(text)
    return _Edit(pieces, Ruled(number, text, judged, delivered), repeating)


def steps(texts: Sequence[str]) -> list[str]:
    """Of texts that repeat what came before: what is new in each."""
    return [text[len(before) :] for before, text in pairwise(["", *texts])]


def _numbers(found: Found) -> list[int]:
    return sorted({piece.answer for piece in found.pieces} | found.sealed)


def _object(data: bytes) -> Object | None:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


@dataclass(frozen=True, slots=True)
class Framed:
    """The bytes of one frame; and the object in it, if it holds one, with what that was written anew at first."""

    raw: bytes
    chunk: Object | None = None
    before: bytes = b""

    @classmethod
    def of(cls, dialect: Dialect, raw: bytes) -> Self:
        frames = dialect.framing().feed(raw + b"\n")  # a CR at the very end would wait for an LF
        chunk = _object(frames[0].data.encode()) if frames else None
        return cls(raw) if chunk is None else cls(raw, chunk, orjson.dumps(chunk))

    def written(self, dialect: Dialect) -> bytes:
        now = self.before if self.chunk is None else orjson.dumps(self.chunk)
        return self.raw if now == self.before else dialect.framing().with_data(self.raw, now)
