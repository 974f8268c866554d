"""The bound on a rate: known values, and its defining property."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.evaluate.bound import upper_bound


@pytest.mark.parametrize(
    ("wrong", "tried", "bound"),
    [(0, 100, 0.02951), (0, 300, 0.00994), (0, 10_000, 0.0002995), (1, 100, 0.04656), (5, 50, 0.19883), (0, 1, 0.95)],
)
def test_known_values(wrong: int, tried: int, bound: float):
    assert upper_bound(wrong, tried) == pytest.approx(bound, rel=1e-3)


@pytest.mark.parametrize("tried", [0, 1, 7])
def test_where_all_were_wrong_or_nothing_was_tried_nothing_is_ruled_out(tried: int):
    assert upper_bound(tried, tried) == 1.0


@given(st.integers(1, 400).flatmap(lambda tried: st.tuples(st.integers(0, tried - 1), st.just(tried))))
def test_at_the_bound_so_few_show_with_a_chance_of_five_percent(case: tuple[int, int]):
    wrong, tried = case
    rate = upper_bound(wrong, tried)
    chance = sum(math.comb(tried, k) * rate**k * (1 - rate) ** (tried - k) for k in range(wrong + 1))

    assert wrong / tried < rate < 1
    assert chance == pytest.approx(0.05, rel=1e-3)


def test_more_wrong_than_tried_is_refused():
    with pytest.raises(ValueError, match="3 of 2"):
        upper_bound(3, 2)
