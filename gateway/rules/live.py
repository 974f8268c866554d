"""What the rules make of a stream as it comes: a text before its answers, and texts after them. Sans-IO.

Frames pass at once. Only those that close something wait for the next one, which tells whether the answer ends with
them. Any chunking of the same bytes comes to the same.
"""

from dataclasses import dataclass, field

import orjson

from gateway.dialects.base import Dialect
from gateway.dialects.framing import Frame, Frames
from gateway.dialects.texts import UNCHANGED, Change, Part, Piece
from gateway.question import Object
from gateway.rules.book import Facing, LeftAlone
from gateway.rules.edit import Framed, Report, Ruled


@dataclass(slots=True)
class _Answer:
    """One answer as far as it has come."""

    pieces: list[str] = field(default_factory=list)
    before: str = ""  # what was put before it
    last: Piece | None = None
    sealed: bool = False


class Live:
    """An editor of one stream. `report` has an answer once it was seen to its end."""

    def __init__(self, dialect: Dialect, facing: Facing, bytes_max: int, report: Report) -> None:
        self._dialect = dialect
        self._texts = dialect.texts
        self._facing = facing
        self._report = report
        self._left = bytes_max
        self._frames = Frames(dialect.framing())
        self._waiting: list[Framed] = []
        self._answers: dict[int, _Answer] = {}
        self._changes: dict[Part, Change] = {}

    @classmethod
    def serves(cls, dialect: Dialect, facing: Facing) -> bool:
        """Whether these rules can be kept to without knowing the whole answer first."""
        return not facing.needs_whole and (dialect.texts.begins_at_once or not facing.anyway.before)

    def feed(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0 and self._report.left_alone is None:
            self._report.left_alone = LeftAlone.TOO_LARGE
        return b"".join(map(self._frame, self._frames.feed(data)))

    def rest(self) -> bytes:
        return self._as_it_came() + self._frames.rest()

    def _frame(self, raw: bytes) -> bytes:
        if self._report.left_alone is not None:
            return self._as_it_came() + raw
        try:
            return self._edited(Framed.of(self._dialect, raw))
        except Exception:
            self._report.failed()
            return self._as_it_came() + raw

    def _edited(self, framed: Framed) -> bytes:
        chunk = framed.chunk
        if self._waits(chunk):
            self._waiting.append(framed)
            return b""
        if chunk is None:
            return framed.raw
        self._begin(chunk)
        if ended := self._texts.ends(chunk):
            return self._end(ended, framed)
        return self._released() + framed.written(self._dialect)

    def _waits(self, chunk: Object | None) -> bool:
        if chunk is not None and self._texts.closes(chunk):
            return True
        return bool(self._waiting) and (chunk is None or chunk.get("type") in self._texts.heartbeats)

    def _begin(self, chunk: Object) -> None:
        """Note the pieces in a chunk; the first that says something gets what comes before it."""
        found = self._texts.of(chunk)
        for number in found.sealed:
            self._answer(number).sealed = True
        for piece in found.pieces:
            answer, said = self._answer(piece.answer), piece.text
            if said and not any(answer.pieces) and not answer.sealed and self._facing.anyway.before:
                answer.before = self._facing.anyway.before
                piece.put(answer.before + said)
            answer.pieces.append(said)
            answer.last = piece
            self._changed(piece.part, said, piece.text)

    def _end(self, ended: list[int], framed: Framed) -> bytes:
        waiting = [*self._waiting, framed]
        tail = [one.chunk for one in waiting if one.chunk is not None]
        for number in ended:
            tail = self._end_of(number, tail)
        for chunk in tail:
            self._texts.settle(chunk, self._changes)
        known = {id(one.chunk): one for one in waiting}
        written = [one.raw for one in waiting if one.chunk is None]  # comments
        for chunk in tail:
            old = known.get(id(chunk))
            written.append(old.written(self._dialect) if old else self._new(chunk))
        self._waiting.clear()
        return b"".join(written)

    def _end_of(self, number: int, tail: list[Object]) -> list[Object]:
        """The last chunks of an answer, with what comes after it."""
        answer = self._answer(number)
        text = self._texts.joined(answer.pieces)
        judged = self._facing.judge(text)
        after = judged.after if text and not answer.sealed else ""
        if after and answer.last is not None:
            tail = self._texts.longer(tail, answer.last, after)
            self._changed(answer.last.part, "", after)
        self._report.answers.append(Ruled(number, text, judged, answer.before + text + after))
        self._report.answers.sort(key=lambda one: one.number)
        return tail

    def _changed(self, part: Part, before: str, after: str) -> None:
        self._changes[part] = self._changes.get(part, UNCHANGED).then(before, after)

    def _answer(self, number: int) -> _Answer:
        return self._answers.setdefault(number, _Answer())

    def _released(self) -> bytes:
        """What waited and was no end. What it repeats of a text that was changed is changed, too."""
        for one in self._waiting:
            if one.chunk is not None:
                self._texts.settle(one.chunk, self._changes)
        written = b"".join(one.written(self._dialect) for one in self._waiting)
        self._waiting.clear()
        return written

    def _as_it_came(self) -> bytes:
        raw = b"".join(one.raw for one in self._waiting)
        self._waiting.clear()
        return raw

    def _new(self, chunk: Object) -> bytes:
        return self._dialect.encode(Frame(orjson.dumps(chunk).decode(), self._texts.name_of(chunk)))
