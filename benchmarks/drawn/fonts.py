"""Which fonts there are on this machine, by face. Pictures are the same only where the fonts are."""

import functools
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import ImageFont

FOLDER_VARIABLE = "LOOKALIKE_BENCH_FONTS"

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

BUILT_IN = "built-in"
_SHARE = Path("/usr/share/fonts")
_DEJAVU = _SHARE / "truetype/dejavu"
_LATIN = (
    "DejaVuSans.ttf",
    "DejaVuSans-Bold.ttf",
    "DejaVuSansCondensed.ttf",
    "DejaVuSerif.ttf",
    "DejaVuSerif-Bold.ttf",
    "DejaVuSansMono.ttf",
    "DejaVuSansMono-Bold.ttf",
)
# Of the Debian packages fonts-wqy-microhei, fonts-wqy-zenhei and fonts-noto-cjk.
_CHINESE = (
    "truetype/wqy/wqy-microhei.ttc",
    "truetype/wqy/wqy-zenhei.ttc",
    "opentype/noto/NotoSansCJK-Regular.ttc",
    "opentype/noto/NotoSansCJK-Bold.ttc",
    "opentype/noto/NotoSerifCJK-Regular.ttc",
)


@dataclass(frozen=True, slots=True)
class Faces:
    """Names that `load` takes; `chinese` is empty where no such font is installed."""

    latin: tuple[str, ...]
    chinese: tuple[str, ...]


@functools.cache
def faces() -> Faces:
    """Those at the usual places, and all of the folder that LOOKALIKE_BENCH_FONTS names (file names with CJK,
    wqy or Han are taken for Chinese)."""
    latin = [BUILT_IN, *(str(_DEJAVU / name) for name in _LATIN if (_DEJAVU / name).is_file())]
    chinese = [str(_SHARE / name) for name in _CHINESE if (_SHARE / name).is_file()]
    if folder := os.environ.get(FOLDER_VARIABLE):
        for file in sorted(Path(folder).glob("*.[to]t[fc]")):
            (chinese if any(mark in file.name for mark in ("CJK", "wqy", "Han")) else latin).append(str(file))
    if not chinese:
        warnings.warn("no Chinese font found (fonts-wqy-microhei has one): drawing Latin only", stacklevel=2)
    return Faces(tuple(latin), tuple(chinese))


@functools.lru_cache(maxsize=256)
def load(face: str, size: int) -> Font:
    return ImageFont.load_default(size) if face == BUILT_IN else ImageFont.truetype(face, size)


def width(text: str, face: str, size: int) -> float:
    """Pixels that `text` takes."""
    return float(load(face, size).getlength(text))
