"""Messages and their parts as the OpenAI family writes them. Pure.

Takes the pictures out of a list of messages and leaves their place: what remains is the question.
Unknown keys of a message or a part stay where they are, so they are part of the key.
"""

from gateway.dialects.fields import without_nulls
from gateway.question import Bypass, NotCacheable, Object, PictureRef

# Hints for a server's prefix cache: they change its speed, not its answer.
_HINTS = frozenset(("cache_control", "prompt_cache_breakpoint"))
_ANSWERING = ("assistant", "tool", "function")


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


def _texts(content: object) -> list[str]:
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, list) else []
    return [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]


def _message(message: Object, pictures: list[PictureRef]) -> Object:
    kept = without_nulls(message)
    content = kept.get("content")
    if isinstance(content, list):
        kept["content"] = [_part(part, pictures) for part in content]
    elif content is not None and not isinstance(content, str):
        raise NotCacheable(Bypass.UNKNOWN_SHAPE)
    return kept


def _part(part: object, pictures: list[PictureRef]) -> Object:
    if not isinstance(part, dict):
        raise NotCacheable(Bypass.UNKNOWN_PART)
    kept = {key: item for key, item in without_nulls(part).items() if key not in _HINTS}
    match kept.get("type"):
        case "text" | "refusal":
            return kept
        case "image_url":
            return _picture(kept, pictures)
        case _:
            raise NotCacheable(Bypass.UNKNOWN_PART)


def _picture(part: Object, pictures: list[PictureRef]) -> Object:
    """`image_url` is an object with a `url`, or, to Ollama and LMDeploy, the bare string."""
    # A client-chosen cache id. With the bytes beside it, the bytes decide; alone it names something the
    # server saw earlier, and we did not.
    part.pop("uuid", None)
    value = part.get("image_url")
    fields = {"url": value} if isinstance(value, str | memoryview) else value
    if not isinstance(fields, dict) or not isinstance(fields.get("url"), str | memoryview):
        raise NotCacheable(Bypass.STATEFUL if value is None else Bypass.UNKNOWN_SHAPE)
    place: Object = {"picture": len(pictures)}
    pictures.append(PictureRef(fields["url"]))
    rest = {key: item for key, item in without_nulls(fields).items() if key not in ("url", "content_hash")}
    return part | {"image_url": {**rest, "url": place}}
