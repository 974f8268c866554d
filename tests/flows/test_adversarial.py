"""Pictures that were made to be near another in CLIP, by somebody who has its weights: the guard tells them apart.

The attack follows the gradient, through the model and its preprocessing, towards the embedding of a stored card. Its
pictures say another price. The model is tiny and random, which makes it easier to fool than the genuine one.
"""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cache import guard
from cache.verdict import Different
from embeddings.base import Embedder
from embeddings.clip import ClipEmbedder, ClipOptions
from gateway.demo import cards
from tests.fakes import clip_checkpoint
from tests.fakes.pictures import jpeg, png
from tests.flows.conftest import Build, Stage
from tests.flows.test_wishes import post, status

pytestmark = pytest.mark.slow

NEAR = 0.95  # clip's own threshold
PRICE, OTHER = "48.20", "73.19"
_STEPS, _STEP_LEVELS = 80, 5.0

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("clip")
    clip_checkpoint.write(made)
    return made


@pytest.fixture(scope="module")
def embedder(folder: Path) -> Embedder:
    return ClipEmbedder(ClipOptions(f"local-dir:{folder}"))


def pixels(image: Image.Image) -> Pixels:
    return np.asarray(image.convert("RGB"))


def view(rgb: Pixels) -> guard.View:
    return guard.view_of(rgb, (rgb.shape[1], rgb.shape[0]))


def cosine(embedder: Embedder, one: Pixels, other: Pixels) -> float:
    vectors = embedder.embed([one, other])
    return float(vectors[0] @ vectors[1])


def pushed(embedder: Any, picture: Pixels, towards: Pixels, where: Pixels, most: int) -> Pixels:
    """The picture, changed by up to `most` levels where `where` is 1, until it is near the other or the steps end."""
    import torch
    from torch.nn.functional import cosine_similarity, interpolate

    side, model = clip_checkpoint.SIDE, embedder._model
    mean, std = (torch.tensor(clip_checkpoint.PREPROCESSING[name])[:, None, None] for name in ("mean", "std"))
    aim = torch.from_numpy(embedder.embed([towards]))
    begun = torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)
    mask = torch.from_numpy(where.astype(np.float32))
    change = torch.zeros_like(begun, requires_grad=True)
    for step in range(_STEPS):
        whole = (begun + change * mask).clamp(0, 255) / 255
        height, width = whole.shape[1:]
        scale = side / min(height, width)
        size = (round(height * scale), round(width * scale))
        small = interpolate(whole[None], size=size, mode="bicubic", antialias=True)[0]
        top, left = (size[0] - side) // 2, (size[1] - side) // 2
        seen = (small[:, top : top + side, left : left + side] - mean) / std
        near = cosine_similarity(model.encode_image(seen[None]), aim)[0]
        (gradient,) = torch.autograd.grad(near, change)
        with torch.no_grad():
            change += _STEP_LEVELS * (1 - step / _STEPS) * gradient.sign()
            change.clamp_(-most, most)
    done = (begun + change.detach() * mask).clamp(0, 255).round()
    made: Pixels = done.permute(1, 2, 0).numpy().astype(np.uint8)
    return made


def everywhere(picture: Pixels) -> Pixels:
    return np.ones(picture.shape[:2], np.uint8)


def patch(picture: Pixels) -> Pixels:
    """A square in a corner, away from the price."""
    where = np.zeros(picture.shape[:2], np.uint8)
    where[:220, -220:] = 1
    return where


STORED = pixels(cards.draw(PRICE))
# Another card altogether, and the very card with another price: nearest to the eye, and the harder one to refuse.
ANOTHER = pixels(cards.draw(OTHER, body=(40, 90, 190), seed=99))
REPRICED = pixels(cards.draw("48.26"))

ATTACKS = {
    "another card, a veil": (ANOTHER, everywhere, 24),
    "another card, loud": (ANOTHER, everywhere, 96),
    "another card, a patch": (ANOTHER, patch, 255),
    "repriced, a veil": (REPRICED, everywhere, 8),
    "repriced, a patch": (REPRICED, patch, 255),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_picture_pushed_towards_another_in_clip_is_told_from_it(embedder: Embedder, attack: str) -> None:
    picture, where, most = ATTACKS[attack]
    made = pushed(embedder, picture, STORED, where(picture), most)
    before, after = cosine(embedder, picture, STORED), cosine(embedder, made, STORED)

    assert after >= NEAR, f"the attack failed: {before:.3f} to {after:.3f}"
    assert after > before or before > 0.999  # with another price alone, a picture is near already
    assert isinstance(guard.compare(view(STORED), view(made)), Different)
    assert isinstance(guard.compare(view(made), view(STORED)), Different)
    kept = guard.decode(guard.encode(view(STORED)))
    for quality in (95, 75, 30):  # as a file that was compressed hides what was done to it
        copy = pixels(Image.open(BytesIO(jpeg(Image.fromarray(made), quality))))
        assert isinstance(guard.compare(kept, view(copy)), Different)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sigma", [2, 6, 12, 24, 48])
def test_noise_does_not_hide_another_price(sigma: int, seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, sigma, STORED.shape)
    for price in ("48.26", "48.28", "43.20", "98.20"):
        made = (pixels(cards.draw(price)) + noise).clip(0, 255).astype(np.uint8)

        assert isinstance(guard.compare(view(STORED), view(made)), Different)
        noisy = (STORED + noise).clip(0, 255).astype(np.uint8)
        assert isinstance(guard.compare(view(noisy), view(made)), Different)


def test_no_such_picture_hits_in_a_gateway(build: Build, folder: Path, embedder: Embedder) -> None:
    stage: Stage = build(embedder="clip", clip_model=f"local-dir:{folder}")
    post(stage, png(Image.fromarray(STORED)))
    for picture, where, most in (ATTACKS["another card, loud"], ATTACKS["repriced, a veil"]):
        made = Image.fromarray(pushed(embedder, picture, STORED, where(picture), most))
        for file in (png(made), jpeg(made, 90)):
            assert status(stage, file, cache_control="no-store").startswith("fwd=miss; detail=")
            assert "new-picture" not in status(stage, file, cache_control="no-store")  # it was nominated, and refused
    assert "detail=near" in status(stage, jpeg(Image.fromarray(STORED), 88))
