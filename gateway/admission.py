"""How many requests are let in, and how much memory their bodies and replies may take together. No I/O, no clock.

What does not fit is refused before its body is read, with 503: a gateway that the kernel kills for its memory refuses
everybody. One request alone is always let in, however large: it is in nobody's way.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gateway.errors import Overloaded

# A body is held as it came, its pictures once more as files, and for a moment as chunks and as text that is parsed.
_COPIES = 3


class Admission:
    def __init__(self, requests_max: int, held_bytes_max: int) -> None:
        self._requests_max = requests_max
        self._held_bytes_max = held_bytes_max
        self.requests = 0
        self.held_bytes = 0
        self.shed = 0

    @contextmanager
    def entered(self) -> Iterator["Hold"]:
        """While a request is in flight. Raises Overloaded."""
        if self.requests >= self._requests_max:
            raise self.refusal(f"{self.requests} requests are in flight")
        self.requests += 1
        hold = Hold(self)
        try:
            yield hold
        finally:
            self.requests -= 1
            self.held_bytes -= hold.bytes

    def refusal(self, why: str) -> Overloaded:
        self.shed += 1
        return Overloaded(f"the gateway is overloaded: {why}")

    def fits(self, hold: "Hold", more: int) -> bool:
        alone = self.held_bytes == hold.bytes
        return alone or self.held_bytes + more <= self._held_bytes_max

    def report(self) -> dict[str, Any]:
        """For `/cache/health` and the statistics."""
        return {
            "requests": self.requests,
            "requests_max": self._requests_max,
            "held_bytes": self.held_bytes,
            "held_bytes_max": self._held_bytes_max,
            "shed": self.shed,
        }


class Hold:
    """What one request holds."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.bytes = 0

    def reserve(self, body_bytes: int) -> None:
        """Room for a body of this size in all. Raises Overloaded."""
        more = body_bytes * _COPIES - self.bytes
        if more <= 0:
            return
        if not self._admission.fits(self, more):
            raise self._admission.refusal("requests that are in flight take all the memory that they may")
        self._grow(more)

    def take(self, reply_bytes: int) -> bool:
        """Room for so much more of a reply; False: there is none."""
        more = reply_bytes * _COPIES
        if not self._admission.fits(self, more):
            return False
        self._grow(more)
        return True

    def _grow(self, more: int) -> None:
        self.bytes += more
        self._admission.held_bytes += more
