"""Folders, patterns and files, as they lie on disk."""

import os
from pathlib import Path

import pytest

from gateway.batchlines import BadLine
from gateway.bulk.items import BadInput, Item, Read
from gateway.warm import sources
from gateway.warm.compose import Shape
from gateway.warm.rows import Form, Rules
from gateway.warm.sources import open_source

RULES = Rules(prompts=("Price?",))
SHAPE = Shape("m")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("p/b.png", "p/a.JPG", "p/sub/c.webp", "p/.hidden.png", "p/.cache/d.png", "p/notes.txt", "p/odd.bin"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"?")
    return tmp_path


def read(*names: str, form: Form | None = None, rules: Rules = RULES) -> list[Read]:
    return list(open_source(names, form, rules, SHAPE).read({}))


def ids(found: list[Read]) -> list[str]:
    return [one.id if isinstance(one, Item) else str(one) for one in found]


def test_a_folder_is_its_pictures_and_those_below_in_a_fixed_order():
    assert ids(read("p")) == ["p/a.JPG", "p/b.png", "p/sub/c.webp"]


def test_a_pattern_and_a_name_take_whatever_they_say():
    assert ids(read("p/*.png", "p/odd.bin")) == ["p/b.png", "p/odd.bin"]
    assert ids(read("p/**/*.webp")) == ["p/sub/c.webp"]


def test_a_picture_that_is_named_twice_is_told():
    assert ids(read("p/b.png", "p")) == [
        "p/b.png",
        "p/a.JPG",
        'line 3 has the path "p/b.png" of line 1; each needs one of its own',
        "p/sub/c.webp",
    ]


def test_several_prompts_are_several_items_of_one_picture():
    assert ids(read("p/b.png", rules=Rules(prompts=("Price?", "Colour?")))) == ["p/b.png#1", "p/b.png#2"]


def test_a_name_that_is_not_utf8_is_told(folder: Path):
    try:
        Path(os.fsdecode(os.fsencode(folder / "p") + b"/\xff.png")).write_bytes(b"?")
    except OSError:
        pytest.skip("this file system has no such names")

    assert "not UTF-8" in ids(read("p"))[-2] + ids(read("p"))[-1]


def test_rows_name_pictures_beside_them_and_those_that_are_missing_are_told(folder: Path):
    (folder / "p" / "list.csv").write_text("picture\nb.png\nnowhere.png\n")
    found = read("p/list.csv")

    assert isinstance(found[0], Item)
    assert isinstance(found[1], BadLine)
    assert str(folder / "p" / "nowhere.png") in str(found[1])


def test_an_input_can_be_read_again_and_again(folder: Path):
    (folder / "rows.jsonl").write_text('{"picture": "p/b.png", "id": "x"}\n')
    source, seen = open_source(("rows.jsonl",), None, RULES, SHAPE), dict[str, int]()

    assert ids(list(source.read(seen))) == ids(list(source.read(seen))) == ["x"]


def test_a_line_that_never_ends_fills_no_memory(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sources, "LINE_BYTES_MAX", 100)
    (folder / "rows.jsonl").write_bytes(b'{"picture": "' + b"x" * 1000 + b'"}\n{"picture": "p/b.png"}\n')

    assert ids(read("rows.jsonl", form=Form.ROWS)) == ["line 1 is not JSON in UTF-8", "line-2"]


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_files_of_other_systems_are_read_too(folder: Path, end: str):
    (folder / "list.csv").write_bytes(("\ufeffpicture;prompt\r\np/b.png;Was?" + end).encode())
    (folder / "rows.jsonl").write_bytes(('\ufeff{"picture": "p/b.png"}' + end).encode())

    assert isinstance(read("list.csv")[0], Item)
    assert isinstance(read("rows.jsonl")[0], Item)


def test_a_table_in_another_encoding_is_told_by_its_line(folder: Path):
    (folder / "list.csv").write_bytes("picture,prompt\np/b.png,Größe?\n".encode("latin-1"))
    with pytest.raises(BadInput, match="line 2 is not UTF-8"):
        read("list.csv")


def test_a_file_that_cannot_be_read_is_told():
    with pytest.raises(BadInput, match="cannot be read"):
        read("nowhere.csv")
