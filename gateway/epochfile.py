"""What is known of changed models, as one small file beside the store. Blocking."""

import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson
from pydantic import TypeAdapter

from cache.entry import Entry
from cache.files import write_whole
from gateway.modelchange import EVERY, concerns, normal

EPOCHS_FILE: Final = "epochs.json"
_MODELS_MOST: Final = 1000  # callers choose the names; the longest unchanged is forgotten


@dataclass(frozen=True, slots=True)
class Epoch:
    """How often a model was changed, when last and how that was seen, and the answers that were retired for it."""

    number: int
    changed_s: float  # Unix time
    why: str
    retired: int


@dataclass(frozen=True, slots=True)
class Known:
    """`pending`: normal names of models whose answers are to be deleted before any is served."""

    models: dict[str, Epoch] = field(default_factory=dict)
    pending: tuple[str, ...] = ()
    retired_before: int = 0  # of models that are not listed any more

    def after(self, name: str, now_s: float, why: str, retired: int) -> "Known":
        """With one change more."""
        was = self.models.get(name, Epoch(0, 0.0, "", 0))
        models = self.models | {name: Epoch(was.number + 1, now_s, why, was.retired + retired)}
        before = self.retired_before
        if len(models) > _MODELS_MOST:
            oldest = min(models, key=lambda each: models[each].changed_s)
            before += models.pop(oldest).retired
        return Known(models, self.pending, before)

    def retires(self, entry: Entry) -> bool:
        """Whether an answer that comes from elsewhere was given by a model that was changed here since, or is being."""
        name = normal(entry.model)
        since = (epoch.changed_s for each, epoch in self.models.items() if concerns(each, name))
        owed = any(concerns(each, name) for each in self.pending)
        return owed or entry.created_s <= max(since, default=float("-inf"))


_KNOWN = TypeAdapter(Known)


class EpochFile:
    """Written whole or not at all, and by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing = threading.Lock()

    def read(self) -> Known:
        """A file that cannot be read may have named models whose answers were to go: then all of them are."""
        try:
            return _KNOWN.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return Known()
        except (OSError, ValueError):
            logging.getLogger("lookalike").error(
                "%s cannot be read: nobody knows which models were being changed, so every stored answer is retired",
                self._path,
            )
            return Known(pending=(EVERY,))

    def write(self, known: Known) -> None:
        """On disk when it returns. Raises OSError."""
        with self._writing:
            write_whole(self._path, orjson.dumps(known))
