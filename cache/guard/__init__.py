"""The guard: decides from pixels whether two pictures are one picture. In doubt they are not.

`view_of` makes the working copy, `encode` and `decode` keep it, `compare` decides, `explain` shows how.
Pure: no I/O, no clock.
"""

from cache.guard.difference import LIMIT
from cache.guard.evidence import decode, encode
from cache.guard.explain import Explanation, Step, explain
from cache.guard.judge import compare
from cache.guard.view import VIEW_SIDE_MAX, View, view_of

__all__ = [
    "LIMIT",
    "VIEW_SIDE_MAX",
    "Explanation",
    "Step",
    "View",
    "compare",
    "decode",
    "encode",
    "explain",
    "view_of",
]
