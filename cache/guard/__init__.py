"""The guard: decides from pixels whether two pictures are one picture. In doubt they are not.

`view_of` makes the working copy, `encode` and `decode` keep it, `compare` decides. Pure: no I/O, no clock.
"""

from cache.guard.evidence import decode, encode
from cache.guard.judge import compare
from cache.guard.view import VIEW_SIDE_MAX, View, view_of

__all__ = ["VIEW_SIDE_MAX", "View", "compare", "decode", "encode", "view_of"]
