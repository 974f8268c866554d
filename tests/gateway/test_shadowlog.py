from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.shadow import Kind, Observation, to_line
from gateway.shadowlog import SHADOW_FILE, ShadowLog, Skipped, read_log

ONE = Observation(
    time_s=1.0,
    model="m",
    dialect="openai-chat",
    question="0" * 12,
    pictures=1,
    would_be=Kind.MISS,
    doubt="first-asked",
    similarity=None,
    score=None,
    space=None,
    threshold=None,
    tokens_in=1,
    tokens_out=1,
    upstream_s=0.5,
    money=None,
    currency=None,
    unread=None,
    agreement=None,
    candidates=(),
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / SHADOW_FILE


def numbered(*numbers: int) -> list[Observation]:
    return [replace(ONE, time_s=float(number)) for number in numbers]


def written(file: Path, *numbers: int, bytes_max: int = 10**6) -> ShadowLog:
    log = ShadowLog(file, bytes_max)
    for one in numbered(*numbers):
        log.append(one)
    log.close()
    return log


def read(file: Path) -> tuple[list[int], int]:
    skipped = Skipped()
    return [int(one.time_s) for one in read_log(file, skipped)], skipped.lines


def test_lines_are_read_back_in_order_also_after_a_restart(file: Path) -> None:
    written(file, 1, 2)
    log = written(file, 3)

    assert read(file) == ([1, 2, 3], 0)
    assert {"file": str(file), "written": 1, "lost": 0} == log.report()


def test_a_full_file_is_rotated_and_only_the_one_before_is_kept(file: Path) -> None:
    room = 3 * len(to_line(ONE)) + 10
    for number in range(1, 9):
        written(file, number, bytes_max=room)

    assert sorted(path.name for path in file.parent.iterdir()) == ["shadow.1.jsonl", SHADOW_FILE]
    assert all(path.stat().st_size <= room for path in file.parent.iterdir())
    assert read(file) == ([4, 5, 6, 7, 8], 0)


def test_a_line_larger_than_the_limit_has_a_file_of_its_own(file: Path) -> None:
    written(file, 1, 2, bytes_max=10)

    assert read(file) == ([1, 2], 0)
    assert file.read_bytes() == to_line(numbered(2)[0])


def test_a_line_that_a_kill_cut_short_spoils_no_other_and_is_counted(file: Path) -> None:
    whole = to_line(ONE)
    file.write_bytes(whole + whole[:40])
    written(file, 2, 3)

    assert read(file) == ([1, 2, 3], 1)


def test_lines_of_no_form_are_skipped_and_counted(file: Path) -> None:
    file.write_bytes(
        b"\n{}\nnot json\n\xff\xfe\n" + to_line(ONE) + to_line(ONE).replace(b'"version":1', b'"version":9')
    )

    assert read(file) == ([1], 5)


def test_what_cannot_be_written_is_lost_counted_and_said_once(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", "lookalike")
    file.mkdir()
    log = written(file, 1, 2, 3)

    assert (log.report()["written"], log.report()["lost"]) == (0, 3)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(file) in caplog.text


def test_writing_goes_on_when_the_trouble_is_over(file: Path) -> None:
    file.mkdir()
    log = ShadowLog(file, 10**6)
    log.append(ONE)
    log._thread.submit(file.rmdir).result()
    log.append(ONE)
    log.close()

    assert (log.report()["written"], log.report()["lost"]) == (1, 1)
    assert read(file) == ([1], 0)


def test_more_lines_than_may_wait_are_dropped_and_counted(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.shadowlog._WAITING_MOST", 2)
    held = blocked(ShadowLog(file, 10**6))
    log = next(held)
    for one in numbered(1, 2, 3, 4):
        log.append(one)
    next(held, None)
    log.close()

    assert (log.report()["written"], log.report()["lost"]) == (2, 2)
    assert read(file) == ([1, 2], 0)


def test_without_a_file_nothing_is_kept_and_nothing_is_lost() -> None:
    log = ShadowLog(None, 10**6)
    log.append(ONE)
    log.close()

    assert log.report() == {"file": None, "written": 0, "lost": 0}


def blocked(log: ShadowLog) -> Iterator[ShadowLog]:
    """The log, whose thread waits until the next step."""
    import threading

    gate = threading.Event()
    log._thread.submit(gate.wait)
    yield log
    gate.set()
