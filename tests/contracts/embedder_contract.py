"""What every embedder must do. Its test class inherits `EmbedderContract` and gives `embedder` and `other_weights`."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageDraw

from embeddings.base import RGB, Embedder, Vectors
from tests.fakes import pictures


def scene(seed: int, width: int = 400, height: int = 300) -> Image.Image:
    """Soft colours with shapes on them: nothing like the scene of another seed."""
    chance = np.random.default_rng(seed)
    colours = Image.fromarray(chance.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    image = colours.resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y = int(chance.integers(width - 60)), int(chance.integers(height - 60))
        colour = tuple(int(level) for level in chance.integers(0, 256, 3))
        draw.rectangle((x, y, x + int(chance.integers(20, 60)), y + int(chance.integers(20, 60))), fill=colour)
    return image


def pixels(image: Image.Image) -> RGB:
    return np.asarray(image.convert("RGB"))


def decoded(file: bytes) -> RGB:
    return pixels(Image.open(BytesIO(file)))


def uniform(width: int, height: int, level: int = 200) -> RGB:
    return np.full((height, width, 3), level, dtype=np.uint8)


def copies(image: Image.Image) -> dict[str, RGB]:
    return {
        "jpeg": decoded(pictures.jpeg(image, quality=50)),
        "webp": decoded(pictures.webp(image, quality=60)),
        "smaller": pixels(pictures.resized(image, 0.5)),
        "larger": pixels(pictures.resized(image, 1.5)),
    }


class EmbedderContract:
    @pytest.fixture
    def embedder(self) -> Embedder:
        raise NotImplementedError("give the embedder under test")

    @pytest.fixture
    def other_weights(self) -> Embedder:
        """The same kind of embedder with other weights (or of another version)."""
        raise NotImplementedError("give an embedder whose vectors must not meet the first one's")

    def test_rows_are_float32_of_unit_length_and_the_spaces_size(self, embedder: Embedder) -> None:
        vectors = embedder.embed([pixels(scene(1)), pixels(scene(2, 90, 200))])

        assert vectors.dtype == np.float32
        assert vectors.shape == (2, embedder.space.dim)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)

    def test_one_picture_has_one_vector(self, embedder: Embedder) -> None:
        picture = pixels(scene(3))

        np.testing.assert_array_equal(embedder.embed([picture]), embedder.embed([picture.copy()]))

    def test_a_batch_equals_its_pictures_alone(self, embedder: Embedder) -> None:
        batch = [pixels(scene(seed, 200 + 30 * seed, 260)) for seed in range(5)]

        alone: Vectors = np.concatenate([embedder.embed([picture]) for picture in batch])

        np.testing.assert_allclose(embedder.embed(batch), alone, atol=1e-5)

    def test_no_pictures_are_no_vectors(self, embedder: Embedder) -> None:
        assert embedder.embed([]).shape == (0, embedder.space.dim)

    def test_the_picture_given_is_not_changed(self, embedder: Embedder) -> None:
        picture = pixels(scene(4)).copy()
        before = picture.copy()

        embedder.embed([picture])

        np.testing.assert_array_equal(picture, before)

    def test_a_view_of_a_picture_is_a_picture(self, embedder: Embedder) -> None:
        view = pixels(scene(5))[::-1, 10:-10]
        view.flags.writeable = False

        np.testing.assert_array_equal(embedder.embed([view]), embedder.embed([view.copy()]))

    @pytest.mark.parametrize("kind", ["jpeg", "webp", "smaller", "larger"])
    def test_a_re_encoded_picture_is_nearer_than_another(self, embedder: Embedder, kind: str) -> None:
        image = scene(6, 640, 480)
        original, copy = embedder.embed([pixels(image), copies(image)[kind]])
        others = embedder.embed([pixels(scene(seed, 640, 480)) for seed in range(10, 18)])

        assert copy @ original >= embedder.threshold
        assert copy @ original > (others @ original).max()

    @pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (2, 3), (17, 15), (1600, 1200)])
    def test_any_size_and_a_uniform_picture_has_a_vector(self, embedder: Embedder, size: tuple[int, int]) -> None:
        width, height = size
        noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)

        vectors = embedder.embed([uniform(width, height), uniform(width, height, level=0), noise])

        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)

    def test_other_weights_are_another_space(self, embedder: Embedder, other_weights: Embedder) -> None:
        assert embedder.space.key != other_weights.space.key
