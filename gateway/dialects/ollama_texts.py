"""Where Ollama's replies have their text. Pure."""

from collections.abc import Sequence

from gateway.dialects.ollama_stream import saying
from gateway.dialects.texts import Found, Piece, PlainTexts
from gateway.question import Object

_OF_EVERY_LINE = ("model", "created_at")


class OllamaTexts(PlainTexts):
    def whole(self, body: Object) -> Found:
        said = saying(body)
        if said is None:
            return Found()
        name = "response" if said is body else "content"
        found = Found([Piece(0, said, name)] if isinstance(said.get(name), str) else [])
        if said.get("tool_calls"):
            found.sealed.add(0)
        return found

    def of(self, chunk: Object) -> Found:
        return self.whole(chunk)

    def ends(self, chunk: Object) -> list[int]:
        return [0] if chunk.get("done") is True else []

    def longer(self, tail: Sequence[Object], last: Piece, text: str) -> list[Object]:
        *before, end = tail
        for piece in self.of(end).pieces:
            if piece.text:
                piece.put(piece.text + text)
                return [*before, end]
        said = {"role": last.holder["role"]} if "role" in last.holder else {}
        saying = {last.name: text} if last.name == "response" else {"message": said | {last.name: text}}
        base = {name: end[name] for name in _OF_EVERY_LINE if name in end}
        return [*before, base | saying | {"done": False}, end]
