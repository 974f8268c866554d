"""What was asked on the way to a verdict, with its figures: for people who want to know why."""

from dataclasses import dataclass, field

from cache.guard.frame import Frame
from cache.guard.pixels import Plane, Rgb


@dataclass(frozen=True, slots=True)
class Step:
    """One question of the guard's, in the order asked. `value` and `limit` are None where it has no figure."""

    name: str
    value: float | None
    limit: float | None
    passed: bool


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """The two pictures as they were compared in the end: on one grid, everything undone that was undone."""

    frame: Frame
    toned: Rgb  # the stored picture at the asked one's tone
    mine: Plane  # its luma, and the asked picture's, equally sharp
    other: Plane
    by_steps: bool  # the JPEG file's own steps explain the fine differences


@dataclass(slots=True)
class Trace:
    steps: list[Step] = field(default_factory=list)
    seen: Seen | None = None

    def holds(self, name: str, passed: bool) -> bool:
        self.steps.append(Step(name, None, None, passed))
        return passed

    def at_most(self, name: str, value: float, limit: float) -> bool:
        self.steps.append(Step(name, value, limit, value <= limit))
        return value <= limit

    def at_least(self, name: str, value: float, limit: float) -> bool:
        self.steps.append(Step(name, value, limit, value >= limit))
        return value >= limit
