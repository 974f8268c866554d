"""What follows from one attempt to deliver an event. Pure."""

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.backoff import NAMED_MOST_S


class Trouble(StrEnum):
    """Why nobody took an event, where there was no reply."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one. `wait_s`: what the receiver asked for (Retry-After)."""

    reply: int | Trouble  # an HTTP status, or why there was none
    wait_s: float | None = None

    @property
    def word(self) -> str:
        return f"HTTP {self.reply}" if isinstance(self.reply, int) else str(self.reply)


@dataclass(frozen=True, slots=True)
class Delivered:
    pass


@dataclass(frozen=True, slots=True)
class Again:
    due_s: float  # Unix time


@dataclass(frozen=True, slots=True)
class SetAside:
    pass


Verdict = Delivered | Again | SetAside

_GONE: Final = 410  # the receiver says that it wants no more


@dataclass(frozen=True, slots=True)
class Pace:
    """The wait after a first failure, and the longest, in seconds. What a receiver names may be longer."""

    first_s: float = 1.0
    most_s: float = 300.0

    def wait_s(self, failures: int, named_s: float | None, chance: random.Random) -> float:
        """After so many failures in a row (from 1): twice as long each time, or what the receiver named if that is
        longer, and up to a quarter more by chance, so that not all come back at one moment."""
        own = min(self.most_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return max(own, min(named_s or 0.0, NAMED_MOST_S)) * (1 + chance.random() / 4)


def judge(
    attempt: Attempt, failures: int, pace: Pace, chance: random.Random, *, now_s: float, age_s: float, most_s: float
) -> Verdict:
    """Any success is a delivery, and nothing else is: a redirect is none. `failures` counts this attempt, should it be
    one. An event that would be older than `most_s` at its next attempt is not tried again. `now_s` is Unix time."""
    if isinstance(attempt.reply, int) and 200 <= attempt.reply < 300:
        return Delivered()
    wait_s = pace.wait_s(failures, attempt.wait_s, chance)
    if attempt.reply == _GONE or age_s + wait_s > most_s:
        return SetAside()
    return Again(now_s + wait_s)
