"""The files that a run writes, before it asks anything: none of them may be in the way of another, or of the input.

Nothing is written here, and nobody is told to delete what may be an input.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from gateway.bulk.items import BadInput

# What answers are written as, unless --out-form says it; a name without a suffix promises nothing.
ANSWER_SUFFIXES: Final = ("", ".jsonl", ".ndjson", ".json", ".csv")
_SUGGESTED: Final = {"--out": "answers.jsonl", "--journal": "run.journal", "--failures": "failures.jsonl"}


def check_places(inputs: Iterable[str], out: Path | None, journal: Path, failures: Path) -> None:
    """Raises BadInput where a file cannot be written there, or would be written over another."""
    flags = {"--out": out, "--journal": journal, "--failures": failures}
    places = {flag: place for flag, place in flags.items() if place is not None}
    read = {os.path.realpath(name) for name in inputs}
    taken: dict[str, str] = {}
    for flag, place in places.items():
        if place.is_dir():
            raise BadInput(f"{flag} {place} is a folder: name a file in it, such as {place / _SUGGESTED[flag]}")
        if not place.parent.is_dir():
            raise BadInput(f"{flag} {place}: there is no folder {place.parent}; make it first, or name another")
        real = os.path.realpath(place)
        # The failures of before may be given again: then what fails once more is written in their place.
        if real in read and flag != "--failures":
            raise BadInput(f"{flag} {place} is the input itself, which stays as it is: give {flag} another name")
        if real in taken:
            raise BadInput(f"{flag} and {taken[real]} are one file, {place}: give them two names")
        taken[real] = flag


def check_suffix(out: Path) -> None:
    """Raises BadInput where a name promises a form that answers are not written in."""
    if out.suffix.lower() not in ANSWER_SUFFIXES:
        raise BadInput(
            f"--out {out}: answers are not written as {out.suffix}; name a file that ends in .jsonl or .csv, or say "
            "with --out-form which of openai, csv and rows it is to be"
        )
