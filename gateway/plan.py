"""One request, top to bottom: read the question, load its pictures, climb the ladder, decide.

Start reading here. This is the file that turns a fault of ours into a miss, and the only one that knows both
what a request asks and what the cache holds. What becomes of the upstream's answer: keep.py; of that to another
request, where there is one in flight: follow.py.
"""

import functools
import logging
import secrets
from dataclasses import dataclass, replace
from typing import assert_never

import anyio

from cache.entry import Entry
from cache.errors import CorruptRow
from cache.flight import Flights
from cache.keys import Scope, ask
from cache.lookup import Exact, Found, Hit, Miss, Near, Pixel, Rung, Stage, Terms, climb, never
from cache.marks import Marks, tenant_of
from cache.stores.base import Clock, Store
from cache.verdict import Doubt
from gateway import capture
from gateway.acceptance import Acceptances
from gateway.account import Trail
from gateway.capture import Rendered
from gateway.comparison import compared
from gateway.config import Settings
from gateway.crowd import Crowd
from gateway.dialects.base import Dialect
from gateway.epochs import Epochs
from gateway.errors import NotInCache
from gateway.estimate import estimate, missing
from gateway.fingerprint import Embedding, Fingerprint, Workers
from gateway.gather import ON_LOOP_BYTES, Gatherer
from gateway.headers import seals_body
from gateway.hits import Hits, Served
from gateway.joining import Joining
from gateway.keep import Storing
from gateway.patience import Patience
from gateway.question import Bypass, Call, Fresh, Mode, NotCacheable, Question, Unstored, Usage, Wishes
from gateway.stale import StandIn
from gateway.strictness import Demand, demands, staleness, unfit
from gateway.tenants import Claim
from gateway.watch import Shadow, Watch, would_serve

log = logging.getLogger("lookalike")

_RUNGS = {Mode.EXACT: Rung.EXACT, Mode.PIXEL: Rung.PIXEL, Mode.NEAR: Rung.NEAR}
# An answer is usually stored within milliseconds of its end; a stuck disk must not hold up the next question.
_LANDING_WAIT_S = 0.5


@dataclass(frozen=True, slots=True)
class Serve:
    """Answer with this; it carries new ids already. `served` is what a person may judge of it later."""

    rendered: Rendered
    served: Served
    storing: Storing


@dataclass(frozen=True, slots=True)
class Forward:
    """Ask the upstream; read its answer if there is a `storing` that wants it. The trail says why. `body`, where there
    is one, goes to the upstream in place of the client's: the same but for pictures. `stand_in` may know an answer if
    the upstream fails."""

    storing: Storing | None = None
    body: bytes | None = None
    stand_in: StandIn[Serve] | None = None

    @property
    def reading(self) -> Storing | None:
        """What the answer is read for; None: it only passes."""
        return self.storing if self.storing is not None and self.storing.is_read else None


@dataclass(frozen=True, slots=True)
class Follow:
    """Answer with what the upstream is answering another request; `found` says how much the same the two are. If
    nothing comes of it, `forward`."""

    crowd: Crowd
    found: Hit
    storing: Storing
    forward: Forward


Plan = Serve | Follow | Forward


def refuse_to_forward(wishes: Wishes, trail: Trail) -> None:
    """Raises NotInCache where the caller does not want the upstream to be asked."""
    if wishes.only_if_cached:
        raise NotInCache(f"only-if-cached was asked for, and there is no stored answer ({trail.reason})")


class Planner:
    def __init__(
        self,
        settings: Settings,
        store: Store,
        embedding: Embedding,
        workers: Workers,
        gatherer: Gatherer,
        flights: Flights[Crowd],
        clock: Clock,
        monotonic: Clock,
        epochs: Epochs,
        watch: Watch | None = None,
        *,
        acceptances: Acceptances,
    ) -> None:
        self._settings = settings
        self._store = store
        self._acceptances = acceptances
        self._embedding = embedding
        self._workers = workers
        self._gatherer = gatherer
        self._clock = clock
        self._monotonic = monotonic
        self._epochs = epochs
        self._watch = watch  # in shadow mode: nothing is served
        self._marks = Marks(store.secret())
        # The host's time, and that of others in flight, is not the cache's.
        elsewhere_s = settings.fetch_timeout_s if settings.fetching() else 0.0
        elsewhere_s += settings.coalesce_look_s if settings.coalesce else 0.0
        self._patience = Patience(settings.lookup_timeout_s + elsewhere_s, monotonic)
        joins = settings.coalesce and watch is None
        self._joining = Joining(settings, store, workers, flights, clock, monotonic, epochs, joins)
        self.hits = Hits()

    async def plan(self, dialect: Dialect, call: Call, wishes: Wishes, trail: Trail) -> Plan:
        """Serve from the cache, or forward. Raises NotInCache only where the caller asked for that."""
        allowance = self._patience.allowance()
        plan: Plan = Forward()
        try:
            with anyio.move_on_after(allowance.seconds) as waited:
                plan = await self._decide(dialect, call, wishes, trail)
            self._patience.told(allowance, overran=waited.cancelled_caught)
            if waited.cancelled_caught:
                log.warning("a lookup took more than %.2f s; the request goes to the upstream", allowance.seconds)
                trail.bypass = Bypass.CACHE_SLOW
        except NotCacheable as refusal:
            trail.bypass = refusal.why
        except Exception:
            log.exception("the cache failed at a lookup; the request goes to the upstream")
            trail.bypass = Bypass.CACHE_FAULT
        if isinstance(plan, Forward):
            refuse_to_forward(wishes, trail)
        return plan

    async def _decide(self, dialect: Dialect, call: Call, wishes: Wishes, trail: Trail) -> Plan:
        mode = self._settings.mode.stricter(wishes.mode)
        if mode is Mode.OFF:
            raise NotCacheable(Bypass.MODE_OFF)
        with trail.stage("read", self._monotonic):
            question = await self._read(dialect, call)
        trail.model, trail.pictures = question.model, len(question.pictures)
        if (epoch := self._epochs.mark(question.model)) is None:
            raise NotCacheable(Bypass.MODEL_CHANGING)
        demand = demands(question.prompt, self._settings.questions, Demand(mode, wishes.scrutiny, wishes.threshold))
        trail.kinds = demand.kinds
        if demand.mode is Mode.OFF:
            raise NotCacheable(Bypass.MODE_OFF)
        with trail.stage("pictures", self._monotonic):
            gathered = await self._gatherer.gather(question.pictures, call.body)
        if gathered.body is not None and seals_body(call.headers):
            raise NotCacheable(Bypass.PICTURE_BY_REFERENCE)
        scope = Scope(call.tenant, dialect.name, self._settings.upstream, call.path, question.model, call.partitions)
        limits, stage = (self._settings.pixels_max, self._settings.evidence_bytes_max), self._stages(trail)
        bounds = self._settings.request_pixels_max, self._settings.decode_timeout_s
        looks = Fingerprint(gathered.pictures, self._workers, self._embedding, *limits, stage, trail.embedded, *bounds)
        asked = ask(scope, question.asked, looks.files)
        claim = call.caller.claim(scope) if call.caller is not None else None
        crowd = self._joining.crowd(dialect, question, asked, epoch)
        tenant = tenant_of(call.tenant)
        storing = Storing(dialect, question, asked, looks, epoch, crowd, not wishes.no_store, tenant, claim)
        forward = Forward(storing, body=gathered.body)
        crowd.joinable = storing.keep and self._joining.wanted(asked)
        if wishes.no_cache:
            trail.requested = "no-cache"
            return forward
        terms = self._terms(question, demand, wishes, stage)
        with trail.stage("look", self._monotonic):
            await self._settled(storing, terms)
        with self._joining.lookout(storing) as lookout:
            with trail.stage("look", self._monotonic):
                found = await self._look(storing, terms, renews=not wishes.only_if_cached)
            if not self._epochs.holds(question.model, epoch):
                raise NotCacheable(Bypass.MODEL_CHANGING)
            if not wishes.no_store:  # nor is anything kept for people to look at
                trail.compared = await compared(found, looks, asked, terms, question, self._settings, self._marks)
            if self._watch is not None:
                return await self._shadowed(forward, storing, found, terms, trail)
            match found:
                case Exact() | Pixel() | Near():
                    if serve := await self._serve(found, storing, terms, trail):
                        return serve
                    trail.doubt = Doubt.UNREADABLE
                case Miss(doubt, similarity):
                    trail.doubt, trail.similarity = doubt, similarity
                case _:
                    assert_never(found)
            forward = replace(forward, stand_in=self._stand_in(storing, terms, wishes, trail))
            alone = not isinstance(found, Miss) or wishes.only_if_cached
            if alone or trail.doubt is Doubt.KEY_UNVERIFIED or not self._may_join(storing):
                return forward
            joined = await self._joining.joined(lookout, storing, terms)
            return Follow(lookout.flight(joined.entry), joined, storing, forward) if joined else forward

    async def _serve(self, found: Hit, storing: Storing, terms: Terms, trail: Trail) -> Serve | None:
        """None if this version cannot read the answer."""
        with terms.stage("serve"):
            rendered = await self._rendered(storing.dialect, storing.question, found, trail)
        if rendered is None:
            return None
        trail.found(found)
        trail.request = storing.asked.exact
        return Serve(rendered, self.hits.add(storing.asked.exact, trail.hit or "", found.entry), storing)

    def _stand_in(self, storing: Storing, terms: Terms, wishes: Wishes, trail: Trail) -> StandIn[Serve] | None:
        """The same lookup once more if the upstream fails, and then past an answer's time; None if it may not be."""
        stale_s = staleness(self._settings.stale_if_error_s, wishes)
        if not stale_s and trail.doubt is not Doubt.KEY_UNVERIFIED:  # a key that is proved ahead of time loses no hit
            return None

        def fit(entry: Entry) -> Doubt | None:
            return unfit(entry, storing.question, wishes, self._clock(), stale_s)

        async def find(trouble: str) -> Serve | None:
            lenient, serve = replace(terms, fit=fit, over=never), None
            allowance = self._patience.allowance()
            with anyio.move_on_after(allowance.seconds) as waited:
                # By every rule there is for looking; but an upstream that fails renews nobody's key.
                found = await self._look(storing, lenient, renews=False)
                if not isinstance(found, Miss) and self._epochs.holds(storing.question.model, storing.epoch):
                    serve = await self._serve(found, storing, terms, trail)
            self._patience.told(allowance, overran=waited.cancelled_caught)
            if serve is not None:
                trail.stood_in(trouble, self._clock())
            return serve

        return StandIn(find)

    async def _read(self, dialect: Dialect, call: Call) -> Question:
        read = functools.partial(dialect.parse, call)
        return read() if len(call.body) <= ON_LOOP_BYTES else await self._workers.run(read)

    def _stages(self, trail: Trail) -> Stage:
        return lambda name: trail.stage(name, self._monotonic)

    def _terms(self, question: Question, demand: Demand, wishes: Wishes, stage: Stage) -> Terms:
        def fit(entry: Entry) -> Doubt | None:
            return unfit(entry, question, wishes, self._clock())

        limit = self._settings.limit(demand.scrutiny)
        timeout_s = self._settings.embed_timeout_s
        return Terms(_RUNGS[demand.mode], demand.threshold, fit, timeout_s, limit, stage, self._is_over)

    def _is_over(self, entry: Entry) -> bool:
        """Stored answers are kept for a while past their time."""
        return not entry.fresh(self._clock())

    async def _look(self, storing: Storing, terms: Terms, renews: bool) -> Found:
        """What there is for this request. A credential that the upstream has not accepted lately gets no answer; of
        answers that are not its own, it does not even learn whether there is one."""
        store, asked, claim = self._store, storing.asked, storing.claim
        if self._is_stranger(claim):
            return Miss(Doubt.KEY_UNVERIFIED)
        found = await climb(store, asked, storing.looks, terms, self._workers.run)
        if isinstance(found, Miss) or self._acceptances.vouched(claim, ahead=renews):
            return found
        return Miss(Doubt.KEY_UNVERIFIED)

    def _may_join(self, storing: Storing) -> bool:
        """Of answers that are not its own, a credential that is not proved does not learn whether one is in flight."""
        return self._joining.wanted(storing.asked) and not self._is_stranger(storing.claim)

    def _is_stranger(self, claim: Claim | None) -> bool:
        return claim is not None and claim.shared and not self._acceptances.accepted(claim)

    async def _settled(self, storing: Storing, terms: Terms) -> None:
        """Wait for an answer that is just landing, where there is none yet that this request may have."""
        asked, claim = storing.asked, storing.claim
        if self._is_stranger(claim):
            return
        exact = await self._store.exact(asked.exact) if self._acceptances.accepted(claim) else None
        if exact is None or terms.over(exact):
            await self._joining.settled(asked, _LANDING_WAIT_S)

    async def _shadowed(self, forward: Forward, storing: Storing, found: Found, terms: Terms, trail: Trail) -> Forward:
        """Forward, whatever was found. As a hit stores nothing, so does a would-be hit: the next request finds the
        store as it would be if answers were served."""
        if not isinstance(found, Miss):
            rendered = await self._rendered(storing.dialect, storing.question, found, trail)
            found = found if rendered else Miss(Doubt.UNREADABLE)
        would = would_serve(found, storing.asked.partition)
        trail.bypass, trail.shadow, trail.similarity = Bypass.SHADOW, would, would.similarity
        if not isinstance(found, Miss):
            storing.keep = False
        elif not storing.keep:
            trail.unstored = Unstored.NO_STORE
        storing.shadow = Shadow(would, storing.dialect, storing.question, found, storing.asked, terms)
        return forward

    async def _rendered(self, dialect: Dialect, question: Question, hit: Hit, trail: Trail) -> Rendered | None:
        """The answer for this client; None, and the entry is forgotten, if this version cannot read it."""
        try:
            reply = capture.unpack(hit.reply)
        except CorruptRow:
            log.warning("the stored answer %s cannot be read and is forgotten", hit.entry.id)
            await self._store.remove(hit.entry.id)
            return None
        if None in (hit.entry.tokens_in, hit.entry.tokens_out):
            counted = Usage(hit.entry.tokens_in, hit.entry.tokens_out)
            trail.estimated = missing(counted, estimate(question.prompt, dialect.text(reply), hit.entry.sizes))
        fresh = Fresh(secrets.token_hex(12), int(self._clock()))
        return capture.render(dialect, question, dialect.renew(reply, question, fresh))

    async def served(self, serve: Serve) -> None:
        """Name a near hit by its pixels, too, so that a judgement holds for them in any file. Never raises: the client
        has its answer."""
        served, storing = serve.served, serve.storing
        try:
            if served.hit == "near" and not served.named.is_set():
                served.keys.add(storing.asked.pixel(await storing.looks.pixels()))
        except Exception:
            log.debug("a hit could not be named by its pixels", exc_info=True)
        finally:
            served.named.set()
