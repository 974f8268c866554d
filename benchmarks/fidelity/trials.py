"""What is tried: each trial takes stored and asked pictures and says what every method made of them.

A trial is a small value that a worker process can be handed; everything large is loaded there.
"""

import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from benchmarks.fidelity import methods
from benchmarks.fidelity.ladder import Judge, Ladder
from benchmarks.fidelity.material import Group, Material, drawn_name, pair
from benchmarks.fidelity.methods import LADDER, Asked, Kept, Signs
from cache import guard
from cache.verdict import Different, Same, Verdict
from embeddings.base import Embedder
from gateway.evaluate.copies import COPIES, CORE
from gateway.pictures import Picture

DIRECT: Final = ("direct", "as it is")
# How look-alikes are asked about: as they are, and as they would arrive. (class, variant) of COPIES.
HARD_WAYS: Final = (DIRECT, ("jpeg-low", "q60"), ("chat", "1280px q60"))
EDIT_WAYS: Final = (
    *(DIRECT, ("jpeg-high", "q75"), ("jpeg-low", "q45"), ("webp-low", "q65"), ("resize", "x0.75 lanczos")),
    *(("resize", "x0.5 box"), ("chat", "800px q60")),
)
# Every way that leaves an edit in the picture, and legible: neither cut off nor shrunk to nothing.
_KEEPING_WAYS: Final = tuple(
    (kind, variant)
    for kind in CORE
    for variant in COPIES[kind]
    if kind != "resize-hard" and not ("crop" in kind or "crop" in variant)
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One stored picture, one asked picture, and who takes the one for the other."""

    trial: str  # copy, positive, hard, cross, edit
    group: Group
    stored: str
    asked: str
    way: tuple[str, str]  # class and variant of what was done to the asked picture
    by: frozenset[str]
    doubt: str | None  # the guard's
    score: float | None
    compare_ms: float | None
    asked_px: int
    edit: str = ""
    served: str | None = None  # whose answer the ladder gave, among all stored pictures


@dataclass(frozen=True, slots=True)
class Bench:
    """What every trial needs. `ladder` holds all stored pictures."""

    material: Material
    embedders: Mapping[str, Embedder]
    by: str  # the embedder that nominates
    stored: Mapping[str, Kept]
    ladder: Ladder | None

    def ask(self, file: bytes) -> Asked:
        return methods.ask(file, self.embedders)

    def compared(self, kept: Kept, asked: Asked) -> tuple[set[str], Verdict, float]:
        """One stored picture, and nothing else in the store."""
        judge = Judge(asked.view)
        verdict, ms = judge.verdict(kept.evidence)
        by = methods.accepting(kept.signs, asked.signs, verdict, self.embedders)
        with Ladder([kept], self.by, self.embedders[self.by]) as ladder:
            if ladder.find(asked, judge) is not None:
                by.add(LADDER)
        return by, verdict, ms


@dataclass(frozen=True, slots=True)
class Copies:
    """Every benign copy of one stored picture, asked about where all are stored."""

    name: str

    def run(self, bench: Bench) -> Iterator[Outcome]:
        image, kept, group = bench.material.load(self.name), bench.stored[self.name], bench.material.group(self.name)
        assert bench.ladder is not None
        for kind, variants in COPIES.items():
            for variant, transform in variants.items():
                asked = bench.ask(transform(image))
                judge = Judge(asked.view)
                served = bench.ladder.find(asked, judge)
                verdict, ms = judge.verdict(kept.evidence)
                by = methods.accepting(kept.signs, asked.signs, verdict, bench.embedders)
                if served is not None and bench.material.are_kin(self.name, served):
                    by.add(LADDER)
                way, size = (kind, variant), _area(asked.signs)
                yield _outcome("copy", group, (self.name, self.name), way, by, verdict, ms, size, served=served)


@dataclass(frozen=True, slots=True)
class Listed:
    """One pair of the folder's lists, in both directions: look-alikes (hard) or copies (positive)."""

    trial: str
    one: str
    other: str
    ways: tuple[tuple[str, str], ...]

    def run(self, bench: Bench) -> Iterator[Outcome]:
        for stored, other in ((self.one, self.other), (self.other, self.one)):
            group = bench.material.group(stored)
            for way in self.ways:
                asked = bench.ask(sent(bench.material, other, way))
                by, verdict, ms = bench.compared(bench.stored[stored], asked)
                yield _outcome(self.trial, group, (stored, other), way, by, verdict, ms, _area(asked.signs))


@dataclass(frozen=True, slots=True)
class Crosses:
    """Every stored picture of one block with every asked one of another, but for kin."""

    stored: tuple[str, ...]
    asked: tuple[str, ...]

    def run(self, bench: Bench) -> Iterator[Outcome]:
        kept = [(bench.stored[name], guard.decode(bench.stored[name].evidence)) for name in self.stored]
        for name in self.asked:
            signs, view = bench.stored[name].signs, methods.view(Picture.of(bench.material.file(name)))
            for other, evidence in kept:
                if other.name < name and not bench.material.are_kin(name, other.name):
                    yield self._one(bench, other, evidence, name, signs, view)

    def _one(
        self, bench: Bench, kept: Kept, evidence: guard.View, name: str, signs: Signs, view: guard.View
    ) -> Outcome:
        began = time.perf_counter()
        verdict = guard.compare(evidence, view)
        ms = 1000 * (time.perf_counter() - began)
        by = methods.accepting(kept.signs, signs, verdict, bench.embedders)
        if methods.EXACT in by or {bench.by, methods.GUARD} <= by:
            by.add(LADDER)
        group = bench.material.group(kept.name)
        return _outcome("cross", group, (kept.name, name), DIRECT, by, verdict, ms, _area(signs))


@dataclass(frozen=True, slots=True)
class Edits:
    """One drawn picture stored, and the same with one readable edit asked about, in several ways."""

    seed: int

    def run(self, bench: Bench) -> Iterator[Outcome]:
        drawn, name = pair(self.seed), drawn_name(self.seed)
        kept = methods.keep(name, bench.material.file(name), bench.embedders)
        more = random.Random(self.seed).choice(_KEEPING_WAYS)
        for way in dict.fromkeys((*EDIT_WAYS, more)):
            names = name, drawn_name(self.seed, edited=True)
            asked = bench.ask(sent(bench.material, names[1], way))
            by, verdict, ms = bench.compared(kept, asked)
            size, group = _area(asked.signs), bench.material.group(name)
            yield _outcome("edit", group, names, way, by, verdict, ms, size, edit=drawn.edit)


Trial = Copies | Listed | Crosses | Edits


def sent(pictures: Material, name: str, way: tuple[str, str]) -> bytes:
    """The file that is asked with."""
    return pictures.file(name) if way == DIRECT else COPIES[way[0]][way[1]](pictures.load(name))


def _area(signs: Signs) -> int:
    return signs.size[0] * signs.size[1]


def _outcome(
    trial: str,
    group: Group,
    names: tuple[str, str],
    way: tuple[str, str],
    by: set[str],
    verdict: Verdict,
    ms: float,
    asked_px: int,
    edit: str = "",
    served: str | None = None,
) -> Outcome:
    match verdict:
        case Same(score):
            doubt: str | None = None
        case Different(why, score):
            doubt = str(why)
    return Outcome(trial, group, *names, way, frozenset(by), doubt, score, ms, asked_px, edit, served)
