"""Faults in the gateway's own parts: a store, an embedder and a guard that now and then fail, hang or lack memory."""

import asyncio
import inspect
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from cache.errors import StoreFault
from embeddings.base import RGB, Embedder, Vectors

_KINDS: tuple[Callable[[], Exception], ...] = (
    lambda: StoreFault("the disk is gone"),
    lambda: RuntimeError("a bug of ours"),
    lambda: MemoryError("no memory"),
    lambda: OSError(28, "No space left on device"),
)
_SLOW_S, _HANG_S = 0.05, 4.0  # the latter is more than a lookup may take
_NEVER_FAIL = frozenset(("close", "check", "entries"))


class Chance:
    """Whether something goes wrong now: `share` of the time, and how. Seeded."""

    def __init__(self, seed: int, share: float) -> None:
        self._random = random.Random(seed)
        self.share = share
        self.happened = 0

    def __call__(self) -> bool:
        wrong = self._random.random() < self.share
        self.happened += wrong
        return wrong

    def kind(self) -> Exception | float:
        """What is raised, or the seconds that it hangs."""
        kind = self._random.choice((*_KINDS * 4, *[_SLOW_S] * 3, _HANG_S))
        return kind if isinstance(kind, float) else kind()


class TroubledStore:
    """A store of which any method may fail or hang, before it has begun or after it has done its work."""

    def __init__(self, store: Any, chance: Chance) -> None:
        self._store = store
        self._chance = chance

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name in _NEVER_FAIL or not inspect.iscoroutinefunction(method):
            return method

        async def troubled(*given: Any, **named: Any) -> Any:
            if self._chance():
                await _trouble(self._chance)
            found = await method(*given, **named)
            if self._chance():
                await _trouble(self._chance)
            return found

        return troubled


class TroubledEmbedder:
    def __init__(self, embedder: Embedder, chance: Chance) -> None:
        self._embedder = embedder
        self.space, self.threshold = embedder.space, embedder.threshold
        self._chance = chance

    def embed(self, pictures: Sequence[RGB]) -> Vectors:
        _blocking(self._chance)
        return self._embedder.embed(pictures)


def troubled(work: Any, chance: Chance) -> Any:
    """A function of a worker thread, such as the guard, that may fail or hang first."""

    def worked(*given: Any, **named: Any) -> Any:
        _blocking(chance)
        return work(*given, **named)

    return worked


async def _trouble(chance: Chance) -> None:
    match chance.kind():
        case Exception() as error:
            raise error
        case seconds:
            await asyncio.sleep(seconds)


def _blocking(chance: Chance) -> None:
    if not chance():
        return
    match chance.kind():
        case Exception() as error:
            raise error
        case seconds:
            time.sleep(seconds)
