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
from gateway.pictures import Picture

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
    view_ms: float  # file to view
    encode_ms: float  # view to evidence


def names(embedders: Mapping[str, Embedder]) -> tuple[str, ...]:
    """The methods, cheapest first."""
    return (EXACT, *_PHASH_LIMITS, *_PDQ_LIMITS, *embedders, GUARD, LADDER)


def view(picture: Picture) -> guard.View:
    """Raises ValueError where the gateway would have no view of it."""
    seen = pictures.view(picture)
    if seen is None:
        raise ValueError("a picture such as 16-bit, which has no plain rendering, cannot be measured with")
    return seen


def ask(file: bytes, embedders: Mapping[str, Embedder]) -> Asked:
    """A file as it would be uploaded."""
    picture = Picture.of(file)
    seen, upright = view(picture), pictures.decoded(picture)
    rgb = pictures.rgb(upright)
    assert rgb is not None, "a view of a picture without a plain rendering"
    signs = Signs(
        size=upright.size,
        pixels=pictures.pixels(upright),
        phash=np.asarray(imagehash.phash(Image.fromarray(rgb)).hash, bool).ravel(),
        pdq=np.asarray(pdqhash.compute(rgb)[0], bool),
        vectors={name: embedder.embed([seen.rgb])[0] for name, embedder in embedders.items()},
    )
    return Asked(signs, seen)


def keep(name: str, file: bytes, embedders: Mapping[str, Embedder]) -> Kept:
    began = time.perf_counter()
    seen = view(Picture.of(file))
    viewed = time.perf_counter()
    evidence = guard.encode(seen)
    done = time.perf_counter()
    return Kept(name, ask(file, embedders).signs, evidence, 1000 * (viewed - began), 1000 * (done - viewed))


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
