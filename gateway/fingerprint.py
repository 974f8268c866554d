"""What the pictures of one request look like: computed step by step, in worker threads, each step once.

This is the `Looks` that the cache's ladder climbs by; what a miss did not need yet is computed while
the upstream works, so that storing the answer costs the client nothing.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar, cast

import anyio
import anyio.to_thread
import cv2
from PIL import Image

from cache import guard
from cache.lookup import Embedded, Sizes, Stage, untimed
from embeddings.base import RGB
from embeddings.batching import Embedded as Answer
from embeddings.batching import Ready, State
from gateway import pictures
from gateway.pictures import Picture
from gateway.question import Bypass, NotCacheable

T = TypeVar("T")


class Embedding(Protocol):
    """The part of embeddings.batching.EmbeddingService that is needed here."""

    @property
    def state(self) -> State: ...

    async def embed(self, pictures: Sequence[RGB]) -> Answer | None: ...


class Workers:
    """Threads for decoding, hashing and comparing: as many at once as there are cores to run them."""

    def __init__(self, most: int) -> None:
        # These threads are the parallelism: OpenCV's own, under each of them, would fight over the same cores.
        cv2.setNumThreads(1)
        self._limiter = anyio.CapacityLimiter(most)
        self._threads = anyio.CapacityLimiter(math.inf)  # what limits them is a slot

    async def run(self, work: Callable[[], T], within_s: float = math.inf) -> T:
        """Whoever is cancelled meanwhile goes at once. Raises TimeoutError if it is not done in time, the wait for a
        thread included."""
        slot = _Slot(self._limiter, work)
        with anyio.fail_after(within_s):
            await self._limiter.acquire_on_behalf_of(slot)
            try:
                done = await anyio.to_thread.run_sync(slot.work, limiter=self._threads, abandon_on_cancel=True)
                return cast(T, done)  # None only where it was given up, and then nobody is here
            except BaseException:
                slot.give_up()
                raise


class _Slot(Generic[T]):
    """One thread's turn. A thread cannot be killed: work that is given up keeps its slot until it ends, so that there
    are never more such threads than cores."""

    def __init__(self, limiter: anyio.CapacityLimiter, work: Callable[[], T]) -> None:
        self._limiter = limiter
        self._work = work
        self._loop = asyncio.get_running_loop()
        self._is_begun = self._is_given_up = self._is_free = False

    def work(self) -> T | None:
        self._is_begun = True  # before the other is looked at, as in `give_up`: one of the two sees the other
        try:
            return None if self._is_given_up else self._work()
        finally:
            self._loop.call_soon_threadsafe(self._free)

    def give_up(self) -> None:
        self._is_given_up = True
        if not self._is_begun:
            self._free()

    def _free(self) -> None:
        if not self._is_free:
            self._is_free = True
            self._limiter.release_on_behalf_of(self)


class Fingerprint:
    """The looks of a request's pictures. One task at a time may ask."""

    def __init__(
        self,
        loaded: Sequence[Picture],
        workers: Workers,
        embedding: Embedding,
        pixels_max: int,
        evidence_bytes_max: int = guard.BYTES_MAX,
        stage: Stage = untimed,
        embedded: Callable[[float], None] = lambda seconds: None,
        request_pixels_max: float = math.inf,
        decode_timeout_s: float = math.inf,
    ) -> None:
        """`embedded` is told of the seconds that the embedder worked for these pictures. What is asked for raises
        NotCacheable where a picture cannot be read, is too large, alone or with the others, or takes too long."""
        self.files = tuple(picture.digest for picture in loaded)
        self._pictures = tuple(loaded)
        self.workers = workers  # those of lookups first; what is left is done by others, so that it delays none
        self._embedding = embedding
        self._pixels_max = pixels_max
        self._evidence_bytes_max = evidence_bytes_max
        self._request_pixels_max = request_pixels_max
        self._decode_timeout_s = decode_timeout_s
        self._stage = stage
        self._told = embedded
        self._sizes: Sizes | None = None
        self._pixels: tuple[str, ...] | None = None
        self._decoded: tuple[Image.Image, ...] | None = None  # between the pixels and the views
        self._views: tuple[guard.View | None, ...] | None = None
        self._embedded: Embedded | None = None
        self._evidence: tuple[bytes, ...] | None = None

    async def sizes(self) -> Sizes:
        if self._sizes is None:
            sizes = await self._each(lambda picture: pictures.size(picture, self._pixels_max))
            if sum(width * height for width, height in sizes) > self._request_pixels_max:
                raise NotCacheable(Bypass.PICTURE_TOO_LARGE)
            self._sizes = sizes
        return self._sizes

    async def pixels(self) -> tuple[str, ...]:
        if self._pixels is None:
            await self.sizes()  # nothing is decoded before its size is known
            found = await self._each(_pixels)
            self._decoded = tuple(upright for upright, _ in found)
            self._pixels = tuple(digest for _, digest in found)
        return self._pixels

    async def views(self) -> tuple[guard.View, ...]:
        """One view per picture, or none at all if one of them has no plain rendering."""
        if self._views is None:
            await self.sizes()
            decoded = self._decoded or (None,) * len(self._pictures)
            with self._stage("decode"):
                self._views = await self._decoding(lambda: tuple(map(pictures.view, self._pictures, decoded)))
            self._decoded = None
        plain = tuple(view for view in self._views if view is not None)
        return plain if len(plain) == len(self._views) else ()

    async def embedded(self) -> Embedded | None:
        if self._embedded is None and (views := await self.views()):
            with self._stage("embed"):
                answer, state = await self._embedding.embed([view.rgb for view in views]), self._embedding.state
            if answer is not None and isinstance(state, Ready):
                self._told(answer.seconds)
                self._embedded = Embedded(answer.space.key, answer.vectors, state.embedder.threshold)
        return self._embedded

    async def evidence(self) -> tuple[bytes, ...]:
        """What the guard will need of these pictures once they are gone."""
        if self._evidence is None:
            views = await self.views()
            most = self._evidence_bytes_max
            self._evidence = await self.workers.run(lambda: tuple(guard.encode(view, most) for view in views))
        return self._evidence

    async def _each(self, look: Callable[[Picture], T]) -> tuple[T, ...]:
        with self._stage("decode"):
            return await self._decoding(lambda: tuple(look(picture) for picture in self._pictures))

    async def _decoding(self, work: Callable[[], T]) -> T:
        try:
            return await self.workers.run(work, self._decode_timeout_s)
        except TimeoutError:
            raise NotCacheable(Bypass.PICTURE_TOO_SLOW) from None


def _pixels(picture: Picture) -> tuple[Image.Image, str]:
    upright = pictures.decoded(picture)
    return upright, pictures.pixels(upright)
