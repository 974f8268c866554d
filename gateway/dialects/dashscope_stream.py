"""DashScope's stream: events to a body. Pure.

Each event is a whole reply as far as it goes. Its text is all that was said so far, or only what is new; nothing in
the stream says which. There is no end mark: the last event is the one with a finish reason other than `"null"`.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import orjson

from gateway.dialects.framing import Frame
from gateway.question import Object, Reply, Unstored

RUNNING = (None, "null")


def read(data: bytes | str, event: str | None = None) -> Object | Unstored:
    """A reply, or one event of it. An error may come with any status, as a code and a message."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return Unstored.MALFORMED
    if not isinstance(value, dict):
        return Unstored.MALFORMED
    if event == "error" or value.get("code") or value.get("error"):
        return Unstored.ERROR_IN_REPLY
    return value if isinstance(value.get("output"), dict) and _is_readable(value["output"]) else Unstored.MALFORMED


def choices_of(body: Object) -> list[Object]:
    """The answers in a reply: its choices or, with `result_format: text`, the output itself."""
    output: Object = body["output"]
    listed: list[Object] | None = output.get("choices")
    if listed is not None:
        return listed
    return [output] if isinstance(output.get("text"), str) else []


def message_of(choice: Object) -> Object:
    """Where a choice has its text: in its message or, with `result_format: text`, in itself."""
    message = choice.get("message")
    return message if isinstance(message, dict) else choice


def said(choice: Object) -> str:
    """What the model says; what it thought counts only where it says nothing else."""
    message = message_of(choice)
    return _text(message) or _thought(message)


def assemble(frames: Sequence[Frame], choices: int) -> Reply | Unstored:
    chunks: list[Object] = []
    pieces: dict[int, list[Object]] = {}
    for frame in frames:
        chunk = read(frame.data, frame.event)
        if isinstance(chunk, Unstored):
            return chunk
        if _finished(pieces) >= choices:
            return Unstored.MALFORMED
        for choice in choices_of(chunk):
            pieces.setdefault(choice.get("index", 0), []).append(choice)
        chunks.append(chunk)
    if not (_finished(pieces) == len(pieces) == choices):
        return Unstored.CUT_SHORT
    body = chunks[0] if len(chunks) == 1 else _joined(chunks[-1], pieces)
    return body if isinstance(body, Unstored) else Reply(body, tuple(chunks))


def repeats(answers: Iterable[Sequence[Object]]) -> bool:
    """Whether the pieces of these answers, the choices of each in order, hold all that was said so far."""
    messages = [[message_of(choice) for choice in each] for each in answers]
    return all(grows(map(_text, each)) and grows(map(_thought, each)) for each in messages)


def _is_readable(output: Object) -> bool:
    listed = output.get("choices")
    if listed is None:
        return True
    readable = isinstance(listed, list) and all(
        isinstance(choice, dict) and isinstance(choice.get("message"), dict) and isinstance(choice.get("index", 0), int)
        for choice in listed
    )
    return readable and len({choice.get("index", 0) for choice in listed}) == len(listed)


def _finished(pieces: dict[int, list[Object]]) -> int:
    return sum(each[-1].get("finish_reason") not in RUNNING for each in pieces.values())


def _joined(last: Object, pieces: dict[int, list[Object]]) -> Object | Unstored:
    """The last event, with all that the earlier ones said."""
    messages = [message_of(choice) for each in pieces.values() for choice in each]
    if not all(_is_plain(message.get("content")) for message in messages):
        return Unstored.MALFORMED  # parts that only their inventor knows how to join
    repeating = repeats(pieces.values())
    whole = [_choice(pieces[index], repeating) for index in sorted(pieces)]
    output: Object = last["output"]
    listed = output.get("choices") is not None
    return last | {"output": output | ({"choices": whole} if listed else whole[0])}


def _choice(pieces: Sequence[Object], repeating: bool) -> Object:
    last, messages = pieces[-1], [message_of(piece) for piece in pieces]
    message: Object = {}
    for each in messages:
        message |= {key: item for key, item in each.items() if item is not None or key not in message}
    one_piece = isinstance(message.get("content"), str)
    text = _text(messages[-1]) if repeating else "".join(map(_text, messages))
    thought = _thought(messages[-1]) if repeating else "".join(map(_thought, messages))
    if "text" in message:
        message["text"] = text
    if "content" in message:
        message["content"] = text if one_piece else [{"text": text}] if text else []
    if isinstance(message.get("reasoning_content"), str):
        message["reasoning_content"] = thought
    return last | {"message": message} if "message" in last else message


def _is_plain(content: object) -> bool:
    if isinstance(content, list):
        return all(isinstance(part, dict) and part.keys() == {"text"} for part in content)
    return content is None or isinstance(content, str)


def grows(texts: Iterable[str]) -> bool:
    return all(longer.startswith(shorter) for shorter, longer in pairwise(texts))


def _text(message: Object) -> str:
    content = message.get("content", message.get("text"))
    if isinstance(content, list):
        return "".join(_text(part) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _thought(message: Object) -> str:
    thought = message.get("reasoning_content")
    return thought if isinstance(thought, str) else ""
