"""An answer that the client has, into the store; and before that, while the upstream works, what storing it needs.

Nothing here raises: a fault of ours is never the client's trouble.
"""

import functools
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

from cache.entry import Entry, Record
from cache.keys import Asked
from cache.lookup import Embedded
from cache.marks import Marks
from cache.stores.base import Clock, Store
from cache.verdict import Doubt
from embeddings.base import EmbedderFault
from gateway import capture
from gateway.acceptance import Acceptances
from gateway.account import Trail
from gateway.capture import Answered
from gateway.config import Settings
from gateway.crowd import Crowd
from gateway.dialects.base import Dialect
from gateway.epochs import Epochs
from gateway.fingerprint import Fingerprint, Workers
from gateway.gather import ON_LOOP_BYTES
from gateway.question import NotCacheable, Question, Reply, Unstored
from gateway.tenants import Claim
from gateway.watch import Shadow, Watch

log = logging.getLogger("lookalike")

# Far longer than an embedder takes that works; many answers may wait for it at once.
_EMBED_S = 30.0
# Decoded pictures of up to 8 MB each: half a gigabyte at the worst.
_WAITING_MOST = 64


@dataclass(slots=True)
class Storing:
    """What is needed to read and keep the answer to a forwarded request. `prepared` is set once the looks are
    known, `answered_s` (Unix time) when the head of the reply came."""

    dialect: Dialect
    question: Question
    asked: Asked
    looks: Fingerprint
    epoch: int  # of the model, when the request was read
    crowd: Crowd
    keep: bool
    tenant: str = ""
    claim: Claim | None = None  # what the answer proves of who asked
    answered_s: float = 0.0
    shadow: Shadow | None = None  # in shadow mode: what the answer is compared with
    refuses: Callable[[Reply], bool] | None = None  # whether a rule says that an answer is not to be kept
    prepared: anyio.Event = field(default_factory=anyio.Event)

    @property
    def is_read(self) -> bool:
        """Whether the answer is wanted at all; otherwise it only passes."""
        return self.keep or self.shadow is not None


class Keeper:
    def __init__(
        self,
        settings: Settings,
        store: Store,
        workers: Workers,
        monotonic: Clock,
        epochs: Epochs,
        watch: Watch | None = None,
        acceptances: Acceptances | None = None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._workers = workers
        self._monotonic = monotonic
        self._epochs = epochs
        self._watch = watch
        self._acceptances = acceptances
        # One after the other to its end: were all begun at once, none would be done before all are.
        self._preparing = anyio.CapacityLimiter(settings.workers)
        self._waiting = 0  # answers that have come and cannot be stored yet
        self._marks = Marks(store.secret())

    async def prepare(self, storing: Storing) -> None:
        """Learn what `finish` will need, while the upstream is at work. Trouble with the looks shows again there."""
        storing.looks.workers = self._workers
        try:
            async with self._preparing:
                if storing.shadow is not None:
                    await self._weighed(storing.shadow, storing)
                if storing.keep:
                    looks, crowd = storing.looks, storing.crowd
                    crowd.decoded(await looks.sizes(), storing.asked.pixel(await looks.pixels()))
                    crowd.embedded(await _embedded(looks), await looks.evidence())
        except Exception:
            log.debug("the pictures could not be prepared", exc_info=True)
        finally:
            storing.crowd.looked()
            storing.prepared.set()

    async def _weighed(self, shadow: Shadow, storing: Storing) -> None:
        assert self._watch is not None
        try:
            await self._watch.weigh(shadow, storing.looks)
        except Exception:
            log.exception("the candidates of a request in shadow mode could not be weighed")

    async def finish(self, storing: Storing, answered: Answered, trail: Trail) -> None:
        """Keep the answer, if it is whole and may be kept; in shadow mode, compare it."""
        reply = await self._kept(storing, answered, trail)
        if self._watch is None or storing.shadow is None or reply is None:
            return
        try:
            trail.observed = await self._watch.compare(storing.shadow, reply, answered.seconds)
        except Exception:
            log.exception("an answer could not be compared with the stored ones")

    async def _kept(self, storing: Storing, answered: Answered, trail: Trail) -> Reply | Unstored | None:
        """The answer as it was read, or why it is no whole answer; None if there was a fault or no time."""
        reply: Reply | Unstored | None = None
        try:
            read = functools.partial(
                capture.read, storing.dialect, storing.question, answered, self._settings.reply_bytes_max
            )
            small = len(answered.body) <= ON_LOOP_BYTES and not answered.is_coded
            reply = read() if small else await self._workers.run(read)
            if self._acceptances is not None and not answered.second:
                self._acceptances.heard(storing.claim, reply, storing.answered_s)
            refused = isinstance(reply, Reply) and storing.keep and bool(storing.refuses and storing.refuses(reply))
            storing.crowd.read(Unstored.BY_RULE if refused else reply, answered)
            if isinstance(reply, Unstored):
                trail.unstored = reply if storing.keep else trail.unstored
                return reply
            if refused:
                storing.keep, trail.unstored = False, Unstored.BY_RULE
            if self._waiting >= _WAITING_MOST and (storing.keep or not storing.prepared.is_set()):
                trail.unstored = Unstored.BUSY if storing.keep else trail.unstored
                return None
            self._waiting += 1  # until it is stored: a store that erases or checks itself may take minutes
            try:
                await storing.prepared.wait()
                if storing.keep:
                    await self._store_answer(storing, reply, answered, trail)
            finally:
                self._waiting -= 1
        except NotCacheable:
            trail.unstored = Unstored.PICTURE_UNREADABLE
        except Exception:
            log.exception("an answer could not be stored")
            trail.unstored = Unstored.STORE_FAULT
        return reply

    async def _store_answer(self, storing: Storing, reply: Reply, answered: Answered, trail: Trail) -> None:
        if trail.doubt is Doubt.KEY_UNVERIFIED and await self._is_held(storing):
            trail.unstored = Unstored.HELD_ALREADY
            return
        record = await self._record(storing, reply, answered)
        with self._epochs.storing(storing.question.model, storing.epoch) as may:
            if not may:
                trail.unstored = Unstored.MODEL_CHANGED
                return
            with trail.stage("store", self._monotonic):
                await self._store.put(record)
        trail.stored, trail.evidence_bytes = record.entry.id, tuple(map(len, record.evidence))

    async def _is_held(self, storing: Storing) -> bool:
        """Whether these very bytes have an answer. It may be one that somebody checked and imported."""
        entry = await self._store.exact(storing.asked.exact)
        return entry is not None and entry.fresh(storing.answered_s)

    async def _record(self, storing: Storing, reply: Reply, answered: Answered) -> Record:
        looks = storing.looks
        usage = storing.dialect.usage(reply)
        embedded = await _embedded(looks)
        entry = Entry(
            id=secrets.token_hex(16),
            partition=storing.asked.partition,
            exact=storing.asked.exact,
            pixel=storing.asked.pixel(await looks.pixels()),
            dialect=storing.dialect.name,
            model=storing.question.model,
            created_s=storing.answered_s,
            expires_s=storing.answered_s + self._settings.ttl_s,
            upstream_s=answered.seconds,
            tokens_in=usage.tokens_in,
            tokens_out=usage.tokens_out,
            streamed=bool(reply.chunks),
            space=embedded.space if embedded else None,
            sizes=await looks.sizes(),
            tenant=storing.tenant,
            prompts=self._marks.prompts(storing.question.prompt),
            files=tuple(map(self._marks.file, looks.files)),
            pixels=tuple(map(self._marks.pixels, await looks.pixels())),
        )
        vectors = embedded.vectors if embedded else None
        return Record(entry, capture.pack(reply), vectors, await looks.evidence())


async def _embedded(looks: Fingerprint) -> Embedded | None:
    """None, too, where the embedder fails or hangs: the answer is then found by bytes and pixels alone."""
    with anyio.move_on_after(_EMBED_S):
        try:
            return await looks.embedded()
        except EmbedderFault:
            log.warning("an answer is stored without vectors: the embedder failed", exc_info=True)
    return None
