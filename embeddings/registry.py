"""Which embedders there are, and what "auto" means. Nothing is imported before it is chosen.

Rule: a name asked for is the one you get, or `EmbedderUnavailable`; only "auto" may fall back, and
then the reason travels with the embedder as `Loaded.note`.
"""

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any, Final, Literal

from embeddings.base import EmbedderUnavailable, Loaded
from embeddings.clip import ClipOptions  # cheap: torch is imported by ClipEmbedder(), not by its module

__all__ = ["EMBEDDERS", "Choice", "ClipOptions", "Loaded", "load"]

Name = Literal["clip", "dct"]
Choice = Literal["auto"] | Name

EMBEDDERS: Final = {
    "clip": "embeddings.clip:ClipEmbedder",
    "dct": "embeddings.dct:DctEmbedder",
}


def load(choice: Choice, options: ClipOptions, thresholds: Mapping[Name, float] | None = None) -> Loaded:
    """With `thresholds`, by embedder, in place of the calibrated ones. Blocking, perhaps for as long as a download
    takes: call it from a thread of its own."""
    thresholds = thresholds or {}
    match choice:
        case "clip":
            return _clip(options, thresholds)
        case "dct":
            return _dct(thresholds)
        case "auto":
            try:
                return _clip(options, thresholds)
            except EmbedderUnavailable as reason:
                note = f'fell back to embedder "dct": {reason}'
                if "clip" in thresholds and "dct" not in thresholds:
                    note += f"; threshold {thresholds['clip']} is clip's, dct keeps its own"
                return replace(_dct(thresholds), note=note)
        case _:
            raise EmbedderUnavailable(f'no embedder "{choice}"; there are "auto", {_known()}')


def _clip(options: ClipOptions, thresholds: Mapping[Name, float]) -> Loaded:
    clip = _find("clip")
    options = replace(options, threshold=thresholds.get("clip", options.threshold))
    return Loaded(clip(options), caution=_caution("clip", options.threshold, clip.calibrated))


def _dct(thresholds: Mapping[Name, float]) -> Loaded:
    dct = _find("dct")
    threshold = thresholds.get("dct", dct.calibrated)
    return Loaded(dct(threshold), caution=_caution("dct", threshold, dct.calibrated))


def _caution(name: str, threshold: float, calibrated: float) -> str | None:
    if threshold >= calibrated:
        return None
    return (
        f"threshold {threshold} is below {name}'s calibrated {calibrated}: the guard is shown more strangers to refuse"
    )


def _find(name: str) -> Any:  # the class behind the name; the constructors differ, so no common type
    module, _, attribute = EMBEDDERS[name].partition(":")
    return getattr(import_module(module), attribute)


def _known() -> str:
    return ", ".join(f'"{name}"' for name in EMBEDDERS)
