"""Pictures of a difference: what is hot is red, and stays so however small it is shown."""

import numpy as np

from gateway import heat
from gateway.box import Box

ASKED = np.full((300, 400, 3), 240, np.uint8)
SPOT = Box(200, 100, 206, 108)


def map_of(value: float) -> heat.Heat:
    hot = np.full((300, 400), 0.1, np.float32)
    hot[SPOT.top : SPOT.bottom, SPOT.left : SPOT.right] = value
    return hot


def test_the_hottest_place_is_found():
    assert heat.hottest(map_of(2.0)) == SPOT


def test_over_the_limit_is_red_and_outlined_below_it_is_neither():
    over, under = heat.overlay(ASKED, map_of(2.0)), heat.overlay(ASKED, map_of(0.2))

    assert tuple(over[104, 203]) == (235, 0, 40)
    assert (over[..., 2] > 250).any()
    assert len(np.unique(under.reshape(-1, 3), axis=0)) == 1


def test_a_close_up_shows_one_place_of_both_side_by_side():
    stored = np.zeros_like(ASKED)
    shown = heat.close_up(stored, ASKED, SPOT)

    assert shown[:, 0].max() == 0
    assert shown[:, -1].min() == 240


def test_a_close_up_at_the_corner_stays_inside():
    assert heat.close_up(ASKED, ASKED, Box(396, 296, 400, 300)).size > 0


def test_in_a_terminal_a_small_spot_does_not_fade():
    text = heat.blocks(ASKED, map_of(2.0), 40, 12)

    assert max(len(line) for line in text.plain.splitlines()) <= 40
    assert len(text.plain.splitlines()) <= 12
    assert any("rgb(235,0,40)" in str(span.style) for span in text.spans)


def test_pictures_of_other_shapes_stand_beside_each_other():
    assert heat.beside(np.zeros((10, 400, 3), np.uint8), np.zeros((500, 20, 3), np.uint8)).ndim == 3


def test_a_picture_inside_a_page_is_no_larger_than_asked_for():
    assert heat.data_url(ASKED, 100).startswith("data:image/jpeg;base64,")
    assert len(heat.data_url(ASKED, 100)) < len(heat.data_url(ASKED, 400))
