"""When models were changed: no answer of the time before is served again, and none that was under way is kept.

A change has a beginning and an end, which for a pull are minutes apart. In between nobody knows which weights answer:
the model's questions are neither served nor kept. At the end every stored answer of the model is deleted, and only then
does it begin anew. So there is no moment at which an old answer could be found, and no clock decides anything.

    mark        taken when a request is read; None while its model is being changed
    storing     asked when its answer has come: a change since the mark, and it is not kept
    begin, end  around whatever changes a model

Names of changes under way are on disk from `begin` on: a gateway that is killed deletes when it starts.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import anyio
import anyio.to_thread

from cache.entry import Entry
from cache.errors import CacheFault
from cache.stores.base import Clock, Store
from gateway.epochfile import Epoch, EpochFile, Known
from gateway.modelchange import EVERY, concerns, normal

log = logging.getLogger("lookalike")

# A change whose end nobody saw (no reply in time, a broken connection) may go on at the upstream for as long: large
# weights are read in minutes.
_UNSEEN_S: Final = 600.0
_AGAIN_S: Final = 30.0  # between two attempts to delete what a store would not delete
_NAMES_MOST: Final = 10_000  # callers choose them


class Epochs:
    """Of one store. `file` is where it is kept; None: in memory only. Belongs to the event loop."""

    def __init__(self, store: Store, file: EpochFile | None, clock: Clock, monotonic: Clock) -> None:
        self._store = store
        self._file = file
        self._clock = clock
        self._monotonic = monotonic
        self._known = file.read() if file else Known()
        self._count = 0  # of beginnings and ends
        self._last: dict[str, int] = {}  # normal name -> the count at its last one
        self._open: Counter[str] = Counter()
        self._owed = set(self._known.pending)  # what is to be deleted yet
        self._until_s: dict[str, float] = {}  # on the monotonic clock
        self._puts: set[anyio.Event] = set()
        self._turn = anyio.Lock()
        self._writing = anyio.Lock()
        for name in self._owed:
            self._hold(name)

    # Requests.

    def mark(self, model: str) -> int | None:
        name, now_s = normal(model), self._monotonic()
        self._until_s = {each: until_s for each, until_s in self._until_s.items() if until_s > now_s}
        changing = any(concerns(each, name) for each in (*self._open, *self._owed, *self._until_s))
        return None if changing else self._count

    def holds(self, model: str, mark: int) -> bool:
        """Whether nothing was changed since the mark."""
        name = normal(model)
        return max(self._last.get(name, 0), self._last.get(EVERY, 0)) <= mark if name else self._count <= mark

    @contextmanager
    def storing(self, model: str, mark: int) -> Iterator[bool]:
        """Around the keeping of an answer: whether it may be kept. A change that begins meanwhile waits for it."""
        if not self.holds(model, mark):
            yield False
            return
        done = anyio.Event()
        self._puts.add(done)
        try:
            yield True
        finally:
            self._puts.discard(done)
            done.set()

    # Changes.

    async def begin(self, name: str) -> None:
        """`name` is normal, or EVERY. From here on nothing of the model is served or kept, until its `end`."""
        self._open[name] += 1
        self._bump(name)
        await self._write()

    async def end(self, name: str, changed: bool, why: str, seen: bool = True) -> int:
        """The change is over. `changed`: or may be; then what is stored of the model is deleted, and the number of
        these answers returned. Not `seen`: it may be going on. Raises CacheFault where the store fails: the model
        stays as it was, and it is tried again."""
        if changed:
            self._owed.add(name)
            if not seen:
                self._hold(name)
        self._open[name] -= 1
        self._open = +self._open
        self._bump(name)
        if changed:
            return await self._retire(name, why)
        await self._write()
        return 0

    async def bump(self, name: str, why: str) -> int:
        """An operator says that the model was changed. The number of answers that were deleted."""
        await self.begin(name)
        return await self.end(name, changed=True, why=why)

    async def concerned(self, name: str) -> list[Entry]:
        """The stored answers that a change of this model would retire."""
        return [kept.entry for kept in await self._store.entries() if concerns(name, normal(kept.entry.model))]

    async def run(self) -> None:
        """Delete what is owed since the last start, and whatever could not be deleted."""
        while True:
            for name in sorted(self._owed):
                try:
                    await self._retire(name, "unfinished")
                except CacheFault as fault:
                    log.error("answers of a model that was changed could not be deleted yet: %s", fault)
                except Exception:  # this must not take the gateway down
                    log.exception("answers of a model that was changed could not be deleted yet")
            await anyio.sleep(_AGAIN_S)

    def report(self) -> dict[str, Any]:
        """For statistics: answers retired, and models whose questions only pass at the moment."""
        changing = {*self._open, *self._owed, *self._until_s}
        retired = sum(epoch.retired for epoch in self._known.models.values()) + self._known.retired_before
        return {"retired": retired, "changing": sorted(changing)}

    def models(self) -> dict[str, Epoch]:
        """By normal name, the last changed first."""
        newest = sorted(self._known.models.items(), key=lambda each: each[1].changed_s, reverse=True)
        return dict(newest)

    def _hold(self, name: str) -> None:
        self._until_s[name] = self._monotonic() + _UNSEEN_S

    def _bump(self, name: str) -> None:
        self._count += 1
        if len(self._last) >= _NAMES_MOST:  # forgotten names count as changed
            self._last = {EVERY: self._count}
        self._last[name] = self._count

    async def _retire(self, name: str, why: str) -> int:
        async with self._turn:
            if name not in self._owed:  # another turn did it, and nothing was kept since
                return 0
            for put in tuple(self._puts):  # none of the model begins any more
                await put.wait()
            gone = 0
            for entry in await self.concerned(name):
                gone += await self._store.remove(entry.id)
            self._owed.discard(name)
            self._known = self._known.after(name, self._clock(), why, gone)
            log.warning("the model %s was changed (%s): %d stored answers are retired", _shown(name), why, gone)
            await self._write()
            return gone

    async def _write(self) -> None:
        """Names whose answers would have to be deleted if the process ended here, and what was."""
        async with self._writing:  # what is written last is what was known last
            self._known = replace(self._known, pending=tuple(sorted({*self._open, *self._owed})))
            if self._file is None:
                return
            try:
                await anyio.to_thread.run_sync(self._file.write, self._known)
            except OSError as error:  # a kill could now bring old answers back; as long as we live none is served
                log.error("that a model is changed could not be written beside the store: %s", error)


def _shown(name: str) -> str:
    return "(every one)" if name == EVERY else "".join(c if c.isprintable() else "?" for c in name[:100])
