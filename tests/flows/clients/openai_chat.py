"""Conversations as OpenAI's chat completions write them, for every client that takes them so."""

from typing import Any

from tests.contracts.client_contract import Turn, Turns


def messages(turns: Turns) -> list[dict[str, Any]]:
    return [{"role": turn.role, "content": _content(turn)} for turn in turns]


def _content(turn: Turn) -> Any:
    if turn.role == "assistant":
        return turn.text
    pictures = [{"type": "image_url", "image_url": {"url": picture.url}} for picture in turn.pictures]
    return [*pictures, {"type": "text", "text": turn.text}]


def text(chunks: list[Any]) -> str:
    """What a stream's chunks say, as their user puts it together."""
    deltas = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    return "".join(delta or "" for delta in deltas)
