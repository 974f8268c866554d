"""Ollama's stream: lines to a body and back. Pure.

Each line carries the next piece of the text; the last says `"done": true` and brings counts and durations.
`assemble(cut(body))` is `body` again, unknown fields and nulls included.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from gateway.dialects.fields import read_reply
from gateway.dialects.framing import Frame
from gateway.question import Object, Reply, Unstored

TEXTS = ("content", "response", "thinking")
_LISTS = ("logprobs", "tool_calls")
_OF_EACH_LINE = ("created_at", "done", "done_reason", "message")


def saying(value: Object) -> Object | None:
    """What holds the text of a reply or a line: `/api/chat`'s message, or, of `/api/generate`, all of it."""
    message = value.get("message")
    if isinstance(message, dict):
        return message
    return value if isinstance(value.get("response"), str) else None


def assemble(frames: Sequence[Frame]) -> Reply | Unstored:
    lines: list[Object] = []
    for frame in frames:
        line = read_reply(frame.data)
        if isinstance(line, Unstored):
            return line
        if saying(line) is None or (lines and lines[-1].get("done")):
            return Unstored.MALFORMED
        lines.append(line)
    if not lines or lines[-1].get("done") is not True:
        return Unstored.CUT_SHORT
    body = _joined(lines)
    return body if isinstance(body, Unstored) else Reply(body, tuple(lines))


def cut(body: Object) -> Iterator[Object]:
    """The lines of an answer that came in one piece: what was thought, what is said, the end."""
    said = saying(body) or {}
    texts = {name: said[name] for name in ("thinking", "response", "content") if _is_text(said.get(name))}
    base = {name: body[name] for name in ("model", "created_at") if name in body}
    role = {"role": said["role"]} if "role" in said and said is not body else {}
    blank = {name: "" for name in ("response", "content") if isinstance(said.get(name), str)}
    extras = {"logprobs": body["logprobs"]} if texts and body.get("logprobs") else {}
    for name, text in texts.items():
        piece = role | blank | {name: text}
        yield base | (piece if said is body else {"message": piece}) | {"done": False} | extras
        extras = {}
    rest = {name: blank.get(name, item) for name, item in said.items() if name not in texts or name in blank}
    last = rest if said is body else body | {"message": rest}
    yield {name: item for name, item in last.items() if not (texts and item and name == "logprobs")}


def _joined(lines: Sequence[Object]) -> Object | Unstored:
    """The last line, with all that the earlier ones said."""
    body: Object = {}
    message: Object = {}
    for line in lines:
        if not _add(body, {key: item for key, item in line.items() if key not in _OF_EACH_LINE}):
            return Unstored.MALFORMED
        if (said := saying(line)) is not None and said is not line and not _add(message, said):
            return Unstored.MALFORMED
    last = lines[-1]
    whole = {key: body.pop(key, item) for key, item in last.items()} | body
    return whole | {"message": message} if saying(last) is not last else whole


def _add(whole: Object, piece: Object) -> bool:
    """Texts and lists grow; anything else is said once, or always alike. False where only its inventor knows how its
    pieces join."""
    for key, item in piece.items():
        old = whole.get(key)
        if item is None or old is None:
            whole[key] = old if item is None else item
        elif _grows(key, old, item):
            whole[key] = old + item
        elif old != item:
            return False
    return True


def _grows(key: str, *both: Any) -> bool:
    kind = str if key in TEXTS else list if key in _LISTS else None
    return kind is not None and all(isinstance(each, kind) for each in both)


def _is_text(item: object) -> bool:
    return isinstance(item, str) and item != ""
