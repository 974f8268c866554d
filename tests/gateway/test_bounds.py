import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bounds import cases_needed, lower_bound, upper_bound
from tests.examples import examples

COUNTS = st.integers(1, 120).flatmap(lambda cases: st.tuples(st.integers(0, cases), st.just(cases)))


def at_most(events: int, cases: int, rate: float) -> float:
    """The binomial tail in whole numbers, with no rounding anywhere."""
    p = Fraction(rate)
    return float(sum(math.comb(cases, k) * p**k * (1 - p) ** (cases - k) for k in range(events + 1)))


@examples(60)
@given(COUNTS)
def test_at_the_upper_bound_so_few_events_have_a_chance_of_five_percent(counts: tuple[int, int]) -> None:
    events, cases = counts
    bound = upper_bound(events, cases)

    assert events / cases <= bound <= 1
    assert bound == 1.0 if events == cases else at_most(events, cases, bound) == pytest.approx(0.05, rel=1e-6)


@examples(60)
@given(COUNTS)
def test_at_the_lower_bound_so_many_events_have_a_chance_of_five_percent(counts: tuple[int, int]) -> None:
    events, cases = counts
    bound = lower_bound(events, cases)

    assert 0 <= bound <= events / cases
    assert bound == 0.0 if not events else 1 - at_most(events - 1, cases, bound) == pytest.approx(0.05, rel=1e-5)


@pytest.mark.parametrize(
    ("events", "cases", "bound"),
    # The tables of Clopper and Pearson; the last two are 3/n and close to it.
    [(0, 1, 0.95), (0, 10, 0.25887), (1, 10, 0.39416), (5, 10, 0.77756), (0, 300, 0.0099360), (0, 3000, 0.00099806)],
)
def test_the_bounds_are_those_of_the_tables(events: int, cases: int, bound: float) -> None:
    assert bound == pytest.approx(upper_bound(events, cases), rel=1e-4)


def test_a_million_cases_are_bounded_as_well() -> None:
    assert 0.005 < upper_bound(5_000, 1_000_000) < 0.00513


@examples(40)
@given(st.integers(0, 6), st.sampled_from([0.01, 0.05, 0.2, 0.5]))
def test_the_cases_needed_are_enough_and_one_less_is_not(events: int, rate: float) -> None:
    needed = cases_needed(events, rate)

    assert upper_bound(events, needed) <= rate
    assert upper_bound(events, needed - 1) > rate


def test_one_percent_needs_299_cases_without_an_event() -> None:
    assert cases_needed(0, 0.01) == 299


@pytest.mark.parametrize(("events", "cases"), [(-1, 3), (4, 3)])
def test_counts_that_cannot_be_are_an_error(events: int, cases: int) -> None:
    with pytest.raises(ValueError, match=f"{events} of {cases}"):
        upper_bound(events, cases)
    with pytest.raises(ValueError, match="a rate between"):
        cases_needed(0, 1.0)
