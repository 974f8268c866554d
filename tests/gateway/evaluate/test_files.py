"""Folders and lists of pairs: read strictly, refused in words that name the line."""

from pathlib import Path

import pytest

from gateway.evaluate.errors import BadInput
from gateway.evaluate.files import Judged, find_pictures, read_pairs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "pictures"
    for name in ("b.png", "a.JPG", "deep/er/c.webp", "notes.txt", ".hidden.png", "d.heic"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def listed(folder: Path, text: str | bytes) -> list[Judged]:
    file = folder.parent / "pairs.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_pairs(file, folder)


def test_pictures_are_found_in_folders_below(folder: Path):
    assert find_pictures(folder, None, 1) == ["a.JPG", "b.png", "d.heic", "deep/er/c.webp"]


def test_a_limit_draws_some_of_them_the_same_for_the_same_seed(folder: Path):
    assert len(find_pictures(folder, 2, 1)) == 2
    assert find_pictures(folder, 2, 1) == find_pictures(folder, 2, 1)
    assert len({tuple(find_pictures(folder, 2, seed)) for seed in range(20)}) > 1


def test_a_folder_without_pictures_and_no_folder_are_errors(tmp_path: Path):
    with pytest.raises(BadInput, match="no picture in"):
        find_pictures(tmp_path, None, 1)
    with pytest.raises(BadInput, match="there is no folder"):
        find_pictures(tmp_path / "nothing", None, 1)


def test_pairs_are_read_with_any_spelling_of_yes_and_no(folder: Path):
    text = "\ufefffile_a, file_b ,same,why\na.JPG,b.png,Yes,x\n\nb.png,deep/er/c.webp,0,\na.JPG,a.JPG,TRUE,\n"

    assert listed(folder, text) == [
        Judged("a.JPG", "b.png", True, 2),
        Judged("b.png", "deep/er/c.webp", False, 4),
        Judged("a.JPG", "a.JPG", True, 5),
    ]


def test_a_file_beside_the_list_is_found_too(folder: Path):
    outside = folder.parent / "outside.png"
    outside.write_bytes(b"")

    assert listed(folder, "file_a,file_b,same\na.JPG,outside.png,no\n") == [
        Judged("a.JPG", str(outside.resolve()), False, 2)
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: each of the columns"),
        ("file_a,file_b\na.JPG,b.png\n", "look at same"),
        ("file_a,file_b,same,same\n", "look at same"),
        ("file_a,file_b,same\na.JPG,b.png\n", "line 2: 2 cells, where the header has 3"),
        ("file_a,file_b,same\na.JPG,b.png,yes\na.JPG,b.png,perhaps\n", "line 3: same is 'perhaps'"),
        ("file_a,file_b,same\na.JPG,gone.png,yes\n", "line 2: there is no file 'gone.png'"),
        ("file_a,file_b,same\na.JPG,,yes\n", "line 2: there is no file ''"),
        (b"file_a,file_b,same\n\xff\xfe,b,yes\n", "not UTF-8"),
        ('file_a,file_b,same\n"a,b.png,yes\n', "not CSV"),
    ],
)
def test_an_odd_list_is_an_error_that_names_the_line(folder: Path, text: str | bytes, words: str):
    with pytest.raises(BadInput, match=words):
        listed(folder, text)


def test_a_list_that_is_not_there_is_an_error(folder: Path):
    with pytest.raises(BadInput, match="cannot be read"):
        read_pairs(folder / "gone.csv", folder)
