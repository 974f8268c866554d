"""`lookalike compare A B`: if A is stored, is B answered from the cache? Step by step, as the gateway climbs."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anyio
import numpy as np

from cache import guard
from cache.entry import Record
from cache.guard import Explanation
from cache.verdict import Different, Doubt, Same, Spot
from embeddings.base import Embedder
from gateway import pictures
from gateway.config import Settings
from gateway.evaluate.errors import BadInput
from gateway.evaluate.ladder import Hit, Ladder, Outcome, Shelf
from gateway.evaluate.words import sentence
from gateway.pictures import Picture
from gateway.question import NotCacheable, Scrutiny


@dataclass(frozen=True, slots=True)
class Row:
    """One step of the ladder, ready to be shown. `tone` is good, warn or quiet."""

    rung: str
    question: str
    value: str
    limit: str
    says: str
    tone: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What the settings ask of a near hit: a cosine at the least, a score of the guard's at most."""

    threshold: float
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """How B fares where A is stored. `told` is None where the guard had no business."""

    stored: str
    asked: str
    result: Outcome
    similarity: float | None
    limits: Limits
    told: Explanation | None
    views: tuple[guard.View, guard.View] | None  # as the guard sees them
    steps: tuple[Row, ...]

    @property
    def hit(self) -> bool:
        return isinstance(self.result, Hit)

    @property
    def outcome(self) -> str:
        if isinstance(self.result, Hit):
            return f"hit: {self.result.rung}"
        return f"miss: {self.result.reason} - {sentence(self.result.reason)}"

    @property
    def score(self) -> float | None:
        return self.told.verdict.score if self.told else None

    @property
    def margin(self) -> float | None:
        """How far the score is below the limit in force; negative above it."""
        return None if self.score is None else self.limits.score - self.score

    @property
    def spot(self) -> Spot | None:
        verdict = self.told.verdict if self.told else None
        return verdict.spot if isinstance(verdict, Different) else None

    def as_json(self) -> dict[str, Any]:
        """The comparison for programs."""
        return {
            "stored": self.stored,
            "asked": self.asked,
            "hit": self.hit,
            "rung": self.result.rung if isinstance(self.result, Hit) else None,
            "reason": None if isinstance(self.result, Hit) else self.result.reason,
            "outcome": self.outcome,
            "similarity": self.similarity,
            "threshold": self.limits.threshold,
            "score": self.score,
            "limit": self.limits.score,
            "margin": self.margin,
            "spot": self.spot._asdict() if self.spot else None,
            "guard": [asdict(step) for step in self.told.steps] if self.told else [],
        }


@dataclass(frozen=True, slots=True)
class Named:
    """A picture file and what it is called."""

    name: str
    picture: Picture


def compare(stored: Named, asked: Named, embedder: Embedder, settings: Settings) -> Comparison:
    """Raises BadInput where a file is no picture that the gateway would cache."""
    limits = Limits(embedder.threshold, settings.limit(Scrutiny.NORMAL))
    return anyio.run(_compare, stored, asked, Ladder(embedder, limits.threshold, settings), limits)


async def _compare(stored: Named, asked: Named, ladder: Ladder, limits: Limits) -> Comparison:
    other = asked.picture
    record, evidence = await _looked(ladder, stored)
    second, other_evidence = await _looked(ladder, asked)
    result = await ladder.ask(Shelf([record], lambda _: evidence), other)
    similarity = _cosine(record, second)
    told = views = None
    if evidence and other_evidence:
        asked_view = pictures.view(other)
        assert asked_view is not None, "evidence of a picture without a view"
        views = guard.decode(evidence), asked_view
        if not (isinstance(result, Hit) and result.rung != "near"):
            told = guard.explain(*views)
    rows = tuple(_rows(record, second, result, similarity, limits, told))
    return Comparison(stored.name, asked.name, result, similarity, limits, told, views, rows)


def load(file: Path) -> Named:
    """The bytes of a file. Raises BadInput in words."""
    try:
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise BadInput(f"there is no file {file}") from error
    except IsADirectoryError as error:
        raise BadInput(f"{file} is a folder: give a picture file, or use `lookalike evaluate` for a folder") from error
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror or error}") from error
    return Named(str(file), Picture.of(data))


async def _looked(ladder: Ladder, file: Named) -> tuple[Record, bytes]:
    try:
        return await ladder.stored(file.picture)
    except NotCacheable as refusal:
        raise BadInput(f"{file.name}: {sentence(refusal.why)}") from refusal


def _cosine(one: Record, other: Record) -> float | None:
    if one.vectors is None or other.vectors is None:
        return None
    return float(np.dot(one.vectors[0], other.vectors[0]))


def _rows(
    one: Record, other: Record, result: Outcome, similarity: float | None, limits: Limits, told: Explanation | None
) -> list[Row]:
    """The ladder, down to where it ended; what the guard would say of a pair that was not nominated is shown too."""
    exact = one.entry.exact == other.entry.exact
    rows = [_row("exact", "the same bytes?", other.entry.id[:10], f"= {one.entry.id[:10]}", exact, "hit", "no")]
    if exact:
        return rows
    sizes = ["x".join(map(str, record.entry.sizes[0])) for record in (one, other)]
    if sizes[0] != sizes[1]:
        rows.append(Row("pixel", "the same pixels?", sizes[1], f"= {sizes[0]}", "no: another size", "quiet"))
    else:
        pixel = one.entry.pixel == other.entry.pixel
        rows.append(
            _row("pixel", "the same pixels?", other.entry.pixel[:10], f"= {one.entry.pixel[:10]}", pixel, "hit", "no")
        )
        if pixel:
            return rows
    if similarity is None or told is None:
        return [*rows, Row("near", "alike?", "", "", sentence(Doubt.NO_PLAIN_VIEW), "warn")]
    near = similarity >= limits.threshold
    rows.append(
        _row(
            "near",
            "cosine",
            f"{similarity:.4f}",
            f"≥ {limits.threshold:.2f}",
            near,
            "nominated",
            "not nominated: a miss",
        )
    )
    for step in told.steps:
        value, limit = ("" if figure is None else f"{figure:.4g}" for figure in (step.value, step.limit))
        rows.append(_row("guard", step.name, value, limit, step.passed, "passed", "refused"))
    same = isinstance(told.verdict, Same)
    if isinstance(told.verdict, Same) and limits.score < guard.LIMIT:
        same = told.verdict.score <= limits.score
        score = f"{told.verdict.score:.4g}"
        rows.append(_row("guard", "within guard_limit", score, f"{limits.score:.4g}", same, "passed", "refused"))
    if near:
        rows.append(_row("guard", "one picture?", "", "", same, "hit", "no: a miss"))
    else:
        rows.append(_row("guard", "one picture?", "", "", same, "would be a hit", "would be a miss"))
    return rows


def _row(rung: str, question: str, value: str, limit: str, good: bool, yes: str, no: str) -> Row:
    tone = "good" if good else "quiet" if rung in ("exact", "pixel") else "warn"
    return Row(rung, question, value, limit, yes if good else no, tone)
