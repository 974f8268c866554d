"""Where items come from: folders, patterns, picture files, or one file of rows. All reading of the input is here.

An input is read several times over (to check it, to ask, to write the answers) and never held: a pass costs reading,
not memory. A line is read up to a limit, so that a file that is no text cannot fill the memory either.
"""

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from io import BufferedReader
from pathlib import Path
from typing import Final

from gateway.batchlines import BadLine, Seen, repeated
from gateway.bulk.items import BadInput, Item, Read, Recipe
from gateway.bulk.lines import read_lines
from gateway.warm.compose import Shape, wrong
from gateway.warm.rows import Form, Rules, detect, is_local, read_csv, read_json

PICTURE_SUFFIXES: Final = frozenset(".png .jpg .jpeg .webp .gif .bmp .tif .tiff .avif .heic .heif".split())
_ROWS_SUFFIXES: Final = frozenset((".csv", ".tsv", ".jsonl", ".ndjson", ".json"))
# A gateway reads bodies of 64 MiB by default; nothing longer could be answered from a cache.
LINE_BYTES_MAX: Final = 128 * 2**20
_SUFFIX_CSV: Final = (".csv", ".tsv")


@dataclass(frozen=True, slots=True)
class Source:
    """An input that can be read again and again. `form` is None for pictures."""

    names: tuple[str, ...]
    form: Form | None
    rules: Rules
    shape: Shape = field(default_factory=Shape)

    def read(self, seen: Seen) -> Iterator[Read]:
        """Each item, or what is wrong with it. Blocking. Raises BadInput where the file itself cannot be read."""
        for read in self._read(seen):
            if isinstance(read, Item) and (why := wrong(read.asks, self.shape) or _missing(read)):
                yield BadLine(read.line, why)
            else:
                yield read

    def nothing(self) -> str:
        """What was looked for, where nothing was found."""
        if self.form is not None:
            return f"there is no line with a question in {self.names[0]}"
        return "there is nothing in the input: " + "; ".join(map(_sought, self.names))

    def _read(self, seen: Seen) -> Iterator[Read]:
        if self.form is None:
            return _pictures(self.names, self.rules, seen)
        return _rows(Path(self.names[0]), self.form, self.rules, seen)


def open_source(names: tuple[str, ...], form: Form | None, rules: Rules, shape: Shape) -> Source:
    """What these names are. Raises BadInput in words."""
    rows = [name for name in names if form is not None or is_rows(name)]
    if not rows:
        if not rules.prompts:
            raise BadInput("pictures need a question: --prompt TEXT, or --prompts FILE with one on each line")
        for name in names:
            if not os.path.exists(name) and not glob.has_magic(name):
                raise BadInput(f"there is no file or folder {name}")
        if why := wrong(Recipe((names[0],), rules.prompts[0]), shape):  # whichever the picture
            raise BadInput(f"{names[0]} {why}")
        return Source(names, None, rules, shape)
    if len(names) > 1:
        raise BadInput(f"{rows[0]} is a file of rows: give it alone, without {len(names) - 1} other inputs")
    file = Path(names[0])
    based = replace(rules, base=rules.base or str(file.parent.absolute()))
    return Source(names, form or _form(file), based, shape)


def is_rows(name: str) -> bool:
    """Whether a file of this name is one of rows, not of pictures."""
    return Path(name).suffix.lower() in _ROWS_SUFFIXES


def _form(file: Path) -> Form:
    if file.suffix.lower() in _SUFFIX_CSV:
        return Form.CSV
    with _opened(file) as stream:
        first = next((line for line in read_lines(stream, LINE_BYTES_MAX) if line.strip()), b"")
    found = detect(first) if first else Form.ROWS
    if not isinstance(found, Form):
        raise BadInput(f"{file}: {found} (--form says which it is)")
    return found


def _opened(file: Path) -> BufferedReader:
    try:
        return file.open("rb")
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror or error}") from error


def _rows(file: Path, form: Form, rules: Rules, seen: Seen) -> Iterator[Read]:
    with _opened(file) as stream:
        if form is Form.CSV:
            yield from read_csv(_text(file, stream), rules, seen)
        else:
            yield from read_json(form, read_lines(stream, LINE_BYTES_MAX), rules, seen)


def _text(file: Path, stream: BufferedReader) -> Iterator[str]:
    for number, line in enumerate(read_lines(stream, LINE_BYTES_MAX), start=1):
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadInput(f"{file}: line {number} is not UTF-8; save the table as UTF-8") from error


def _pictures(names: Iterable[str], rules: Rules, seen: Seen) -> Iterator[Read]:
    number = 0
    for path in _files(names):
        number += 1
        try:
            path.encode()
        except UnicodeEncodeError:
            yield BadLine(number, f"is a file whose name is not UTF-8: {os.fsencode(path)!r}; rename it")
            continue
        for count, prompt in enumerate(rules.prompts, start=1):
            name = path if len(rules.prompts) == 1 else f"{path}#{count}"
            why = repeated(name, number, seen, "path")
            yield BadLine(number, why) if why else Item(name, number, Recipe((path,), prompt))


def _files(names: Iterable[str]) -> Iterator[str]:
    """Picture files in a fixed order. A file that is named, by a pattern too, is taken whatever it is called."""
    for name in names:
        if os.path.isdir(name):
            yield from _below(name)
        elif os.path.exists(name):
            yield name
        else:
            yield from (path for path in sorted(glob.iglob(name, recursive=True)) if os.path.isfile(path))


def _sought(name: str) -> str:
    if os.path.isdir(name):
        return f"no picture in {name} or below ({' '.join(sorted(PICTURE_SUFFIXES))}; hidden ones are left out)"
    return f"no file is called {name}"


def _below(folder: str) -> Iterator[str]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for file in sorted(files):
            if Path(file).suffix.lower() in PICTURE_SUFFIXES and not file.startswith("."):
                yield os.path.join(root, file)


def _missing(item: Item) -> str | None:
    if isinstance(item.asks, Recipe):
        for picture in item.asks.pictures:
            if is_local(picture) and not os.path.isfile(picture):
                return f"names a picture that is not there: {picture}"
    return None
