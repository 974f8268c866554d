"""The ledger: windows, names and series over outcomes; and a disk that does not do its part."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from gateway.ledger import NAMES_MOST, Ledger, LedgerFault
from gateway.names import By, Window
from gateway.outcome import HitClass, Money, Outcome, Saved
from gateway.question import UNCOUNTED, Usage
from tests.contracts.store_contract import Clock

NOON = 1_766_059_200.0
HOUR, DAY = 3600, 86_400
SAVED = Saved(Usage(10, 2), UNCOUNTED, 1.5, 0.0, Money("EUR", 0.5), by_estimate=False)
HIT = Outcome(
    NOON,
    HitClass.NEAR,
    answered=True,
    seconds=0.01,
    dialect="openai-chat",
    model="m",
    tenant="t",
    saved=SAVED,
    served_age_s=60.0,
)
MISS = Outcome(NOON, HitClass.MISS, answered=True, seconds=2.0, dialect="openai-chat", model="m", reason="new-picture")
BYPASS = Outcome(NOON, HitClass.BYPASS, answered=True, seconds=1.0, reason="no-dialect")


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
def ledger(clock: Clock) -> Ledger:
    return Ledger(None, clock)


def at(time_s: float, outcome: Outcome = HIT) -> Outcome:
    return replace(outcome, ended_s=time_s)


def counted(ledger: Ledger, *outcomes: Outcome) -> Ledger:
    for outcome in outcomes:
        ledger.count(outcome)
    return ledger


def names(ledger: Ledger, by: By, window: Window = Window.ALL) -> dict[str, int]:
    groups = ledger.report_now(window, by)["groups"]
    assert groups["by"] == by.value
    return {group["name"]: group["requests"] for group in groups["values"]}


# Windows


@pytest.mark.parametrize(
    ("window", "length_s", "slack_s"),
    [(Window.HOUR, HOUR, 60), (Window.DAY, DAY, HOUR), (Window.WEEK, 7 * DAY, HOUR), (Window.MONTH, 30 * DAY, DAY)],
)
def test_a_window_holds_what_happened_in_it_and_at_most_one_bucket_more(
    ledger: Ledger, clock: Clock, window: Window, length_s: int, slack_s: int
) -> None:
    clock.now_s = NOON + 59 * 60 + 59
    now_s = clock.now_s
    counted(ledger, at(now_s), at(now_s - length_s), at(now_s - length_s - slack_s))
    report = ledger.report_now(window)

    assert report["requests"] == 2
    assert report["window"]["name"] == window
    assert report["window"]["until"] == int(now_s)
    assert now_s - length_s - slack_s < report["window"]["from"] <= now_s - length_s
    assert ledger.report_now()["requests"] == 3


def test_all_reaches_back_to_the_first_request(ledger: Ledger) -> None:
    assert ledger.report_now()["window"]["from"] is None

    counted(ledger, at(NOON - 100 * DAY))
    assert ledger.report_now()["window"]["from"] == NOON - 100 * DAY - 12 * HOUR


def test_nothing_has_happened_yet(ledger: Ledger) -> None:
    report = ledger.report_now(Window.HOUR, By.MODEL)

    assert (report["requests"], report["hit_rate"], report["groups"]["values"]) == (0, None, [])
    assert report["latency"]["hit"] == {
        "count": 0,
        **dict.fromkeys(("mean_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms")),
    }


# Names


@pytest.mark.parametrize(
    ("by", "found"),
    [
        (By.HIT_CLASS, {"near": 2, "bypass": 1, "miss": 1}),
        (By.MODEL, {"m": 3, "none": 1}),
        (By.TENANT, {"none": 2, "t": 2}),
        (By.DIALECT, {"openai-chat": 3, "none": 1}),
        (By.REASON, {"hit": 2, "new-picture": 1, "no-dialect": 1}),
        (By.KIND, {"none": 3, "reading": 1, "colour": 1}),
    ],
)
def test_requests_are_divided_by_what_they_are(ledger: Ledger, by: By, found: dict[str, int]) -> None:
    counted(ledger, HIT, replace(HIT, kinds=("reading", "colour")), MISS, BYPASS)

    assert names(ledger, by) == names(ledger, by, Window.HOUR) == names(ledger, by, Window.DAY) == found


def test_a_groups_figures_are_its_own(ledger: Ledger) -> None:
    other = replace(HIT, model="n", saved=replace(SAVED, money=None), seconds=0.5)
    counted(ledger, HIT, HIT, other, replace(MISS, model="n"))
    one, two = sorted(ledger.report_now(by=By.MODEL)["groups"]["values"], key=lambda group: group["name"])

    assert (one["hit_rate"], two["hit_rate"]) == (1.0, 0.5)
    assert (one["saved"]["money"], two["saved"]["money"]) == ({"EUR": 1.0}, "unknown")
    assert one["latency"]["hit"]["p50_ms"] == pytest.approx(10, rel=0.025)
    assert two["latency"]["hit"]["p50_ms"] == pytest.approx(500, rel=0.025)


def test_a_clients_name_is_believed_once_the_upstream_answered_it(ledger: Ledger) -> None:
    unheard = replace(MISS, model="x" * 100_000, answered=False, error="upstream_error")
    counted(ledger, unheard, replace(unheard, model="\ud800"), HIT, replace(MISS, answered=False))

    assert names(ledger, By.MODEL) == {"m": 2, "other": 2}


def test_there_are_only_so_many_names_and_the_counts_still_add_up(ledger: Ledger) -> None:
    counted(ledger, *(replace(HIT, model=f"m{number}", tenant=f"t{number}") for number in range(NAMES_MOST + 50)))
    for by in (By.MODEL, By.TENANT):
        found = names(ledger, by)
        assert len(found) == NAMES_MOST + 1
        assert found["other"] == 50


def test_a_name_that_is_no_text_can_be_shown(ledger: Ledger) -> None:
    counted(ledger, replace(HIT, model="a\ud800"), replace(HIT, model="y" * 300))

    assert names(ledger, By.MODEL) == {"a?": 1, "y" * 200: 1}


# Series


@pytest.mark.parametrize(
    ("window", "step_s", "steps"),
    [
        (Window.HOUR, 60, 61),
        (Window.DAY, 600, 145),
        (Window.WEEK, HOUR, 169),
        (Window.MONTH, 6 * HOUR, 121),
    ],
)
def test_a_series_has_every_step_of_its_window_and_adds_up(
    ledger: Ledger, window: Window, step_s: int, steps: int
) -> None:
    counted(ledger, at(NOON, HIT), at(NOON - step_s), at(NOON - step_s, MISS), at(NOON - 200 * DAY, BYPASS))
    series = ledger.series_now(window)
    buckets = series["buckets"]

    assert (series["step_s"], len(buckets)) == (step_s, steps)
    assert {b["start"] - a["start"] for a, b in pairwise(buckets)} == {step_s}
    assert buckets[0]["start"] == series["window"]["from"]
    assert sum(bucket["requests"] for bucket in buckets) == 3
    assert [(bucket["hits"]["near"], bucket["misses"], bucket["hit_rate"]) for bucket in buckets[-2:]] == [
        (1, 1, 0.5),
        (1, 0, 1.0),
    ]
    assert buckets[-2]["money"] == {"EUR": 0.5}
    assert buckets[0] == {
        "start": buckets[0]["start"],
        "hits": {"total": 0, "exact": 0, "pixel": 0, "near": 0},
        "latency": {"hit": {"p50_ms": None, "p95_ms": None}, "miss": {"p50_ms": None, "p95_ms": None}},
        **{key: {} for key in ("money", "money_estimated", "net")},
        **dict.fromkeys(("requests", "asked_of_cache", "misses", "bypasses", "asked_afresh", "shadow", "errors"), 0),
        "hit_rate": None,
        "upstream_seconds_saved": 0.0,
    }


def test_the_series_of_all_begins_with_the_first_day(ledger: Ledger) -> None:
    assert [bucket["requests"] for bucket in ledger.series_now(Window.ALL)["buckets"]] == [0]

    counted(ledger, at(NOON - 2 * DAY), at(NOON))
    assert [bucket["requests"] for bucket in ledger.series_now(Window.ALL)["buckets"]] == [1, 0, 1]


@pytest.mark.anyio
async def test_both_can_be_awaited(ledger: Ledger) -> None:
    counted(ledger, HIT)

    assert await ledger.report(Window.DAY, By.KIND) == ledger.report_now(Window.DAY, By.KIND)
    assert await ledger.series(Window.DAY) == ledger.series_now(Window.DAY)


# The store's own doing


def test_what_the_store_let_go_is_counted_in_its_time(ledger: Ledger, clock: Clock) -> None:
    ledger.let_go(evicted=2, expired=0)
    clock.now_s += 2 * HOUR
    ledger.let_go(evicted=1, expired=5)

    assert ledger.report_now()["let_go"] == {"evicted": 3, "expired": 5}
    assert ledger.report_now(Window.HOUR)["let_go"] == {"evicted": 1, "expired": 5}
    assert ledger.report_now()["requests"] == 0


def test_tags_are_counted_with_their_request_and_late_ones_in_the_whole(ledger: Ledger) -> None:
    counted(ledger, replace(HIT, tags=("a", "b"), edited=True), replace(MISS, left_alone="fault"))
    ledger.tagged(("b",))
    ledger.tagged(())

    assert ledger.report_now()["rules"] == {"edited": 1, "tags": {"a": 1, "b": 2}, "left_alone": {"fault": 1}}
    by_class = {group["name"]: group["rules"] for group in ledger.report_now(by=By.HIT_CLASS)["groups"]["values"]}
    assert by_class["near"] == {"edited": 1, "tags": {"a": 1, "b": 1}, "left_alone": {}}


# The disk


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def test_everything_survives_a_restart_the_known_names_too(file: Path, clock: Clock) -> None:
    before = counted(Ledger(file, clock), HIT, MISS, BYPASS)
    told = [before.report_now(window, by) for window in Window for by in By]
    before.close()
    with closing(Ledger(file, clock)) as after:
        assert [after.report_now(window, by) for window in Window for by in By] == told
        counted(after, replace(MISS, answered=False))
        assert names(after, By.MODEL) == {"m": 3, "none": 1}


def test_a_kill_loses_only_what_was_not_written_yet(file: Path, clock: Clock) -> None:
    killed = counted(Ledger(file, clock), HIT, HIT)
    killed.write()
    counted(killed, HIT)
    with closing(Ledger(file, clock)) as after:
        assert after.report_now()["requests"] == 2


def test_in_memory_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.chdir(tmp_path)
    counted(Ledger(None, clock), HIT).close()

    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_takes_nothing_delays_the_counts_and_loses_none(
    file: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(counted(Ledger(file, clock), HIT)) as ledger, closing(sqlite3.connect(file)) as other:
        ledger._book._connection.execute("PRAGMA busy_timeout = 0")
        other.execute("BEGIN IMMEDIATE")
        ledger.write()
        counted(ledger, HIT)
        ledger.write()
        assert caplog.text.count("cannot be written") == 1
        other.rollback()

        assert ledger.report_now()["requests"] == 2


def test_a_file_found_damaged_in_use_is_set_aside_and_what_waits_is_kept(file: Path, clock: Clock) -> None:
    with closing(counted(Ledger(file, clock), HIT)) as ledger:
        ledger.write()
        with closing(sqlite3.connect(file)) as other, other:
            other.execute("UPDATE tallies SET counts = 'x'")
        counted(ledger, MISS)
        assert ledger.report_now()["requests"] == 1

    assert file.with_name("ledger.sqlite.damaged").exists()


def test_an_outcome_that_cannot_be_counted_keeps_no_other_from_it(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    endless = replace(HIT, saved=replace(SAVED, money=Money("EUR", float("inf"))))
    counted(ledger, HIT, endless, HIT)

    assert ledger.report_now()["requests"] == 2
    assert "could not be counted" in caplog.text


def test_seconds_that_make_no_sense_are_bounded(ledger: Ledger) -> None:
    counted(ledger, replace(HIT, seconds=float("inf")), replace(HIT, seconds=-1.0), replace(HIT, served_age_s=1e300))

    assert ledger.report_now()["latency"]["hit"]["count"] == 3


def test_a_ledger_that_cannot_be_read_says_so_in_words(file: Path, clock: Clock) -> None:
    with closing(Ledger(file, clock)) as ledger:
        with closing(sqlite3.connect(file)) as other, other:
            other.execute("ALTER TABLE tallies RENAME TO gone")
        with pytest.raises(LedgerFault, match="cannot be read"):
            ledger.report_now()
