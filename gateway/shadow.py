"""Shadow mode's values: what would have been served, and how well it agrees with what the model answered. Pure.

An `Observation` is one line of the shadow log. It holds digests, numbers and reasons; never a prompt, an answer, a
picture or a credential.
"""

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Literal

import orjson
from pydantic import TypeAdapter
from rapidfuzz.fuzz import ratio

from cache.verdict import Doubt

# Characters of each answer that are compared: the comparison takes time in proportion to their product.
_COMPARED_CHARS = 20_000
_NUMBER = re.compile(r"(?<![\w.,])-?\d+(?:[.,]\d+)*|\d+(?:[.,]\d+)*")
_THOUSANDS = re.compile(r"-?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?")
_DIGITS_MOST = 40  # what is longer is no quantity, and is compared as it is written


class Kind(StrEnum):
    """What a request would have been."""

    EXACT = "exact"
    PIXEL = "pixel"
    NEAR = "near"
    MISS = "miss"


@dataclass(frozen=True, slots=True)
class WouldServe:
    """A lookup's outcome, kept for comparison instead of being served."""

    kind: Kind
    question: str  # the first digits of the digest of scope and question
    doubt: Doubt | None = None  # why it would have been a miss
    similarity: float | None = None
    score: float | None = None  # the guard's, of a near hit

    def header(self) -> str:
        """The value of X-Lookalike-Shadow, an item of RFC 8941 with parameters."""
        reason = f"; detail={self.doubt}" if self.doubt else ""
        return f'{self.kind}{reason}; question="{self.question}"'


@dataclass(frozen=True, slots=True)
class Agreement:
    """A stored answer beside a fresh one."""

    same: bool  # one text, but for white space, case and width of letters
    similarity: float  # of the texts, 0 to 1
    numbers_agree: bool  # the same set of numbers in both
    stored_chars: int
    fresh_chars: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A stored picture that was weighed against the asked one."""

    similarity: float
    doubt: str | None  # why it was refused; None: accepted
    score: float | None  # the guard's, where it measured
    agreement: Agreement | None  # None: there was no answer to compare, or none to compare it with


@dataclass(frozen=True, slots=True)
class Observation:
    """One request in shadow mode."""

    time_s: float  # Unix time
    model: str
    dialect: str
    question: str
    pictures: int
    would_be: Kind
    doubt: str | None
    similarity: float | None
    score: float | None
    space: str | None  # of the candidates' similarities; None where no vectors were compared
    threshold: float | None  # the embedder's cosine in force there
    tokens_in: int | None  # of the fresh answer, as all that follows
    tokens_out: int | None
    upstream_s: float
    money: float | None
    currency: str | None
    unread: str | None  # why the fresh answer could not be compared
    agreement: Agreement | None  # of a would-be hit
    candidates: tuple[Candidate, ...]  # nearest first
    floor: float = 0.0  # cosine that the caller or the kind of question demands at the least
    version: Literal[1] = 1


_OBSERVATION = TypeAdapter(Observation)


def to_line(observation: Observation) -> bytes:
    return orjson.dumps(observation, option=orjson.OPT_APPEND_NEWLINE)


def from_line(line: bytes) -> Observation:
    """The reverse of `to_line`. Raises ValueError."""
    return _OBSERVATION.validate_json(line)


def agree(stored: str, fresh: str) -> Agreement:
    one, other = _plain(stored), _plain(fresh)
    same = one == other
    similarity = 1.0 if same else ratio(one[:_COMPARED_CHARS], other[:_COMPARED_CHARS]) / 100
    return Agreement(same, round(similarity, 4), same or _numbers(one) == _numbers(other), len(stored), len(fresh))


def numbers(text: str) -> frozenset[str]:
    """The numbers in a text, each in one spelling: 1,234.50 is 1234.5, and ４８ is 48."""
    return _numbers(_plain(text))


def _plain(text: str) -> str:
    """One spelling of texts that only differ in width, case, white space or the kind of minus sign."""
    return " ".join(unicodedata.normalize("NFKC", text).replace("\N{MINUS SIGN}", "-").casefold().split())


def _numbers(plain: str) -> frozenset[str]:
    return frozenset(_one_spelling(found) for found in _NUMBER.findall(plain))


def _one_spelling(number: str) -> str:
    bare = number.replace(",", "") if _THOUSANDS.fullmatch(number) else number
    if len(bare) > _DIGITS_MOST:
        return number
    try:
        value = Decimal(bare)
    except InvalidOperation:  # two points, or a comma of another country: a date, a version, 1.234,50
        return number
    return format(value.normalize() + 0, "f")
