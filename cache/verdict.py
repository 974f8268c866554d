"""The closed set of answers to "is this the same picture?" and of the reasons why the cache said no.

Values only. A `Doubt` is the same word in the header, the log line, the statistics and the tests.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class Doubt(StrEnum):
    """Why the cache had no answer to give, although it was asked."""

    # The ladder found nothing.
    FIRST_ASKED = "first-asked"  # this question was never answered in this scope
    NEW_PICTURE = "new-picture"  # the question is known, no picture is near enough
    RUNG_FORBIDDEN = "rung-forbidden"  # the mode in force ends below the rung that might have hit
    NO_PLAIN_VIEW = "no-plain-view"  # 16-bit and the like: no rendering that every server agrees on
    EMBEDDER_NOT_READY = "embedder-not-ready"  # near hits need vectors; the model is still loading or gone
    # Something was found, and this request may not have it.
    STALE = "stale"  # older than the request or its time to live allows
    KEY_UNVERIFIED = "key-unverified"  # the upstream has not accepted this caller's credential lately
    NO_USAGE = "no-usage"  # recorded from a stream without token counts; this client needs them
    UNREADABLE = "stored-answer-unreadable"  # written by another version, or damaged; it is forgotten
    EMBEDDER_BUSY = "embedder-busy"  # the vectors did not come in time; they are made for storing all the same
    # The guard's reasons (cache/guard): near in the embedding, not proved to be one picture.
    LARGER = "larger-picture"  # the asked picture holds more detail than the stored one
    GEOMETRY = "geometry"  # no scale and shift lays one onto the other
    CONTENT_ADDED = "content-added"  # the asked picture shows something beyond the stored one's edge
    CONTENT_LOST = "content-lost"  # the stored picture showed something beyond the asked one's edge
    RESOLUTION = "resolution"  # too far apart in size or sharpness to compare
    TONE = "tone"  # brightness or colour differ by more than an honest edit
    NOISE = "noise"  # too noisy to tell a change from the noise
    SMALL_TEXT = "small-text"  # text too small for a changed stroke to be seen
    LOCAL_CHANGE = "local-change"  # a place differs by more than re-encoding explains
    COLOUR_CHANGE = "colour-change"  # a place differs in colour by more than re-encoding explains
    # The guard may have agreed, and a person has not.
    JUDGED_WRONG = "judged-wrong"  # these two pictures are not one to this question: feedback said so
    # The guard agreed, and this request asks for more.
    GUARD_LIMIT = "guard-limit"  # one picture to the guard, but not within the stricter limit in force


@dataclass(frozen=True, slots=True)
class Same:
    """One picture. `score` is the largest local difference over its limit: 0 identical, <= `LIMIT` same."""

    score: float


class Spot(NamedTuple):
    """Where in the asked picture, in shares (0..1) of its sides."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Different:
    """Not proved to be one picture. `score` is None where a rule refused before anything was measured, `spot` where
    no one place is the reason."""

    doubt: Doubt
    score: float | None = None
    spot: Spot | None = field(default=None, compare=False)  # shown to people; nothing is decided by it


Verdict = Same | Different
