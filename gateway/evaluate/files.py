"""Which pictures to evaluate, and which pairs a person has judged: a folder and a CSV file, read strictly."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from gateway.evaluate.errors import BadInput

# What the gateway can read, and two that it cannot and people have: those are listed as skipped.
SUFFIXES: Final = frozenset(
    ".png .apng .jpg .jpeg .jpe .jfif .mpo .webp .gif .bmp .dib .tif .tiff .avif .heic .heif".split()
)
COLUMNS: Final = ("file_a", "file_b", "same")
_YES, _NO = frozenset(("yes", "1", "true")), frozenset(("no", "0", "false"))


@dataclass(frozen=True, slots=True)
class Judged:
    """Two files, and whether a person says that they are one picture. `line` is where."""

    one: str
    other: str
    same: bool
    line: int


def find_pictures(folder: Path, most: int | None, seed: int) -> list[str]:
    """Names of picture files below `folder`, sorted; `most` of them, drawn by `seed`. Raises BadInput."""
    if not folder.is_dir():
        raise BadInput(f"there is no folder {folder}: give one with pictures in it")
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
    if not names:
        raise BadInput(f"no picture in {folder} or below: PNG, JPEG, WebP, GIF, BMP, TIFF and AVIF files are read")
    if most is None or most >= len(names):
        return names
    return sorted(Random(seed).sample(names, most))


def read_pairs(file: Path, folder: Path) -> list[Judged]:
    """The judged pairs of a CSV file. File names are sought in `folder`, then beside the CSV. Raises BadInput with
    the line that is at fault."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.reader(lines, strict=True)
            return list(_judged(((rows.line_num, row) for row in rows), file, folder))
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{file} is not UTF-8 text: save it as CSV in UTF-8") from error
    except csv.Error as error:
        raise BadInput(f"{file} is not CSV: {error}") from error


def _judged(rows: Iterator[tuple[int, list[str]]], file: Path, folder: Path) -> Iterator[Judged]:
    _, first = next(rows, (0, []))
    header = [cell.strip() for cell in first]
    missing = [name for name in COLUMNS if header.count(name) != 1]
    if missing:
        raise BadInput(
            f"{file}, line 1: each of the columns {', '.join(COLUMNS)} is wanted once; look at {', '.join(missing)}"
        )
    for line, row in rows:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            raise BadInput(f"{file}, line {line}: {len(row)} cells, where the header has {len(header)}")
        cells = {name: cell.strip() for name, cell in zip(header, row, strict=True)}
        one, other = (_found(cells[name], file, folder, line) for name in COLUMNS[:2])
        word = cells["same"].lower()
        if word not in _YES | _NO:
            raise BadInput(f"{file}, line {line}: same is {cells['same']!r}; yes, no, 1, 0, true or false is wanted")
        yield Judged(one, other, word in _YES, line)


def _found(name: str, file: Path, folder: Path, line: int) -> str:
    """The name under which the file is known: relative to `folder` where it is below it."""
    for base in (folder, file.parent):
        path = base / name
        if name and path.is_file():
            return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path.resolve())
    raise BadInput(f"{file}, line {line}: there is no file {name!r} in {folder} or beside the list")
