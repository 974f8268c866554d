"""The trials, in this process or in several. Each process loads what they need once."""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

import cv2
from rich.progress import Progress

from benchmarks.fidelity import methods
from benchmarks.fidelity.ladder import Ladder
from benchmarks.fidelity.material import Material
from benchmarks.fidelity.methods import Kept
from benchmarks.fidelity.trials import Bench, Outcome, Trial
from embeddings import registry
from embeddings.base import Embedder, EmbedderUnavailable
from embeddings.clip import ClipOptions

T = TypeVar("T")

_bench: Bench  # of this process


class Crew:
    def __init__(self, jobs: int, material: Material, embedder: str, progress: Progress) -> None:
        self._jobs, self._material, self._embedder, self._progress = jobs, material, embedder, progress

    def each(
        self, label: str, work: Callable[[Any], T], things: Sequence[Any], stored: Mapping[str, Kept]
    ) -> Iterator[T]:
        """`keep` or `attempt` of every thing, in order."""
        start = self._material, self._embedder, stored
        if self._jobs <= 1:
            _start(*start)
            yield from self._progress.track(map(work, things), len(things), description=label)
            return
        context = multiprocessing.get_context("spawn")  # a fork would copy the locks of OpenCV's and torch's threads
        with ProcessPoolExecutor(self._jobs, context, _start, start) as pool:
            yield from self._progress.track(pool.map(work, things), len(things), description=label)


def keep(name: str) -> Kept:
    return methods.keep(name, _bench.material.file(name), _bench.embedders)


def attempt(trial: Trial) -> list[Outcome]:
    return list(trial.run(_bench))


def load(by: str) -> dict[str, Embedder]:
    """dct, and the embedder that nominates. Raises SystemExit, with words, where it cannot be had."""
    loaded: dict[str, Embedder] = {}
    for name in dict.fromkeys(("dct", by)):
        try:
            loaded[name] = registry.load(name, ClipOptions()).embedder  # type: ignore[arg-type]  # checked by argparse
        except EmbedderUnavailable as reason:
            raise SystemExit(str(reason)) from None
    return loaded


def _start(material: Material, by: str, stored: Mapping[str, Kept]) -> None:
    """Make this process ready for `keep`, and with stored pictures for `attempt`."""
    global _bench
    cv2.setNumThreads(1)
    embedders = load(by)
    ladder = Ladder(stored.values(), by, embedders[by]) if stored else None
    _bench = Bench(material, embedders, by, stored, ladder)
