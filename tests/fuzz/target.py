"""What is fuzzed: checks, each a function of bytes, and the samples that each begins with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """`holds` raises for an input by which a promise is broken, and for no other."""

    name: str
    holds: Callable[[bytes], None]
    seeds: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Target:
    """Checks that are fuzzed together. The first byte of an input says for which of them the rest is meant."""

    name: str
    checks: Sequence[Check]
    bytes_max: int = 16_384

    def seeds(self) -> list[bytes]:
        """Every sample that is small enough, under the byte of its check."""
        found = [bytes((number,)) + seed for number, check in enumerate(self.checks) for seed in check.seeds]
        return [seed for seed in found if len(seed) <= self.bytes_max]

    def meant(self, data: bytes) -> Check:
        return self.checks[(data[0] if data else 0) % len(self.checks)]

    def run(self, data: bytes) -> None:
        self.meant(data).holds(data[1:])
