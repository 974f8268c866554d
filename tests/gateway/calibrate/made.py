"""Observations as a test wants them."""

from typing import Any

from gateway.shadow import Agreement, Candidate, Kind, Observation

AGREES = Agreement(True, 1.0, True, 10, 10)
REWORDED = Agreement(False, 0.85, True, 10, 10)
OTHER_NUMBER = Agreement(False, 0.95, False, 10, 10)
SPACE, IN_FORCE = "dct@v1/163", 0.65


def seen(would_be: Kind = Kind.MISS, **facts: Any) -> Observation:
    plain: dict[str, Any] = {
        "time_s": 1_800_000_000.0,
        "model": "m",
        "dialect": "openai-chat",
        "question": "0" * 12,
        "pictures": 1,
        "would_be": would_be,
        "doubt": "new-picture" if would_be is Kind.MISS else None,
        "similarity": None,
        "score": None,
        "space": SPACE,
        "threshold": IN_FORCE,
        "tokens_in": 100,
        "tokens_out": 10,
        "upstream_s": 2.0,
        "money": None,
        "currency": None,
        "unread": None,
        "agreement": None,
        "candidates": (),
    }
    return Observation(**plain | facts)


def candidate(similarity: float, agreement: Agreement | None = AGREES, doubt: str | None = None) -> Candidate:
    return Candidate(similarity, doubt, 0.5, agreement)


def near(similarity: float = 0.99, agreement: Agreement | None = AGREES, **facts: Any) -> Observation:
    """A request with one accepted candidate: a near hit where that is nominated."""
    kind = Kind.NEAR if similarity >= facts.get("threshold", IN_FORCE) else Kind.MISS
    hit = agreement if kind is Kind.NEAR else None
    return seen(kind, similarity=similarity, agreement=hit, candidates=(candidate(similarity, agreement),), **facts)


def exact(agreement: Agreement | None = AGREES, **facts: Any) -> Observation:
    return seen(Kind.EXACT, space=None, threshold=None, agreement=agreement, **facts)
