"""Many lines take no more memory than few."""

import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from gateway.batches.objects import Status
from tests.batches.at_work import AtWork, line
from tests.fakes.asgi import read, send_json

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

FEW, MANY = 500, 10_000
FILLING = "x" * 2000  # of a line, and of an answer: MANY of them are far more than may be held
SLACK_BYTES = 2**20


async def echo(scope: Any, receive: Any, send: Any) -> None:
    await read(scope, receive)
    await send_json(send, {"model": "m", "choices": [], "said": FILLING})


async def peak_bytes(folder: Path, how_many: int) -> int:
    work = AtWork.over(folder, echo, (line(number, a=FILLING) for number in range(how_many)))
    tracemalloc.start()
    batch = await work.run()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (batch.status, batch.counts.completed, batch.error_file_id) == (Status.COMPLETED, how_many, None)
    assert [row["custom_id"] for row in work.results(batch.output_file_id)] == [f"r{n}" for n in range(how_many)]
    work.close()
    return peak


async def test_ten_thousand_lines_take_no_more_memory_than_five_hundred(tmp_path: Path):
    few = await peak_bytes(tmp_path / "few", FEW)
    many = await peak_bytes(tmp_path / "many", MANY)

    assert many < few + SLACK_BYTES
