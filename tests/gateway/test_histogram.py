import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.histogram import RELATIVE_ERROR, bin_of, percentile, value_of
from tests.examples import examples

VALUES = st.lists(st.integers(1, 10**12), min_size=1, max_size=60)


@examples(200)
@given(VALUES, st.sampled_from([0.01, 0.5, 0.9, 0.95, 0.99, 1.0]))
def test_a_percentile_is_at_most_the_stated_error_off(values: list[int], share: float) -> None:
    exact = sorted(values)[math.ceil(share * len(values)) - 1]

    assert percentile(Counter(map(bin_of, values)), share) == pytest.approx(exact, rel=RELATIVE_ERROR * 1.001)


@examples(100)
@given(VALUES, VALUES)
def test_the_histograms_of_two_spans_add_up_to_that_of_both(one: list[int], other: list[int]) -> None:
    assert Counter(map(bin_of, one)) + Counter(map(bin_of, other)) == Counter(map(bin_of, one + other))


def test_bins_grow_with_their_values_and_begin_at_one() -> None:
    bins = [bin_of(value) for value in (-5, 0, 1, 2, 10, 1_000, 10**9)]

    assert bins == sorted(bins)
    assert (bins[:3], value_of(0)) == ([0, 0, 0], 1.0)


def test_of_nothing_there_is_no_percentile() -> None:
    assert percentile({}, 0.5) is None
    assert percentile({3: 0}, 0.5) is None
