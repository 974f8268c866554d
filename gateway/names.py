"""What counts can be divided by and how far back they reach; and the names that clients choose, bounded. No I/O.

Anyone can send any name; a name is believed once the upstream answered it.
"""

from collections.abc import Iterable
from enum import StrEnum

NONE, OTHER = "none", "other"
_CHARS = 200


class By(StrEnum):
    """What the counts can be divided by."""

    HIT_CLASS = "hit_class"
    MODEL = "model"
    TENANT = "tenant"
    DIALECT = "dialect"
    REASON = "reason"
    KIND = "kind"


class Window(StrEnum):
    HOUR = "1h"
    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"
    ALL = "all"


class Names:
    """At most `most` of them; whatever else there is, is `other`. Used by one thread at a time."""

    def __init__(self, most: int, known: Iterable[str] = ()) -> None:
        self._known = {NONE, OTHER, *known}
        self._left = most - len(self._known) + 2

    def of(self, name: str | None, answered: bool) -> str:
        """The name to count under, which can be encoded; `answered` says that its request was, with success."""
        if name is None:
            return NONE
        name = name[:_CHARS].encode("utf-8", "replace").decode()
        if name not in self._known:
            if not answered or self._left <= 0:
                return OTHER
            self._known.add(name)
            self._left -= 1
        return name
