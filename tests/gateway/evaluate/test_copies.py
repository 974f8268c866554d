"""Benign copies: deterministic, of a sane size, and what their names say."""

import numpy as np
import pytest
from PIL import Image

from gateway.evaluate.copies import COPIES, CORE, POLICY
from tests.cache.test_guard import page, scene

EVERY = [(name, variant) for name, variants in COPIES.items() for variant in variants]


@pytest.fixture(scope="module")
def small() -> Image.Image:
    return scene().resize((320, 240))


@pytest.mark.parametrize(("name", "variant"), EVERY)
def test_a_copy_is_an_rgb_picture_of_a_sane_size_and_always_the_same(name: str, variant: str, small: Image.Image):
    before = small.tobytes()
    copy, again = COPIES[name][variant](small), COPIES[name][variant](small)

    assert copy.mode == "RGB"
    assert copy.size == again.size
    assert copy.tobytes() == again.tobytes()
    assert all(0.3 * side <= new <= 1.7 * side for side, new in zip(small.size, copy.size, strict=True))
    assert small.tobytes() == before


@pytest.mark.parametrize(("name", "variant"), EVERY)
def test_the_smallest_picture_survives(name: str, variant: str):
    assert min(COPIES[name][variant](Image.new("RGB", (2, 3), "red")).size) >= 1


def test_every_class_is_either_counted_or_policy():
    assert set(CORE) | set(POLICY) == set(COPIES)
    assert not set(CORE) & set(POLICY)


def test_metadata_alone_changes_no_pixel():
    assert COPIES["metadata"]["png"](page()).tobytes() == page().tobytes()


@pytest.mark.parametrize("variant", COPIES["exif-rotation"])
def test_a_turned_copy_is_upright_again(variant: str):
    copy = COPIES["exif-rotation"][variant](page())

    assert copy.size == page().size
    assert np.abs(np.asarray(copy, int) - np.asarray(page(), int)).mean() < 3
