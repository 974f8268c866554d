"""Pairs of requests that a person judged not to be about one picture: neither is ever answered with the other's answer.

A request is named by its keys (of the picture files, of the pixels), which rest on its scope and question, so a pair
says nothing about any other question.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Self

from cache.errors import CorruptRow


@dataclass(frozen=True, slots=True)
class Pair:
    """The keys of the one request and of the other."""

    one: frozenset[str]
    other: frozenset[str]

    def to_head(self) -> dict[str, Any]:
        """As JSON; the same for the pair the other way round."""
        one, other = sorted((sorted(self.one), sorted(self.other)))
        return {"one": one, "other": other}

    @classmethod
    def from_head(cls, head: dict[str, Any]) -> Self:
        """The reverse of `to_head`. Raises CorruptRow."""
        sides = head.get("one"), head.get("other")
        if not all(isinstance(side, list) and all(isinstance(key, str) for key in side) for side in sides):
            raise CorruptRow("not a pair")
        return cls(frozenset(sides[0] or ()), frozenset(sides[1] or ()))


class Apart:
    """All pairs of a store, found by any key of either side."""

    def __init__(self, pairs: Iterable[Pair] = ()) -> None:
        self._pairs: set[frozenset[frozenset[str]]] = set()
        self._from: defaultdict[str, set[str]] = defaultdict(set)
        for pair in pairs:
            self.add(pair)

    def __len__(self) -> int:
        return len(self._pairs)

    def add(self, pair: Pair) -> None:
        self._pairs.add(frozenset((pair.one, pair.other)))
        for key in pair.one:
            self._from[key] |= pair.other
        for key in pair.other:
            self._from[key] |= pair.one

    def of(self, keys: Collection[str]) -> frozenset[str]:
        """The keys of every request that must not be answered with the answer of one that has any of `keys`."""
        return frozenset().union(*(self._from[key] for key in keys if key in self._from))
