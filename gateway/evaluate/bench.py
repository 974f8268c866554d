"""One process of an evaluation: looks at the folder's pictures, then asks the ladder about copies and edits of them.

What is kept of a picture is what the store would keep: a row and its evidence, as files in a working folder. Decoded
pictures live for one task.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, assert_never

import anyio
from PIL import Image

from cache.entry import Record, pack_head, unpack_head
from embeddings.base import Embedder
from gateway import pictures
from gateway.box import Box
from gateway.config import Settings
from gateway.evaluate.cases import Case, Copy, Edit, Itself, Listed, Trial, copied, edit_seed, sent
from gateway.evaluate.edits import Editor
from gateway.evaluate.ladder import Ladder, Shelf
from gateway.evaluate.words import sentence
from gateway.make import load_embedder
from gateway.pictures import Picture
from gateway.question import Bypass, NotCacheable


@dataclass(frozen=True, slots=True)
class Setup:
    """All that a process needs to know. `settings` as plain values, for they travel between processes."""

    settings: dict[str, Any]
    root: Path  # of the pictures
    kept: Path  # where rows and evidence are kept meanwhile
    floor: float
    seed: int


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture of the folder. `digest` is its entry's id; equal `pixels` are one picture."""

    name: str
    digest: str
    pixels: str


@dataclass(frozen=True, slots=True)
class Skipped:
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Task:
    """Cases of one picture, asked while only the entries `shown` (None: all but `hidden`) are stored."""

    source: Seen
    cases: tuple[Case, ...]
    hidden: frozenset[str] = frozenset()
    shown: frozenset[str] | None = None

    def shows(self, entry_id: str) -> bool:
        return entry_id not in self.hidden if self.shown is None else entry_id in self.shown


class Bench:
    def __init__(
        self, setup: Setup, embedder: Embedder | None = None, stopped: Callable[[], bool] = lambda: False
    ) -> None:
        """Loads an embedder of its own where it is given none."""
        settings = Settings.model_construct(**setup.settings)
        self._setup = setup
        self._stopped = stopped
        self._opened = "", Image.new("RGB", (1, 1))  # tasks of one picture follow one another
        self._ladder = Ladder(embedder or load_embedder(settings).embedder, setup.floor, settings)

    def look(self, name: str) -> Seen | Skipped:
        """Keep what the store would keep of one file."""
        try:
            picture = self._file(name)
            record, evidence = anyio.run(self._ladder.stored, picture)
        except NotCacheable as refusal:
            return Skipped(name, sentence(refusal.why))
        except OSError as error:
            return Skipped(name, error.strerror or str(error))
        if not evidence:
            return Skipped(
                name, "16-bit or similar: it has no plain rendering, so it hits by its bytes and pixels only"
            )
        (self._setup.kept / f"{picture.digest}.evidence").write_bytes(evidence)
        (self._setup.kept / f"{picture.digest}.row").write_bytes(pack_head(record.entry, record.vectors))
        return Seen(name, picture.digest, record.entry.pixel)

    def trials(self, task: Task) -> list[Trial]:
        self._shelf.shows = task.shows
        return anyio.run(self._asked, task)

    async def _asked(self, task: Task) -> list[Trial]:
        done: list[Trial] = []
        for case, picture, edit, box in self._pictures(task):
            outcome = await self._ladder.ask(self._shelf, picture)
            done.append(Trial(task.source.name, case, outcome, edit, box))
            if self._stopped():
                break
        return done

    def _pictures(self, task: Task) -> Iterator[tuple[Case, Picture, str | None, Box | None]]:
        """Each case's picture as a file, one at a time."""
        source, editor, made = task.source, None, None
        for case in task.cases:
            match case:
                case Copy():
                    yield case, copied(self._original(source.name), case), None, None
                case Edit(number, way):
                    editor = editor or Editor(self._original(source.name))
                    if made is None or made[0] != number:
                        made = number, editor.edit(edit_seed(self._setup.seed, source.digest, number))
                    if found := made[1]:
                        yield case, sent(found.picture, way), found.kind, found.box
                case Itself():
                    yield case, self._file(source.name), None, None
                case Listed(asked, _):
                    yield case, self._file(asked), None, None
                case _:
                    assert_never(case)

    @cached_property
    def _shelf(self) -> Shelf:
        return open_shelf(self._setup.kept)

    def _file(self, name: str) -> Picture:
        return Picture.of((self._setup.root / name).read_bytes())

    def _original(self, name: str) -> Image.Image:
        if self._opened[0] != name:
            self._opened = name, open_rgb(self._file(name))
        return self._opened[1]


def open_shelf(kept: Path) -> Shelf:
    """A store of every row in the folder."""
    rows = [unpack_head(path.read_bytes()) for path in sorted(kept.glob("*.row"))]
    records = [Record(entry, b"an answer", vectors, ()) for entry, vectors in rows]
    return Shelf(records, lambda entry_id: (kept / f"{entry_id}.evidence").read_bytes())


def open_rgb(picture: Picture) -> Image.Image:
    """All the pixels as a model sees them: upright RGB, alpha on white. Raises NotCacheable."""
    rgb = pictures.rgb(pictures.decoded(picture))
    if rgb is None:
        raise NotCacheable(Bypass.PICTURE_UNREADABLE)
    return Image.fromarray(rgb)
