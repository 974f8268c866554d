"""Entries of a list in the settings, each with a name of its own. Pure."""

from collections.abc import Sequence
from typing import Protocol, TypeVar


class Named(Protocol):
    @property
    def name(self) -> str: ...


Entries = TypeVar("Entries", bound=Sequence[Named])


def each_once(entries: Entries) -> Entries:
    """The same; raises ValueError where two have one name."""
    names = [entry.name for entry in entries]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f'"{twice[0]}" is given twice')
    return entries
