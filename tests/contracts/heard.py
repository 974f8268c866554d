"""What a client's own object held of a reply, and when two of them are the same: the one home of that comparison."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# A replay has ids and times of its own, like any other reply; whatever else a client shows must be as it was.
IDS = frozenset(("id", "request_id", "response_id", "item_id"))
TIMES = frozenset(("created", "created_at", "completed_at"))


@dataclass(frozen=True, slots=True)
class Heard:
    """`text` as a user of the client reads it; `held`: all that its objects hold, as JSON values."""

    text: str
    held: Any


def apart_from_ids_and_times(value: Any) -> Any:
    """With its kind in the place of each id and time: one that is missing, or that became a number, shows."""
    match value:
        case dict():
            return {
                name: type(inner).__name__ if name in IDS | TIMES else apart_from_ids_and_times(inner)
                for name, inner in value.items()
            }
        case list() | tuple():
            return [apart_from_ids_and_times(inner) for inner in value]
        case _:
            return value


def ids(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for name, inner in value.items():
                if name in IDS and isinstance(inner, str):
                    yield inner
                yield from ids(inner)
        case list() | tuple():
            for inner in value:
                yield from ids(inner)
