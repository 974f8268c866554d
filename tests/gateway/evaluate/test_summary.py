"""From trials to figures: what counts as right and wrong, and the curve from recorded similarities."""

import pytest

from cache.verdict import Doubt
from gateway.evaluate.bench import Seen
from gateway.evaluate.cases import Case, Copy, Edit, Itself, Listed, Trial
from gateway.evaluate.files import Judged
from gateway.evaluate.ladder import Hit, Outcome, Refused
from gateway.evaluate.summary import Catalogue, Mark, mark, summarise

SEEN = [
    Seen("a", "A", "pixels-a"),
    Seen("twin", "T", "pixels-a"),
    Seen("b", "B", "pixels-b"),
    Seen("c", "C", "pixels-c"),
]
JUDGED = [Judged("a", "b", True, 2), Judged("a", "c", False, 3)]
CATALOGUE = Catalogue(SEEN, JUDGED)
COPY = Copy("jpeg-high", "q85")


def near(entry: str, similarity: float, score: float = 0.2) -> Hit:
    return Hit("near", entry, similarity, score)


@pytest.mark.parametrize(
    ("case", "outcome", "expected"),
    [
        (COPY, near("A", 0.9), Mark.FOUND),
        (COPY, Hit("pixel", "T"), Mark.FOUND),
        (COPY, near("B", 0.9), Mark.FOUND),  # a person says that it is the same
        (COPY, near("C", 0.9), Mark.WRONG),
        (COPY, Refused(Doubt.NEW_PICTURE), Mark.MISSED),
        (Edit(0, "x0.75"), near("A", 0.9), Mark.WRONG),
        (Edit(0, "x0.75"), Refused(Doubt.LOCAL_CHANGE, "A", 0.99, 2.0), Mark.REFUSED),
        (Itself(), near("B", 0.9), Mark.REFUSED),
        (Itself(), near("C", 0.9), Mark.WRONG),
        (Listed("b", True), near("A", 0.9), Mark.FOUND),
        (Listed("b", True), Refused(Doubt.TONE, "A", 0.9), Mark.MISSED),
        (Listed("c", False), Hit("exact", "A"), Mark.WRONG),
        (Listed("c", False), Refused(Doubt.NEW_PICTURE), Mark.REFUSED),
    ],
)
def test_a_hit_is_right_only_on_the_same_picture(case: Case, outcome: Outcome, expected: Mark):
    assert mark(Trial("a", case, outcome), outcome, CATALOGUE) is expected


@pytest.mark.parametrize("case", [COPY, Itself()])
def test_a_hit_on_another_picture_that_nobody_judged_is_neither(case: Case):
    outcome = near("C", 0.9)

    assert mark(Trial("b", case, outcome), outcome, CATALOGUE) is Mark.UNJUDGED


def test_the_curve_follows_the_recorded_similarity():
    trials = [
        Trial("a", COPY, near("A", 0.75)),
        Trial("b", COPY, near("B", 0.95)),
        Trial("c", COPY, Hit("exact", "C")),
        Trial("c", COPY, Refused(Doubt.TONE, "C", 0.99)),
        Trial("a", Edit(0, "as it is"), near("A", 0.85)),
        Trial("b", Edit(0, "as it is"), Refused(Doubt.NEW_PICTURE)),
    ]
    curve = {point.threshold: point for point in summarise(trials, CATALOGUE, 0.5).curve}

    assert [curve[t].recall for t in (0.5, 0.75, 0.76, 0.95, 0.96)] == [0.75, 0.75, 0.5, 0.5, 0.25]
    assert [curve[t].wrong for t in (0.5, 0.85, 0.86)] == [1, 1, 0]
    assert curve[0.5].wrong_share == 0.5


def test_at_a_higher_threshold_what_is_below_was_not_nominated():
    summary = summarise([Trial("a", COPY, near("A", 0.75)), Trial("b", COPY, near("B", 0.95))], CATALOGUE, 0.9)
    ((whole, _),) = summary.classes

    assert (whole.found, whole.asked, whole.missed) == (1, 2, (("new-picture", 1),))


def test_a_look_alike_counts_once_however_it_was_sent():
    refused = Refused(Doubt.LOCAL_CHANGE, "A", 0.99, 1.2)
    trials = [
        Trial("a", Edit(0, "as it is"), refused),
        Trial("a", Edit(0, "x0.75"), near("A", 0.9)),
        Trial("a", Edit(0, "JPEG q75"), near("A", 0.9)),
        Trial("a", Edit(1, "as it is"), refused),
        Trial("a", Listed("c", False), refused),
        Trial("c", Listed("a", False), refused),
    ]
    summary = summarise(trials, CATALOGUE, 0.5)

    assert (summary.look_alikes, summary.look_alikes_served) == (3, 1)
    assert len(summary.wrong) == 2
    assert len(summary.near_misses) == 4


def test_classes_count_alike_and_policy_does_not():
    trials = [
        *(Trial("a", Copy("resize", "x0.5 box"), near("A", 0.9)) for _ in range(9)),
        Trial("a", COPY, Refused(Doubt.NOISE, "A", 0.9)),
        Trial("a", Copy("watermark", "text at 25%"), Refused(Doubt.LOCAL_CHANGE, "A", 0.9)),
    ]

    assert summarise(trials, CATALOGUE, 0.5).recall == 0.5


def test_an_unjudged_pair_is_named_once_and_its_copies_do_not_count_as_found():
    trials = [
        Trial("b", Itself(), near("C", 0.9)),
        Trial("c", Itself(), near("B", 0.9)),
        Trial("b", COPY, near("C", 0.9)),
    ]
    summary = summarise(trials, CATALOGUE, 0.5)

    assert len(summary.unjudged) == 1
    assert summary.wrong == ()
    assert summary.classes[0][0].missed == (("answered from another picture", 1),)


def test_nothing_measured_is_no_figure():
    summary = summarise([], CATALOGUE, 0.65)

    assert summary.recall is None
    assert summary.bound == 1.0
