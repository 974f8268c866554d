"""How long a request waits for the cache before it goes on without it. Pure; time comes from the given clock.

Some that overran, shortly after each other, show that something is stuck: for a while the others wait for hardly
anything, so that a dead disk costs each of them half a second; one at a time is let through with full patience, to see
whether it is over.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

# Enough for what is answered from memory, on a machine that is busy, too.
SHORT_S: Final = 0.5
PAUSE_S: Final = 5.0
OVERRUNS: Final = 3  # within that time


@dataclass(frozen=True, slots=True)
class Allowance:
    seconds: float
    is_probe: bool = False


class Patience:
    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        self._full = Allowance(seconds)
        self._short = Allowance(min(seconds, SHORT_S))
        self._monotonic = monotonic
        self._next_probe_s: float | None = None  # None: nothing is stuck
        self._overran_s: deque[float] = deque(maxlen=OVERRUNS)

    @property
    def is_short(self) -> bool:
        return self._next_probe_s is not None

    def allowance(self) -> Allowance:
        """For one wait, of which `told` is then told how it went."""
        if self._next_probe_s is None:
            return self._full
        now_s = self._monotonic()
        if now_s < self._next_probe_s:
            return self._short
        self._next_probe_s = now_s + max(PAUSE_S, self._full.seconds)
        return Allowance(self._full.seconds, is_probe=True)

    def told(self, allowance: Allowance, overran: bool) -> None:
        if allowance.is_probe and not overran:
            self._next_probe_s = None
            self._overran_s.clear()
        elif overran and allowance != self._short:  # too little time shows nothing
            now_s = self._monotonic()
            self._overran_s.append(now_s)
            if allowance.is_probe or (now_s - self._overran_s[0] <= PAUSE_S and len(self._overran_s) == OVERRUNS):
                self._next_probe_s = now_s + PAUSE_S
