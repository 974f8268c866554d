"""What happened to each request, told once: one `Trail` gives the header, the log line and the counters.

Nothing here holds a prompt, a picture or a credential. Rates have honest denominators: the hit rate is
hits over the requests that the cache was asked for; bypasses are counted apart, each by its reason, and so are
the requests of shadow mode, which are no hits and no misses.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import orjson
from pydantic import TypeAdapter

from cache.entry import Entry
from cache.lookup import Exact, Hit, Near, Pixel
from cache.verdict import Doubt
from gateway.config import Price
from gateway.question import Bypass, Unstored
from gateway.shadow import Kind, Observation, WouldServe
from gateway.sighting import Compared
from gateway.totals import EvidenceBytes, Totals, by_kind

log = logging.getLogger("lookalike.access")

_WORD_MOST = 200
CACHE_NAME = "lookalike"  # how this cache calls itself in Cache-Status
Clock = Callable[[], float]


@dataclass(slots=True)
class Trail:
    """One request's way through the gateway. Each stage writes what it did, in order."""

    method: str
    path: str
    started_s: float  # on the monotonic clock
    dialect: str | None = None
    model: str | None = None
    pictures: int = 0
    kinds: tuple[str, ...] = ()  # of question, as the settings name them
    hit: str | None = None  # exact, pixel or near
    entry: Entry | None = None
    similarity: float | None = None
    bypass: Bypass | None = None
    doubt: Doubt | None = None
    requested: str | None = None  # the caller's own wish that kept the cache out: no-cache, only-if-cached
    status: int | None = None
    error: str | None = None
    stored: str | None = None  # id of the entry that this request's reply became
    unstored: Unstored | None = None
    evidence_bytes: tuple[int, ...] = ()  # kept of each picture
    shadow: WouldServe | None = None  # in shadow mode
    observed: Observation | None = None  # ... once the answer was compared
    compared: Compared | None = None  # the stored picture that the guard took for this one, or refused
    stages_s: dict[str, float] = field(default_factory=dict)
    ended_s: float | None = None  # when the client had its reply, on the monotonic clock

    def found(self, hit: Hit) -> None:
        self.entry = hit.entry
        match hit:
            case Exact():
                self.hit = "exact"
            case Pixel():
                self.hit = "pixel"
            case Near(similarity=similarity):
                self.hit, self.similarity = "near", similarity

    @contextmanager
    def stage(self, name: str, monotonic: Clock) -> Iterator[None]:
        begun = monotonic()
        try:
            yield
        finally:
            self.stages_s[name] = self.stages_s.get(name, 0.0) + monotonic() - begun

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
            return f"{CACHE_NAME}; hit; ttl={int(self.entry.expires_s - now_s)}; detail={self.hit}"
        if self.requested:
            forward = "request"
        elif self.bypass:
            forward = "bypass"
        else:
            forward = "stale" if self.doubt is Doubt.STALE else "miss"
        return f"{CACHE_NAME}; fwd={forward}" + (f"; detail={self.reason}" if self.reason else "")

    def line(self, seconds: float) -> dict[str, Any]:
        """The request in one flat record, for the log."""
        facts = {
            "method": self.method,
            "path": _printable(self.path),
            "status": self.status,
            "cache": self.outcome,
            "reason": self.reason,
            "shadow": self.shadow.header() if self.shadow else None,
            "ms": round(seconds * 1000, 1),
            "model": None if self.model is None else _printable(self.model),
            "pictures": self.pictures or None,
            "kinds": ",".join(self.kinds) or None,
            "entry": self.entry.id if self.entry else None,
            "similarity": None if self.similarity is None else round(self.similarity, 4),
            "stored": self.stored,
            "unstored": self.unstored,
            "error": self.error,
            "stages_ms": {name: round(value * 1000, 1) for name, value in self.stages_s.items()} or None,
        }
        return {key: value for key, value in facts.items() if value is not None}


def _printable(text: str) -> str:
    """A client's word in one line of a log: no line break or terminal command, and no end of length."""
    return "".join(c if c.isprintable() and c != " " else "?" for c in text[:_WORD_MOST])


_TOTALS = TypeAdapter(Totals)


class Account:
    """Totals of all trails, kept in `file` (None: in memory only)."""

    def __init__(self, price_of: Callable[[str], Price | None], monotonic: Clock, file: Path | None) -> None:
        self._price_of = price_of
        self._monotonic = monotonic
        self._file = file
        self._written: bytes | None = None
        self._evidence = EvidenceBytes()
        self._ending: set[int] = set()
        self._closed = anyio.Event()
        self.totals = _read(file) if file else Totals()

    def ending(self, trail: Trail) -> None:
        """The client is about to have its whole reply: from here on, `settled` waits for this trail."""
        trail.ended_s = self._monotonic()
        self._ending.add(id(trail))

    async def settled(self, wait_s: float) -> None:
        """Wait until every reply that a client has is counted: an answer is stored after it was delivered."""
        with anyio.move_on_after(wait_s):
            while self._ending:
                await self._closed.wait()

    def close_trail(self, trail: Trail) -> None:
        """Count a finished request and write its line."""
        self._ending.discard(id(trail))
        self._closed.set()
        self._closed = anyio.Event()
        totals = self.totals
        totals.requests += 1
        if trail.error:
            totals.errors[trail.error] += 1
        if trail.entry is not None and trail.hit is not None:
            totals.hits[trail.hit] += 1
            totals.kinds.update(trail.kinds)
            totals.kinds_hit.update(trail.kinds)
            entry = trail.entry
            totals.add(entry.tokens_in, entry.tokens_out, entry.upstream_s, self._price_of(entry.model))
        elif trail.shadow:
            totals.shadow.count(trail.shadow, trail.observed, self._price_of(trail.model or ""), trail.kinds)
        elif trail.bypass:
            totals.bypasses[trail.bypass] += 1
        elif trail.requested:
            totals.asked_afresh += 1
        elif trail.reason:
            totals.misses[trail.reason] += 1
            totals.kinds.update(trail.kinds)
        if trail.stored:
            totals.stored += 1
            self._evidence.add(trail.evidence_bytes)
        if trail.unstored:
            totals.unstored[trail.unstored] += 1
        if log.isEnabledFor(logging.INFO):
            ended_s = trail.ended_s or self._monotonic()
            log.info("request", extra={"facts": trail.line(ended_s - trail.started_s)})

    def report(self) -> dict[str, Any]:
        """The statistics as /cache/stats shows them."""
        totals = self.totals
        hits, misses, bypasses = (sum(c.values()) for c in (totals.hits, totals.misses, totals.bypasses))
        asked = hits + misses
        return {
            "requests": totals.requests,
            "asked_of_cache": asked,
            "hits": {"total": hits, **{kind: totals.hits[kind] for kind in ("exact", "pixel", "near")}},
            "hit_rate": hits / asked if asked else None,
            "misses": {"total": misses, "by_reason": dict(totals.misses)},
            "kinds": by_kind(totals.kinds, totals.kinds_hit),
            "asked_afresh": totals.asked_afresh,
            "bypasses": {"total": bypasses, "by_reason": dict(totals.bypasses)},
            "errors": dict(totals.errors),
            "stored": totals.stored,
            "not_stored": dict(totals.unstored),
            "evidence": self._evidence.report(),
            "saved": totals.report(hits),
        }

    def shadow(self) -> dict[str, Any]:
        """The statistics of shadow mode. Would-be hits were forwarded: they are no part of the hit rate."""
        shadow = self.totals.shadow
        hits = {kind.value: shadow.would_be[kind] for kind in Kind if kind is not Kind.MISS}
        return {
            "requests": shadow.requests,
            "would_be_hits": {"total": sum(hits.values()), **hits},
            "would_be_hit_rate": sum(hits.values()) / shadow.requests if shadow.requests else None,
            "kinds": by_kind(shadow.kinds, shadow.kinds_hit),
            "compared": shadow.compared,
            "agreed": shadow.agreed,
            "disagreed": shadow.compared - shadow.agreed,
            "numbers_disagreed": shadow.numbers_disagreed,
            "would_have_saved": shadow.report(shadow.compared),
        }

    def write(self) -> None:
        """Keep the totals on disk, atomically; nothing is written if nothing changed. Blocking."""
        if self._file is None:
            return
        # Not asdict: it would rebuild each Counter by counting its pairs.
        values = {name: getattr(self.totals, name) for name in Totals.__dataclass_fields__}
        data = orjson.dumps(values, option=orjson.OPT_NON_STR_KEYS)
        if data != self._written:
            new = self._file.with_suffix(".new")
            new.write_bytes(data)
            new.replace(self._file)
            self._written = data


def _read(file: Path) -> Totals:
    """The totals in `file`. A file that is missing or damaged counts from zero: statistics never stop a start."""
    try:
        return _TOTALS.validate_json(file.read_bytes())
    except FileNotFoundError:
        return Totals()
    except (OSError, ValueError):
        logging.getLogger("lookalike").warning("the statistics in %s cannot be read; counting from zero", file)
        return Totals()
