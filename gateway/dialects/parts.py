"""Messages and their parts as the OpenAI family writes them. Pure.

Takes the pictures out of a list of messages and leaves their place: what remains is the question.
Unknown keys of a message or a part stay where they are, so they are part of the key.
"""

from collections.abc import Callable

from gateway.dialects.fields import without_nulls
from gateway.question import Bypass, NotCacheable, Object, PictureRef

# Hints for a server's prefix cache: they change its speed, not its answer.
_HINTS = frozenset(("cache_control", "prompt_cache_breakpoint"))
_TEXT_PARTS = ("text", "refusal")
# Where a picture stands in a part of each type: OpenAI's, the one of Responses (vLLM), LMDeploy's two.
_PICTURE_PARTS = {"image_url": "image_url", "input_image": "image_url", "image": "image", "image_data": "image_data"}
_ANSWERING = ("assistant", "tool", "function")

ReadPart = Callable[[object, list[PictureRef]], object]


def take_pictures(messages: object) -> tuple[list[Object], tuple[PictureRef, ...]]:
    """(messages with `{"picture": n}` in place of each picture's URL, the pictures in order)."""
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise NotCacheable(Bypass.UNKNOWN_SHAPE)
    pictures: list[PictureRef] = []
    return [_message(message, pictures) for message in messages], tuple(pictures)


def prompt_of(messages: list[Object]) -> str:
    """The text that asks: of every message but the model's own and its tools', whatever its role is called."""
    asking = [message for message in messages if message.get("role") not in _ANSWERING]
    return "\n".join(text for message in asking for text in _texts(message.get("content")))


def picture_of(part: Object, key: str, pictures: list[PictureRef]) -> Object:
    """The part with its place in the order in place of the picture, which stands under `key`: as an object with a
    `url` (LMDeploy: or `data`), or, to Responses, Ollama and LMDeploy, as the bare string."""
    # A client-chosen id (`uuid`) stays in the key: a server may know the picture by it alone, whatever bytes are there.
    kept = dict(part)
    value = kept.get(key)
    fields = {"url": value} if isinstance(value, str | memoryview) else value
    if not isinstance(fields, dict):
        raise NotCacheable(Bypass.STATEFUL if value is None else Bypass.UNKNOWN_SHAPE)
    place: Object = {"picture": len(pictures)}
    pictures.append(_reference(fields))
    rest = {name: item for name, item in without_nulls(fields).items() if name not in ("url", "data")}
    return kept | {key: {**rest, "url": place}}


def inline(data: str) -> PictureRef:
    """A picture that is in the request as base64 alone."""
    return PictureRef(f"data:;base64,{data}")


def _reference(fields: Object) -> PictureRef:
    url, data = fields.get("url"), fields.get("data")
    if isinstance(url, str | memoryview) and data is None:
        return PictureRef(url)
    if isinstance(data, str) and url is None:
        return PictureRef(data) if data.startswith("data:") else inline(data)
    raise NotCacheable(Bypass.UNKNOWN_SHAPE)


def fields_of(part: object) -> Object:
    """Of a part of a message, those that count for the answer."""
    if not isinstance(part, dict):
        raise NotCacheable(Bypass.UNKNOWN_PART)
    return {key: item for key, item in without_nulls(part).items() if key not in _HINTS}


def each_part(content: object, pictures: list[PictureRef], read: ReadPart) -> object:
    """A message's content, if it must be there: text as it is, or every part as `read` leaves it."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise NotCacheable(Bypass.UNKNOWN_SHAPE)
    return [read(part, pictures) for part in content]


def _texts(content: object) -> list[str]:
    found = content if isinstance(content, list) else [content]
    texts = [part.get("text") if isinstance(part, dict) else part for part in found]
    return [text for text in texts if isinstance(text, str)]


def _message(message: Object, pictures: list[PictureRef]) -> Object:
    kept = without_nulls(message)
    content = kept.get("content")
    if isinstance(content, list):
        kept["content"] = [_part(part, pictures) for part in content]
    elif content is not None and not isinstance(content, str):
        raise NotCacheable(Bypass.UNKNOWN_SHAPE)
    return kept


def _part(part: object, pictures: list[PictureRef]) -> object:
    if isinstance(part, str):  # vLLM takes it for text
        return part
    kept = fields_of(part)
    kind = kept.get("type", _kind_by_key(kept))
    if kind in _TEXT_PARTS:
        return kept
    if not isinstance(kind, str) or kind not in _PICTURE_PARTS:
        raise NotCacheable(Bypass.UNKNOWN_PART)
    if "file_id" in kept:
        raise NotCacheable(Bypass.PICTURE_BY_REFERENCE)
    return picture_of(kept, _PICTURE_PARTS[kind], pictures)


def _kind_by_key(part: Object) -> str | None:
    """vLLM tells a part without a type by what is in it."""
    found = [key for key in ("image_url", "text") if key in part]
    return found[0] if len(found) == 1 else None
