"""What the flows of the batch endpoints share."""

import json
from typing import Any

from openai import OpenAI
from openai.types import Batch

_POLLS = 20_000


def say(number: int | str, **more: Any) -> dict[str, Any]:
    """A line without a picture, so that nothing is answered from the cache: what is asked twice is paid twice."""
    body = {"model": "m", "messages": [{"role": "user", "content": f"say {number}"}]}
    return {"custom_id": f"r{number}", "method": "POST", "url": "/v1/chat/completions", "body": body} | more


def jsonl(*lines: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def upload(client: OpenAI, data: bytes) -> str:
    return client.files.create(file=("in.jsonl", data), purpose="batch").id


def create(client: OpenAI, *lines: dict[str, Any], **more: Any) -> Batch:
    wanted: Any = {"endpoint": "/v1/chat/completions", "completion_window": "24h"} | more
    return client.batches.create(input_file_id=upload(client, jsonl(*lines)), **wanted)


def over(client: OpenAI, batch: Batch | str) -> Batch:
    name = batch if isinstance(batch, str) else batch.id
    for _ in range(_POLLS):
        found = client.batches.retrieve(name)
        if found.status in ("completed", "failed", "expired", "cancelled"):
            return found
    raise AssertionError(f"{found} is never over")


def results(client: OpenAI, file_id: str | None) -> list[dict[str, Any]]:
    assert file_id is not None
    return [json.loads(line) for line in client.files.content(file_id).text.splitlines()]


def said(client: OpenAI, batch: Batch) -> dict[str, str]:
    lines = results(client, batch.output_file_id)
    texts = {line["custom_id"]: line["response"]["body"]["choices"][0]["message"]["content"] for line in lines}
    assert len(texts) == len(lines)
    return texts
