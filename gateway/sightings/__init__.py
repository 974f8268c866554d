"""A bounded, durable record of what people look at later: recent requests, near hits and near misses with small
pictures, and which stored answers are served most.

`Sightings.saw` is called once a request is over, and returns at once. Pictures are drawn afterwards, one comparison
at a time, with rests in between; what comes faster is kept without pictures. A kill loses the last seconds.
"""

import logging
import secrets
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import anyio
import anyio.to_thread

from cache.errors import StoreFault
from cache.stores.base import Clock, Store
from cache.verdict import Different, Same
from gateway.account import Trail
from gateway.question import Judgement
from gateway.sighting import Compared, Glimpse, Sight, Sighting
from gateway.sightings.album import Album, Pages, Served
from gateway.sightings.thumbnails import Drawn, draw

log = logging.getLogger("lookalike")

_RECENT_MOST: Final = 200
_SIGHTINGS_MOST: Final = 150  # of each sort; with pictures some 10 MB
_SERVED_MOST: Final = 4_000  # stored answers whose hits are counted; beyond it the half that was served least goes
_PICTURES_MOST: Final = 4  # drawn of one request
# Comparisons that wait to be drawn, and the bytes of the pictures that they hold: 8 MB at the most for one.
_WAITING_MOST: Final = 32
_WAITING_BYTES_MOST: Final = 64 * 2**20
# How long the drawing rests for each second that it worked: it takes a quarter of one core at the most.
_REST: Final = 3.0
_WRITTEN_EVERY_S: Final = 5.0
_MODEL_MOST = 200  # characters of a name that a client chose


@dataclass(slots=True)
class _Job:
    sighting: Sighting
    compared: Compared


class Sightings:
    """All methods but `write` are called on the event loop."""

    def __init__(
        self, album: Album, store: Store, pictures: bool, ttl_s: float, clock: Clock, monotonic: Clock
    ) -> None:
        self._album = album
        self._store = store
        self.pictures = pictures
        self._ttl_s = ttl_s
        self._clock = clock
        self._monotonic = monotonic
        self._recent: deque[Glimpse] = deque(maxlen=_RECENT_MOST)
        self._seen: dict[Sight, dict[str, Sighting]] = {sight: {} for sight in Sight}
        self._served: dict[str, Served] = {}
        self._prompts: dict[str, str] = {}  # in memory alone
        self._jobs, self._work = anyio.create_memory_object_stream[_Job](_WAITING_MOST)
        self._thread = anyio.CapacityLimiter(1)  # not one of the workers that lookups wait for
        self._drawing: dict[str, int] = {}  # ids of sightings, and the bytes that they hold
        self._changed = False
        self._read()

    def _read(self) -> None:
        if not self.pictures:
            self._album.without_pictures()
        pages = self._album.pages()
        self._recent.extend(pages.recent)
        self._served.update(pages.served or {})
        for sighting in pages.sightings:
            self._keep(sighting if self.pictures else replace(sighting, drawn=0))
        self._expire()

    def saw(self, trail: Trail) -> None:
        """A request is over. Never raises: the client has its answer."""
        try:
            self._saw(trail)
        except Exception:
            log.exception("a request could not be kept for the dashboard")

    def _saw(self, trail: Trail) -> None:
        if trail.dialect is None:  # lists of models and the like
            return
        now_s, ran_s = self._clock(), self._monotonic()
        ended_s = trail.ended_s or ran_s  # before now: an answer is stored after its client had it
        self._changed = True
        self._recent.append(glimpse(trail, now_s - (ran_s - ended_s), ended_s - trail.started_s))
        if trail.entry is not None:
            self._count(trail.entry.id, now_s)
        if trail.compared is not None:
            self._compared(trail, trail.compared, now_s)

    def _count(self, entry_id: str, now_s: float) -> None:
        before = self._served.get(entry_id)
        self._served[entry_id] = Served(before.hits + 1 if before else 1, now_s)
        if len(self._served) > _SERVED_MOST:
            most = sorted(self._served.items(), key=lambda one: (one[1].hits, one[1].last_s), reverse=True)
            self._served = dict(most[: _SERVED_MOST // 2])

    def _compared(self, trail: Trail, compared: Compared, now_s: float) -> None:
        sighting = replace(sighting_of(compared, now_s), shadow=trail.shadow is not None, stored=trail.stored)
        self._keep(sighting)
        if compared.prompt:
            self._prompts[sighting.id] = compared.prompt
        held = sum(view.rgb.nbytes for view in compared.asked)
        if not self.pictures or held + sum(self._drawing.values()) > _WAITING_BYTES_MOST:
            return  # more than can be drawn: it stays without pictures
        with suppress(anyio.WouldBlock):
            self._jobs.send_nowait(_Job(sighting, compared))
            self._drawing[sighting.id] = held

    def _keep(self, sighting: Sighting) -> None:
        seen = self._seen[sighting.sight]
        seen[sighting.id] = sighting
        if len(seen) > _SIGHTINGS_MOST:
            oldest = next(iter(seen))
            del seen[oldest]
            self._prompts.pop(oldest, None)

    def _expire(self) -> None:
        """No picture outlives the answers of its time."""
        oldest_s = self._clock() - self._ttl_s
        for seen in self._seen.values():
            for one in [one for one in seen.values() if one.time_s < oldest_s]:
                del seen[one.id]
                self._prompts.pop(one.id, None)
                self._changed = True

    async def run(self) -> None:
        """Draw what comes, and keep it, until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._draw_all)
            tasks.start_soon(self._write_all)

    async def _write_all(self) -> None:
        while True:
            await anyio.sleep(_WRITTEN_EVERY_S)
            try:
                self._expire()
                await self._in_thread(self.write)
            except OSError as error:
                log.warning("%s", error)
            except Exception:  # what people look at must not take the gateway down
                log.exception("what the dashboard shows could not be written")

    async def _draw_all(self) -> None:
        async for job in self._work:
            begun = self._monotonic()
            try:
                await self._draw(job)
            except Exception:
                log.exception("a comparison could not be drawn for the dashboard")
            finally:
                self._drawing.pop(job.sighting.id, None)
            await anyio.sleep(_REST * (self._monotonic() - begun))

    async def _draw(self, job: _Job) -> None:
        evidence = await self._store.evidence(job.compared.entry.id)
        pairs = list(zip(evidence, job.compared.asked, strict=False))[:_PICTURES_MOST]
        drawn: list[Drawn] = []
        for stored, asked in pairs:
            drawn.append(await self._in_thread(partial(draw, stored, asked)))
        seen = self._seen[job.sighting.sight]
        if (sighting := seen.get(job.sighting.id)) is None:  # forgotten or pushed out meanwhile
            return
        seen[sighting.id] = sighting = replace(sighting, drawn=len(drawn))
        await self._in_thread(partial(self._album.paste, sighting, drawn))

    async def _in_thread(self, work: Any) -> Any:
        return await anyio.to_thread.run_sync(work, limiter=self._thread)

    def recent(self) -> list[Glimpse]:
        """In the order in which clients had their replies, the newest first."""
        return sorted(self._recent, key=lambda one: one.time_s)[::-1]

    def of(self, sight: Sight) -> list[Sighting]:
        """The newest first."""
        return list(reversed(self._seen[sight].values()))

    def sighting(self, sighting_id: str) -> Sighting | None:
        return next((seen[sighting_id] for seen in self._seen.values() if sighting_id in seen), None)

    def prompt(self, sighting_id: str) -> str | None:
        return self._prompts.get(sighting_id)

    def most_served(self, most: int) -> list[tuple[str, Served]]:
        """Ids of stored answers, by hits."""
        return sorted(self._served.items(), key=lambda one: (one[1].hits, one[1].last_s), reverse=True)[:most]

    @property
    def album(self) -> Album:
        return self._album

    def draws(self, sighting_id: str) -> bool:
        """Whether its pictures are still to come."""
        return sighting_id in self._drawing

    @property
    def resting(self) -> bool:
        """Whether nothing waits to be drawn."""
        return not self._drawing

    def judge(self, entry_id: str, asked_exact: str, said: Judgement) -> None:
        """A person said whether this entry is the answer to that request."""
        for seen in self._seen.values():
            for one in [one for one in seen.values() if (one.entry, one.asked_exact) == (entry_id, asked_exact)]:
                seen[one.id] = replace(one, judged=said)
                self._changed = True

    async def forget(self, entry_ids: frozenset[str], marks: frozenset[str]) -> None:
        """Let go of all that shows these entries' pictures, or pictures with these marks; at once, also on disk. Where
        a picture is to be forgotten, near misses whose own answer was not kept go, too: nobody can tell what they
        resemble. Raises StoreFault."""
        living = frozenset(kept.entry.id for kept in await self._store.entries()) - entry_ids
        for seen in self._seen.values():
            for one in [one for one in seen.values() if _shows(one, living, marks)]:
                del seen[one.id]
                self._prompts.pop(one.id, None)
        for entry_id in entry_ids:
            self._served.pop(entry_id, None)
        self._changed = True
        try:
            await self._in_thread(self.write)
        except OSError as error:
            raise StoreFault(str(error)) from error

    def write(self) -> None:
        """Keep everything on disk; nothing is written if nothing changed. Blocking. Raises OSError."""
        if not self._changed:
            return
        self._changed = False
        seen = [one for kept in self._seen.values() for one in list(kept.values())]
        try:
            self._album.write(Pages(tuple(self._recent), tuple(seen), dict(self._served)))
        except BaseException:
            self._changed = True
            raise

    def close(self) -> None:
        """Blocking, but for milliseconds."""
        self._jobs.close()
        self._work.close()
        try:
            self.write()
        except OSError as error:
            log.warning("%s", error)
        self._album.close()


def glimpse(trail: Trail, time_s: float, seconds: float) -> Glimpse:
    return Glimpse(
        time_s=time_s,
        outcome=trail.outcome,
        reason=trail.reason,
        model=None if trail.model is None else trail.model[:_MODEL_MOST],
        pictures=trail.pictures,
        seconds=seconds,
        status=trail.status,
        entry=trail.entry.id if trail.entry else None,
        similarity=trail.similarity,
        shadow=trail.shadow.kind if trail.shadow else None,
    )


def sighting_of(compared: Compared, now_s: float) -> Sighting:
    match compared.verdict:
        case Same(score):
            sight, doubt, spot = Sight.NEAR_HIT, None, None
        case Different(doubt, score, spot):
            sight = Sight.NEAR_MISS
    return Sighting(
        id=secrets.token_hex(8),
        sight=sight,
        time_s=now_s,
        shadow=False,
        dialect=compared.entry.dialect,
        model=compared.entry.model[:_MODEL_MOST],
        entry=compared.entry.id,
        pictures=len(compared.asked) or len(compared.entry.sizes),
        similarity=compared.similarity,
        threshold=compared.threshold,
        doubt=doubt,
        score=score,
        limit=compared.limit,
        spot=spot,
        asked_exact=compared.asked_exact,
        marks=compared.marks,
    )


def _shows(one: Sighting, living: frozenset[str], marks: frozenset[str]) -> bool:
    """Also where its entry has left before: nobody can tell any more what its pictures resemble."""
    if one.entry not in living or (one.stored is not None and one.stored not in living):
        return True
    unknown = one.sight is Sight.NEAR_MISS and one.stored is None
    return bool(marks) and (unknown or not marks.isdisjoint(one.marks))
