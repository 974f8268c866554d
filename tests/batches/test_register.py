"""What is known of files and batches, over restarts."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cache.errors import StoreFault
from gateway.batches.objects import Batch, Counts, File, Status, Wrong
from gateway.batches.register import NoSuchPlace, Register


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "register.sqlite"


@pytest.fixture
def register(path: Path) -> Iterator[Register]:
    opened = Register.open(path)
    yield opened
    opened.close()


def file(name: str, tenant: str = "t", **more: object) -> File:
    facts = {"name": "in.jsonl", "purpose": "batch", "bytes": 3, "created_s": 1, "expires_s": 100}
    return File(**{"id": name, "tenant": tenant, **facts, **more})  # type: ignore[arg-type]


def batch(name: str, tenant: str = "t", **more: object) -> Batch:
    facts = {"endpoint": "/v1/chat/completions", "input_file_id": "f", "created_s": 1, "expires_s": 86_401, "keep_s": 9}
    return Batch(**{"id": name, "tenant": tenant, **facts, **more})  # type: ignore[arg-type]


def test_what_was_added_is_there_after_a_restart(register: Register, path: Path):
    made = batch(
        "b",
        metadata={"a": "ö"},
        fields=(("openai-project", "p"),),
        errors=(Wrong("invalid_line", "is bad", 3),),
        counts=Counts(5, 3, 2),
    ).moved(Status.FAILED, 12.7)
    register.add(file("f"), made)
    register.close()
    again = Register.open(path)

    assert again.file("f", "t") == file("f")
    assert again.batch("b", "t") == again.batch("b") == made
    assert made.times == {"failed_at": 12}
    assert made.goes_s == 12 + 9
    again.close()


def test_another_tenant_finds_nothing(register: Register):
    register.add(file("f"), batch("b"))

    assert register.file("f", "other") is register.batch("b", "other") is None
    assert register.files("other", None, 10, True, None) == register.batches("other", None, 10) == []
    with pytest.raises(NoSuchPlace):
        register.batches("other", "b", 10)


def test_a_file_is_no_batch_and_a_batch_no_file(register: Register):
    register.add(file("f"), batch("b"))

    assert register.batch("f") is register.file("b", "t") is None


def test_pages_follow_each_other(register: Register):
    register.add(*(file(f"f{number}", purpose="batch_output" if number == 2 else "batch") for number in range(5)))

    def page(after: str | None, newest_first: bool, purpose: str | None = None) -> list[str]:
        return [one.id for one in register.files("t", after, 2, newest_first, purpose)]

    assert (page(None, True), page("f3", True), page("f1", True)) == (["f4", "f3"], ["f2", "f1"], ["f0"])
    assert (page(None, False), page("f3", False)) == (["f0", "f1"], ["f4"])
    assert page("f3", True, "batch") == ["f1", "f0"]
    register.add(replace(file("f4"), name="renamed"))  # keeps its place

    assert page(None, True) == ["f4", "f3"]


def test_a_change_that_fails_changes_nothing(register: Register):
    register.add(batch("b"))

    def fails(_: Batch) -> Batch:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        register.change("b", fails)
    assert register.change("b", lambda found: found.moved(Status.CANCELLING, 5)).status is Status.CANCELLING
    assert register.by_status() == {Status.CANCELLING: 1}


def test_the_input_of_an_open_batch_outlives_its_time(register: Register):
    register.add(file("f", expires_s=10), file("g", expires_s=10), batch("b"))

    assert register.due(10) == ["g"]
    assert register.input_of("f") == ["b"]
    register.change("b", lambda found: found.moved(Status.COMPLETED, 20))

    assert register.input_of("f") == register.open_batches() == []
    assert register.due(20) == ["f", "g"]
    assert register.due(29) == ["f", "g", "b"]


def test_a_register_that_cannot_be_read_says_what_to_do(path: Path):
    path.write_bytes(b"no database at all, but long enough to be taken for one" * 100)

    with pytest.raises(StoreFault, match=r"move .* away to start without them"):
        Register.open(path)


def test_one_of_a_later_version_is_left_as_it_is(path: Path):
    with sqlite3.connect(path) as rows:
        rows.execute("PRAGMA user_version = 2")
    rows.close()

    with pytest.raises(StoreFault, match="has the version 2"):
        Register.open(path)
