"""A question as the body that is posted. Pure, but for `data_url`, which reads one picture file.

What is stored is found again only by the same body: parts in another order, or a parameter more, are another question.
The shape made here is a picture, then the text, in one message of the user; a template says any other.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pybase64

from gateway.bulk.items import Posted, Recipe
from gateway.question import Object
from gateway.warm.rows import CHAT

_WORDS = re.compile(r"\{(?:prompt|system|model)\}")
_PICTURES = ("{picture}", "{picture_base64}", "{picture_type}")
# These answer as a stream unless told otherwise, and what is asked here is wanted in one piece.
_STREAM_BY_DEFAULT = ("/api/chat", "/api/generate")
_MAGIC = (
    (0, b"\x89PNG", "png"),
    (0, b"\xff\xd8\xff", "jpeg"),
    (0, b"GIF8", "gif"),
    (8, b"WEBP", "webp"),
    (0, b"BM", "bmp"),
    (0, b"II*\0", "tiff"),
    (0, b"MM\0*", "tiff"),
    (4, b"ftypavif", "avif"),
    (4, b"ftyphei", "heic"),
)


@dataclass(frozen=True, slots=True)
class Shape:
    """How recipes become bodies, and the model of whatever names none."""

    model: str | None = None
    path: str = CHAT
    template: Object | None = None

    def digest(self) -> bytes:
        """Of everything in it: another shape asks another question."""
        return hashlib.blake2b(repr((self.model, self.path, self.template)).encode(), digest_size=32).digest()


def wrong(asks: Recipe | Posted, shape: Shape) -> str | None:
    """Why no body can be made of this, after "line n"."""
    if isinstance(asks, Posted):
        return None
    if shape.template is not None:
        needed = orjson.dumps(shape.template).decode()
        if len(asks.pictures) != 1:
            return f"has {len(asks.pictures)} pictures; a template has a place for one"
        if "{system}" in needed and asks.system is None:
            return "has no system text, which the template has a place for"
        return None
    if not (asks.model or shape.model):
        return "names no model, and none is given: --model NAME"
    return None


def template_wrong(template: object) -> str | None:
    if not isinstance(template, dict):
        return "is not a JSON object"
    text = orjson.dumps(template).decode()
    if not any(place in text for place in _PICTURES[:2]) or "{prompt}" not in text:
        return 'has no place for the picture or for the prompt: write "{picture}" and "{prompt}" where they go'
    return None


def compose(asks: Recipe | Posted, pictures: Sequence[str], shape: Shape) -> tuple[str, bytes]:
    """The path, and the body in UTF-8. `pictures` are a recipe's, as URLs."""
    if isinstance(asks, Posted):
        return asks.path, orjson.dumps(_in_one_piece(asks, shape))
    model = asks.model or shape.model
    if shape.template is not None:
        words = {"{prompt}": asks.prompt, "{system}": asks.system or "", "{model}": model or ""}
        filled = _filled(shape.template, words, _places(pictures[0]))
        body = {**filled, **({"model": model} if model else {}), **asks.parameters}
        return shape.path, orjson.dumps(body)
    parts: list[Object] = [{"type": "image_url", "image_url": {"url": url}} for url in pictures]
    parts.append({"type": "text", "text": asks.prompt})
    system: list[Object] = [{"role": "system", "content": asks.system}] if asks.system is not None else []
    messages = [*system, {"role": "user", "content": parts}]
    return shape.path, orjson.dumps({"model": model, "messages": messages, **asks.parameters})


def data_url(path: str) -> str:
    """The picture file as a data URL. Raises OSError. Blocking."""
    data = Path(path).read_bytes()
    kind = next((kind for at, magic, kind in _MAGIC if data[at : at + len(magic)] == magic), "*")
    return f"data:image/{kind};base64,{pybase64.b64encode(data).decode()}"


def _in_one_piece(asks: Posted, shape: Shape) -> Object:
    body = dict(asks.body)
    if shape.model and "model" not in body:
        body["model"] = shape.model
    if body.get("stream") or asks.path.endswith(_STREAM_BY_DEFAULT):
        body["stream"] = False
        body.pop("stream_options", None)
    return body


def _places(url: str) -> dict[str, str]:
    head, _, encoded = url.partition(";base64,")
    return {"{picture}": url, "{picture_base64}": encoded, "{picture_type}": head.removeprefix("data:")}


def _filled(value: Any, words: dict[str, str], places: dict[str, str]) -> Any:
    match value:
        case dict():
            return {name: _filled(item, words, places) for name, item in value.items()}
        case list():
            return [_filled(item, words, places) for item in value]
        case str() if value in places:
            return places[value]
        case str():  # in one pass: what was filled in is text, and no template
            return _WORDS.sub(lambda place: words[place[0]], value)
        case _:
            return value
