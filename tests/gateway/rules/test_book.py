import pytest

from gateway.rules.book import Facing, Facts, Rulebook, tags
from gateway.rules.settings import Rule

FACTS = Facts("openai-chat", "miss", "qwen3-vl-8b", "0123456789ab")


def facing(*rules: Rule, facts: Facts = FACTS) -> Facing:
    found = Rulebook(rules).facing(facts)
    assert found is not None
    return found


def edited(text: str, *rules: Rule) -> str:
    return facing(*rules).judge(text).edited(text)


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        (Rule(tag="t"), True),
        (Rule(tag="t", model="qwen3-vl-8b"), True),
        (Rule(tag="t", model=("gpt-*", "qwen?-vl-*")), True),
        (Rule(tag="t", model="Qwen*"), False),
        (Rule(tag="t", dialect=("ollama-chat", "openai-chat")), True),
        (Rule(tag="t", dialect="ollama-chat"), False),
        (Rule(tag="t", hit="miss", tenant="0123456789ab"), True),
        (Rule(tag="t", hit="miss", tenant="ba9876543210"), False),
        (Rule(tag="t", hit=("exact", "near")), False),
    ],
)
def test_a_request_faces_a_rule_if_every_condition_about_it_holds(rule: Rule, holds: bool):
    assert (Rulebook([rule]).facing(FACTS) is not None) is holds


def test_a_rule_about_models_does_not_hold_where_none_is_known():
    assert Rulebook([Rule(tag="t", model="*")]).facing(Facts("openai-chat", "bypass")) is None


@pytest.mark.parametrize(
    ("rule", "text", "holds"),
    [
        (Rule(tag="t", contains=("iPhone", "iPad")), "an IPAD", True),
        (Rule(tag="t", contains="straße"), "STRASSE 1", True),
        (Rule(tag="t", contains="iPhone"), "a phone", False),
        (Rule(tag="t", matches=r"\d{3}"), "no 123", True),
        (Rule(tag="t", matches="NO"), "no 123", False),
        (Rule(tag="t", contains="no", matches="(?i)NO"), "no 123", True),
        (Rule(tag="t", contains="yes", matches="no"), "no 123", False),
    ],
)
def test_conditions_about_the_text_hold_together(rule: Rule, text: str, holds: bool):
    assert bool(facing(rule).judge(text).rules) is holds


def test_replacements_come_first_and_what_a_rule_adds_sets_off_no_other():
    rules = [
        Rule(append=" iPhone.", prepend="1 "),
        Rule(contains="iPhone", append=" never"),
        Rule(replace=({"pattern": "phone", "with": "fone"}, {"pattern": "f(.)", "with": r"<\1>"})),  # type: ignore[arg-type]
        Rule(prepend="2 ", append=" End."),
    ]

    assert edited("a phone", *rules) == "1 2 a <o>ne iPhone. End."
    assert edited("", *rules) == ""


def test_labels_are_left_for_later():
    judged = facing(Rule(tag="t", label={"intent": ("refund",)}), Rule(tag=("u", "t"))).judge("x")  # type: ignore[dict-item]

    assert tags(judged.rules) == ("u", "t")
    assert [rule.classifier for rule in judged.if_labelled] == ["intent"]


def test_rules_without_a_name_are_called_by_their_number():
    book = Rulebook([Rule(tag="t"), Rule(name="mine", tag="t")])
    assert [rule.name for rule in book.rules] == ["rule-1", "mine"]
    before = book.facing(FACTS)
    book.replace([])

    assert book.facing(FACTS) is None
    assert before is not None
    assert len(before.judge("x").rules) == 2


def test_only_what_must_know_the_whole_answer_asks_for_it():
    assert facing(Rule(replace=({"pattern": "a", "with": "b"},))).needs_whole  # type: ignore[arg-type]
    assert facing(Rule(prepend="a", contains="b")).needs_whole
    assert not facing(Rule(prepend="a"), Rule(append="b", contains="c")).needs_whole
