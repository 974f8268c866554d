"""What follows from an attempt."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.webhooks.schedule import Again, Attempt, Delivered, Pace, SetAside, Trouble, Verdict, judge

PACE = Pace()
DAY_S = 86_400.0


def after(attempt: Attempt, failures: int = 1, age_s: float = 0.0) -> Verdict:
    return judge(attempt, failures, PACE, random.Random(1), now_s=1000.0, age_s=age_s, most_s=DAY_S)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_success_is_a_delivery(status: int):
    assert after(Attempt(status)) == Delivered()


@pytest.mark.parametrize("reply", [301, 307, 400, 401, 404, 429, 500, 503, *Trouble])
def test_anything_else_is_tried_again(reply: int | Trouble):
    assert isinstance(after(Attempt(reply)), Again)


def test_a_receiver_that_is_gone_ends_it():
    assert after(Attempt(410)) == SetAside()


@given(st.integers(1, 10_000), st.one_of(st.none(), st.floats(0, 1e9)), st.integers())
def test_a_wait_is_as_long_as_asked_for_and_bounded(failures: int, named_s: float | None, seed: int):
    wait_s = PACE.wait_s(failures, named_s, random.Random(seed))

    assert min(named_s or 0, 3600) <= wait_s <= 1.25 * 3600
    assert PACE.first_s <= wait_s
    assert named_s is not None or wait_s <= 1.25 * PACE.most_s


def test_waits_double():
    still = random.Random(1)
    still.random = lambda: 0.0  # type: ignore[method-assign]

    assert [PACE.wait_s(failures, None, still) for failures in (1, 2, 3, 9, 10, 1000)] == [1, 2, 4, 256, 300, 300]


@given(st.integers(1, 50), st.floats(0, 2 * DAY_S), st.one_of(st.none(), st.floats(0, 3600)))
def test_no_attempt_is_planned_beyond_the_age(failures: int, age_s: float, named_s: float | None):
    match after(Attempt(503, named_s), failures, age_s):
        case Again(due_s):
            assert due_s > 1000
            assert age_s + due_s - 1000 <= DAY_S
        case SetAside():
            assert age_s + 1.25 * 3600 > DAY_S
        case Delivered():
            raise AssertionError("it was not")
