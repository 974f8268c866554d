"""`lookalike compare` with real files: the outcome, the steps, the map, and errors in words."""

import json
import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from gateway.cli import cli
from tests.cache.test_guard import edited, page, scene
from tests.fakes.pictures import jpeg, png, resized, webp

LOCAL = ["--embedder", "dct"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("compare")
    files = {
        "a.png": png(page()),
        "same-bytes.png": png(page()),
        "same-pixels.png": png(page(), comment="sent again"),
        "copy.jpg": jpeg(page(), 85),
        "copy.webp": webp(page(), 85),
        "smaller.jpg": jpeg(resized(page(), 0.8), 85),
        "digit.png": png(edited(4, "26.46")),
        "other.png": png(scene()),
        "text.png": b"no picture",
        "moving.gif": moving(),
        "[b] <i>.png": png(edited(4, "26.46")),
    }
    for name, data in files.items():
        (root / name).write_bytes(data)
    Image.fromarray(np.arange(65536, dtype=np.uint16).reshape(256, 256)).save(root / "deep.png")
    return root


def moving() -> bytes:
    file = BytesIO()
    page().save(file, "GIF", save_all=True, append_images=[scene()])
    return file.getvalue()


def compared(folder: Path, one: str, other: str, *flags: str) -> Result:
    return CliRunner().invoke(cli, ["compare", str(folder / one), str(folder / other), *LOCAL, *flags])


@pytest.mark.parametrize(
    ("other", "line", "status"),
    [
        ("same-bytes.png", "hit: exact", 0),
        ("same-pixels.png", "hit: pixel", 0),
        ("copy.jpg", "hit: near", 0),
        ("smaller.jpg", "hit: near", 0),
        ("digit.png", "miss: local-change - one place differs", 1),
        ("other.png", "miss: new-picture - no stored picture is near enough", 1),
    ],
)
def test_the_outcome_is_the_gateways(folder: Path, other: str, line: str, status: int):
    said = compared(folder, "a.png", other)

    assert said.exit_code == status, said.output
    assert line in said.output


def test_a_changed_digit_is_shown_with_its_place_and_its_margin(folder: Path):
    told = json.loads(compared(folder, "a.png", "digit.png", "--json").stdout)

    assert told["reason"] == "local-change"
    assert told["similarity"] > 0.99
    assert 0.37 < (told["spot"]["top"] + told["spot"]["bottom"]) / 2 * 720 / 1000 < 0.40
    assert [step["passed"] for step in told["guard"]].count(False) == 1


def test_a_copy_has_a_margin_below_the_limit(folder: Path):
    told = json.loads(compared(folder, "a.png", "copy.webp", "--json").stdout)

    assert told["hit"]
    assert told["margin"] == pytest.approx(told["limit"] - told["score"])
    assert 0 < told["margin"] < told["limit"]


def test_a_threshold_that_nothing_reaches_is_a_miss_and_the_guard_is_shown_all_the_same(folder: Path):
    said = compared(folder, "a.png", "copy.jpg", "--threshold", "1")

    assert said.exit_code == 1
    assert "miss: new-picture" in said.output
    assert "would be a hit" in said.output


def test_the_limit_in_force_counts_as_in_the_gateway(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LOOKALIKE_GUARD_LIMIT", "0.0001")
    said = compared(folder, "a.png", "copy.webp")
    told = json.loads(compared(folder, "a.png", "copy.webp", "--json").stdout)

    assert said.exit_code == 1
    assert "miss: guard-limit" in said.output
    assert "within guard_limit" in said.output
    assert told["limit"] == 0.0001
    assert told["margin"] < 0


def test_the_map_as_a_picture_marks_the_changed_digit(folder: Path, tmp_path: Path):
    compared(folder, "a.png", "digit.png", "--heat", str(tmp_path / "map.png"))
    shown = np.asarray(Image.open(tmp_path / "map.png").convert("RGB"), int)
    red = (shown[..., 0] > 200) & (shown[..., 1] < 60)
    rows, columns = np.nonzero(red)

    assert red.sum() > 20
    assert rows.min() > 370
    assert rows.max() < 420
    assert columns.min() > 450


@pytest.mark.parametrize("other", ["digit.png", "other.png", "same-bytes.png", "[b] <i>.png"])
def test_the_map_as_a_page_stands_alone_and_escapes_names(folder: Path, tmp_path: Path, other: str):
    said = compared(folder, "a.png", other, "--heat", str(tmp_path / "map.html"))
    text = (tmp_path / "map.html").read_text()

    assert "written:" in said.output
    assert text.count("data:image/jpeg;base64,") >= 2
    assert not re.search(r"""(src|href|url\()\s*=?\s*["']?\s*(https?:)?//""", text)
    assert "<script" not in text
    assert "<i>" not in text
    assert other.replace("<", "&lt;").replace(">", "&gt;") in text


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ("a.png", "gone.png", "there is no file"),
        ("text.png", "a.png", "not a picture that can be read here"),
        ("a.png", "moving.gif", "animated pictures are forwarded"),
        ("a.png", ".", "is a folder"),
    ],
)
def test_a_file_that_cannot_be_compared_is_an_error_in_words(folder: Path, one: str, other: str, words: str):
    said = compared(folder, one, other)

    assert said.exit_code == 2
    assert words in said.output


def test_a_map_of_another_kind_is_an_error(folder: Path):
    said = compared(folder, "a.png", "copy.jpg", "--heat", "map.gif")

    assert said.exit_code == 2
    assert ".png or .html" in said.output


def test_a_picture_without_a_plain_rendering_is_a_miss_that_says_so(folder: Path):
    said = compared(folder, "a.png", "deep.png")

    assert said.exit_code == 1
    assert "miss: no-plain-view" in said.output
    assert "16-bit" in compared(folder, "deep.png", "a.png").output
