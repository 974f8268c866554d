"""An explanation tells the verdict that `compare` gives, the steps to it, and where the difference is."""

import pytest

from cache import guard
from cache.verdict import Different, Same
from tests.cache.test_guard import edited, page, scene, through, view

PAIRS = {
    "identical": (page(), page()),
    "copy": (page(), through("JPEG", 80)(page())),
    "digit": (page(), edited(4, "26.46")),
    "cup": (scene(), scene(cup_colour=(40, 60, 170))),
    "strangers": (page(), scene()),
}


@pytest.mark.parametrize("name", PAIRS)
def test_the_explained_verdict_is_the_verdict(name: str):
    stored, asked = (view(picture) for picture in PAIRS[name])
    told = guard.explain(stored, asked)

    assert told.verdict == guard.compare(stored, asked)
    assert all(step.passed for step in told.steps) == isinstance(told.verdict, Same)
    if told.heat is not None:
        assert told.stored is not None
        assert told.asked is not None
        assert told.heat.shape == told.stored.shape[:2] == told.asked.shape[:2]


def test_a_changed_digit_is_where_it_was_changed():
    stored, asked = view(page()), view(edited(4, "26.46"))
    told = guard.explain(stored, asked)

    assert isinstance(told.verdict, Different)
    spot = told.verdict.spot
    assert spot is not None
    assert 450 / 640 < spot.left < spot.right < 540 / 640
    assert 375 / 720 < spot.top < spot.bottom < 415 / 720
    assert told.heat is not None
    assert told.heat.max() > guard.LIMIT


def test_a_copy_stays_below_the_limit_everywhere():
    told = guard.explain(view(page()), view(through("JPEG", 80)(page())))

    assert told.heat is not None
    assert told.heat.max() <= 1.1 * guard.LIMIT
