"""Lines of OpenAI's batch files as items, and what came of an item as such a line. Pure, but for reading the stream."""

from collections.abc import Iterable, Iterator
from io import BufferedIOBase
from typing import Any, assert_never

import orjson

from gateway.batchlines import BatchAnswer, BatchError, BatchRequest, BatchResponse, Seen, read_requests
from gateway.bulk.items import Answer, Failure, Item, Posted, Read, Result


def read_lines(stream: BufferedIOBase, bytes_max: int) -> Iterator[bytes]:
    """Each line; one that is too long as its first bytes, which no reader takes for JSON."""
    while line := stream.readline(bytes_max):
        yield line
        while len(line) == bytes_max and not line.endswith(b"\n"):
            line = stream.readline(bytes_max)


def read_items(lines: Iterable[bytes], seen: Seen) -> Iterator[Read]:
    """The requests of a batch file, or what is wrong with a line."""
    for request in read_requests(lines, seen):
        if isinstance(request, BatchRequest):
            yield Item(request.custom_id, request.line, Posted(request.url, request.body))
        else:
            yield request


def response(name: str, result: Result) -> BatchResponse:
    """What came of the item of this id. An error that a server answered with is a response, too."""
    outcome: BatchAnswer | BatchError
    match result:
        case Answer(status=status, request_id=request_id, body=body):
            outcome = BatchAnswer(status, request_id, orjson.loads(body))
        case Failure(code, message, status, body):
            value = _object(body)
            if status is not None and value is not None:
                outcome = BatchAnswer(status, "", value)
            else:
                outcome = BatchError(code, message)
        case _:
            assert_never(result)
    return BatchResponse(f"batch_req_{name}", name, outcome)


def _object(body: bytes) -> Any:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
