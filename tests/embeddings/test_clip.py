import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from embeddings.base import Embedder, EmbedderUnavailable
from embeddings.clip import ASPECT_MAX, ClipEmbedder, ClipOptions, middle
from tests.contracts.embedder_contract import EmbedderContract, pixels, scene
from tests.fakes import clip_checkpoint

REMEDIES = ["clip_pretrained", 'embedder = "dct"']


def local(folder: Path) -> ClipOptions:
    return ClipOptions(model=f"local-dir:{folder}", device="cpu")


@pytest.fixture(scope="session")
def clip(clip_folder: Path) -> ClipEmbedder:
    return ClipEmbedder(local(clip_folder))


@pytest.fixture
def tiny(clip_folder: Path) -> str:
    return clip_checkpoint.register(clip_folder)


@pytest.fixture
def no_hub(clip: ClipEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    """What HF_HUB_OFFLINE=1 does at start; the test must not ask the real hub."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


class TestClip(EmbedderContract):
    @pytest.fixture
    def embedder(self, clip: ClipEmbedder) -> Embedder:
        return clip

    @pytest.fixture
    def other_weights(self, other_clip_folder: Path) -> Embedder:
        return ClipEmbedder(local(other_clip_folder))


def test_a_named_model_loads_a_file_of_weights(clip_folder: Path, tiny: str) -> None:
    weights = clip_folder / clip_checkpoint.WEIGHTS

    embedder = ClipEmbedder(ClipOptions(tiny, str(weights), device="cpu", threshold=0.9))

    assert embedder.space.name == f"clip:{tiny}/file"
    assert embedder.space.dim == clip_checkpoint.DIM
    assert embedder.threshold == 0.9


def test_the_same_weights_elsewhere_are_the_same_space(clip: ClipEmbedder, tmp_path: Path) -> None:
    clip_checkpoint.write(tmp_path / "moved", seed=0)

    assert ClipEmbedder(local(tmp_path / "moved")).space == clip.space


def test_another_preprocessing_is_another_space(clip: ClipEmbedder, tmp_path: Path) -> None:
    clip_checkpoint.write(tmp_path, seed=0)
    config = tmp_path / "open_clip_config.json"
    config.write_text(config.read_text().replace("0.25, 0.25", "0.25, 0.3"))

    assert ClipEmbedder(local(tmp_path)).space.weights != clip.space.weights


def test_vectors_are_those_of_open_clip_itself(clip: ClipEmbedder, clip_folder: Path) -> None:
    import open_clip
    import torch

    image = scene(7, 1000, 800)
    model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{clip_folder}")
    with torch.inference_mode():
        expected = model.eval().encode_image(preprocess(image)[None], normalize=True).numpy()

    np.testing.assert_allclose(clip.embed([pixels(image)]), expected, atol=1e-5)


def test_of_an_endless_strip_the_middle_is_seen() -> None:
    strip = np.zeros((2, 5000, 3), dtype=np.uint8)
    strip[:, 2499:2501] = 255

    seen = np.asarray(middle(strip))

    assert seen.shape == (2, 2 * ASPECT_MAX, 3)
    assert seen[:, ASPECT_MAX - 1 : ASPECT_MAX + 1].min() == 255


@pytest.mark.usefixtures("no_hub")
def test_weights_that_cannot_be_fetched_are_named_with_remedies(tmp_path: Path) -> None:
    with pytest.raises(EmbedderUnavailable) as caught:
        ClipEmbedder(ClipOptions(device="cpu", cache_dir=tmp_path))

    for words in [*REMEDIES, "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "offline mode"]:
        assert words in str(caught.value)


@pytest.mark.usefixtures("no_hub")
def test_a_model_of_the_hub_that_is_not_cached_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(EmbedderUnavailable, match="somebody/model"):
        ClipEmbedder(ClipOptions("hf-hub:somebody/model", device="cpu", cache_dir=tmp_path))


def test_an_unknown_tag_names_the_known_ones() -> None:
    with pytest.raises(EmbedderUnavailable, match="laion2b_s34b_b79k"):
        ClipEmbedder(ClipOptions(pretrained="laion3b", device="cpu"))


def test_an_unknown_model_is_unavailable() -> None:
    with pytest.raises(EmbedderUnavailable, match="knows no model ViT-B-23"):
        ClipEmbedder(ClipOptions("ViT-B-23", device="cpu"))


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt"])
def test_a_broken_file_is_unavailable(tiny: str, tmp_path: Path, name: str) -> None:
    weights = tmp_path / name
    weights.write_bytes(b"\x00" * 1000)

    with pytest.raises(EmbedderUnavailable, match="check that the file is whole"):
        ClipEmbedder(ClipOptions(tiny, str(weights), device="cpu"))


def test_weights_of_another_model_are_unavailable(clip_folder: Path) -> None:
    weights = clip_folder / clip_checkpoint.WEIGHTS

    with pytest.raises(EmbedderUnavailable, match="belongs to this model"):
        ClipEmbedder(ClipOptions("ViT-S-32-alt", str(weights), device="cpu"))


def test_a_folder_without_weights_is_unavailable(clip_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text((clip_folder / "open_clip_config.json").read_text())

    with pytest.raises(EmbedderUnavailable, match="local-dir"):
        ClipEmbedder(local(tmp_path))


def test_cuda_asked_for_but_absent_is_unavailable(clip_folder: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")

    with pytest.raises(EmbedderUnavailable, match="CUDA"):
        ClipEmbedder(ClipOptions(f"local-dir:{clip_folder}", device="cuda"))


def test_importing_the_package_imports_no_torch() -> None:
    program = (
        "import sys, embeddings.clip, embeddings.registry, embeddings.batching, embeddings.dct\n"
        "sys.exit(bool({'torch', 'open_clip', 'huggingface_hub'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
