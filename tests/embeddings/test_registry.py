from pathlib import Path
from typing import Any, cast

import pytest

from embeddings.base import EmbedderUnavailable
from embeddings.clip import ClipOptions
from embeddings.dct import THRESHOLD
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


# Thresholds belong to an embedder


def test_a_threshold_is_that_of_its_embedder_and_no_other() -> None:
    assert load("dct", NOWHERE, {"dct": 0.7, "clip": 0.99}).embedder.threshold == 0.7
    assert load("dct", NOWHERE, {"clip": 0.99}).embedder.threshold == THRESHOLD
    assert load("dct", NOWHERE).embedder.threshold == THRESHOLD


def test_a_threshold_of_clip_is_not_the_fallbacks_and_the_note_says_so() -> None:
    without, with_one = load("auto", NOWHERE), load("auto", NOWHERE, {"clip": 0.97})
    with_both = load("auto", NOWHERE, {"clip": 0.97, "dct": 0.7})

    assert without.embedder.threshold == with_one.embedder.threshold == THRESHOLD
    assert with_one.note == f"{without.note}; threshold 0.97 is clip's, dct keeps its own"
    assert (with_both.embedder.threshold, with_both.note) == (0.7, without.note)


def test_clip_has_the_threshold_that_was_set_for_it(clip_folder: Path) -> None:
    options = ClipOptions(f"local-dir:{clip_folder}", device="cpu")

    assert load("auto", options, {"clip": 0.97, "dct": 0.7}).embedder.threshold == 0.97
    assert load("clip", options, {"dct": 0.7}).embedder.threshold == 0.95


def test_a_threshold_below_the_calibrated_one_is_cautioned_against() -> None:
    low = load("dct", NOWHERE, {"dct": 0.5}).caution

    assert low is not None
    assert f"threshold 0.5 is below dct's calibrated {THRESHOLD}" in low
    assert load("dct", NOWHERE, {"dct": THRESHOLD}).caution is None
    assert load("dct", NOWHERE).caution is None
