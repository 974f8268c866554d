"""Where responses have their text. Pure.

Each part comes in pieces, and then again as a whole in every event that closes something: what is changed in the
pieces is changed there too.
"""

from collections.abc import Iterator, Mapping, Sequence

from gateway.dialects.responses_stream import HEARTBEATS
from gateway.dialects.texts import Change, Found, Part, Piece, PlainTexts, index_of, objects
from gateway.question import Object

_PLAIN_ITEMS = ("message", "reasoning")
_DELTA, _TEXT_DONE = "response.output_text.delta", "response.output_text.done"
_CLOSING = (_TEXT_DONE, "response.content_part.done", "response.output_item.done")
_ENDING = ("response.completed", "response.incomplete")
_OF_A_DELTA = ("item_id", "output_index", "content_index")


class ResponseTexts(PlainTexts):
    heartbeats: tuple[str, ...] = HEARTBEATS

    def whole(self, body: Object) -> Found:
        found = Found()
        for index, item in enumerate(objects(body.get("output"))):
            for number, part in _parts(item):
                found.pieces.append(Piece(0, part, "text", (index, number)))
            if _is_sealed(item):
                found.sealed.add(0)
        return found

    def of(self, chunk: Object) -> Found:
        found = Found()
        match chunk:
            case {"type": "response.output_text.delta", "delta": str()}:
                found.pieces.append(Piece(0, chunk, "delta", _where(chunk)))
            case {"type": "response.output_text.annotation.added"}:
                found.sealed.add(0)
            case {"item": dict(item)} if _is_sealed(item):
                found.sealed.add(0)
        return found

    def closes(self, chunk: Object) -> bool:
        return chunk.get("type") in _CLOSING

    def ends(self, chunk: Object) -> list[int]:
        return [0] if chunk.get("type") in _ENDING else []

    def longer(self, tail: Sequence[Object], last: Piece, text: str) -> list[Object]:
        """One more piece, and every later number one higher."""
        closing = [n for n, chunk in enumerate(tail) if self.closes(chunk) and _where(chunk)[0] == last.part[0]]
        if not closing:
            raise ValueError("the last part was closed before the end")
        place = closing[0]
        number = index_of(tail[place], "sequence_number")
        where = {name: last.holder[name] for name in _OF_A_DELTA if name in last.holder}
        piece = {"type": _DELTA, "sequence_number": number, **where, "delta": text, "logprobs": []}
        later = tail[place:]
        for chunk in later:
            if isinstance(chunk.get("sequence_number"), int):
                chunk["sequence_number"] += 1
        return [*tail[:place], piece, *later]

    def settle(self, chunk: Object, changes: Mapping[Part, Change]) -> None:
        match chunk:
            case {"type": "response.output_text.done"}:
                _put(chunk, changes.get(_where(chunk)))
            case {"type": "response.content_part.done", "part": {"type": "output_text"} as part}:
                _put(part, changes.get(_where(chunk)))
            case {"type": "response.output_item.done", "item": dict(item)}:
                _settle_item(item, _where(chunk)[0], changes)
            case {"type": "response.completed" | "response.incomplete", "response": dict(response)}:
                for index, item in enumerate(objects(response.get("output"))):
                    _settle_item(item, index, changes)

    def name_of(self, chunk: Object) -> str | None:
        return str(chunk["type"])


def _settle_item(item: Object, index: int, changes: Mapping[Part, Change]) -> None:
    for number, part in _parts(item):
        _put(part, changes.get((index, number)))


def _put(holder: Object, change: Change | None) -> None:
    """Only where the very text stands that was changed."""
    if change is not None and holder.get("text") == change.before:
        holder["text"] = change.after


def _where(chunk: Object) -> Part:
    return index_of(chunk, "output_index"), index_of(chunk, "content_index")


def _parts(item: Object) -> Iterator[tuple[int, Object]]:
    if item.get("type") == "message":
        for number, part in enumerate(objects(item.get("content"))):
            if part.get("type") == "output_text" and isinstance(part.get("text"), str):
                yield number, part


def _is_sealed(item: Object) -> bool:
    return item.get("type") not in _PLAIN_ITEMS or any(part.get("annotations") for _, part in _parts(item))
