"""Which rules hold for an answer, and what they make of it. Pure.

A rule's conditions look at the answer as the model gave it: what one rule adds never sets off another. Of all rules
that hold, the replacements are made first, one after the other; then come the texts before and after, each in the
order of the settings.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from gateway.rules.settings import Rule


class LeftAlone(StrEnum):
    """Why rules that could have applied did not."""

    FAULT = "fault"  # ours, or a pattern's: logged
    CODED = "coded-reply"  # compressed although that was not asked for
    TOO_LARGE = "reply-too-large"
    UNREADABLE = "unreadable-reply"  # not the form of this API
    BUSY = "classifier-busy"  # more answers wait for their label than there is room for


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a request before its answer. `hit` is a hit class."""

    dialect: str
    hit: str
    model: str | None = None
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """The rules that hold for one text. Those of `if_labelled` hold if their classifier says so."""

    rules: tuple[Rule, ...] = ()
    if_labelled: tuple[Rule, ...] = ()

    @property
    def before(self) -> str:
        return "".join(rule.prepend or "" for rule in self.rules)

    @property
    def after(self) -> str:
        return "".join(rule.append or "" for rule in self.rules)

    def edited(self, text: str) -> str:
        """What the client gets. Nothing stays nothing: there is no answer that a text could be added to."""
        if not text:
            return text
        for replacement in [one for rule in self.rules for one in rule.replace or ()]:
            text = re.sub(replacement.pattern, replacement.with_, text)
        return self.before + text + self.after


class Facing:
    """The rules that may hold for one request: all of their conditions do, but for those about its answer."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self.classifies = any(rule.label for rule in rules)
        self.edits = any(rule.edits for rule in rules)
        # A replacement may reach over any boundary, and a text that stands first must be known first.
        self.needs_whole = any(rule.replace or (rule.prepend and rule.reads_text) for rule in rules)
        self.refuses_any = any(rule.keep is False for rule in rules)
        # What holds whatever the answer is.
        self.anyway = Judged(tuple(rule for rule in rules if not rule.reads_text and not rule.label))

    def judge(self, text: str) -> Judged:
        """The rules that hold for a text. `text` is that of one answer."""
        held = [rule for rule in self._rules if _reads_as(rule, text)]
        return Judged(
            tuple(rule for rule in held if not rule.label),
            tuple(rule for rule in held if rule.label),
        )


class Rulebook:
    """The rules in force. Requests that are under way keep those that they began with."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self._rules = _named(rules)

    @property
    def rules(self) -> Sequence[Rule]:
        return self._rules

    @property
    def asks_model(self) -> bool:
        return any(rule.model is not None for rule in self._rules)

    def replace(self, rules: Sequence[Rule]) -> None:
        self._rules = _named(rules)

    def facing(self, facts: Facts) -> Facing | None:
        """None where no rule can hold: then the answer is none of our business."""
        rules = [rule for rule in self._rules if _holds(rule, facts)]
        return Facing(rules) if rules else None


def tags(rules: Sequence[Rule]) -> tuple[str, ...]:
    """Each once, in order."""
    return tuple(dict.fromkeys(tag for rule in rules for tag in rule.tag or ()))


def _named(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    return tuple(
        rule if rule.name else rule.model_copy(update={"name": f"rule-{number}"})
        for number, rule in enumerate(rules, start=1)
    )


def _holds(rule: Rule, facts: Facts) -> bool:
    """Whether all of it holds that does not depend on the answer."""
    named = rule.model is None or (facts.model is not None and any(fnmatchcase(facts.model, one) for one in rule.model))
    return (
        named
        and (rule.dialect is None or facts.dialect in rule.dialect)
        and (rule.hit is None or facts.hit in rule.hit)
        and (rule.tenant is None or facts.tenant in rule.tenant)
    )


def _reads_as(rule: Rule, text: str) -> bool:
    if rule.contains is not None:
        folded = text.casefold()
        if not any(one.casefold() in folded for one in rule.contains):
            return False
    return rule.matches is None or re.search(rule.matches, text) is not None
