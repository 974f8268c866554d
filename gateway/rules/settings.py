"""One `[[rules]]` table of the settings: when it holds, and what it then does. Pure.

What cannot be meant is refused here, at the start, and in words: a rule that silently does nothing is found out by
customers.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from gateway.dialects import DIALECTS

# Words of gateway.outcome.HitClass, as far as there is an answer; a test compares the two.
HIT_WORDS: Final = ("exact", "pixel", "near", "miss", "bypass", "afresh", "shadow")
_KEPT_AFTER: Final = frozenset(("miss", "afresh", "shadow"))  # the hit classes whose answers may be stored
_TAG = re.compile(r"[A-Za-z0-9_-]{1,40}")  # it stands in a header, in log lines and in a metric's label
_TENANT = re.compile(r"[0-9a-f]{12}")


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Text = Annotated[str, Field(min_length=1)]
Words = Annotated[tuple[Text, ...], BeforeValidator(_listed), Field(min_length=1)]


class RuleProblem(ValueError):
    """What is wrong with the rule of this number, from 0 on, where only the whole of the settings can tell."""

    def __init__(self, number: int, words: str) -> None:
        super().__init__(words)
        self.number = number


class Replacement(BaseModel):
    """Text in the place of every match of a regular expression; `\\1` and `\\g<name>` are its groups."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pattern: Text
    with_: str = Field(alias="with")

    @model_validator(mode="after")
    def compiles(self) -> Self:
        compiled = _compiled(self.pattern)
        try:
            compiled.sub(self.with_, "")
        except (re.error, IndexError) as error:
            raise ValueError(f'"with" is no text for this pattern: {error}') from error
        return self


class Rule(BaseModel):
    """Every condition that is given must hold; then every action is taken."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field("", pattern=r"^[\w-]{0,40}$")  # for events and people
    contains: Words | None = None  # any of them, in any case
    matches: Text | None = None
    model: Words | None = None  # names, or globs
    dialect: Words | None = None
    hit: Words | None = None
    tenant: Words | None = None
    label: Mapping[str, Words] | None = None  # one classifier's name, and the labels that are meant

    append: Text | None = None
    prepend: Text | None = None
    replace: Annotated[tuple[Replacement, ...], Field(min_length=1)] | None = None
    tag: Words | None = None
    keep: Literal[False] | None = None
    notify: Words | None = None

    @property
    def reads_text(self) -> bool:
        """Whether the text decides."""
        return self.contains is not None or self.matches is not None

    @property
    def edits(self) -> bool:
        return (self.append, self.prepend, self.replace) != (None, None, None)

    @property
    def classifier(self) -> str | None:
        return next(iter(self.label), None) if self.label else None

    @field_validator("matches")
    @classmethod
    def compiles(cls, value: str | None) -> str | None:
        if value is not None:
            _compiled(value)
        return value

    @field_validator("dialect")
    @classmethod
    def are_dialects(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return _among(value, [dialect.name for dialect in DIALECTS], "dialect")

    @field_validator("hit")
    @classmethod
    def are_hit_classes(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return _among(value, HIT_WORDS, "hit class")

    @field_validator("tenant")
    @classmethod
    def are_tenants(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if bad := [one for one in value or () if not _TENANT.fullmatch(one)]:
            raise ValueError(f'"{bad[0]}" is no tenant: give the 12 digits that /cache/stats?by=tenant shows')
        return value

    @field_validator("tag")
    @classmethod
    def are_tags(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if bad := [one for one in value or () if not _TAG.fullmatch(one)]:
            raise ValueError(f'"{bad[0]}" is no tag: up to 40 of the letters a to z, digits, - and _')
        return value

    @field_validator("label")
    @classmethod
    def is_of_one_classifier(cls, value: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        if value is not None and len(value) != 1:
            raise ValueError('name one classifier, such as { intent = "refund" } or { intent = ["refund", "return"] }')
        return value

    @model_validator(mode="after")
    def does_something(self) -> Self:
        if not self.edits and (self.tag, self.keep, self.notify) == (None, None, None):
            raise ValueError("does nothing: give append, prepend, replace, tag, keep = false or notify")
        return self

    @model_validator(mode="after")
    def comes_in_time(self) -> Self:
        if self.label is not None and (self.edits or self.keep is not None):
            raise ValueError("a label is known only once the answer was delivered: such a rule may tag and notify")
        return self

    @model_validator(mode="after")
    def could_be_kept_otherwise(self) -> Self:
        if self.keep is not None and self.hit is not None and _KEPT_AFTER.isdisjoint(self.hit):
            raise ValueError(f"keep = false: an answer of hit {', '.join(self.hit)} is not stored anyway")
        return self


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"the pattern does not compile: {error}") from error


def _among(value: tuple[str, ...] | None, known: Any, what: str) -> tuple[str, ...] | None:
    if unknown := [one for one in value or () if one not in known]:
        raise ValueError(f'"{unknown[0]}" is no {what}: {", ".join(known)}')
    return value
