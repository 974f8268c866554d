"""One batch at work, where something is wrong with what it works on."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.batches.objects import Counts, Status
from gateway.batches.register import Register
from gateway.batches.run import Run
from tests.batches.at_work import AtWork, line
from tests.fakes.asgi import read, send_json, start

pytestmark = pytest.mark.anyio

LINES = 60
Make = Callable[..., AtWork]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[AtWork] = []

    def make_one(app: Any, lines: list[bytes] | None = None, **limits: Any) -> AtWork:
        made.append(AtWork.over(tmp_path / "batches", app, [line(n) for n in range(LINES)], **limits))
        if lines is not None:
            made[0].means.shelf.path("in").write_bytes(b"".join(lines))
        return made[0]

    yield make_one
    for one in made:
        one.close()


class Killed(BaseException):
    """Whatever ends a process."""


async def answering(scope: Any, receive: Any, send: Any) -> None:
    await read(scope, receive)
    await send_json(send, {"model": "m"})


async def breaking_off(scope: Any, receive: Any, send: Any) -> None:
    await read(scope, receive)
    await send(start(200, []))


async def failing(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError("a fault of ours")


async def test_a_journal_that_is_damaged_fails_the_batch_and_says_what_to_do(make: Make):
    work = make(answering)
    work.means.shelf.journal("b").write_bytes(b"this is no database" * 1000)
    batch = await work.run()

    assert batch.status is Status.FAILED
    assert batch.errors[0].message == "the record of this batch is damaged: create it again"


async def test_an_input_that_somebody_took_away_fails_the_batch(make: Make):
    work = make(answering)
    work.means.shelf.drop("in")
    batch = await work.run()

    assert batch.status is Status.FAILED
    assert batch.errors[0].code == "no_file"


@pytest.mark.parametrize(
    ("lines", "limits", "words", "at"),
    [
        ([line(n) for n in range(4)], {"lines_max": 3}, "the file has more than 3 lines: split it", None),
        ([line(0), line(1, a="x" * 2**20), line(2)], {}, "line 2 is longer than 1048576 bytes", 2),
        ([line(0), b"\xff\n"], {}, "line 2 is not JSON in UTF-8", 2),
        ([b"\n", b" \n"], {}, "the file has no line", None),
    ],
)
async def test_a_file_that_cannot_be_used_says_why(
    make: Make, lines: list[bytes], limits: dict[str, Any], words: str, at: int | None
):
    batch = await make(answering, lines, **limits).run()

    assert batch.status is Status.FAILED
    assert [(wrong.message, wrong.line) for wrong in batch.errors] == [(words, at)]


async def test_of_many_bad_lines_the_first_hundred_are_told(make: Make):
    batch = await make(answering, [b"x\n"] * 500).run()

    assert [wrong.line for wrong in batch.errors] == list(range(1, 101))


@pytest.mark.parametrize("app", [breaking_off, failing])
async def test_while_one_line_after_the_other_fails_the_batch_pauses_and_then_goes_on(
    make: Make, app: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr("gateway.batches.run._PAUSE_S", 0.001)
    work = make(app)
    batch = await work.run()
    failed = work.results(batch.error_file_id)

    assert batch.status is Status.COMPLETED
    assert caplog.text.count("batch b pauses") >= 2
    assert [row["error"]["code"] for row in failed] == ["connection"] * LINES


async def test_a_batch_that_ended_since_it_was_looked_up_is_not_asked_again(make: Make):
    work = make(answering)
    stale = replace(work.batch, status=Status.IN_PROGRESS, counts=Counts(LINES))
    done = await work.run()
    work.means.shelf.path("in").write_bytes(b"")
    await Run(work.means, stale, ())()

    assert work.batch == done
    assert list((work.means.shelf.path("in").parent.parent / "runs").iterdir()) == []


async def test_results_that_cannot_be_listed_leave_no_file(make: Make, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    work = make(answering)
    with monkeypatch.context() as patched:
        patched.setattr(Register, "add", full)
        with pytest.raises(sqlite3.OperationalError):
            await work.run()

    assert work.batch.status is Status.FINALIZING
    assert [path.name for path in work.means.shelf.path("in").parent.iterdir()] == ["in"]
    assert (await work.run()).counts.completed == LINES


async def test_what_was_answered_before_is_not_asked_again(make: Make):
    asked: list[int] = []

    async def counting(scope: Any, receive: Any, send: Any) -> None:
        asked.append(orjson.loads((await read(scope, receive)).body)["number"])
        if len(asked) == LINES // 2:
            raise Killed
        await send_json(send, {"model": "m"})

    work = make(counting, concurrency=1)
    with pytest.raises(BaseExceptionGroup):
        await work.run()

    assert (work.batch.status, work.batch.counts.total) == (Status.IN_PROGRESS, LINES)
    batch = await work.run()

    assert batch.counts.completed == len(work.results(batch.output_file_id)) == LINES
    assert sorted(asked) == sorted([*range(LINES), LINES // 2 - 1])
