"""What became of one request, in words and numbers: what the ledger counts, and the metrics too. Pure.

It holds no entry, no prompt and no credential, and what depends on settings (the price) is worked out already: it
can be counted at any time later and comes to the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.question import Usage
from gateway.shadow import Observation, WouldServe


class HitClass(StrEnum):
    """Every request is of one class."""

    EXACT = "exact"
    PIXEL = "pixel"
    NEAR = "near"
    MISS = "miss"
    BYPASS = "bypass"
    AFRESH = "afresh"  # no-cache: the cache was not asked
    SHADOW = "shadow"
    UNREAD = "unread"  # it ended before it was read

    @property
    def is_hit(self) -> bool:
        return self in (HitClass.EXACT, HitClass.PIXEL, HitClass.NEAR)


@dataclass(frozen=True, slots=True)
class Money:
    currency: str
    amount: float


@dataclass(frozen=True, slots=True)
class Saved:
    """What one answer saved, or would have saved. Of each token count, at most one of counted and estimated is
    known."""

    counted: Usage  # by the upstream, when it gave the answer
    estimated: Usage
    upstream_s: float
    gpu_s: float  # of machines of one's own
    money: Money | None
    by_estimate: bool  # the money rests on estimated tokens


@dataclass(frozen=True, slots=True)
class Spent:
    """What the gateway itself spent."""

    embedding_s: float = 0.0
    money: Money | None = None  # None: without a price


@dataclass(frozen=True, slots=True)
class Outcome:
    ended_s: float  # Unix time
    hit_class: HitClass
    answered: bool  # with success: then the names that the client chose are believed
    seconds: float  # until the client had its reply
    dialect: str | None = None
    model: str | None = None
    tenant: str | None = None
    reason: str | None = None  # why it was no hit
    kinds: tuple[str, ...] = ()
    stages_s: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None
    stored: bool = False
    unstored: str | None = None
    evidence_bytes: tuple[int, ...] = ()
    saved: Saved | None = None  # of a hit; in shadow mode, of a would-be hit that was compared
    served_age_s: float | None = None
    spent: Spent = Spent()
    stale: bool = False  # a hit past its time, in the place of an upstream that failed
    fallback: bool = False  # the second upstream answered
    shadow: WouldServe | None = None
    observed: Observation | None = None
    tags: tuple[str, ...] = ()  # of the rules that held
    edited: bool = False  # by them
    left_alone: str | None = None  # why rules that could have applied did not
    collapsed: bool = False  # a hit in what was in flight: the answer to another request
    alone: str | None = None  # why the answer to another request was waited for in vain
