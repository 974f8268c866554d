"""What happened to each request, told once: one `Trail` gives the header, the log line and the outcome to be counted.

Nothing here holds a prompt, a picture or a credential. What a hit saved is priced here, by the prices in force at
that moment.
"""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, assert_never

import anyio

from cache.entry import Entry
from cache.lookup import Exact, Hit, Near, Pixel
from cache.verdict import Doubt
from gateway.outcome import HitClass, Money, Outcome, Saved, Spent
from gateway.price import EmbeddingPrice, Price
from gateway.question import UNCOUNTED, Alone, Bypass, Unstored, Usage
from gateway.rules.book import LeftAlone
from gateway.shadow import Observation, WouldServe
from gateway.sighting import Compared
from gateway.tracing import Span, Trace

log = logging.getLogger("lookalike.access")

_WORD_MOST = 200
CACHE_NAME = "lookalike"  # how this cache calls itself in Cache-Status
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Shared:
    """What an answer took that another request was given, and this one with it."""

    usage: Usage
    upstream_s: float


@dataclass(slots=True)
class Trail:
    """One request's way through the gateway. Each stage writes what it did, in order."""

    method: str
    path: str
    started_s: float  # on the monotonic clock
    dialect: str | None = None
    model: str | None = None
    tenant: str | None = None  # the first digits of its digest
    pictures: int = 0
    kinds: tuple[str, ...] = ()  # of question, as the settings name them
    hit: str | None = None  # exact, pixel or near
    entry: Entry | None = None
    request: str | None = None  # of a hit: the digest by which feedback names what was asked
    similarity: float | None = None
    bypass: Bypass | None = None
    doubt: Doubt | None = None
    collapsed: bool | None = None  # whether the answer to another request was given, where that was waited for
    rung: str | None = None  # ... by which that other one was found
    shared: Shared | None = None  # ... once it was given whole
    alone: Alone | None = None  # ... or why it was not
    requested: str | None = None  # the caller's own wish that kept the cache out: no-cache, only-if-cached
    status: int | None = None
    error: str | None = None
    stale: str | None = None  # of a hit past its time: the upstream's trouble that it stood in for
    upstream: str | None = None  # fallback, where the second upstream answered
    stored: str | None = None  # id of the entry that this request's reply became
    unstored: Unstored | None = None
    evidence_bytes: tuple[int, ...] = ()  # kept of each picture
    shadow: WouldServe | None = None  # in shadow mode
    observed: Observation | None = None  # ... once the answer was compared
    compared: Compared | None = None  # the stored picture that the guard took for this one, or refused
    tags: tuple[str, ...] = ()  # of the rules that held
    edited: bool = False  # by them
    left_alone: LeftAlone | None = None  # why rules that could have applied did not
    estimated: Usage = UNCOUNTED  # tokens of a hit that its upstream did not count
    embedding_s: float = 0.0  # that the embedder worked for this request
    stages_s: dict[str, float] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)  # the stages one by one, on the monotonic clock
    trace: Trace | None = None
    ended_s: float | None = None  # when the client had its reply, on the monotonic clock

    def found(self, hit: Hit) -> None:
        self.entry = hit.entry
        self.hit, self.similarity = _rung(hit)

    def joined(self, hit: Hit) -> None:
        """The answer to another request, which is in flight, is being given."""
        self.collapsed = True
        self.rung, self.similarity = _rung(hit)

    def given(self, shared: Shared) -> None:
        """... and was given whole."""
        self.hit, self.shared, self.doubt = self.rung, shared, None

    def stood_in(self, trouble: str, now_s: float) -> None:
        """The hit that was found took the place of an upstream that failed."""
        assert self.entry is not None
        self.stale = None if self.entry.fresh(now_s) else trouble
        self.bypass = self.doubt = self.unstored = self.error = None

    @contextmanager
    def stage(self, name: str, monotonic: Clock) -> Iterator[None]:
        begun = monotonic()
        try:
            yield
        finally:
            self.passed(name, begun, monotonic())

    def embedded(self, seconds: float) -> None:
        self.embedding_s += seconds

    def passed(self, name: str, begun_s: float, ended_s: float) -> None:
        """A stage that was measured elsewhere."""
        self.stages_s[name] = self.stages_s.get(name, 0.0) + ended_s - begun_s
        self.spans.append(Span(name, begun_s, ended_s))

    @property
    def hit_class(self) -> HitClass:
        if self.hit is not None and (self.entry is not None or self.shared is not None):
            return HitClass(self.hit)
        if self.shadow:
            return HitClass.SHADOW
        if self.bypass:
            return HitClass.BYPASS
        if self.requested:
            return HitClass.AFRESH
        return HitClass.MISS if self.doubt else HitClass.UNREAD

    @property
    def outcome(self) -> str:
        """What became of it: exact, pixel or near; or error, bypass or miss."""
        return self.hit or ("error" if self.error else "bypass" if self.bypass else "miss")

    @property
    def reason(self) -> str | None:
        """Why this was no hit, in one word."""
        return self.requested or self.bypass or self.doubt

    def cache_status(self, now_s: float) -> str:
        """The Cache-Status field of RFC 9211. Whether a reply will be stored is not known when its head leaves."""
        if self.entry is not None:
            detail = "stale" if self.stale else self.hit
            return f"{CACHE_NAME}; hit; ttl={math.floor(self.entry.expires_s - now_s)}; detail={detail}"
        if self.collapsed:
            return f"{CACHE_NAME}; fwd=miss; collapsed; detail={self.rung}"
        if self.requested:
            forward = "request"
        elif self.bypass:
            forward = "bypass"
        else:
            forward = "stale" if self.doubt is Doubt.STALE else "miss"
        collapsed = "; collapsed=?0" if self.collapsed is False else ""
        return f"{CACHE_NAME}; fwd={forward}{collapsed}" + (f"; detail={self.reason}" if self.reason else "")

    def line(self, seconds: float) -> dict[str, Any]:
        """The request in one flat record, for the log."""
        facts = {
            "method": self.method,
            "path": _printable(self.path),
            "status": self.status,
            "cache": self.outcome,
            "reason": self.reason,
            "stale": self.stale,
            "upstream": self.upstream,
            "collapsed": self.collapsed,
            "alone": self.alone,
            "shadow": self.shadow.header() if self.shadow else None,
            "ms": round(seconds * 1000, 1),
            "model": None if self.model is None else _printable(self.model),
            "pictures": self.pictures or None,
            "kinds": ",".join(self.kinds) or None,
            "entry": self.entry.id if self.entry else None,
            "similarity": None if self.similarity is None else round(self.similarity, 4),
            "tags": ",".join(self.tags) or None,
            "rules_left": self.left_alone,
            "stored": self.stored,
            "unstored": self.unstored,
            "error": self.error,
            "stages_ms": {name: round(value * 1000, 1) for name, value in self.stages_s.items()} or None,
        }
        return {key: value for key, value in facts.items() if value is not None}


def _rung(hit: Hit) -> tuple[str, float | None]:
    """Its name, and the similarity where that counted."""
    match hit:
        case Exact():
            return "exact", None
        case Pixel():
            return "pixel", None
        case Near(similarity=similarity):
            return "near", similarity
        case _:
            assert_never(hit)


def _printable(text: str) -> str:
    """A client's word in one line of a log: no line break or terminal command, and no end of length."""
    return "".join(c if c.isprintable() and c != " " else "?" for c in text[:_WORD_MOST])


@dataclass(frozen=True, slots=True)
class Prices:
    """What answers and embeddings cost."""

    of_model: Callable[[str], Price | None]
    of_embedding: EmbeddingPrice | None = None

    def saved(self, model: str, counted: Usage, estimated: Usage, upstream_s: float) -> Saved:
        """An answer that was not asked for. Money rests on counted tokens where these suffice."""
        price = self.of_model(model)
        if price is None:
            return Saved(counted, estimated, upstream_s, 0.0, None, by_estimate=False)
        amount = price.of(counted.tokens_in, counted.tokens_out, upstream_s)
        by_estimate = amount is None
        if amount is None:
            amount = price.of(*_either(counted, estimated), upstream_s)
        money = None if amount is None else Money(price.currency, amount)
        gpu_s = upstream_s * price.gpus if price.per_upstream_hour is not None else 0.0
        return Saved(counted, estimated, upstream_s, gpu_s, money, by_estimate and money is not None)

    def spent(self, embedding_s: float) -> Spent:
        price = self.of_embedding
        return Spent(embedding_s, Money(price.currency, price.per_hour * embedding_s / 3600) if price else None)


def _either(counted: Usage, estimated: Usage) -> tuple[int | None, int | None]:
    return (
        counted.tokens_in if counted.tokens_in is not None else estimated.tokens_in,
        counted.tokens_out if counted.tokens_out is not None else estimated.tokens_out,
    )


class Account:
    """Tells of each finished request: to the log, and to whoever counts."""

    def __init__(self, prices: Prices, clock: Clock, monotonic: Clock, counters: Sequence[Callable[[Outcome], None]]):
        self._prices = prices
        self._clock = clock
        self._monotonic = monotonic
        self._counters = counters
        self._ending: set[int] = set()
        self._closed = anyio.Event()

    def reprice(self, prices: Prices) -> None:
        """From the next answer on."""
        self._prices = prices

    def ending(self, trail: Trail) -> None:
        """The client is about to have its whole reply: from here on, `settled` waits for this trail."""
        trail.ended_s = self._monotonic()
        self._ending.add(id(trail))

    @property
    def is_settling(self) -> bool:
        """Whether a client has its whole reply, and it is not counted (nor stored) yet. Any thread may ask."""
        return bool(self._ending)

    async def settled(self, wait_s: float) -> None:
        """Wait until every reply that a client has is counted: an answer is stored after it was delivered."""
        with anyio.move_on_after(wait_s):
            while self._ending:
                await self._closed.wait()

    def close_trail(self, trail: Trail) -> None:
        """Count a finished request and write its line. Never raises: the client has its reply."""
        seconds = (trail.ended_s or self._monotonic()) - trail.started_s
        try:
            outcome = self.outcome(trail, seconds)
            for count in self._counters:
                count(outcome)
            if trail.trace is not None:
                trail.trace.end(trail.line(seconds), trail.spans, self._monotonic())
        except Exception:
            logging.getLogger("lookalike").exception("a request could not be counted")
        if log.isEnabledFor(logging.INFO):
            log.info("request", extra={"facts": trail.line(seconds)})
        self._ending.discard(id(trail))
        self._closed.set()
        self._closed = anyio.Event()

    def outcome(self, trail: Trail, seconds: float) -> Outcome:
        now_s, hit_class = self._clock(), trail.hit_class
        entry = trail.entry if hit_class.is_hit else None
        return Outcome(
            ended_s=now_s,
            hit_class=hit_class,
            answered=trail.status is not None and 200 <= trail.status < 300,
            seconds=seconds,
            dialect=trail.dialect,
            model=trail.model,
            tenant=trail.tenant,
            reason=trail.reason,
            kinds=trail.kinds,
            stages_s=dict(trail.stages_s),
            error=trail.error,
            stored=trail.stored is not None,
            unstored=trail.unstored,
            evidence_bytes=trail.evidence_bytes,
            saved=self._saved(trail, entry),
            served_age_s=entry.age_s(now_s) if entry else None,
            spent=self._prices.spent(trail.embedding_s),
            stale=trail.stale is not None,
            fallback=trail.upstream is not None,
            shadow=trail.shadow,
            observed=trail.observed,
            tags=trail.tags,
            edited=trail.edited,
            left_alone=trail.left_alone,
            collapsed=trail.shared is not None,
            alone=trail.alone,
        )

    def _saved(self, trail: Trail, entry: Entry | None) -> Saved | None:
        observed, shared = trail.observed, trail.shared
        if shared is not None:
            return self._prices.saved(trail.model or "", shared.usage, trail.estimated, shared.upstream_s)
        if entry is not None:
            counted = Usage(entry.tokens_in, entry.tokens_out)
            return self._prices.saved(entry.model, counted, trail.estimated, entry.upstream_s)
        if observed is not None and observed.agreement is not None:
            counted = Usage(observed.tokens_in, observed.tokens_out)
            return self._prices.saved(trail.model or "", counted, UNCOUNTED, observed.upstream_s)
        return None
