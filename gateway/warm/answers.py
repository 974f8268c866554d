"""Answers as a file: OpenAI batch output lines, a table, or JSON lines. One row for each item, in the input's order.

Written as a whole beside the file and moved into its place, so that a file that is there is a file that is complete.
"""

import csv
import io
import os
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, assert_never

import orjson

from gateway.batchlines import BadLine, BatchRequest, write_request, write_response
from gateway.bulk.items import Answer, BadInput, Failure, Item, Posted, Recipe, Result
from gateway.bulk.lines import response
from gateway.dialects import claim
from gateway.question import Object, Unstored
from gateway.warm.rows import CHAT, is_local


class OutForm(StrEnum):
    """What a file of answers is made of."""

    OPENAI = "openai"
    CSV = "csv"
    ROWS = "rows"


_COLUMNS: Final = "id picture prompt answer cache error message tokens_in tokens_out seconds".split()

Row = tuple[Item | BadLine, Result]


def lines(form: OutForm, rows: Iterable[Row], path: str = CHAT) -> Iterator[bytes]:
    """The file, line by line. `path` is where recipes were asked."""
    if form is OutForm.CSV:
        yield _csv(_COLUMNS)
    for read, result in rows:
        match form:
            case OutForm.OPENAI:
                yield write_response(response(_id(read), result))
            case OutForm.CSV:
                row = flat(read, result, path)
                yield _csv([_cell(row.get(name)) for name in _COLUMNS])
            case OutForm.ROWS:
                yield orjson.dumps(flat(read, result, path), option=orjson.OPT_APPEND_NEWLINE)
            case _:
                assert_never(form)


def flat(read: Item | BadLine, result: Result, path: str) -> dict[str, Any]:
    """One item and what came of it, in a row. What there is none of is left out."""
    row: dict[str, Any] = {"id": _id(read)}
    if isinstance(read, Item) and isinstance(read.asks, Recipe):
        shown = [url if not url.startswith("data:") else "data:" for url in read.asks.pictures]
        row |= {"picture": shown[0] if len(shown) == 1 else shown, "prompt": read.asks.prompt}
    match result:
        case Answer():
            asked = read.asks.path if isinstance(read, Item) and isinstance(read.asks, Posted) else path
            row |= {
                "answer": text(asked, result.body),
                "cache": result.cache,
                "tokens_in": result.tokens_in,
                "tokens_out": result.tokens_out,
                "seconds": round(result.seconds, 3),
            }
        case Failure(code, message):
            row |= {"error": code, "message": message}
        case _:
            assert_never(result)
    return {name: value for name, value in row.items() if value is not None}


def text(path: str, body: bytes) -> str:
    """The text of an answer; the whole body where its format is not known."""
    dialect = claim("POST", path)
    reply = dialect.whole(body) if dialect else Unstored.MALFORMED
    if dialect is None or isinstance(reply, Unstored):
        return body.decode("utf-8", "replace")
    return dialect.text(reply)


def failed_line(item: Item, failure: Failure) -> bytes:
    """The item as a line of input, to be asked again; with the reason, where the form has a place for it."""
    if isinstance(item.asks, Posted):
        body = {name: value for name, value in item.asks.body.items() if name not in ("stream", "stream_options")}
        return write_request(BatchRequest(item.id, item.asks.path, body))
    asks = item.asks
    row: Object = {"id": item.id, "pictures": [os.path.abspath(one) if is_local(one) else one for one in asks.pictures]}
    row |= {"prompt": asks.prompt, "error": f"{failure.code}: {failure.message}"}
    row |= {"system": asks.system} if asks.system is not None else {}
    row |= {"model": asks.model} if asks.model is not None else {}
    row |= {"parameters": asks.parameters} if asks.parameters else {}
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def write(file: Path, parts: Iterable[bytes]) -> None:
    """The whole file or nothing. Raises BadInput in words. Blocking."""
    new = file.with_name(file.name + ".new")
    try:
        with new.open("wb") as stream:
            for part in parts:
                stream.write(part)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(file)
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error.strerror or error}") from error


def _id(read: Item | BadLine) -> str:
    return read.id if isinstance(read, Item) else f"line-{read.line}"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return " ".join(value)
    return str(value)


def _csv(cells: list[str]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerow(cells)
    return written.getvalue().encode()
