"""A question as bytes of its format, and the tokens in what came back. Deliberately not the gateway's own code."""

import json
import re
from typing import Any

from benchmarks.chaos.world import DIALECTS, NOBODY, Ask

Object = dict[str, Any]
_TOKEN = re.compile(rb"<([a-z0-9]+\|[^<>]*?)>")
_ENDS = {  # what the last bytes of a whole stream hold
    "openai-chat": b"[DONE]",
    "openai-responses": b"response.completed",
    "anthropic-messages": b"message_stop",
    "ollama-chat": b'"done":true',
    "ollama-generate": b'"done":true',
    "dashscope": b'"finish_reason":"stop"',
}


def path(ask: Ask) -> str:
    return DIALECTS[ask.key.dialect]


def headers(ask: Ask) -> dict[str, str]:
    streams = {"x-dashscope-sse": "enable"} if ask.stream and ask.key.dialect == "dashscope" else {}
    own = {"content-type": "application/json"}
    key = {} if ask.key.tenant == NOBODY else {"authorization": f"Bearer sk-{ask.key.tenant}"}
    return {**own, **key, **streams, **ask.wishes, "x-chaos": str(ask.number)}


def body(ask: Ask, picture: str) -> bytes:
    key, url, streams = ask.key, f"data:image/png;base64,{picture}", {"stream": ask.stream}
    value: Object
    match key.dialect:
        case "openai-chat":
            parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": key.about}]
            value = {"model": key.model, "messages": [{"role": "user", "content": parts}], **streams}
        case "openai-responses":
            parts = [{"type": "input_image", "image_url": url}, {"type": "input_text", "text": key.about}]
            value = {"model": key.model, "input": [{"role": "user", "content": parts}], "store": False, **streams}
        case "anthropic-messages":
            source = {"type": "base64", "media_type": "image/png", "data": picture}
            parts = [{"type": "image", "source": source}, {"type": "text", "text": key.about}]
            value = {"model": key.model, "max_tokens": 512, "messages": [{"role": "user", "content": parts}], **streams}
        case "ollama-chat":
            message = {"role": "user", "content": key.about, "images": [picture]}
            value = {"model": key.model, "messages": [message], **streams}
        case "ollama-generate":
            value = {"model": key.model, "prompt": key.about, "images": [picture], **streams}
        case "dashscope":
            message = {"role": "user", "content": [{"image": url}, {"text": key.about}]}
            given = {"messages": [message]}
            value = {"model": key.model, "input": given, "parameters": {"incremental_output": ask.number % 2 == 0}}
        case _:
            parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": key.about}]
            value = {"input": {"messages": [{"role": "user", "content": parts}]}, "parameters": {}}
    return json.dumps(value).encode()


def tokens(reply: bytes) -> set[str]:
    return {f"<{found.decode()}>" for found in _TOKEN.findall(reply)}


def is_whole(ask: Ask, reply: bytes) -> bool:
    """Whether a client of this format would take the reply for a whole answer."""
    if ask.stream:
        return _ENDS[ask.key.dialect] in reply.replace(b": ", b":")
    try:
        json.loads(reply)
    except ValueError:
        return False
    return True
