"""The hit inspector's words for a verdict, its figures and its limits."""

from dataclasses import replace

import pytest

from cache.verdict import Doubt, Spot
from gateway.admin.dashboard import inspector
from gateway.admin.dashboard.words import Lang, Words
from gateway.sighting import Sight, Sighting
from gateway.sightings.thumbnails import Part

EN, ZH = Words(Lang.EN), Words(Lang.ZH)
HIT = Sighting(
    id="s1",
    sight=Sight.NEAR_HIT,
    time_s=100.0,
    shadow=False,
    dialect="openai-chat",
    model="qwen3-vl-8b",
    entry="e1",
    pictures=1,
    similarity=0.99812,
    threshold=0.95,
    doubt=None,
    score=0.4,
    limit=0.88,
    spot=None,
    asked_exact="asked",
    marks=(),
)
MISS = replace(HIT, sight=Sight.NEAR_MISS, doubt=Doubt.COLOUR_CHANGE, score=3.5, spot=Spot(0.12, 0.4, 0.18, 0.44))


def item(one: Sighting, words: Words = EN) -> inspector.Item:
    return inspector.item(one, (), "", None, (), 160.0, words)


def test_a_near_hit_has_its_margins():
    shown = item(HIT)

    assert (shown.verdict, shown.tone) == ("taken for one picture", "good")
    assert (shown.guard, shown.cosine) == ("0.40 of 0.88 allowed", "0.9981, at least 0.95 wanted")
    assert (shown.may_judge, shown.sentence, shown.place) == (True, "", "")


def test_a_near_miss_has_its_reason_and_its_place():
    shown = item(MISS)

    assert (shown.verdict, shown.tone) == ("refused: one place differs in colour", "warn")
    assert (shown.guard, shown.place) == ("3.50, 0.88 allowed", "12–18 % across, 40–44 % down")
    assert shown.scale == 3.5
    assert not shown.may_judge
    assert item(MISS, ZH).verdict == "已拒绝: 局部颜色不同"


@pytest.mark.parametrize(
    ("doubt", "said"),
    [
        (Doubt.GEOMETRY, "a rule refused before anything was measured"),
        (Doubt.LOCAL_CHANGE, "clear at a first glance"),
    ],
)
def test_a_refusal_without_a_score_says_so(doubt: Doubt, said: str):
    assert item(replace(MISS, doubt=doubt, score=None)).guard == said


def test_what_shadow_mode_would_have_served_is_not_to_be_judged():
    shown = item(replace(HIT, shadow=True))

    assert shown.verdict == "would have been served (shadow mode)"
    assert not shown.may_judge


def test_thumbnails_stand_in_one_order_a_row_for_each_picture():
    kept = [(1, Part.STORED), (0, Part.HEAT), (0, Part.ASKED), (1, Part.ASKED), (0, Part.STORED)]
    rows = inspector.rows(kept, "/p", EN)

    assert [[figure.url for figure in row] for row in rows] == [
        ["/p/0/stored.jpg", "/p/0/asked.jpg", "/p/0/heat.jpg"],
        ["/p/1/stored.jpg", "/p/1/asked.jpg"],
    ]
    assert inspector.rows([], "/p", EN) == ()
