import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from embeddings.base import Embedder, Space
from embeddings.dct import DIM, DctEmbedder
from tests.contracts.embedder_contract import EmbedderContract, pixels, scene, uniform


class NextVersion(DctEmbedder):
    @property
    def space(self) -> Space:
        return Space(name="dct", weights="v0", dim=DIM)


class TestDct(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return DctEmbedder()

    @pytest.fixture
    def other_weights(self) -> Embedder:
        return NextVersion()


def cosine(one: Image.Image, other: Image.Image) -> float:
    first, second = DctEmbedder().embed([pixels(one), pixels(other)])
    return float(first @ second)


@pytest.mark.parametrize("colour", ["white", "black", (120, 130, 140)])
def test_a_border_changes_nothing(colour: str) -> None:
    image = scene(1)

    assert cosine(image, ImageOps.expand(image, 40, colour)) > 0.95


def test_a_border_round_a_margin_changes_nothing() -> None:
    page = ImageOps.expand(scene(1), 60, "white")

    assert cosine(page, ImageOps.expand(page, 25, "black")) > 0.95


@pytest.mark.parametrize("factor", [0.85, 1.15])
@pytest.mark.parametrize("edit", [ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color])
def test_an_edit_of_the_tone_changes_little(edit: type[ImageEnhance.Brightness], factor: float) -> None:
    image = scene(2)

    assert cosine(image, edit(image).enhance(factor)) > 0.95


def test_a_small_crop_is_still_nominated() -> None:
    image = scene(3)

    assert cosine(image, image.crop((8, 6, 390, 293))) > DctEmbedder().threshold


def test_strangers_are_near_zero() -> None:
    vectors = DctEmbedder().embed([pixels(scene(seed)) for seed in range(30)])
    cosines = (vectors @ vectors.T)[np.triu_indices(30, 1)]

    assert abs(cosines.mean()) < 0.15
    assert cosines.max() < DctEmbedder().threshold


def test_uniform_pictures_are_told_apart_by_colour_but_not_by_size() -> None:
    red, blue = uniform(50, 50), uniform(50, 50)
    red[..., 1:], blue[..., :2] = 0, 0
    first, second, larger = DctEmbedder().embed([red, blue, np.repeat(red, 3, axis=0)])

    assert first @ second < 0.95  # the guard sees the rest
    assert first @ larger > 0.999


def test_noise_on_a_uniform_picture_is_not_its_content() -> None:
    noisy = uniform(300, 200) + np.random.default_rng(0).integers(0, 2, (200, 300, 3), dtype=np.uint8)
    first, second = DctEmbedder().embed([uniform(300, 200), noisy])

    assert first @ second > 0.95


def test_the_threshold_can_be_chosen() -> None:
    assert DctEmbedder(threshold=0.8).threshold == 0.8
