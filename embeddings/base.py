"""The contract of an embedder: upright RGB pictures in, unit vectors out.

Deterministic: one picture, one vector, alone or in a batch. `space` names the model *and* its
weights, so that vectors of two models (or two weights) can never meet in one index.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

RGB = NDArray[np.uint8]  # (height, width, 3)
Vectors = NDArray[np.float32]  # (pictures, dim), rows of unit length


@dataclass(frozen=True, slots=True)
class Space:
    """The coordinate system that vectors live in. Only vectors of equal spaces may be compared."""

    name: str  # e.g. "clip:ViT-B-32/laion2b_s34b_b79k"
    weights: str  # digest of the weights (of the algorithm's version where there are none)
    dim: int

    @property
    def key(self) -> str:
        return f"{self.name}@{self.weights}/{self.dim}"


class EmbedderUnavailable(Exception):
    """The embedder asked for cannot be had. The message says why and names the remedies."""


class EmbedderFault(Exception):
    """The embedder is there but failed at its work. A fault of ours: a miss, never an error to the client."""


class Embedder(Protocol):
    """Turns pictures into vectors. Called from one worker thread at a time."""

    @property
    def space(self) -> Space: ...

    @property
    def threshold(self) -> float:
        """Cosine at or above which this embedder nominates two pictures as one. It belongs to the embedder:
        a number calibrated for one is meaningless for another."""
        ...

    def embed(self, pictures: Sequence[RGB]) -> Vectors:
        """(n pictures) -> (n, dim) float32, unit rows."""
        ...


@dataclass(frozen=True, slots=True)
class Loaded:
    """An embedder ready for work. `note` says why it is a fallback; None when it is what was asked for.
    `caution` says what is doubtful about how it is set."""

    embedder: Embedder
    note: str | None = None
    caution: str | None = None
