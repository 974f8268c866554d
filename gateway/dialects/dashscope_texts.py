"""Where DashScope's replies have their text. Pure.

An event may hold all that was said so far, and only the whole stream tells: nothing is put before an answer while it
is under way. What comes after it goes into the event that ends it, which is right for both kinds.
"""

from collections.abc import Iterator, Sequence

from gateway.dialects import dashscope_stream
from gateway.dialects.dashscope_stream import RUNNING, choices_of, message_of
from gateway.dialects.texts import Found, Piece, PlainTexts, index_of, objects
from gateway.question import Object


class DashScopeTexts(PlainTexts):
    begins_at_once: bool = False

    def whole(self, body: Object) -> Found:
        found = Found()
        for index, choice in _choices(body):
            message = message_of(choice)
            name = "content" if "content" in message else "text"
            if isinstance(message.get(name), str | list):
                found.pieces.append(Piece(index, message, name))
            if message.get("tool_calls"):
                found.sealed.add(index)
        return found

    def of(self, chunk: Object) -> Found:
        return self.whole(chunk)

    def ends(self, chunk: Object) -> list[int]:
        return [i for i, choice in _choices(chunk) if choice.get("finish_reason") not in RUNNING]

    def longer(self, tail: Sequence[Object], last: Piece, text: str) -> list[Object]:
        for piece in self.of(tail[-1]).pieces:
            if piece.answer == last.answer:
                piece.put(piece.text + text)
                return list(tail)
        raise ValueError("the event that ends the answer has no text")

    def repeats(self, chunks: Sequence[Object]) -> bool:
        answers: dict[int, list[Object]] = {}
        for index, choice in (found for chunk in chunks for found in _choices(chunk)):
            answers.setdefault(index, []).append(choice)
        return dashscope_stream.repeats(answers.values())

    def joined(self, pieces: Sequence[str]) -> str:
        return pieces[-1] if pieces and dashscope_stream.grows(pieces) else "".join(pieces)

    def name_of(self, chunk: Object) -> str | None:
        return "result"


def _choices(body: Object) -> Iterator[tuple[int, Object]]:
    output = body.get("output")
    if not isinstance(output, dict) or not isinstance(output.get("choices", []), list | None):
        return
    for choice in objects(choices_of(body)):
        yield index_of(choice, "index"), choice
