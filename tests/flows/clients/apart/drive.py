"""Asks through one Python client, named on the command line, on behalf of tests/flows/clients/elsewhere.py.

A line of JSON in: {line, turns, streamed}; `line` is the document's, and makes the client. A line of JSON out: {text,
held}, or {refused: {kind, status}} for a status that is not 2xx, or {broken: why}.
"""

import json
import os
import sys
from typing import Any

Object = dict[str, Any]


def langchain(line: str, turns: list[Object], streamed: bool) -> Object:
    from langchain_openai import ChatOpenAI

    def content(turn: Object) -> list[Object]:
        pictures = [{"type": "image", "base64": one["base64"], "mime_type": one["type"]} for one in turn["pictures"]]
        return [*pictures, {"type": "text", "text": turn["text"]}]

    model = eval(line, {"ChatOpenAI": ChatOpenAI})
    messages = [{"role": turn["role"], "content": content(turn)} for turn in turns]
    if not streamed:
        reply = model.invoke(messages)
        return {"text": reply.text, "held": _held(reply)}
    chunks = list(model.stream(messages))
    return {"text": "".join(chunk.text for chunk in chunks), "held": [_held(chunk) for chunk in chunks]}


def litellm(line: str, turns: list[Object], streamed: bool) -> Object:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or its import fetches a list of prices
    import litellm

    def content(turn: Object) -> list[Object]:
        pictures = [{"type": "image_url", "image_url": {"url": one["url"]}} for one in turn["pictures"]]
        return [*pictures, {"type": "text", "text": turn["text"]}]

    messages = [{"role": turn["role"], "content": content(turn)} for turn in turns]
    reply = eval(line, {"litellm": litellm, "messages": messages, "stream": streamed})
    if not streamed:
        return {"text": reply.choices[0].message.content, "held": _held(reply)}
    chunks = list(reply)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    return {"text": text, "held": [_held(chunk) for chunk in chunks]}


def llama_index(line: str, turns: list[Object], streamed: bool) -> Object:
    from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
    from llama_index.llms.openai_like import OpenAILike

    model = eval(line, {"OpenAILike": OpenAILike})
    messages = []
    for turn in turns:
        pictures = [ImageBlock(url=one["url"]) for one in turn["pictures"]]
        messages.append(ChatMessage(role=turn["role"], blocks=[*pictures, TextBlock(text=turn["text"])]))
    if not streamed:
        reply = model.chat(messages)
        return {"text": reply.message.content, "held": _held(reply)}
    chunks = list(model.stream_chat(messages))
    return {"text": "".join(chunk.delta or "" for chunk in chunks), "held": [_held(chunk) for chunk in chunks]}


def _held(reply: Any) -> Any:
    return json.loads(reply.model_dump_json(warnings=False))


ask = {"langchain": langchain, "litellm": litellm, "llama-index": llama_index}[sys.argv[1]]
told = sys.stdout
sys.stdout = sys.stderr  # what a client prints is not an answer
for asked in sys.stdin:
    try:
        answer = ask(**json.loads(asked))
    except Exception as error:
        status = getattr(error, "status_code", None)
        refused = isinstance(status, int) and 400 <= status < 500
        kind = type(error).__name__
        answer = {"refused": {"kind": kind, "status": status}} if refused else {"broken": repr(error)}
    print(json.dumps(answer), file=told, flush=True)
