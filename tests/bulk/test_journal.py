"""What has been asked, over any end of the process."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.bulk.items import Answer, BadInput, Failure, Item, Recipe
from gateway.bulk.journal import Journal, State

ABOUT = {"command": "batch", "target": "http://gateway"}
ITEM = Item("a", 1, Recipe(("a.png",), "Price?"))
ANSWER = Answer("near", None, 200, "r1", "m", 0.5, 800, 3, b'{"x": 1}')
FAILURE = Failure("flaky", "it failed", 503, b"{}")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal.open(tmp_path / "j", ABOUT)
    yield opened
    opened.close()


def test_a_result_is_known_again_when_the_journal_is_opened_again(journal: Journal):
    journal.write([(ITEM, b"mark", ANSWER)])
    journal.close()
    again = Journal.open(journal.path, ABOUT)

    assert again.state(ITEM, b"mark") is State.ANSWERED
    assert again.state(ITEM, b"another") is State.ANOTHER
    assert again.result(ITEM) == ANSWER
    again.close()


def test_a_note_is_there_when_the_journal_is_opened_again_the_last_one(journal: Journal):
    assert journal.noted("count") is None
    journal.note("count", "1")
    journal.note("count", "2")
    journal.close()
    again = Journal.open(journal.path, ABOUT)

    assert again.noted("count") == "2"
    again.close()


def test_an_item_has_one_result_the_last(journal: Journal):
    journal.write([(ITEM, b"mark", FAILURE)])
    journal.setdefault("a", 1)

    assert (journal.state(ITEM, b"mark"), journal.result(ITEM), journal.failures()) == (State.FAILED, FAILURE, 1)

    journal.write([(ITEM, b"mark", ANSWER)])

    assert (journal.result(ITEM), journal.failures()) == (ANSWER, 0)


def test_what_was_never_asked_has_none(journal: Journal):
    assert journal.state(ITEM, b"mark") is State.OPEN
    assert journal.result(ITEM) is None


def test_ids_are_known_by_their_first_line_for_this_run_only(journal: Journal):
    assert [journal.setdefault("a", 1), journal.setdefault("a", 2), journal.setdefault("b", 3)] == [1, 1, 3]
    journal.put_off(ITEM)

    assert journal.is_put_off(ITEM)

    journal.close()
    again = Journal.open(journal.path, ABOUT)

    assert again.setdefault("a", 5) == 5
    assert not again.is_put_off(ITEM)
    again.close()


def test_what_was_put_off_is_recalled_once_all_was_compared(journal: Journal):
    journal.setdefault("a", 1)
    journal.put_off(ITEM)
    journal.keep_compared()
    journal.close()
    again = Journal.open(journal.path, ABOUT)
    for line, name in enumerate(("a", "b"), start=1):
        again.setdefault(name, line)

    assert again.compared
    assert again.is_put_off(ITEM)
    assert again.count_put_off() == 1

    again.close()
    dry = Journal.open(journal.path, ABOUT, fleeting=True)
    dry.setdefault("a", 1)

    assert (dry.compared, dry.count_put_off()) == (False, 0)
    dry.close()


def test_a_second_run_on_one_journal_is_refused_in_words(journal: Journal):
    with pytest.raises(BadInput, match="another run is at work"):
        Journal.open(journal.path, ABOUT)


def test_a_journal_of_another_run_is_refused_in_words(journal: Journal):
    journal.close()
    with pytest.raises(BadInput, match="another target"):
        Journal.open(journal.path, ABOUT | {"target": "http://other"})


def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("not a journal " * 100)
    with pytest.raises(BadInput, match="no journal of ours"):
        Journal.open(tmp_path / "notes.txt", ABOUT)

    assert (tmp_path / "notes.txt").read_text() == "not a journal " * 100


def test_a_fleeting_journal_leaves_nothing_behind(tmp_path: Path):
    journal = Journal.open(tmp_path / "j", ABOUT, fleeting=True)
    journal.setdefault("a", 1)
    journal.close()

    assert list(tmp_path.iterdir()) == []


def test_a_removed_journal_is_gone_with_all_its_files(journal: Journal):
    journal.write([(ITEM, b"mark", ANSWER)])
    journal.remove()

    assert list(journal.path.parent.iterdir()) == []


def test_a_log_that_is_torn_at_its_end_loses_the_torn_commit_alone(tmp_path: Path, journal: Journal):
    others = [Item(str(number), number, ITEM.asks) for number in range(20)]
    for item in others:
        journal.write([(item, b"mark", ANSWER)])
    whole = {name: (tmp_path / name).read_bytes() for name in ("j", "j-wal")}
    kept = []
    for lost in range(0, len(whole["j-wal"]), 5_000):
        (tmp_path / "torn").write_bytes(whole["j"])
        (tmp_path / "torn-wal").write_bytes(whole["j-wal"][: len(whole["j-wal"]) - lost])
        torn = Journal.open(tmp_path / "torn", ABOUT)
        states = [torn.state(item, b"mark") for item in others]
        torn.remove()
        count = states.count(State.ANSWERED)
        kept.append(count)

        assert states == [State.ANSWERED] * count + [State.OPEN] * (20 - count)
    assert kept[0] == 20
    assert kept == sorted(kept, reverse=True)
    assert len(set(kept)) > 5


def test_every_commit_is_synced(journal: Journal):
    rows: sqlite3.Connection = journal._rows

    assert rows.execute("PRAGMA synchronous").fetchone() == (2,)
    assert rows.execute("PRAGMA journal_mode").fetchone() == ("wal",)
