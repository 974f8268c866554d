"""Whether the rules name what the rest of the settings has: webhooks, classifiers and their labels. Pure."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from gateway.named import Named
from gateway.rules.settings import Rule, RuleProblem


class Labelling(Named, Protocol):
    @property
    def labels(self) -> tuple[str, ...]: ...


def check(rules: Sequence[Rule], webhooks: Iterable[Named], classifiers: Iterable[Labelling]) -> None:
    """Raises RuleProblem: a rule that tells nobody, or waits for a label that never comes, is found out too late."""
    told = [webhook.name for webhook in webhooks]
    labels = {classifier.name: classifier.labels for classifier in classifiers}
    for number, rule in enumerate(rules):
        for name in rule.notify or ():
            if name not in told:
                raise RuleProblem(number, f'notify: there is no webhook "{name}": {_list(told)}')
        for name, wanted in (rule.label or {}).items():
            if name not in labels:
                raise RuleProblem(number, f'label: there is no classifier "{name}": {_list(labels)}')
            if strange := [label for label in wanted if label not in labels[name]]:
                raise RuleProblem(number, f'label: "{strange[0]}" is none of {name}: {_list(labels[name])}')


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "the settings have none"
