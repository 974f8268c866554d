"""The drawn pairs are what the benchmark says of them."""

from collections import Counter

import numpy as np
import pytest

from benchmarks.drawn import KINDS, drawn_pair, fonts

pytestmark = pytest.mark.filterwarnings("ignore:no Chinese font found")


@pytest.fixture(scope="module")
def pairs():
    return [drawn_pair(seed) for seed in range(2 * len(KINDS))]


def test_the_same_seed_draws_the_same_pixels(pairs):
    for seed in (0, 5, 11):
        again = drawn_pair(seed)
        assert again == pairs[seed]


def test_two_seeds_draw_two_pictures(pairs):
    assert len({pair.before.tobytes() for pair in pairs}) == len(pairs)


def test_the_edit_is_inside_its_box_and_seen(pairs):
    for pair in pairs:
        before, after = (np.asarray(image, np.int16) for image in (pair.before, pair.after))
        assert before.shape == after.shape
        away = np.abs(before - after).max(axis=2)
        left, top, right, bottom = pair.box
        inside = away[top:bottom, left:right].copy()
        away[top:bottom, left:right] = 0
        assert away.max() == 0
        assert (inside >= 45).sum() >= 5  # a vignette darkens the 60 levels of the clean drawing
        assert inside.any(axis=1)[[0, -1]].all()
        assert inside.any(axis=0)[[0, -1]].all()


def test_every_kind_is_drawn_in_every_script_with_many_edits(pairs):
    scripts = ("latin", "chinese") if fonts.faces().chinese else ("latin",)
    assert {(pair.kind, pair.script) for pair in pairs} == {(kind, script) for kind in KINDS for script in scripts}
    edits = Counter(pair.edit for pair in pairs)
    assert len(edits) >= 10
    assert edits.most_common(1)[0][1] < len(pairs) / 2


def test_a_drawing_says_what_was_changed(pairs):
    assert all(pair.says and pair.edit for pair in pairs)
