from pathlib import Path

import pytest

from gateway.hits import Hits
from gateway.judgements import Judgements
from gateway.question import Judgement
from tests.contracts.store_contract import record

RIGHT, WRONG = Judgement.RIGHT, Judgement.WRONG


def test_the_rate_is_of_judged_near_hits_and_has_bounds():
    judgements = Judgements(None)
    assert judgements.report()["wrong_hit_rate"] is judgements.report()["wrong_hit_rate_95"] is None
    for _ in range(299):
        judgements.count(RIGHT, "near")
    judgements.count(WRONG, "near")
    judgements.count(WRONG, "exact")
    report = judgements.report()

    assert (report["judged_near"], report["wrong_hit_rate"]) == (300, 0.0033)
    assert report["wrong_hit_rate_95"] == [pytest.approx(0.0001, abs=1e-4), pytest.approx(0.0184, abs=1e-4)]


def test_on_second_thoughts_the_first_does_not_count():
    judgements = Judgements(None)
    judgements.count(RIGHT, "near")
    judgements.count(WRONG, "near", RIGHT)

    assert (judgements.report()["right"], judgements.report()["wrong"]) == ({}, {"near": 1})


def test_counts_outlive_a_restart_and_a_damaged_file_counts_from_zero(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    file = tmp_path / "judgements.json"
    judgements = Judgements(file)
    judgements.count(WRONG, "near")
    judgements.write()
    assert Judgements(file).report() == judgements.report()
    file.write_text("{")

    assert Judgements(file).report()["judged_near"] == 0
    assert "cannot be read" in caplog.text


def test_hits_are_remembered_up_to_a_number_and_the_same_one_once():
    hits = Hits(most=2)
    first = hits.add("r1", "near", record("a").entry)
    hits.add("r2", "near", record("a").entry)
    assert hits.add("r1", "near", record("a").entry) is first
    hits.add("r1", "exact", record("b").entry)

    assert hits.get("r2", "id-a") is None
    assert hits.get("r1", "id-a") is first
    assert hits.get("r1", "id-c") is None
