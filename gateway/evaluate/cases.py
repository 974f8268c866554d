"""What is asked of the cache in an evaluation, and with which picture. Pure; the same seed makes the same pictures.

A case names everything that its picture is made of, so that the picture can be made again for a report.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from PIL import Image

from gateway.box import Box
from gateway.evaluate.copies import COPIES, Transform, in_turn, jpeg, png, resize
from gateway.evaluate.edits import Editor
from gateway.evaluate.ladder import Outcome
from gateway.pictures import Picture


@dataclass(frozen=True, slots=True)
class Copy:
    """A benign copy of the picture: should be answered from the cache."""

    group: str  # a class of copies.COPIES
    variant: str


@dataclass(frozen=True, slots=True)
class Edit:
    """The picture with a small edit, sent in some way: must not be answered."""

    number: int
    way: str  # of WAYS


@dataclass(frozen=True, slots=True)
class Itself:
    """The picture against all others of the folder."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Another file, of which a person has said whether it is the same picture."""

    asked: str
    same: bool


Case = Copy | Edit | Itself | Listed


@dataclass(frozen=True, slots=True)
class Trial:
    """One case and what became of it. `source` is the picture that is stored (asked, for `Itself`)."""

    source: str
    case: Case
    outcome: Outcome
    edit: str | None = None  # what was edited
    box: Box | None = None  # ... and where, pixels of the edited picture before it was sent


WAYS: Final[dict[str, Transform]] = {
    "as it is": png,
    "JPEG q75": jpeg(75),
    "x0.75": in_turn(resize(0.75)),
}


def copies() -> list[Copy]:
    return [Copy(group, variant) for group, variants in COPIES.items() for variant in variants]


def copied(original: Image.Image, copy: Copy) -> Picture:
    return Picture.of(COPIES[copy.group][copy.variant](original))


def edit_seed(seed: int, digest: str, number: int) -> int:
    """A seed of its own for each edit of each picture, whatever else is in the folder."""
    text = f"{seed} {digest} {number}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def edited(original: Image.Image, seed: int, digest: str, edit: Edit) -> Picture | None:
    found = Editor(original).edit(edit_seed(seed, digest, edit.number))
    return sent(found.picture, edit.way) if found else None


def sent(picture: Image.Image, way: str) -> Picture:
    """The file in which a client would send it."""
    return Picture.of(WAYS[way](picture))
