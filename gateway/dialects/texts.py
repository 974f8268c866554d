"""Where answers have their text, in a body and in the chunks of a stream, so that it can be changed. Pure.

Only what the model says counts: what it thought, and the tools that it calls, are never touched. Whatever odd shape
a reply has, reading it raises nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.question import Object

Part = tuple[int, int]  # where in a reply: numbers of the format's own


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of the text of one answer: a member of an object, which is a text or a list of parts with texts."""

    answer: int  # of several to one question (`n`)
    holder: Object
    name: str
    part: Part = (0, 0)

    @property
    def text(self) -> str:
        value = self.holder[self.name]
        if isinstance(value, list):
            return "".join(part["text"] for part in value if _is_text(part))
        return value if isinstance(value, str) else ""

    def put(self, text: str) -> None:
        value = self.holder[self.name]
        if not isinstance(value, list):
            self.holder[self.name] = text
        elif texts := [part for part in value if _is_text(part)]:
            for part, piece in zip(texts, recut([part["text"] for part in texts], text), strict=True):
                part["text"] = piece
        elif text:
            value.append({"text": text})


@dataclass(slots=True)
class Found:
    """The pieces in a body or a chunk. A `sealed` answer is read and never edited: it calls a tool, or something in
    it points into its text."""

    pieces: list[Piece] = field(default_factory=list)
    sealed: set[int] = field(default_factory=set)

    def add(self, other: "Found") -> None:
        self.pieces += other.pieces
        self.sealed |= other.sealed


@dataclass(frozen=True, slots=True)
class Change:
    """Of one part: what was said, and what the client gets."""

    before: str
    after: str

    def then(self, before: str, after: str) -> "Change":
        """With one more piece of the part."""
        return Change(self.before + before, self.after + after)


UNCHANGED = Change("", "")


class Texts(Protocol):
    """Of one dialect. Chunks are the objects that a stream's frames hold."""

    begins_at_once: bool  # whether a text can be put before an answer of which only the beginning is known
    heartbeats: tuple[str, ...]  # types of chunks that are no part of an answer, and may stand anywhere

    def whole(self, body: Object) -> Found: ...

    def of(self, chunk: Object) -> Found: ...

    def ends(self, chunk: Object) -> list[int]:
        """The answers whose text is over with this chunk."""
        ...

    def closes(self, chunk: Object) -> bool:
        """Whether this chunk may belong to an end: it is held back until the next one tells."""
        ...

    def longer(self, tail: Sequence[Object], last: Piece, text: str) -> list[Object]:
        """The end of an answer (chunks that close it, then the one that ends it) with `text` after its `last` piece.
        Raises ValueError where there is no place for it."""
        ...

    def settle(self, chunk: Object, changes: Mapping[Part, Change]) -> None:
        """Make what the chunk repeats of the parts agree with what the client got."""
        ...

    def repeats(self, chunks: Sequence[Object]) -> bool:
        """Whether each piece of these, a whole stream, holds all that was said before it."""
        ...

    def joined(self, pieces: Sequence[str]) -> str:
        """The text of one answer that came in these pieces, as far as they alone can tell."""
        ...

    def name_of(self, chunk: Object) -> str | None:
        """The name of the event that holds such a chunk."""
        ...


class PlainTexts:
    """What holds for most formats."""

    begins_at_once: bool = True
    heartbeats: tuple[str, ...] = ()

    def joined(self, pieces: Sequence[str]) -> str:
        return "".join(pieces)

    def closes(self, chunk: Object) -> bool:
        return False

    def settle(self, chunk: Object, changes: Mapping[Part, Change]) -> None:
        pass

    def repeats(self, chunks: Sequence[Object]) -> bool:
        return False

    def name_of(self, chunk: Object) -> str | None:
        return None


def recut(pieces: Sequence[str], text: str) -> list[str]:
    """`text` in as many pieces: cut where `pieces` are as far as both are alike; what is new stands in one of them."""
    old = "".join(pieces)
    head = _alike(old, text)
    tail = min(_alike(old[::-1], text[::-1]), min(len(old), len(text)) - head)
    cuts = [0]
    at = 0
    for piece in pieces[:-1]:
        at += len(piece)
        if at >= len(old) - tail:
            cuts.append(at + len(text) - len(old))
        else:
            cuts.append(at if at <= head else len(text) - tail)
    return [text[begin:end] for begin, end in zip(cuts, [*cuts[1:], len(text)], strict=True)] if pieces else []


def objects(value: Any) -> list[Object]:
    """The objects of a list; none where it is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def index_of(value: Object, name: str, otherwise: int = 0) -> int:
    index = value.get(name)
    return index if isinstance(index, int) else otherwise


def _alike(one: str, other: str) -> int:
    """How many characters both begin with."""
    shorter = min(len(one), len(other))
    return next((n for n in range(shorter) if one[n] != other[n]), shorter)


def _is_text(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("text"), str)
