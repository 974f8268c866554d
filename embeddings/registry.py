"""Which embedders there are, and what "auto" means. Nothing is imported before it is chosen.

Rule: a name asked for is the one you get, or `EmbedderUnavailable`; only "auto" may fall back, and
then the reason travels with the embedder as `Loaded.note`.
"""

from importlib import import_module
from typing import Any, Final, Literal

from embeddings.base import EmbedderUnavailable, Loaded
from embeddings.clip import ClipOptions  # cheap: torch is imported by ClipEmbedder(), not by its module

__all__ = ["EMBEDDERS", "Choice", "ClipOptions", "Loaded", "load"]

Choice = Literal["auto", "clip", "dct"]

EMBEDDERS: Final = {
    "clip": "embeddings.clip:ClipEmbedder",
    "dct": "embeddings.dct:DctEmbedder",
}


def load(choice: Choice, options: ClipOptions) -> Loaded:
    """Blocking, perhaps for as long as a download takes: call it from a thread of its own."""
    match choice:
        case "clip":
            return Loaded(_find("clip")(options))
        case "dct":
            return Loaded(_find("dct")())
        case "auto":
            try:
                return Loaded(_find("clip")(options))
            except EmbedderUnavailable as reason:
                return Loaded(_find("dct")(), note=f'fell back to embedder "dct": {reason}')
        case _:
            raise EmbedderUnavailable(f'no embedder "{choice}"; there are "auto", {_known()}')


def _find(name: str) -> Any:  # the class behind the name; the constructors differ, so no common type
    module, _, attribute = EMBEDDERS[name].partition(":")
    return getattr(import_module(module), attribute)


def _known() -> str:
    return ", ".join(f'"{name}"' for name in EMBEDDERS)
