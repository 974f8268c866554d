"""Where messages have their text. Pure."""

from collections.abc import Sequence
from typing import Any

from gateway.dialects.texts import Found, Piece, PlainTexts, index_of, objects
from gateway.question import Object

# Blocks beside which a text can be changed. Any other calls a tool or comes from one.
_PLAIN_BLOCKS = ("text", "thinking", "redacted_thinking")


class MessageTexts(PlainTexts):
    heartbeats: tuple[str, ...] = ("ping",)

    def whole(self, body: Object) -> Found:
        found = Found()
        for index, block in enumerate(objects(body.get("content"))):
            _add(found, index, block)
        return found

    def of(self, chunk: Object) -> Found:
        found, index = Found(), index_of(chunk, "index")
        match chunk:
            case {"type": "content_block_start", "content_block": dict(block)}:
                _add(found, index, block)
            case {"type": "content_block_delta", "delta": {"type": "text_delta", "text": str()} as delta}:
                found.pieces.append(Piece(0, delta, "text", (index, 0)))
            case {"type": "content_block_delta", "delta": {"type": "citations_delta"}}:
                found.sealed.add(0)
        return found

    def closes(self, chunk: Object) -> bool:
        return chunk.get("type") == "content_block_stop"

    def ends(self, chunk: Object) -> list[int]:
        delta: Any = chunk.get("delta")
        ending = chunk.get("type") == "message_delta" and isinstance(delta, dict) and delta.get("stop_reason")
        return [0] if ending else []

    def longer(self, tail: Sequence[Object], last: Piece, text: str) -> list[Object]:
        """Into the last block of text, not after it: clients read the first."""
        index = last.part[0]
        for place, chunk in enumerate(tail):
            if self.closes(chunk) and chunk.get("index") == index:
                piece = {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}}
                return [*tail[:place], piece, *tail[place:]]
        raise ValueError("the last block is none of text")

    def name_of(self, chunk: Object) -> str | None:
        return str(chunk["type"])


def _add(found: Found, index: int, block: Object) -> None:
    if block.get("type") == "text" and isinstance(block.get("text"), str):
        found.pieces.append(Piece(0, block, "text", (index, 0)))
    if block.get("type") not in _PLAIN_BLOCKS or block.get("citations"):
        found.sealed.add(0)
