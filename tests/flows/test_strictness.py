"""How strict a lookup is, as operator, caller and kind of question ask: the official SDK through a real gateway."""

import logging
from typing import Any

import pytest
from openai import BadRequestError, OpenAI

from gateway.demo import cards
from tests.fakes.pictures import card, data_url, jpeg, png
from tests.flows.conftest import Build, Stage
from tests.flows.test_openai_sdk import ask, copy_of_48_20

READING, COUNTING, CHINESE, OTHER = "Read the price.", "How many vases?", "读出图中的价格。", "Describe the picture."
SAME_PIXELS = data_url(png(cards.draw("48.20"), compress_level=1))
RECODED = data_url(jpeg(cards.draw("48.20"), 60), "image/jpeg")


def detail(stage: Stage, url: str, question: str = OTHER, system: str = "", **headers: str) -> str:
    """What became of a question through the SDK, in one word; its answer is not kept."""
    asked = ask(url, question=question)
    if system:
        asked["messages"].insert(0, {"role": "system", "content": system})
    fields = {"Cache-Control": "no-store"} | {f"X-Lookalike-{name}": value for name, value in headers.items()}
    with OpenAI(base_url=f"{stage.gateway}/v1", api_key="sk-one", max_retries=0) as client:
        reply = client.chat.completions.with_raw_response.create(**asked, extra_headers=fields)
    assert reply.parse().choices[0].message.content == "prices: 48.20"
    return reply.headers["cache-status"].rpartition("detail=")[2]


def learn(stage: Stage, *questions: str, **more: Any) -> None:
    with OpenAI(base_url=f"{stage.gateway}/v1", api_key="sk-one", max_retries=0) as client:
        for question in questions:
            client.chat.completions.create(**ask(data_url(card("48.20")), question=question), **more)


def test_a_kind_of_question_is_held_to_its_rung_in_english_and_chinese(build: Build):
    stage = build(questions=[{"name": "reading", "mode": "pixel"}, {"name": "counting", "mode": "exact"}])
    learn(stage, READING, COUNTING, CHINESE, OTHER)

    for question in (READING, CHINESE):
        assert detail(stage, SAME_PIXELS, question) == "pixel"
        assert detail(stage, RECODED, question) == "rung-forbidden"
    assert detail(stage, SAME_PIXELS, COUNTING) == "rung-forbidden"
    assert detail(stage, data_url(card("48.20")), COUNTING) == "exact"
    assert detail(stage, RECODED, OTHER) == "near"


def test_the_kinds_that_ship_keep_nothing_back_and_are_counted(stage: Stage, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, "lookalike.access"):
        learn(stage, READING, CHINESE, OTHER)
        assert detail(stage, RECODED, READING) == "near"
        assert detail(stage, RECODED, CHINESE) == "near"
        assert detail(stage, RECODED, "Read the price and its colour.") == "first-asked"
        stats = stage.stats()  # waits until every line is written

    assert stats["kinds"] == {"reading": {"requests": 5, "hits": 2}, "colour": {"requests": 1, "hits": 0}}
    kinds = [record.facts.get("kinds") for record in caplog.records if hasattr(record, "facts")]
    assert sorted(kind for kind in kinds if kind) == ["reading"] * 4 + ["reading,colour"]
    assert READING not in caplog.text
    assert not any(READING in str(getattr(record, "facts", "")) for record in caplog.records)


def test_the_system_prompt_can_make_a_question_one_of_a_kind(build: Build):
    stage = build(questions=[{"name": "reading", "mode": "off"}])
    learn(stage, OTHER)

    assert detail(stage, RECODED, OTHER) == "near"
    assert detail(stage, RECODED, OTHER, system="You transcribe receipts.") == "mode-off"


def test_a_callers_mode_and_a_kinds_mode_hold_together(build: Build):
    stage = build(mode="pixel", questions=[{"name": "reading", "mode": "near"}])
    learn(stage, READING)

    assert detail(stage, RECODED, READING) == "rung-forbidden"  # the operator's mode is not loosened
    assert detail(stage, SAME_PIXELS, READING, Mode="exact") == "rung-forbidden"


def test_a_caller_may_raise_the_threshold_and_never_lower_it(build: Build):
    stage = build(threshold=0.9)
    learn(stage, OTHER)

    assert detail(stage, copy_of_48_20(), OTHER) == "near"
    assert detail(stage, copy_of_48_20(), OTHER, Threshold="1") == "new-picture"
    assert detail(stage, copy_of_48_20(), OTHER, Threshold="0.01") == "near"


def test_a_callers_low_threshold_changes_nothing_below_the_operators(build: Build):
    stage = build(threshold=1.0)
    learn(stage, OTHER)

    assert detail(stage, copy_of_48_20(), OTHER, Threshold="0.5") == "new-picture"


def test_a_kind_may_raise_the_threshold(build: Build):
    stage = build(questions=[{"name": "reading", "threshold": 1.0}])
    learn(stage, READING, OTHER)

    assert detail(stage, copy_of_48_20(), READING) == "new-picture"
    assert detail(stage, copy_of_48_20(), OTHER) == "near"


def test_a_strict_guard_refuses_what_is_near_its_limit(build: Build):
    # The limit of this test is one that no re-encoded picture keeps, so that it does not hang on one score.
    stage = build(guard_limit_strict=1e-6, questions=[{"name": "counting", "guard": "strict"}])
    learn(stage, OTHER, COUNTING)

    assert detail(stage, RECODED, OTHER) == "near"
    assert detail(stage, RECODED, OTHER, Guard="strict") == "guard-limit"
    assert detail(stage, RECODED, COUNTING) == "guard-limit"
    assert detail(stage, RECODED, COUNTING, Guard="normal") == "guard-limit"
    assert detail(stage, SAME_PIXELS, COUNTING) == "pixel"
    assert stage.stats()["misses"]["by_reason"]["guard-limit"] == 3


def test_no_wish_of_ours_reaches_the_upstream(stage: Stage):
    detail(stage, RECODED, OTHER, Threshold="0.97", Guard="strict", Mode="near")

    assert not [name for name, _ in stage.upstream.seen[-1].headers if name.startswith("x-lookalike")]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("Threshold", "97", "0.97"), ("Threshold", "high", "0.97"), ("Guard", "lax", "normal, strict")],
)
def test_a_wish_that_does_not_exist_is_a_clear_400(stage: Stage, name: str, value: str, words: str):
    with pytest.raises(BadRequestError, match=words) as refused:
        detail(stage, RECODED, OTHER, **{name: value})

    assert refused.value.code == "bad_cache_header"
    assert stage.upstream.calls == 0


def test_a_threshold_below_the_calibrated_one_is_said_in_the_log_and_in_health(
    build: Build, caplog: pytest.LogCaptureFixture
):
    embedder = build(threshold=0.5).health()["embedder"]

    assert embedder["threshold"] == 0.5
    assert "calibrated 0.65" in embedder["caution"]
    assert embedder["caution"] in caplog.text


def test_the_bytes_kept_for_the_guard_are_reported(stage: Stage):
    assert stage.stats()["evidence"] == {"pictures": 0, "bytes_mean": None, "bytes_p50": None}
    learn(stage, OTHER)
    evidence = stage.stats()["evidence"]

    assert evidence["pictures"] == 1
    assert 1_000 < evidence["bytes_mean"] < 200_000
    assert evidence["bytes_p50"] == pytest.approx(evidence["bytes_mean"], rel=0.025)
