"""A batch at work without a gateway: what it is made of, and what it asks."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import orjson

from gateway.batches.objects import Batch, File
from gateway.batches.register import Register
from gateway.batches.run import Means, Run
from gateway.batches.shelf import Shelf
from gateway.batchlimits import BatchLimits

CHAT = "/v1/chat/completions"


def line(number: int, **body: Any) -> bytes:
    row = {"custom_id": f"r{number}", "method": "POST", "url": CHAT, "body": {"number": number} | body}
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


@dataclass
class AtWork:
    """One batch, `b`, over one input file, `in`."""

    means: Means

    @classmethod
    def over(cls, folder: Path, app: Any, lines: Iterable[bytes], **limits: Any) -> "AtWork":
        shelf, register, numbers = Shelf(folder), Register.open(folder / "register.sqlite"), count()

        def new_id(prefix: str) -> str:
            return f"{prefix}{next(numbers)}"

        limited = BatchLimits(**{"retries": 0} | limits)
        means = Means(
            app, register, shelf, limited, 2**20, anyio.Semaphore(4), lambda: 5.0, lambda: 0.0, new_id
        )  # fmt: skip
        writing = shelf.write()
        for each in lines:
            writing.write(each)
        writing.keep("in")
        register.add(File("in", "t", "in.jsonl", "batch", writing.bytes, 0, 10**9))
        register.add(Batch("b", "t", CHAT, "in", created_s=0, expires_s=86_400, keep_s=3600))
        return cls(means)

    @property
    def batch(self) -> Batch:
        found = self.means.register.batch("b")
        assert found is not None
        return found

    async def run(self) -> Batch:
        await Run(self.means, self.batch, ())()
        return self.batch

    def results(self, file: str | None) -> list[dict[str, Any]]:
        if file is None:
            return []
        with self.means.shelf.path(file).open("rb") as output:
            return [orjson.loads(line) for line in output]

    def close(self) -> None:
        self.means.register.close()
