"""Small edits: visible, in one place, seeded, of the kinds that the picture offers."""

import numpy as np
import pytest
from PIL import Image

from gateway.evaluate.edits import Editor
from gateway.evaluate.places import Places
from tests.cache.test_guard import page, scene

SEEDS = range(12)


@pytest.fixture(scope="module", params=[page, scene])
def original(request: pytest.FixtureRequest) -> Image.Image:
    drawn: Image.Image = request.param()
    return drawn


def test_an_edit_is_visible_and_in_one_place(original: Image.Image):
    editor = Editor(original)
    for seed in SEEDS:
        edited = editor.edit(seed)
        assert edited is not None
        away = np.abs(np.asarray(edited.picture, int) - np.asarray(original, int)).max(axis=2)
        assert (away >= 40).sum() >= 12
        box = edited.box
        outside = away.copy()
        outside[box.top : box.bottom, box.left : box.right] = 0
        assert outside.max() == 0
        assert box.width * box.height < 0.2 * original.width * original.height


def test_the_same_seed_makes_the_same_edit(original: Image.Image):
    one, two = Editor(original), Editor(original.copy())
    first = [one.edit(seed) for seed in SEEDS]
    second = [two.edit(seed) for seed in reversed(SEEDS)][::-1]

    for edited, again in zip(first, second, strict=True):
        assert edited is not None
        assert again is not None
        assert edited.picture.tobytes() == again.picture.tobytes()
    assert len({edited.picture.tobytes() for edited in first if edited}) > len(SEEDS) / 2


def test_the_original_stays_as_it_is():
    picture = page()
    Editor(picture).edit(3)

    assert picture.tobytes() == page().tobytes()


def test_text_is_edited_on_a_page_and_objects_in_a_scene():
    on_page = {edited.kind for seed in SEEDS if (edited := Editor(page()).edit(seed))}
    in_scene = {edited.kind for seed in SEEDS if (edited := Editor(scene()).edit(seed))}

    assert {"glyph replaced", "glyph erased", "sign added"} <= on_page
    assert in_scene <= {"object recoloured", "object removed", "object moved", "mark drawn"}
    assert len(in_scene) >= 3


def test_glyphs_are_found_on_a_page_and_not_in_a_scene():
    assert len(Places(np.asarray(page())).glyph_boxes) > 60
    assert len(Places(np.asarray(scene())).glyph_boxes) < 5


def test_a_picture_too_small_to_edit_is_left_alone():
    assert Editor(Image.new("RGB", (40, 300), "white")).edit(1) is None


def test_an_empty_picture_gets_a_mark():
    edited = Editor(Image.new("RGB", (300, 300), "white")).edit(1)

    assert edited is not None
    assert edited.kind == "mark drawn"
