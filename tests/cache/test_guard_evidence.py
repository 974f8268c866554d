"""What is kept on disk of a picture serves as well as the picture, and nothing else is taken for it."""

import base64
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from cache import guard
from cache.verdict import Different, Same
from tests.cache.test_guard import COPIES, edited, page, resized, scene, through, view

DRAWN = {"page": page, "scene": scene, "scanned page": lambda: through("JPEG", 88)(page())}

SMALL = st.integers(1, 48)
PICTURES = st.tuples(SMALL, SMALL).flatmap(lambda size: arrays(np.uint8, (*size, 3)))


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("copy", ["JPEG 85", "WebP 80", "x 0.8", "light border"])
def test_a_copy_is_the_same_as_what_was_kept(name: str, copy: str) -> None:
    kept = guard.decode(guard.encode(view(DRAWN[name]())))

    assert isinstance(guard.compare(kept, view(DRAWN[name]())), Same)
    assert isinstance(guard.compare(kept, view(COPIES[copy](DRAWN[name]()))), Same)


@pytest.mark.parametrize("later", ["JPEG 75", "x 0.8"])
def test_an_edit_differs_from_what_was_kept(later: str) -> None:
    for drawn in (page(), through("JPEG", 88)(page())):
        kept = guard.decode(guard.encode(view(drawn)))

        assert isinstance(guard.compare(kept, view(COPIES[later](edited(1, "12.30")))), Different)


def test_a_large_photo_keeps_its_size_in_mind() -> None:
    photo = resized(4)(scene())
    kept = guard.decode(guard.encode(view(photo)))

    assert (kept.width, kept.height) == photo.size
    assert max(kept.rgb.shape) <= guard.VIEW_SIDE_MAX
    assert isinstance(guard.compare(kept, view(photo)), Same)


def test_evidence_is_small() -> None:
    assert len(guard.encode(view(resized(2)(scene())))) < 200_000
    assert len(guard.encode(view(page()))) < 60_000


@pytest.mark.parametrize("data", [b"", b"LKE1", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"LKE1" + b"\0" * 40])
def test_what_is_not_evidence_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="evidence"):
        guard.decode(data)


def test_evidence_that_was_cut_short_or_lies_about_its_size_is_refused() -> None:
    data = guard.encode(view(page()))
    with pytest.raises(ValueError, match="evidence"):
        guard.decode(data[:14])
    with pytest.raises(ValueError, match="evidence"):
        guard.decode(data[:4] + b"\0\0\0\1\0\0\0\1" + data[12:])


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_evidence_that_announces_a_gigapixel_is_refused_by_its_header(form: str) -> None:
    file = BytesIO()
    Image.new("RGB", (9, 9)).save(file, form)
    small = guard.encode(view(page()))
    header = small[: small.index(b"\x89PNG")]
    size = {"JPEG": b"\0\x09\0\x09", "PNG": b"\0\0\0\x09\0\0\0\x09", "WEBP": b"\x09\0\x09\0"}[form]
    huge = {"JPEG": b"\x75\x30\x75\x30", "PNG": b"\0\0\x75\x30\0\0\x75\x30", "WEBP": b"\x30\x35\x30\x35"}[form]
    assert size in file.getvalue()

    with pytest.raises(ValueError, match="evidence"):
        guard.decode(header + file.getvalue().replace(size, huge))


def test_a_view_is_no_longer_than_the_limit_and_never_enlarged() -> None:
    large = guard.view_of(np.zeros((20, 4000, 3), np.uint8), (4000, 20))
    small = guard.view_of(np.zeros((20, 30, 3), np.uint8), (30, 20))

    assert (large.rgb.shape, large.width, large.height) == ((8, 1600, 3), 4000, 20)
    assert small.rgb.shape == (20, 30, 3)


def test_a_view_of_a_picture_that_the_decoder_has_shrunk_knows_the_full_size() -> None:
    drafted = guard.view_of(np.zeros((1500, 2000, 3), np.uint8), (4000, 3000))

    assert (drafted.rgb.shape, drafted.width, drafted.height) == ((1200, 1600, 3), 4000, 3000)


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (0, 4, 3)])
def test_only_rgb_makes_a_view(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="RGB"):
        guard.view_of(np.zeros(shape, np.uint8), (4, 4))


@settings(max_examples=60, deadline=None)
@given(PICTURES, PICTURES)
def test_any_two_small_pictures_are_judged(one: np.ndarray, other: np.ndarray) -> None:
    views = [guard.view_of(pixels, pixels.shape[1::-1]) for pixels in (one, other)]

    assert guard.compare(views[0], views[0]) == Same(0.0)
    assert isinstance(guard.compare(*views), Same | Different)
    assert isinstance(guard.compare(guard.decode(guard.encode(views[0])), views[1]), Same | Different)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(32, 90),
    st.integers(32, 400),
    st.sampled_from([1, 4, 16]),
    st.data(),
)
def test_pictures_large_enough_to_be_measured_are_judged(
    seed: int, height: int, width: int, cell: int, data: st.DataObject
) -> None:
    chance = np.random.default_rng(seed)
    cells = chance.integers(0, 256, (-(-height // cell), -(-width // cell), 3), np.uint8)
    pixels = np.kron(cells, np.ones((cell, cell, 1), np.uint8))[:height, :width]
    other = pixels.copy()
    row, column = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    other[row : row + 12, column : column + 12] = data.draw(st.sampled_from([0, 128, 255]))
    views = [guard.view_of(p, (width, height)) for p in (pixels, other)]

    assert guard.compare(views[0], guard.view_of(pixels.copy(), (width, height))) == Same(0.0)
    assert isinstance(guard.compare(*views), Same | Different)


def test_flat_stripes_and_ramps_never_raise() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 64, axis=0).repeat(3, axis=2)
    stripes = np.zeros((64, 256, 3), np.uint8)
    stripes[::2] = 255
    spot = np.zeros((64, 256, 3), np.uint8)
    spot[30, 100] = 255
    pictures = [Image.fromarray(p) for p in (ramp, stripes, spot, ramp[:, ::-1], 255 - spot)]
    for one in pictures:
        for other in pictures:
            assert isinstance(guard.compare(view(one), view(other)), Same if one is other else Different)


# Found by fuzzing: a PNG of 120 x 90 whose later chunks made OpenCV take four gigabytes.
LATER_HEADERS = (
    b"iVBORw0KGgoAAAANSUhEUgAAAHgAAABaCAIAAAD8YgW48QATtklEQVR4Xu2c+VMVVxbHg49VQFtbW1tbW1tbW1tbW1tbW1tbW1tb",
    b"W1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tb",
    b"W1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tb",
    b"W1tbW1tbW1tbf1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1s=",
)


def test_a_png_is_never_shown_to_a_decoder_that_believes_later_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*given: object) -> None:
        raise AssertionError("OpenCV was asked")

    kept = guard.encode(view(page()))
    monkeypatch.setattr("cache.guard.evidence.cv2.imdecode", asked)

    assert guard.decode(kept).rgb.shape[:2] == page().size[::-1]
    with pytest.raises(ValueError, match="does not decode"):
        guard.decode(kept[: kept.index(b"\x89PNG")] + base64.b64decode(b"".join(LATER_HEADERS)))
