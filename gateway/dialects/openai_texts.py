"""Where chat completions have their text. Pure."""

from collections.abc import Iterator, Sequence

from gateway.dialects.texts import Found, Piece, PlainTexts, index_of, objects
from gateway.question import Object

_LEFT_OUT = ("choices", "usage", "obfuscation")
# Tools that the model calls, and references that count the characters of its text.
_SEALING = ("tool_calls", "function_call", "annotations")


class ChatTexts(PlainTexts):
    def whole(self, body: Object) -> Found:
        found = Found()
        for number, choice in enumerate(objects(body.get("choices"))):
            _add(found, number, choice.get("message"))
        return found

    def of(self, chunk: Object) -> Found:
        found = Found()
        for index, choice in _choices(chunk):
            _add(found, index, choice.get("delta"))
        return found

    def ends(self, chunk: Object) -> list[int]:
        return [index for index, choice in _choices(chunk) if choice.get("finish_reason") is not None]

    def longer(self, tail: Sequence[Object], last: Piece, text: str) -> list[Object]:
        *before, end = tail
        for said in self.of(end).pieces:  # some servers end with the last of the text
            if said.answer == last.answer and said.text:
                said.put(said.text + text)
                return [*before, end]
        choice = next(choice for index, choice in _choices(end) if index == last.answer)
        piece: Object = {"index": last.answer, "delta": {"content": text}, "finish_reason": None}
        if "logprobs" in choice:
            piece["logprobs"] = None
        kept = {name: item for name, item in end.items() if name not in _LEFT_OUT}
        return [*before, kept | {"choices": [piece]}, end]


def _choices(chunk: Object) -> Iterator[tuple[int, Object]]:
    for choice in objects(chunk.get("choices")):
        yield index_of(choice, "index"), choice


def _add(found: Found, answer: int, message: object) -> None:
    if not isinstance(message, dict):
        return
    if isinstance(message.get("content"), str | list):
        found.pieces.append(Piece(answer, message, "content"))
    if any(message.get(name) for name in _SEALING):
        found.sealed.add(answer)
