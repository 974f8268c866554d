"""Which kinds a question is of, and what they demand."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.question import Mode, Scrutiny
from gateway.strictness import DEFAULT_KINDS, TEXT_MOST, Demand, Kind, demands

OPEN = Demand(Mode.NEAR, Scrutiny.NORMAL, 0.0)


def kinds_of(prompt: str) -> set[str]:
    return set(demands(prompt, DEFAULT_KINDS, OPEN).kinds)


@pytest.mark.parametrize(
    ("prompt", "kinds"),
    [
        ("Read the sign.", {"reading"}),
        ("Please TRANSCRIBE this receipt", {"reading"}),
        ("Extract all fields as JSON", {"reading"}),
        ("What is the price on the card?", {"reading"}),
        ("How many dogs are there?", {"counting"}),
        ("Count the dogs", {"counting"}),
        ("Which dog is the larger one, compared with the car?", {"comparing"}),
        ("What is the difference between the two dogs?", {"comparing"}),
        ("What colour is the car?", {"colour"}),
        ("Is the car gray?", {"colour"}),
        ("Count the red cars and read their plates", {"counting", "colour", "reading"}),
        ("识别图中的文字", {"reading"}),
        ("請讀出招牌", {"reading"}),
        ("用OCR看一下", {"reading"}),
        ("提取发票信息", {"reading"}),
        ("用ＯＣＲ看一下", {"reading"}),
        ("图里有几个人?", {"counting"}),
        ("数一数有多少只猫", {"counting"}),
        ("比较这两张图", {"comparing"}),
        ("这两只猫有什么区别?", {"comparing"}),
        ("哪个杯子更大?", {"comparing"}),
        ("车是什么颜色?", {"colour"}),
        ("这辆红色的车停在哪里?", {"colour"}),
        # What only looks like one of the words.
        ("Describe the account's discount bread in context", set()),
        ("Describe the picture.", set()),
        ("描述这张图片", set()),
        ("", set()),
    ],
)
def test_the_default_kinds_know_questions_in_english_and_chinese(prompt: str, kinds: set[str]) -> None:
    assert kinds == kinds_of(prompt)


def test_the_default_kinds_demand_nothing() -> None:
    for prompt in ("read", "how many", "compare", "colour"):
        found = demands(prompt, DEFAULT_KINDS, OPEN)
        assert (found.mode, found.scrutiny, found.threshold) == (Mode.NEAR, Scrutiny.NORMAL, 0.0)


def test_of_all_kinds_that_match_the_strictest_demand_counts() -> None:
    kinds = [
        Kind(name="one", pattern="a", mode=Mode.PIXEL, threshold=0.9),
        Kind(name="two", pattern="b", mode=Mode.EXACT, guard=Scrutiny.STRICT, threshold=0.8),
        Kind(name="other", pattern="c", mode=Mode.OFF, threshold=1.0),
    ]

    assert Demand(Mode.EXACT, Scrutiny.STRICT, 0.9, ("one", "two")) == demands("AB", kinds, OPEN)


KINDS = st.builds(
    Kind,
    name=st.sampled_from(("one", "two")),
    pattern=st.sampled_from(("a", "b", ".*")),
    mode=st.sampled_from(Mode.callers()),
    guard=st.sampled_from(Scrutiny),
    threshold=st.none() | st.floats(0.01, 1),
)


@given(
    prompt=st.text(alphabet="ab ", max_size=4),
    kinds=st.lists(KINDS, max_size=3),
    already=st.builds(Demand, st.sampled_from(Mode), st.sampled_from(Scrutiny), st.floats(0, 1)),
)
def test_no_kind_ever_loosens_anything(prompt: str, kinds: list[Kind], already: Demand) -> None:
    found = demands(prompt, kinds, already)

    assert found.mode is found.mode.stricter(already.mode)
    assert found.scrutiny is found.scrutiny.stricter(already.scrutiny)
    assert found.threshold >= already.threshold


def test_a_text_too_long_to_be_looked_at_may_be_any_kind() -> None:
    assert set() == kinds_of("-" * TEXT_MOST)
    assert {kind.name for kind in DEFAULT_KINDS} == kinds_of("-" * (TEXT_MOST + 1))


def test_the_default_patterns_take_no_more_than_the_text_is_long() -> None:
    # A pattern that backtracks without bound takes minutes here; these take milliseconds.
    for filler in ("which a ", "哪个一", "a" * 50 + " ", "几 "):
        begun = time.perf_counter()
        kinds_of((filler * TEXT_MOST)[:TEXT_MOST])
        assert time.perf_counter() - begun < 1.0
