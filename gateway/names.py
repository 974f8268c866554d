"""Names that clients choose, so that what is counted by them stays bounded: a model, a tenant's digest. No I/O.

Anyone can send any name; a name is believed once the upstream answered it.
"""

from collections.abc import Iterable

NONE, OTHER = "none", "other"
_CHARS = 200


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
