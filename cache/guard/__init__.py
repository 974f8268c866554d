"""The guard: decides from pixels whether two pictures are one picture. In doubt they are not.

`view_of` makes the working copy, `encode` and `decode` keep it, `compare` decides, `explain` says how. Pure: no I/O,
no clock.
"""

from cache.guard.blocks import Steps
from cache.guard.difference import LIMIT
from cache.guard.evidence import BYTES_MAX, decode, encode
from cache.guard.explain import Explanation, explain
from cache.guard.judge import compare
from cache.guard.reencoding import Encoding
from cache.guard.trace import Step
from cache.guard.view import VIEW_SIDE_MAX, View, view_of

__all__ = [
    "BYTES_MAX",
    "LIMIT",
    "VIEW_SIDE_MAX",
    "Encoding",
    "Explanation",
    "Step",
    "Steps",
    "View",
    "compare",
    "decode",
    "encode",
    "explain",
    "view_of",
]
