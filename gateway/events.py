"""What a rule tells the business, and whom: the words between the rules and whoever carries events. No I/O.

A rule that is to notify someone publishes an `Event` once the answer is with the client. Who sends it, keeps it
until it is taken, and signs it, stands behind `Events`; who puts a name to an answer, behind `Classifier`.
"""

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Event:
    """An answer that a rule holds for, as it was delivered. `prompt` is None where the request was not read."""

    rule: str
    webhooks: tuple[str, ...]  # at least one, as the settings name them
    tags: tuple[str, ...]  # of every rule that held for the answer
    answer: str = field(repr=False)  # the text that the client got
    prompt: str | None = field(repr=False)  # only the receiver's settings say whether it may leave
    label: str | None  # what the rule's classifier said; None for a rule without one
    model: str | None
    dialect: str
    hit: str  # a hit class: exact, pixel, near, miss, bypass, afresh, shadow
    entry: str | None  # id of the entry that answered, or that this answer became
    request: str  # an id of this request, for whoever gets an event twice
    tenant: str  # the first digits of its digest, as the statistics show them
    time_s: float  # Unix time
    keep: bool = True  # whether the answer may be on disk; not where its request said no-store


class Events(Protocol):
    def publish(self, event: Event) -> None:
        """Take an event. Neither waits nor raises: what cannot be taken is dropped and counted."""
        ...


class Classifier(Protocol):
    async def label(self, classifier: str, prompt: str | None, answer: str) -> str | None:
        """The label that the classifier of this name gives an answer; None if it gives none. Never raises. Called
        after the answer was delivered."""
        ...


class NoEvents:
    """Where nobody is to be told."""

    def publish(self, event: Event) -> None:
        pass


class NoClassifier:
    """Where no classifier is set up."""

    async def label(self, classifier: str, prompt: str | None, answer: str) -> str | None:
        return None
