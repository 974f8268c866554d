"""Answers on their way into the store, so that a question asked again at once finds the answer just given.

An answer reaches the client before it is stored: the client is never kept waiting for our disk. A
second request for the same question that finds nothing may wait, briefly, for such an answer to land.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import anyio

_LANDINGS_MOST = 2


class Landings:
    """Puts under way, by partition. For one event loop."""

    def __init__(self) -> None:
        self._under_way: Counter[str] = Counter()
        self._landed: dict[str, anyio.Event] = {}

    @contextmanager
    def landing(self, partition: str) -> Iterator[None]:
        """While an answer to this question is being stored."""
        self._under_way[partition] += 1
        try:
            yield
        finally:
            self._under_way[partition] -= 1
            if not self._under_way[partition]:
                del self._under_way[partition]
            if event := self._landed.pop(partition, None):
                event.set()

    async def settled(self, partition: str, wait_s: float) -> bool:
        """Wait for the next landing of this question. False, at once, if none is under way; or if many are, for
        then the traffic is not one client asking again, and waiting would only slow it down."""
        if not 1 <= self._under_way[partition] <= _LANDINGS_MOST:
            return False
        event = self._landed.setdefault(partition, anyio.Event())
        with anyio.move_on_after(wait_s):
            await event.wait()
        return True
