"""`lookalike import` of known answers: rows in, one after the other through a gateway's /cache/import.

Nothing is asked of any model. What is there already is kept, so a run that was stopped is simply run again.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import anyio
import anyio.to_thread
import httpx
import orjson

from gateway.batchlines import BadLine
from gateway.bulk.items import BadInput, Item, Recipe
from gateway.question import Object
from gateway.remote import not_admitted
from gateway.transfer.words import Refused
from gateway.warm.compose import compose, data_url
from gateway.warm.rows import is_local
from gateway.warm.sources import Source

_BAD_SHOWN: Final = 20
_FAILED_SHOWN: Final = 20
# What a gateway says where every further row would fail alike.
_HOPELESS: Final = frozenset((403, 404, 421, 429))

Told = Callable[[int, int], None]  # so many of so many


@dataclass(slots=True)
class Came:
    """What became of the rows. `refused` is why, by reason, and `shown` the first of them by line."""

    of: int = 0
    stored: int = 0
    kept: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    shown: list[str] = field(default_factory=list)

    @property
    def done(self) -> int:
        return self.stored + self.kept + self.refused.total()

    def refuse(self, line: int, code: str, words: str) -> None:
        self.refused[code] += 1
        if len(self.shown) < _FAILED_SHOWN:
            self.shown.append(f"line {line}: {words}")


def survey(source: Source, skip_bad: bool) -> tuple[int, list[str]]:
    """How many rows can be used, and what is wrong with the others, in words. Raises Refused where that is not to be
    passed over, and where there is none. Blocking."""
    good, bad = 0, []
    try:
        for read in source.read({}):
            if isinstance(read, BadLine):
                bad.append(f"line {read.line} {read.why}")
            else:
                good += 1
    except BadInput as error:
        raise Refused(str(error)) from error
    if bad and not skip_bad:
        more = f"\n  and {len(bad) - _BAD_SHOWN} more" if len(bad) > _BAD_SHOWN else ""
        listed = "\n  ".join(bad[:_BAD_SHOWN])
        raise Refused(
            f"{len(bad)} lines cannot be used; nothing was imported (--skip-bad goes on without):\n  {listed}{more}"
        )
    if not good:
        raise Refused("there is no row with an answer in it")
    return good, bad


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends rows to the gateway behind `client`. `headers` are those that the clients will ask with."""

    client: httpx.AsyncClient
    source: Source
    headers: dict[str, str]
    replace: bool
    concurrency: int
    told: Told

    async def send(self, came: Came) -> None:
        """Raises Refused where to go on is of no use."""
        items = self._items()
        why: list[str] = []
        lock = anyio.Lock()

        async def work() -> None:
            while not why:
                async with lock:
                    item = await anyio.to_thread.run_sync(next, items, None)
                if item is None:
                    return
                try:
                    await self._one(item, came)
                except Refused as refusal:
                    why.append(str(refusal))
                self.told(came.done, came.of)

        async with anyio.create_task_group() as tasks:
            for _ in range(self.concurrency):
                tasks.start_soon(work)
        if why:
            raise Refused(f"{why[0]}; {came.stored} answers are in, and the same command again takes the rest")

    def _items(self) -> Iterator[Item]:
        return (read for read in self.source.read({}) if isinstance(read, Item))

    async def _one(self, item: Item, came: Came) -> None:
        try:
            path, body = await anyio.to_thread.run_sync(self._composed, item)
        except OSError as error:
            return came.refuse(item.line, "picture", f"its picture cannot be read: {error.strerror or error}")
        wanted = {"path": path, "headers": self.headers, "body": orjson.Fragment(body), "answer": item.answer}
        try:
            reply = await self.client.post("/cache/import", content=orjson.dumps(wanted | {"replace": self.replace}))
        except httpx.HTTPError as error:
            raise Refused(f"the gateway does not answer: {str(error) or type(error).__name__}") from error
        if reply.status_code == 401:
            raise Refused(f"the gateway refused: {not_admitted('authorization' in self.client.headers)}")
        said = _object(reply)
        if reply.status_code != 200:
            words = str((said.get("error") or {}).get("message") or f"status {reply.status_code}")
            if reply.status_code in _HOPELESS or reply.status_code >= 500:
                raise Refused(f"the gateway refuses: {words}")
            return came.refuse(item.line, str((said.get("error") or {}).get("code") or "refused"), words)
        match said.get("outcome"):
            case "stored":
                came.stored += 1
            case "kept":
                came.kept += 1
            case _:
                came.refuse(item.line, str(said.get("why")), f"not stored: {said.get('why')} (docs/reasons.md)")
        return None

    def _composed(self, item: Item) -> tuple[str, bytes]:
        asks = item.asks
        urls = (
            [data_url(each) if is_local(each) else each for each in asks.pictures] if isinstance(asks, Recipe) else []
        )
        return compose(asks, urls, self.source.shape)


def _object(reply: httpx.Response) -> Object:
    try:
        value = reply.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
