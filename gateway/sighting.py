"""What people look at later: a request that was answered, and two pictures that were compared for it.

Values only, and their form on disk. A prompt is never among what is written.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from cache.entry import Entry
from cache.guard import View
from cache.verdict import Doubt, Spot, Verdict
from gateway.question import Judgement

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """A stored answer that was nominated, and the guard's verdict on its pictures. It holds the asked pictures
    themselves: not for long."""

    entry: Entry
    similarity: float  # lowest cosine over the pictures
    threshold: float  # cosine in force
    verdict: Verdict
    limit: float  # the guard's score in force up to which two pictures count as one
    asked: tuple[View, ...]  # in the request's order
    asked_exact: str  # the request's own exact key
    marks: tuple[str, ...]  # of the files that were asked about (cache/marks.py)
    prompt: str | None  # None: nobody is to see it


@dataclass(frozen=True, slots=True)
class Glimpse:
    """One request, as a line of a list."""

    time_s: float  # Unix time at which the client had its reply
    outcome: str  # exact, pixel, near, miss, bypass or error
    reason: str | None  # why it was no hit, in one word
    model: str | None
    pictures: int
    seconds: float  # until the client had its reply
    status: int | None = None
    entry: str | None = None  # id of the stored answer that was served
    similarity: float | None = None
    shadow: str | None = None  # in shadow mode: what it would have been


class Sight(StrEnum):
    NEAR_HIT = "near-hit"
    NEAR_MISS = "near-miss"  # nominated, and refused by the guard


@dataclass(frozen=True, slots=True)
class Sighting:
    """A near hit or a near miss."""

    id: str
    sight: Sight
    time_s: float
    shadow: bool  # nothing was served: shadow mode only looks
    dialect: str
    model: str
    entry: str  # id of the stored answer
    pictures: int
    similarity: float
    threshold: float
    doubt: Doubt | None
    score: float | None
    limit: float
    spot: Spot | None
    asked_exact: str
    marks: tuple[str, ...]
    stored: str | None = None  # id of the entry that the request's own answer became
    drawn: int = 0  # pictures of which thumbnails are kept
    judged: Judgement | None = None


GLIMPSE = TypeAdapter(Glimpse)
SIGHTING = TypeAdapter(Sighting)


def read(form: TypeAdapter[T], data: bytes) -> T | None:
    """None if it is not of this version."""
    try:
        return form.validate_json(data)
    except ValidationError:
        return None
