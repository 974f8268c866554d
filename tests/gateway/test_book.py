"""The ledger's file: what was added is there, in every span, and no damage stops a start."""

import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gateway.book import DAY_S, EVER, HOUR_S, MINUTE_S, Book, Damaged, Key

NOON = 1_766_059_200  # 2025-12-18 12:00 UTC


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def some(count: int) -> Counter[str]:
    return Counter(requests=count)


def written(file: Path | None, *starts: int, by: str = "", name: str = "") -> Book:
    book = Book.open(file)
    for start in starts:
        book.add({Key(start, by, name): some(1)}, start)
    return book


def test_a_delta_is_added_to_its_minute_hour_day_and_to_all_time() -> None:
    book = written(None, NOON, NOON + 60, NOON + 60, NOON + HOUR_S)

    assert book.steps(MINUTE_S, 0) == [(NOON, some(1)), (NOON + 60, some(2)), (NOON + HOUR_S, some(1))]
    assert book.steps(HOUR_S, 0) == [(NOON, some(3)), (NOON + HOUR_S, some(1))]
    assert book.steps(DAY_S, 0) == [(NOON - 12 * HOUR_S, some(4))]
    assert book.total(EVER, 0) == {"": some(4)}
    assert book.total(HOUR_S, NOON + 1) == {"": some(1)}
    assert book.first_s() == NOON - 12 * HOUR_S


def test_counts_by_name_are_apart_from_the_whole_and_from_other_divisions() -> None:
    book = Book.open(None)
    counts = {("model", "a"): some(2), ("model", "b"): some(1), ("tenant", "a"): some(5)}
    book.add({Key(NOON, *named): count for named, count in counts.items()}, NOON)

    assert book.total(EVER, 0, "model") == {"a": some(2), "b": some(1)}
    assert book.names("model") == {"a", "b"}
    assert book.total(EVER, 0) == {}
    assert book.total(DAY_S, 0, "model") == {"a": some(2), "b": some(1)}


@pytest.mark.parametrize(
    ("span", "by", "kept_s"),
    [
        (MINUTE_S, "", 25 * HOUR_S),
        (MINUTE_S, "model", 2 * HOUR_S),
        (HOUR_S, "", 31 * DAY_S),
        (HOUR_S, "model", 8 * DAY_S),
        (DAY_S, "", 3 * 365 * DAY_S),
        (DAY_S, "model", 32 * DAY_S),
    ],
)
def test_old_buckets_go_and_all_time_stays(span: int, by: str, kept_s: int) -> None:
    book, begun = Book.open(None), NOON - NOON % DAY_S
    book.add({Key(begun, by, "m"): some(1)}, begun)
    book.add({}, begun + kept_s)
    assert book.total(span, 0, by) == {"m": some(1)}

    book.add({}, begun + kept_s + MINUTE_S)
    assert book.total(span, 0, by) == {}
    assert book.total(EVER, 0, by) == {"m": some(1)}


def test_what_was_added_is_there_after_a_kill(file: Path) -> None:
    written(file, NOON)  # never closed

    with closing(Book.open(file)) as again:
        assert again.total(EVER, 0) == {"": some(1)}


def test_a_sum_may_outgrow_what_a_machine_word_holds() -> None:
    book = Book.open(None)
    for _ in range(3):
        book.add({Key(NOON, "", ""): some(2**63 - 1)}, NOON)

    assert book.total(EVER, 0) == {"": some(3 * (2**63 - 1))}


def test_the_file_is_for_its_owner_only(file: Path) -> None:
    written(file, NOON).close()

    assert file.stat().st_mode & 0o077 == 0


def garbage(file: Path) -> None:
    file.write_bytes(b"no database at all, but long enough to be one" * 100)


def empty_of_sense(file: Path) -> None:
    written(file, *range(NOON, NOON + 100 * MINUTE_S, MINUTE_S)).close()
    data = bytearray(file.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    file.write_bytes(data)


def of_another_version(file: Path) -> None:
    written(file, NOON).close()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 99")


def another_table(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE tallies (something TEXT)")


@pytest.mark.parametrize("damage", [garbage, empty_of_sense, of_another_version, another_table])
def test_a_damaged_file_is_set_aside_and_counting_starts_from_zero(
    file: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    damage(file)
    before = file.read_bytes()
    with closing(written(file, NOON)) as book:
        assert book.total(EVER, 0) == {"": some(1)}

    assert str(file) in caplog.text
    assert file.with_name("ledger.sqlite.damaged").read_bytes()[:16] == before[:16]
    with closing(Book.open(file)) as again:
        assert again.total(EVER, 0) == {"": some(1)}


@pytest.mark.parametrize("counts", [b"{", b"[]", b'{"requests": "many"}', b'{"requests": 1.5}', b"\xff"])
def test_counts_that_are_none_are_damage(file: Path, counts: bytes) -> None:
    with closing(written(file, NOON)) as book, closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE tallies SET counts = ?", (counts,))
        connection.commit()
        with pytest.raises(Damaged):
            book.total(EVER, 0)
        with pytest.raises(Damaged):
            book.add({Key(NOON, "", ""): some(1)}, NOON)


def test_where_there_can_be_no_file_the_book_is_in_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "taken").mkdir()
    for file in (tmp_path / "taken", tmp_path / "missing" / "ledger.sqlite"):
        book = written(file, NOON)
        assert book.total(EVER, 0) == {"": some(1)}
        assert str(file) in caplog.text
