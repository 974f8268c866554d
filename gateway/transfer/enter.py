"""`lookalike import` of an archive into a store that no gateway runs on.

The whole file is verified before anything of it is taken. What is taken goes in record by record, the pairs judged
wrong first, so a run that was killed left whole entries alone; the same command again takes the rest.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, assert_never

from cache import guard
from cache.archive import About, Damaged, End, read
from cache.entry import Entry, Record
from cache.errors import StoreBusy, StoreFault
from cache.stores.apart import Pair
from cache.stores.base import Clock, weigh
from cache.stores.embedded import EmbeddedStore
from cache.stores.transfer import adopt
from embeddings.base import Embedder, EmbedderFault
from gateway.transfer.words import Refused

Told = Callable[[str, int, int], None]  # what is done, so many of so many


@dataclass(frozen=True, slots=True)
class Target:
    """The store that is filled, and what is to be done where the archive and it differ. `embedder` is loaded only if
    there is an entry whose vectors are of some space."""

    path: Path
    bytes_max: int
    keeps_looks: bool
    embedder: Callable[[], Embedder]
    retired: Callable[[Entry], bool]  # what was made by a model that was changed since
    replace: bool = False
    recompute: bool = False


@dataclass(slots=True)
class Entered:
    """What became of an archive's entries; `of` is how many it has."""

    of: int = 0
    taken: int = 0
    kept: int = 0  # there already
    expired: int = 0
    retired: int = 0
    recomputed: int = 0
    without_vectors: int = 0  # of those taken: they are found by bytes and pixels only
    too_large: int = 0  # for the store's budget, alone
    evicted: int = 0  # of the store, for lack of room
    apart: int = 0  # pairs that are now kept apart


@dataclass(slots=True)
class Verified:
    """What a whole archive says of itself."""

    about: About
    end: End
    spaces: dict[str, int] = field(default_factory=dict)  # how many entries have vectors in each


def verify(file: Path, told: Told) -> Verified:
    """Every byte, read and compared. Raises Refused: then nothing of it may be believed."""
    size, done = file.stat().st_size, 0

    def passed(bytes_: int) -> None:
        nonlocal done
        done += bytes_
        told("verifying", done, size)

    spaces: dict[str, int] = {}
    about: About | None = None
    with _opened(file) as stream:
        for part in read(stream, passed):
            match part:
                case About():
                    about = part
                case Record(entry=entry):
                    if entry.space is not None:
                        spaces[entry.space] = spaces.get(entry.space, 0) + 1
                case Pair():
                    pass
                case End():
                    assert about is not None
                    return Verified(about, part, spaces)
                case _:
                    assert_never(part)
    raise AssertionError("an archive without an end is damaged")


async def enter(file: Path, verified: Verified, target: Target, clock: Clock, told: Told) -> Entered:
    """Take the entries of a verified archive. Raises Refused, before anything is taken, where the two do not fit."""
    embedder = _fitting(verified, target)
    try:
        adopt(target.path, verified.about.secret)
        store = EmbeddedStore.open(target.path, clock, target.bytes_max, keeps_looks=target.keeps_looks)
    except StoreBusy as error:
        raise Refused(f"{target.path} is in use: stop the gateway that runs on it, then import") from error
    except StoreFault as error:
        raise Refused(str(error)) from error
    entered = Entered(of=verified.end.entries)
    before = store.size()
    try:
        with _opened(file) as stream:
            for part in read(stream):
                match part:
                    case Pair():
                        await store.part(part)
                    case Record():
                        told("importing", _seen(entered), entered.of)
                        await _take(store, part, target, embedder, clock(), entered)
                    case End() if part != verified.end:
                        raise Refused(f"{file} was changed while it was read; of it {entered.taken} entries are in")
                    case About() | End():
                        pass
                    case _:
                        assert_never(part)
    except StoreFault as error:
        words = f"the store could not take it: {error}; of {entered.of} entries {entered.taken} are in"
        raise Refused(f"{words}, and the same command again takes the rest") from error
    finally:
        after = store.size()
        entered.evicted, entered.apart = after.evicted - before.evicted, after.apart - before.apart
        await store.close()
    return entered


def _seen(entered: Entered) -> int:
    return entered.taken + entered.kept + entered.expired + entered.retired + entered.too_large


async def _take(
    store: EmbeddedStore, record: Record, target: Target, embedder: Embedder | None, now_s: float, entered: Entered
) -> None:
    entry = record.entry
    if not entry.fresh(now_s):
        entered.expired += 1
    elif target.retired(entry):
        entered.retired += 1
    elif not target.replace and await store.exact(entry.exact):
        entered.kept += 1
    else:
        if embedder is not None and entry.space not in (None, embedder.space.key):
            record = _moved(record, embedder, entered)
        record = record if target.keeps_looks else record.without_looks()
        if not _fits(record, target.bytes_max):
            entered.too_large += 1
            return
        await store.put(record)
        entered.taken += 1
        entered.without_vectors += record.entry.space is None


def _fits(record: Record, bytes_max: int) -> bool:
    try:
        weigh(record, bytes_max)
    except StoreFault:
        return False
    return True


def _fitting(verified: Verified, target: Target) -> Embedder | None:
    """The embedder by which vectors are made anew; None where there is nothing to do. Raises Refused."""
    if not verified.spaces or not target.keeps_looks:
        return None
    embedder = target.embedder()
    ours = embedder.space.key
    others = {space: count for space, count in verified.spaces.items() if space != ours}
    if not others:
        return None
    if not target.recompute:
        theirs = ", ".join(f"{count} in {space}" for space, count in sorted(others.items()))
        raise Refused(
            f"the archive's vectors are of another embedder: {theirs}; this one is {ours}. They would never be found "
            "by likeness. Give --recompute to make them anew from what is kept of the pictures, or set the embedder "
            "(--embedder, clip_model, clip_pretrained) to the one that made them"
        )
    return embedder


def _moved(record: Record, embedder: Embedder, entered: Entered) -> Record:
    """The entry with vectors in the embedder's space, made from its evidence; without any where that cannot be."""
    try:
        views = [guard.decode(piece) for piece in record.evidence]
        vectors = embedder.embed([view.rgb for view in views]) if views else None
    except (ValueError, EmbedderFault):
        vectors = None
    if vectors is None or len(vectors) != len(record.entry.sizes):
        return Record(replace(record.entry, space=None), record.reply, None, record.evidence)
    entered.recomputed += 1
    return Record(replace(record.entry, space=embedder.space.key), record.reply, vectors, record.evidence)


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    """The archive, read from its beginning. What is wrong with it is raised as Refused."""
    try:
        with file.open("rb") as stream:
            yield stream
    except Damaged as error:
        raise Refused(f"{file}: {error}; it is not imported") from error
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror or error}") from error
