"""What must hold for any drawn picture, any readable edit of it and any way to send it."""

import io
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmarks.drawn import Drawn, drawn_pair
from cache import guard
from cache.verdict import Different, Same
from gateway.evaluate.copies import COPIES, CORE
from gateway.pictures import Picture
from gateway.pictures import view as view_of_file

# A crop may take the edit away with it.
WAYS = [(kind, name) for kind in CORE for name in COPIES[kind] if "crop" not in kind + name]
SEEDS = st.integers(0, 20_000)

pytestmark = pytest.mark.slow


@cache
def pair(seed: int) -> Drawn:
    return drawn_pair(seed)


def saved(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return file.getvalue()


def view(file: bytes) -> guard.View:
    seen = view_of_file(Picture(file, ""))
    assert seen is not None
    return seen


def kept(file: bytes) -> guard.View:
    return guard.decode(guard.encode(view(file)))


@settings(max_examples=15, deadline=None, derandomize=True)
@given(SEEDS)
def test_a_picture_is_itself(seed: int) -> None:
    file = saved(pair(seed).before)

    assert guard.compare(view(file), view(file)) == Same(0.0)
    assert isinstance(guard.compare(kept(file), view(file)), Same)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SEEDS, st.sampled_from(WAYS))
def test_a_readable_edit_is_different_however_it_is_sent(seed: int, way: tuple[str, str]) -> None:
    drawn = pair(seed)
    sent = COPIES[way[0]][way[1]](drawn.after)

    assert isinstance(guard.compare(kept(saved(drawn.before)), view(sent)), Different), drawn.says


@settings(max_examples=20, deadline=None, derandomize=True)
@given(SEEDS)
def test_an_edit_is_different_whichever_was_there_first(seed: int) -> None:
    drawn = pair(seed)
    before, after = saved(drawn.before), saved(drawn.after)

    assert isinstance(guard.compare(kept(before), view(after)), Different), drawn.says
    assert isinstance(guard.compare(kept(after), view(before)), Different), drawn.says


@settings(max_examples=15, deadline=None, derandomize=True)
@given(SEEDS, st.sampled_from(sorted(COPIES["jpeg-high"])))
def test_two_encodings_of_one_size_are_the_same_whichever_was_there_first(seed: int, name: str) -> None:
    plain = pair(seed).before
    copy = COPIES["jpeg-high"][name](plain)

    forth = guard.compare(kept(saved(plain)), view(copy))
    back = guard.compare(kept(copy), view(saved(plain)))

    assert type(forth) is type(back)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(SEEDS)
def test_evidence_keeps_to_its_budget_and_still_refuses_edits(seed: int) -> None:
    drawn = pair(seed)
    small = guard.encode(view(saved(drawn.before)), 30_000)

    assert len(small) <= 30_000
    assert isinstance(guard.compare(guard.decode(small), view(saved(drawn.after))), Different), drawn.says
    assert np.array_equal(guard.decode(small).rgb.shape[2:], (3,))
