"""The pictures that are measured on: a folder of real ones, and drawn ones. A picture is named by a short string."""

import csv
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from PIL import Image

from benchmarks.drawn import Drawn, drawn_pair
from gateway.evaluate.bench import open_rgb
from gateway.evaluate.copies import png
from gateway.pictures import Picture

Group = Literal["photo", "text"]

_TEXT_CATEGORIES: Final = frozenset(("receipt", "document", "chart", "exam", "screenshot"))
_PHOTO_KINDS: Final = frozenset(("product", "shelf", "scene"))
_DRAWN, _EDITED = "drawn:", "edited:"


def drawn_name(seed: int, edited: bool = False) -> str:
    return f"{_EDITED if edited else _DRAWN}{seed}"


@functools.lru_cache(maxsize=8)
def pair(seed: int) -> Drawn:
    return drawn_pair(seed)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two files of the folder and what its list says of them, tag first: "[fields] two receipts of one shop"."""

    one: str
    other: str
    why: str

    def tagged(self, *tags: str) -> bool:
        return self.why.startswith(tuple(f"[{tag}]" for tag in tags))


@dataclass(frozen=True, slots=True)
class Material:
    """`folder` holds `manifest.csv` (file, category), and may have hard_pairs.csv and positive_pairs.csv."""

    folder: Path | None
    categories: dict[str, str]  # by file
    hard: tuple[Pair, ...]  # other pictures, however alike
    cosmetic: tuple[Pair, ...]  # other pixels, same content: neither right nor wrong
    positive: tuple[Pair, ...]
    kin: dict[str, frozenset[str]]  # by file: those that may be taken for it

    def files(self) -> list[str]:
        return list(self.categories)

    def file(self, name: str) -> bytes:
        """As it would be uploaded; a drawn one as a PNG."""
        kind, _, seed = name.rpartition(":")
        if kind:
            return png(pair(int(seed)).after if name.startswith(_EDITED) else pair(int(seed)).before)
        assert self.folder is not None
        return (self.folder / name).read_bytes()

    def load(self, name: str) -> Image.Image:
        """Upright RGB, alpha on white."""
        return open_rgb(Picture.of(self.file(name)))

    def group(self, name: str) -> Group:
        kind, _, seed = name.rpartition(":")
        if kind:
            return "photo" if pair(int(seed)).kind in _PHOTO_KINDS else "text"
        return "text" if self.categories[name] in _TEXT_CATEGORIES else "photo"

    def are_kin(self, one: str, other: str) -> bool:
        return one == other or other in self.kin.get(one, frozenset())


def read(folder: Path | None) -> Material:
    """Raises SystemExit, with words, where the folder has no manifest."""
    if folder is None:
        return Material(None, {}, (), (), (), {})
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        raise SystemExit(f"{manifest} is missing: --images wants a folder with manifest.csv (file, category)")
    rows = _rows(manifest)
    hard, positive = _pairs(folder / "hard_pairs.csv"), _pairs(folder / "positive_pairs.csv")
    cosmetic = tuple(pair for pair in hard if pair.tagged("cosmetic"))
    kin: dict[str, set[str]] = {row["file"]: set() for row in rows}
    groups: dict[str, list[str]] = {}
    for row in rows:
        if row.get("same_picture_group"):
            groups.setdefault(row["same_picture_group"], []).append(row["file"])
    alike = [(one, other) for group in groups.values() for one in group for other in group if one != other]
    for one, other in [*alike, *((pair.one, pair.other) for pair in (*positive, *cosmetic))]:
        kin[one].add(other)
        kin[other].add(one)
    return Material(
        folder=folder,
        categories={row["file"]: row["category"] for row in rows},
        hard=tuple(pair for pair in hard if not pair.tagged("cosmetic")),
        cosmetic=cosmetic,
        positive=tuple(pair for pair in positive if not pair.tagged("geometry", "colour")),
        kin={file: frozenset(others) for file, others in kin.items()},
    )


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _pairs(file: Path) -> tuple[Pair, ...]:
    rows = _rows(file) if file.is_file() else []
    return tuple(Pair(row["file_a"], row["file_b"], row["why"]) for row in rows)
