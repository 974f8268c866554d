"""Many lines take no more memory than few."""

import tracemalloc
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest

from gateway.batches.objects import Batch, File, Status
from gateway.batches.register import Register
from gateway.batches.run import Means, Run
from gateway.batches.shelf import Shelf
from gateway.batchlimits import BatchLimits
from tests.fakes.asgi import read, send_json

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

FEW, MANY = 500, 10_000
FILLING = "x" * 2000  # of a line, and of an answer: MANY of them are far more than may be held
SLACK_BYTES = 2**20


async def echo(scope: Any, receive: Any, send: Any) -> None:
    await read(scope, receive)
    await send_json(send, {"model": "m", "choices": [], "said": FILLING})


def lines(how_many: int) -> Iterator[bytes]:
    for number in range(how_many):
        line = {"custom_id": str(number), "method": "POST", "url": "/v1/chat/completions", "body": {"a": FILLING}}
        yield orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


async def peak_bytes(folder: Path, how_many: int) -> int:
    shelf, register, numbers = Shelf(folder), Register.open(folder / "register.sqlite"), count()
    means = Means(
        echo, register, shelf, BatchLimits(), 2**20, anyio.Semaphore(4), lambda: 5.0, lambda: 0.0,
        lambda prefix: f"{prefix}{next(numbers)}",
    )  # fmt: skip
    writing = shelf.write()
    for line in lines(how_many):
        writing.write(line)
    writing.keep("in")
    register.add(File("in", "t", "in.jsonl", "batch", writing.bytes, 0, 10**9))
    register.add(Batch("b", "t", "/v1/chat/completions", "in", created_s=0, expires_s=86_400, keep_s=3600))
    batch = register.batch("b")
    assert batch is not None
    tracemalloc.start()
    await Run(means, batch, ())()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    found = register.batch("b")
    register.close()

    assert found is not None
    assert (found.status, found.counts.completed, found.error_file_id) == (Status.COMPLETED, how_many, None)
    assert found.output_file_id is not None
    with shelf.path(found.output_file_id).open("rb") as output:
        ids = [orjson.loads(line)["custom_id"] for line in output]
    assert ids == [str(number) for number in range(how_many)]
    return peak


async def test_ten_thousand_lines_take_no_more_memory_than_five_hundred(tmp_path: Path):
    few = await peak_bytes(tmp_path / "few", FEW)
    many = await peak_bytes(tmp_path / "many", MANY)

    assert many < few + SLACK_BYTES
