"""A circuit breaker: after failures in a row, requests are refused at once for a while, then a few try first. Pure.

    Closed ──failures in a row──► Open ──its time is over──► HalfOpen ──a probe succeeds──► Closed
                                   ▲                            │
                                   └──────── a probe fails ─────┘

Time is an argument. A probe whose outcome does not come within `open_s` holds nobody up: the next may try then.
"""

from dataclasses import dataclass
from enum import Enum
from typing import assert_never


class Ending(Enum):
    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"  # the client left, or it was not the upstream's doing


@dataclass(frozen=True, slots=True)
class Terms:
    failures: int  # in a row
    open_s: float
    probes: int  # at once, while half open


@dataclass(frozen=True, slots=True)
class Closed:
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Open:
    until_s: float


@dataclass(frozen=True, slots=True)
class HalfOpen:
    probes: int  # that are under way
    until_s: float  # when more may go, whatever becomes of these


State = Closed | Open | HalfOpen


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request that may go. Its ending counts in the round that it began in: what was sent before the breaker
    opened says nothing of the upstream afterwards."""

    round: int


@dataclass(frozen=True, slots=True)
class Refused:
    wait_s: float


class Breaker:
    def __init__(self, terms: Terms) -> None:
        self.state: State = Closed()
        self.opened = 0  # times
        self._terms = terms
        self._round = 0

    def admit(self, now_s: float) -> Ticket | Refused:
        match self.state:
            case Closed():
                pass
            case Open(until_s) if now_s >= until_s:
                self._become(HalfOpen(1, now_s + self._terms.open_s))
            case HalfOpen(_, until_s) if now_s >= until_s:  # the round goes on: an earlier probe may yet succeed
                self.state = HalfOpen(1, now_s + self._terms.open_s)
            case HalfOpen(probes, until_s) if probes < self._terms.probes:
                self.state = HalfOpen(probes + 1, until_s)
            case Open(until_s) | HalfOpen(_, until_s):
                return Refused(until_s - now_s)
            case _:
                assert_never(self.state)
        return Ticket(self._round)

    def settle(self, ticket: Ticket, ending: Ending, now_s: float) -> None:
        """What became of it; once for each ticket."""
        if ticket.round != self._round:
            return
        match self.state, ending:
            case Closed(failures), Ending.BAD if failures + 1 < self._terms.failures:
                self.state = Closed(failures + 1)
            case ((Closed() | HalfOpen()), Ending.BAD):
                self.opened += 1
                self._become(Open(now_s + self._terms.open_s))
            case Closed(), Ending.GOOD:
                self.state = Closed()
            case HalfOpen(), Ending.GOOD:
                self._become(Closed())
            case HalfOpen(probes, until_s), Ending.UNKNOWN:
                self.state = HalfOpen(max(0, probes - 1), until_s)

    def _become(self, state: State) -> None:
        self.state = state
        self._round += 1
