from pathlib import Path
from typing import Any, cast

import pytest

from embeddings.base import EmbedderUnavailable
from embeddings.clip import ClipOptions
from embeddings.registry import load

NOWHERE = ClipOptions("ViT-B-23", device="cpu")


def test_auto_is_clip_where_it_can_be_had(clip_folder: Path) -> None:
    loaded = load("auto", ClipOptions(f"local-dir:{clip_folder}", device="cpu"))

    assert loaded.embedder.space.name == "clip:local-dir"
    assert loaded.note is None


def test_auto_falls_back_and_says_why() -> None:
    loaded = load("auto", NOWHERE)

    assert loaded.embedder.space.name == "dct"
    assert loaded.note is not None
    assert "ViT-B-23" in loaded.note


def test_clip_by_name_never_falls_back() -> None:
    with pytest.raises(EmbedderUnavailable, match="ViT-B-23"):
        load("clip", NOWHERE)


def test_dct_by_name_is_no_fallback() -> None:
    loaded = load("dct", NOWHERE)

    assert loaded.embedder.space.name == "dct"
    assert loaded.note is None


def test_an_unknown_name_is_unavailable_and_names_the_known() -> None:
    with pytest.raises(EmbedderUnavailable, match='"clip", "dct"'):
        load(cast(Any, "dinov2"), NOWHERE)
