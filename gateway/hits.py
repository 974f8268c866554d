"""The last hits, so that a person can still judge them: who asked, by digests, and which answer was served.

In memory alone, and bounded: a few hundred bytes each.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

import anyio

from cache.entry import Entry
from gateway.question import Judgement

HITS_MOST = 10_000
UNKNOWN = "unknown"  # a hit that is judged after the restart that forgot it


@dataclass(slots=True)
class Served:
    """One answer, served. `keys` name the request: by its picture files, and by their pixels once `named` is set."""

    entry: Entry
    hit: str  # exact, pixel or near
    keys: set[str]
    named: anyio.Event = field(default_factory=anyio.Event)
    judged: Judgement | None = None


class Hits:
    """By request (the digest that X-Lookalike-Request gives) and entry id; the oldest leave first."""

    def __init__(self, most: int = HITS_MOST) -> None:
        self._most = most
        self._served: OrderedDict[tuple[str, str], Served] = OrderedDict()

    def add(self, request: str, hit: str, entry: Entry) -> Served:
        """The same pictures answered again by the same entry are the same hit."""
        key = (request, entry.id)
        served = self._served.setdefault(key, Served(entry, hit, {request}))
        if served.hit == UNKNOWN and hit != UNKNOWN:  # judged before it was known here: now it is, and has to be named
            served = self._served[key] = Served(entry, hit, served.keys)
        self._served.move_to_end(key)
        while len(self._served) > self._most:
            self._served.popitem(last=False)
        return served

    def get(self, request: str, entry_id: str) -> Served | None:
        return self._served.get((request, entry_id))
