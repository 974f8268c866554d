"""What each method knows of a picture, and which methods take one picture for another.

The guard alone is asked as if every pair had been nominated; the whole ladder is in ladder.py.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import imagehash
import numpy as np
import pdqhash
from numpy.typing import NDArray
from PIL import Image

from cache import guard
from cache.verdict import Same, Verdict
from embeddings.base import Embedder
from gateway import pictures

EXACT, GUARD, LADDER = "exact", "guard", "ladder"
_PHASH_LIMITS: Final = {"pHash 0": 0, "pHash 4": 4, "pHash 10": 10}  # of 64 bits
_PDQ_LIMITS: Final = {"PDQ 4": 4, "PDQ 31": 31}  # of 256 bits; 31 is what its authors advise

Bits = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Signs:
    """What the methods compare, but for the guard."""

    size: tuple[int, int]
    pixels: str  # digest
    phash: Bits
    pdq: Bits
    vectors: Mapping[str, NDArray[np.float32]]  # by embedder


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    signs: Signs
    view: guard.View


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """A stored picture, and what it cost to prepare it."""

    name: str
    signs: Signs
    evidence: bytes
    view_ms: float  # decoded pixels to view
    encode_ms: float  # view to evidence


def names(embedders: Mapping[str, Embedder]) -> tuple[str, ...]:
    """The methods, cheapest first."""
    return (EXACT, *_PHASH_LIMITS, *_PDQ_LIMITS, *embedders, GUARD, LADDER)


def view(image: Image.Image) -> guard.View:
    return guard.view_of(np.asarray(image), image.size)


def ask(image: Image.Image, embedders: Mapping[str, Embedder]) -> Asked:
    seen = view(image)
    signs = Signs(
        size=image.size,
        pixels=pictures.pixels(image),
        phash=np.asarray(imagehash.phash(image).hash, bool).ravel(),
        pdq=np.asarray(pdqhash.compute(np.asarray(image))[0], bool),
        vectors={name: embedder.embed([seen.rgb])[0] for name, embedder in embedders.items()},
    )
    return Asked(signs, seen)


def keep(name: str, image: Image.Image, embedders: Mapping[str, Embedder]) -> Kept:
    began = time.perf_counter()
    seen = view(image)
    viewed = time.perf_counter()
    evidence = guard.encode(seen)
    done = time.perf_counter()
    return Kept(name, ask(image, embedders).signs, evidence, 1000 * (viewed - began), 1000 * (done - viewed))


def accepting(stored: Signs, asked: Signs, verdict: Verdict, embedders: Mapping[str, Embedder]) -> set[str]:
    """The methods that would answer `asked` from `stored`, but for the ladder."""
    found = {name for name, limit in _PHASH_LIMITS.items() if _distance(stored.phash, asked.phash) <= limit}
    found |= {name for name, limit in _PDQ_LIMITS.items() if _distance(stored.pdq, asked.pdq) <= limit}
    found |= {name for name, embedder in embedders.items() if cosine(stored, asked, name) >= embedder.threshold}
    if stored.pixels == asked.pixels:
        found.add(EXACT)
    if isinstance(verdict, Same):
        found.add(GUARD)
    return found


def cosine(stored: Signs, asked: Signs, embedder: str) -> float:
    return float(stored.vectors[embedder] @ asked.vectors[embedder])


def _distance(one: Bits, other: Bits) -> Any:
    return np.count_nonzero(one != other)
