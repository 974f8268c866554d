"""Answers on their way: from the moment that the upstream is asked until the answer is stored.

What is in flight can be looked up like what is stored, by the same ladder (lookup.py), within one question of one
scope only. A request that finds its answer there need not ask again. A `Flight` is told what its pictures look like
as that becomes known. For one event loop; time is an argument.
"""

from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Generic, TypeVar

import anyio
import numpy as np

from cache.entry import Entry, Vectors
from cache.lookup import Embedded, Sizes
from cache.stores.base import Candidate

# A burst of one client's asking again, as opposed to traffic, in which waiting for the store would only slow down.
_LANDINGS_MOST = 2
# For how long a question whose answer could not be shared is not waited for.
APART_S = 10.0


class Flight:
    """One request that the upstream is asked, and what is known of it so far. `entry` is what its answer would be
    stored as; its id is the flight's. Its `tokens_out` is None where the answer may come without token counts."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.joinable = False  # whether others may have its answer
        self.shareable = True  # False: they could not, so those who ask next had better not wait
        self.landing = False  # the client has the answer, or is about to; it is being stored
        self.vectors: Vectors | None = None
        self.evidence: tuple[bytes, ...] = ()
        self._decoded, self._looked = anyio.Event(), anyio.Event()

    def decoded(self, sizes: Sizes, pixel: str) -> None:
        """Its pictures' sizes, and its key over their pixels."""
        self.entry = replace(self.entry, sizes=sizes, pixel=pixel)
        self._decoded.set()

    def embedded(self, embedded: Embedded | None, evidence: tuple[bytes, ...]) -> None:
        if embedded is not None:
            self.entry = replace(self.entry, space=embedded.space)
            self.vectors, self.evidence = embedded.vectors, evidence

    def looked(self) -> None:
        """Nothing more will become known."""
        self._decoded.set()
        self._looked.set()

    @property
    def is_decoded(self) -> bool:
        return self._decoded.is_set()

    async def until_decoded(self) -> None:
        await self._decoded.wait()

    async def until_looked(self) -> None:
        await self._looked.wait()


F = TypeVar("F", bound=Flight)


class Lookout(Generic[F]):
    """The flights of one question as one request sees them while it decides: those that were under way when it came
    and those that began since, even if they have landed meanwhile. The ladder climbs it as it does a store; a
    flight's reply is its id. Each flight is weighed once."""

    def __init__(
        self,
        flights: list[F],
        parted: Callable[[Collection[str]], Awaitable[frozenset[str]]],
        streamed: bool,
        looks_wait_s: float,
    ) -> None:
        """`parted` is the store's. Of several flights, those that stream as this request wants it come first. The
        looks of a flight that has just begun are waited for as long as `looks_wait_s`."""
        self._parted = parted
        self._streamed = streamed
        self._looks_wait_s = looks_wait_s
        self._new = list(flights)  # not weighed yet
        self._weighed: dict[str, F] = {}  # in this climb or an earlier one, by id
        self._open: list[F] = []  # of this climb

    def saw(self, flight: F) -> None:
        self._new.append(flight)

    def turn(self, fit: Callable[[Entry], object]) -> bool:
        """On to the flights that have not been weighed yet and that `fit` says nothing against; False if there is
        none."""
        joinable = [flight for flight in self._new if flight.joinable and not fit(flight.entry)]
        self._open = sorted(joinable, key=lambda flight: flight.entry.streamed is not self._streamed)
        self._new = []
        self._weighed |= {flight.entry.id: flight for flight in self._open}
        return bool(self._open)

    def flight(self, entry: Entry) -> F:
        return self._weighed[entry.id]

    async def asked(self, partition: str) -> bool:
        return bool(self._open)

    async def exact(self, key: str) -> Entry | None:
        return next((flight.entry for flight in self._open if flight.entry.exact == key), None)

    async def sized(self, partition: str, sizes: Sizes) -> bool:
        return any(not flight.is_decoded or flight.entry.sizes == sizes for flight in self._open)

    async def pixel(self, key: str) -> Entry | None:
        await self._all(Flight.until_decoded)
        return next((flight.entry for flight in self._open if flight.entry.pixel == key), None)

    async def nearest(self, partition: str, space: str, vectors: Vectors, floor: float, most: int) -> list[Candidate]:
        await self._all(Flight.until_looked)
        scored: list[tuple[float, float, Entry]] = []
        for flight in self._open:
            if flight.vectors is not None and flight.entry.space == space and flight.vectors.shape == vectors.shape:
                cosines = np.einsum("nd,nd->n", flight.vectors, vectors)
                scored.append((float(cosines.mean()), float(cosines.min()), flight.entry))
        scored.sort(key=lambda item: -item[0])
        return [Candidate(entry, lowest) for _, lowest, entry in scored[:most] if lowest >= floor]

    async def evidence(self, entry_id: str) -> tuple[bytes, ...]:
        return self._weighed[entry_id].evidence

    async def reply(self, entry_id: str) -> bytes | None:
        return entry_id.encode() if self._weighed[entry_id].joinable else None

    async def parted(self, keys: Collection[str]) -> frozenset[str]:
        return await self._parted(keys)

    async def _all(self, known: Callable[[Flight], Awaitable[None]]) -> None:
        with anyio.move_on_after(self._looks_wait_s):
            for flight in self._open:
                await known(flight)


class Flights(Generic[F]):
    """All that is in flight, by question."""

    def __init__(self) -> None:
        self._flying: dict[str, list[F]] = {}
        self._lookouts: dict[str, list[Lookout[F]]] = {}
        self._landings: Counter[str] = Counter()
        self._landed: dict[str, anyio.Event] = {}
        self._apart: OrderedDict[str, float] = OrderedDict()  # until when, by question; the oldest first

    def __iter__(self) -> Iterator[F]:
        return iter([flight for flying in self._flying.values() for flight in flying])

    def start(self, flight: F) -> None:
        """From here on it can be found."""
        flying = self._flying.setdefault(flight.entry.partition, [])
        if flight not in flying:
            flying.append(flight)
            for lookout in self._lookouts.get(flight.entry.partition, ()):
                lookout.saw(flight)

    @contextmanager
    def flying(self, flight: F, now_s: Callable[[], float]) -> Iterator[None]:
        """Until this ends it can be found, however it ends."""
        self.start(flight)
        try:
            yield
        finally:
            flight.looked()
            self._land(flight, now_s())

    @contextmanager
    def looking(self, partition: str, lookout: Callable[[list[F]], Lookout[F]]) -> Iterator[Lookout[F]]:
        """What `lookout` makes of the flights under way; it sees those that begin until this ends."""
        made = lookout(self._flying.get(partition, []))
        self._lookouts.setdefault(partition, []).append(made)
        try:
            yield made
        finally:
            self._lookouts[partition].remove(made)
            if not self._lookouts[partition]:
                del self._lookouts[partition]

    def landing(self, flight: F) -> None:
        """The client is about to have the whole answer: from here on, `settled` waits for it to be stored."""
        if not flight.landing:
            flight.landing = True
            self._landings[flight.entry.partition] += 1

    async def settled(self, partition: str, wait_s: float) -> bool:
        """Wait for the next landing of this question. False, at once, if none is under way; or if many are, for
        then the traffic is not one client asking again, and waiting would only slow it down."""
        if not 1 <= self._landings[partition] <= _LANDINGS_MOST:
            return False
        event = self._landed.setdefault(partition, anyio.Event())
        with anyio.move_on_after(wait_s):
            await event.wait()
        return True

    def goes_apart(self, partition: str, now_s: float) -> bool:
        """Whether an answer to this question could not be shared a short while ago: then all go up in parallel."""
        return self._apart.get(partition, now_s) > now_s

    def _land(self, flight: F, now_s: float) -> None:
        partition = flight.entry.partition
        flying = self._flying[partition]
        flying.remove(flight)
        if not flying:
            del self._flying[partition]
        if flight.landing:
            self._landings[partition] -= 1
            if not self._landings[partition]:
                del self._landings[partition]
            if event := self._landed.pop(partition, None):
                event.set()
        if not flight.shareable:
            self._go_apart(partition, now_s)

    def _go_apart(self, partition: str, now_s: float) -> None:
        self._apart[partition] = now_s + APART_S
        self._apart.move_to_end(partition)
        while next(iter(self._apart.values())) <= now_s:
            self._apart.popitem(last=False)
