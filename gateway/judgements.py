"""How often people judged hits right and wrong, and the rate of wrong hits that makes. One small file beside the store.

The pairs themselves are the store's (cache/stores/apart.py); these are only counts.
"""

import logging
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from pydantic import TypeAdapter

from cache.files import write_whole
from gateway.bounds import lower_bound, upper_bound
from gateway.question import Judgement

JUDGEMENTS_FILE = "judgements.json"

# Each bound is one-sided: two of 97.5 % hold between them 95 %.
_EACH_SIDE = 0.975


@dataclass(slots=True)
class _Counts:
    right: Counter[str] = field(default_factory=Counter)  # by hit: exact, pixel, near
    wrong: Counter[str] = field(default_factory=Counter)


_COUNTS = TypeAdapter(_Counts)


class Judgements:
    """Kept in `file`; None: in memory only."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._counts = _read(file) if file else _Counts()
        self._writing = threading.Lock()

    def count(self, judgement: Judgement, hit: str, instead_of: Judgement | None = None) -> None:
        """One more; `instead_of` is what the same person said of the same hit before."""
        self._of(judgement)[hit] += 1
        if instead_of is not None:
            self._of(instead_of)[hit] -= 1

    def report(self) -> dict[str, Any]:
        """The rate is of near hits alone: in an exact or pixel hit the pictures are the same, whatever the answer."""
        right, wrong = self._counts.right["near"], self._counts.wrong["near"]
        judged = right + wrong
        bounds = [lower_bound(wrong, judged, _EACH_SIDE), upper_bound(wrong, judged, _EACH_SIDE)] if judged else None
        return {
            "right": dict(+self._counts.right),
            "wrong": dict(+self._counts.wrong),
            "judged_near": judged,
            "wrong_hit_rate": round(wrong / judged, 4) if judged else None,
            "wrong_hit_rate_95": [round(bound, 4) for bound in bounds] if bounds else None,
        }

    def write(self) -> None:
        """Blocking; from any thread. Raises OSError."""
        if self._file is None:
            return
        with self._writing:
            # Not asdict: it would rebuild each Counter by counting its pairs.
            write_whole(self._file, orjson.dumps({"right": self._counts.right, "wrong": self._counts.wrong}))

    def _of(self, judgement: Judgement) -> Counter[str]:
        return self._counts.right if judgement is Judgement.RIGHT else self._counts.wrong


def _read(file: Path) -> _Counts:
    """A file that is missing or damaged counts from zero: statistics never stop a start."""
    try:
        return _COUNTS.validate_json(file.read_bytes())
    except FileNotFoundError:
        return _Counts()
    except (OSError, ValueError):
        logging.getLogger("lookalike").warning("the judgements in %s cannot be read; counting from zero", file)
        return _Counts()
