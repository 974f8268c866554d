from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

from gateway.events import Event
from gateway.labelling import Labelling, Unlabelled
from gateway.rules.settings import Rule

EVENT = Event("", (), ("known",), "answer", "prompt", None, "m", "openai-chat", "miss", None, "r", "0" * 12, 1.0)


@dataclass
class Sorter:
    """A classifier that answers by the text's first word, and fails at 'fail'."""

    asked: list[str] = field(default_factory=list)

    async def label(self, classifier: str, prompt: str | None, answer: str) -> str | None:
        self.asked.append(classifier)
        if answer == "fail":
            raise RuntimeError("told to")
        return answer.split()[0] if classifier == "intent" else None


@dataclass
class Told:
    events: list[Event] = field(default_factory=list)

    def publish(self, event: Event) -> None:
        self.events.append(event)


RULES = (
    Rule(name="refunds", label={"intent": ("refund", "return")}, notify="desk", tag="money"),  # type: ignore[dict-item]
    Rule(name="counted", label={"intent": ("refund",)}, tag=("known", "money")),  # type: ignore[dict-item]
    Rule(name="other", label={"mood": ("angry",)}, notify="boss"),  # type: ignore[dict-item]
)


def labelled(*texts: str) -> tuple[Sorter, Told, list[tuple[str, ...]]]:
    sorter, told, counted = Sorter(), Told(), list[tuple[str, ...]]()
    labelling = Labelling(sorter, told, counted.append)
    for text in texts:
        assert labelling.put(Unlabelled(RULES, text, "prompt", EVENT))

    async def run() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(labelling.run)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        labelling.close()

    anyio.run(run)
    return sorter, told, counted


def test_a_rule_holds_if_its_classifier_says_so_and_each_is_asked_once():
    sorter, told, counted = labelled("refund please")

    assert sorter.asked == ["intent", "mood"]
    assert [(event.rule, event.webhooks, event.label) for event in told.events] == [("refunds", ("desk",), "refund")]
    assert told.events[0].tags == ("known", "money")
    assert counted == [("money",)]


def test_another_label_holds_for_other_rules_and_a_fault_costs_only_its_answer():
    _, told, counted = labelled("fail", "hello", "return it")

    assert [event.label for event in told.events] == ["return"]
    assert counted == [("money",)]


def test_what_waits_is_bounded():
    labelling = Labelling(Sorter(), Told(), lambda tags: None)
    put: Callable[[], bool] = lambda: labelling.put(Unlabelled(RULES, "x", None, EVENT))  # noqa: E731

    assert [put() for _ in range(1001)][-2:] == [True, False]
    labelling.close()
    assert not put()
