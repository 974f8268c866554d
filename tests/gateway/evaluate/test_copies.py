"""Benign copies: deterministic, of a sane size, and what their names say."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from gateway.evaluate.copies import COPIES, CORE, POLICY
from gateway.pictures import Picture, decoded
from tests.cache.test_guard import page, scene

EVERY = [(name, variant) for name, variants in COPIES.items() for variant in variants]


@pytest.fixture(scope="module")
def small() -> Image.Image:
    return scene().resize((320, 240))


def opened(file: bytes) -> Image.Image:
    return decoded(Picture.of(file))


@pytest.mark.parametrize(("name", "variant"), EVERY)
def test_a_copy_is_an_rgb_picture_of_a_sane_size_and_always_the_same(name: str, variant: str, small: Image.Image):
    before = small.tobytes()
    file, again = COPIES[name][variant](small), COPIES[name][variant](small)
    copy = opened(file)

    assert copy.mode == "RGB"
    assert file == again
    assert all(0.3 * side <= new <= 1.7 * side for side, new in zip(small.size, copy.size, strict=True))
    assert small.tobytes() == before


@pytest.mark.parametrize(("name", "variant"), EVERY)
def test_the_smallest_picture_survives(name: str, variant: str):
    assert min(opened(COPIES[name][variant](Image.new("RGB", (2, 3), "red"))).size) >= 1


@pytest.mark.parametrize(
    ("name", "variant", "form"),
    [
        ("metadata", "png", "PNG"),
        ("jpeg-high", "q75", "JPEG"),
        ("exif-rotation", "orientation 6", "JPEG"),
        ("webp-low", "q50", "WEBP"),
        ("chat", "800px q60", "JPEG"),
        ("combo", "x0.75, q75", "JPEG"),
        ("combo", "brightness 1.06, saturation 1.08, webp 80", "WEBP"),
        ("resize", "x0.9 box", "PNG"),
    ],
)
def test_a_copy_is_the_file_that_would_be_uploaded(name: str, variant: str, form: str, small: Image.Image):
    assert Image.open(BytesIO(COPIES[name][variant](small))).format == form


def test_a_jpeg_copy_has_the_quantisation_tables_of_its_quality(small: Image.Image):
    files = [Image.open(BytesIO(COPIES["jpeg-high"][f"q{quality}"](small))) for quality in (75, 95)]
    coarse, fine = (sum(file.quantization[0]) for file in files)

    assert coarse > fine


def test_every_class_is_either_counted_or_policy():
    assert set(CORE) | set(POLICY) == set(COPIES)
    assert not set(CORE) & set(POLICY)


def test_metadata_alone_changes_no_pixel():
    assert opened(COPIES["metadata"]["png"](page())).tobytes() == page().tobytes()


@pytest.mark.parametrize("variant", COPIES["exif-rotation"])
def test_a_turned_copy_is_upright_again(variant: str):
    copy = opened(COPIES["exif-rotation"][variant](page()))

    assert copy.size == page().size
    assert np.abs(np.asarray(copy, int) - np.asarray(page(), int)).mean() < 3
