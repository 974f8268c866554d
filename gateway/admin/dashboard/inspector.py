"""What the hit inspector shows of one sighting: the guard's figures as words and against their limits. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cache.verdict import Doubt, Spot
from gateway.admin.dashboard import reasons
from gateway.admin.dashboard.overview import iso
from gateway.admin.dashboard.words import Words
from gateway.question import Judgement
from gateway.sighting import Sight, Sighting
from gateway.sightings.thumbnails import Part

_ORDER: Final = list(Part)


@dataclass(frozen=True, slots=True)
class Figure:
    part: Part
    caption: str
    url: str


@dataclass(frozen=True, slots=True)
class Item:
    """One sighting in words. `answers` are (name, text or None if it is gone); `figures` has one row per picture."""

    id: str
    entry: str
    request: str
    iso: str
    ago: str
    model: str
    pictures: int
    verdict: str
    tone: str
    sentence: str
    figures: tuple[tuple[Figure, ...], ...]
    no_pictures: str
    score: float | None
    limit: float
    scale: float  # where the meter of the score ends
    guard: str
    similarity: float
    threshold: float
    cosine: str
    place: str
    prompt: str | None
    answers: tuple[tuple[str, str | None], ...]
    judged: Judgement | None
    may_judge: bool


def item(
    one: Sighting,
    figures: tuple[tuple[Figure, ...], ...],
    no_pictures: str,
    prompt: str | None,
    answers: tuple[tuple[str, str | None], ...],
    now_s: float,
    words: Words,
) -> Item:
    verdict, tone = _verdict(one, words)
    return Item(
        id=one.id,
        entry=one.entry,
        request=one.asked_exact,
        iso=iso(one.time_s),
        ago=words.ago(now_s - one.time_s),
        model=one.model,
        pictures=one.pictures,
        verdict=verdict,
        tone=tone,
        sentence=reasons.sentence(one.doubt, words.lang) if one.doubt else "",
        figures=figures,
        no_pictures=no_pictures,
        score=one.score,
        limit=one.limit,
        scale=max(2 * one.limit, one.score or 0.0),
        guard=_guard(one, words),
        similarity=one.similarity,
        threshold=one.threshold,
        cosine=words("cosine-of", similarity=f"{one.similarity:.4f}", threshold=f"{one.threshold:.2f}"),
        place=_place(one.spot, words) if one.spot else "",
        prompt=prompt,
        answers=answers,
        judged=one.judged,
        may_judge=one.sight is Sight.NEAR_HIT and not one.shadow,
    )


def _verdict(one: Sighting, words: Words) -> tuple[str, str]:
    if one.sight is Sight.NEAR_MISS:
        refused = words("refused")
        return (f"{refused}: {reasons.short(one.doubt, words.lang)}" if one.doubt else refused), "warn"
    return words("would-same" if one.shadow else "same"), "good"


def _guard(one: Sighting, words: Words) -> str:
    if one.score is None:
        return words("guard-glance" if one.doubt is Doubt.LOCAL_CHANGE else "guard-rule")
    key = "guard-of" if one.score <= one.limit else "guard-over"
    return words(key, score=f"{one.score:.2f}", limit=f"{one.limit:.2f}")


def _place(spot: Spot, words: Words) -> str:
    """Where in the asked picture, in percent of its sides."""
    across, down = (
        f"{100 * low:.0f}–{100 * high:.0f} %" for low, high in ((spot.left, spot.right), (spot.top, spot.bottom))
    )
    return words("place-of", across=across, down=down)


def rows(parts: Sequence[tuple[int, Part]], address: str, words: Words) -> tuple[tuple[Figure, ...], ...]:
    """The kept thumbnails, a row for each picture of the request. `address` is where they are served."""
    numbers = sorted({number for number, _ in parts})
    return tuple(
        tuple(
            Figure(part, words(f"pic-{part}"), f"{address}/{number}/{part}.jpg")
            for part in _ORDER
            if (number, part) in parts
        )
        for number in numbers
    )
