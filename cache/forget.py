"""Everything that is stored about one picture, in whatever question and for whomever: what "forget this picture" takes.

By its bytes, by its pixels, and by likeness: whatever a lookup might take for this picture, or might have answered with
this one's answer. So the guard is asked both ways round, and in doubt the answer goes: one too many costs a call.
"""

from dataclasses import dataclass
from functools import partial

from cache import guard
from cache.lookup import Embedded, Work
from cache.stores.base import Resembling, Store
from cache.verdict import Verdict

# The guard's score up to which a stored picture goes. Of the picture that a lookup accepted only the evidence is left,
# and its compression shows: a copy of 80 % in size, accepted at 0.59, measures 1.12 and 1.27 from its evidence. What
# was edited (a digit, a stroke) is refused before it is measured at all, and stays.
_SCORE_MOST = 2 * guard.LIMIT


@dataclass(frozen=True, slots=True)
class Sought:
    """A picture by its marks (marks.py) and its looks; None where it has none that can be had."""

    file: str
    pixels: str | None
    embedded: Embedded | None
    view: guard.View | None


@dataclass(frozen=True, slots=True)
class Showing:
    """Ids of the entries about a picture, each in the first group that it belongs to."""

    bytes: frozenset[str]
    pixels: frozenset[str]
    near: frozenset[str]
    not_comparable: int  # further entries without vectors in this space: nobody can tell by likeness

    @property
    def ids(self) -> frozenset[str]:
        return self.bytes | self.pixels | self.near


async def showing(store: Store, sought: Sought, work: Work) -> Showing:
    entries = [kept.entry for kept in await store.entries()]
    by_bytes = frozenset(entry.id for entry in entries if sought.file in entry.files)
    by_pixels = frozenset(entry.id for entry in entries if sought.pixels in entry.pixels) - by_bytes
    known = by_bytes | by_pixels
    near: set[str] = set()
    embedded, view = sought.embedded, sought.view
    if embedded is not None and view is not None:
        for one in await store.resembling(embedded.space, embedded.vectors, embedded.threshold):
            if one.entry.id not in known | near and await _is_taken_for(store, one, view, work):
                near.add(one.entry.id)
    space = embedded.space if embedded else None
    blind = sum(entry.id not in known and (space is None or entry.space != space) for entry in entries)
    return Showing(by_bytes, by_pixels, frozenset(near), blind)


async def _is_taken_for(store: Store, one: Resembling, view: guard.View, work: Work) -> bool:
    evidence = await store.evidence(one.entry.id)
    if one.place >= len(evidence):
        return False
    return any(map(_is_close, await work(partial(_either_way, evidence[one.place], view))))


def _either_way(evidence: bytes, view: guard.View) -> list[Verdict]:
    stored = guard.decode(evidence)
    first = guard.compare(stored, view)
    return [first] if _is_close(first) else [first, guard.compare(view, stored)]


def _is_close(verdict: Verdict) -> bool:
    return verdict.score is not None and verdict.score <= _SCORE_MOST
