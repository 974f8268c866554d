import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.calibrate.curve import Judge, Judged, Refusals, baseline, curve, groups, refusals, row, seen
from gateway.shadow import Candidate, Kind, Observation
from tests.examples import examples
from tests.gateway.calibrate import made
from tests.gateway.calibrate.made import AGREES, OTHER_NUMBER, REWORDED, SPACE, candidate, exact, near

STRICT, LOOSE = Judge(), Judge(0.8)
SIMILARITIES = st.integers(55, 100).map(lambda percent: percent / 100)
CANDIDATES = st.builds(
    candidate,
    SIMILARITIES,
    st.sampled_from([AGREES, REWORDED, OTHER_NUMBER, None]),
    st.sampled_from([None, None, "local-change", "tone"]),
)


def with_candidates(found: list[Candidate]) -> Observation:
    ordered = tuple(sorted(found, key=lambda one: -one.similarity))
    accepted = next((one for one in ordered if one.similarity >= made.IN_FORCE and one.doubt is None), None)
    kind = Kind.NEAR if accepted else Kind.MISS
    return made.seen(kind, agreement=accepted.agreement if accepted else None, candidates=ordered)


REQUESTS = st.lists(
    st.lists(CANDIDATES, max_size=2).map(with_candidates) | st.sampled_from([AGREES, OTHER_NUMBER]).map(exact),
    max_size=20,
)


@examples(80)
@given(REQUESTS, SIMILARITIES)
def test_a_row_counts_what_a_plain_loop_counts(requests: list[Observation], threshold: float) -> None:
    hits = near_hits = compared = disagreed = 0
    seconds = 0.0
    for one in requests:
        if one.would_be == "exact":
            hits, seconds = hits + 1, seconds + one.upstream_s
            continue
        for each in one.candidates:
            if each.similarity < threshold or each.doubt:
                continue
            hits, near_hits, seconds = hits + 1, near_hits + 1, seconds + one.upstream_s
            if each.agreement:
                compared += 1
                disagreed += 0 if each.agreement.same else 1
            break
    counted = row(requests, threshold, STRICT)

    assert (counted.requests, counted.hits, counted.near) == (len(requests), hits, near_hits)
    assert (counted.judged.compared, counted.judged.disagreed) == (compared, disagreed)
    assert counted.saved.upstream_s == pytest.approx(seconds)
    assert counted.saved.calls == hits


@examples(60)
@given(REQUESTS)
def test_a_stricter_threshold_never_serves_more_and_the_one_in_force_serves_the_near_hits(
    requests: list[Observation],
) -> None:
    look = seen(requests)
    rows = curve(look, STRICT)

    assert [one.threshold for one in rows] == sorted({one.threshold for one in rows})
    assert [one.near for one in rows] == sorted((one.near for one in rows), reverse=True)
    if look.threshold is not None:
        [in_force] = [one for one in rows if one.threshold == look.threshold]
        assert in_force.near == sum(one.would_be is Kind.NEAR for one in requests)
        assert rows[-1].threshold == 1.0


def test_the_curve_begins_a_margin_below_the_threshold_and_leaves_out_what_changes_nothing() -> None:
    rows = curve(seen([near(0.60), near(0.97), near(0.997)]), STRICT)

    assert [(one.threshold, one.near) for one in rows] == [(0.6, 3), (0.65, 2), (0.97, 2), (0.995, 1), (1.0, 0)]


def test_answers_agree_by_text_or_where_asked_for_by_numbers_and_likeness() -> None:
    pairs = [AGREES, REWORDED, OTHER_NUMBER, None]

    assert STRICT.judged(pairs) == Judged(compared=3, disagreed=2, numbers_disagreed=1)
    assert LOOSE.judged(pairs) == Judged(compared=3, disagreed=1, numbers_disagreed=1)
    assert Judge(0.9).judged(pairs).disagreed == 2


def test_shares_and_bounds_are_those_of_the_counts() -> None:
    assert Judged(300, 0, 0).upper < 0.01
    assert Judged(10, 5, 0).share == 0.5
    assert Judged(0, 0, 0).share is None
    assert (Judged(0, 0, 0).lower, Judged(0, 0, 0).upper) == (0.0, 1.0)


def test_the_model_with_itself_is_the_same_bytes_only() -> None:
    pixel = made.seen(Kind.PIXEL, agreement=OTHER_NUMBER)

    assert baseline([exact(), exact(OTHER_NUMBER), exact(None), pixel, near()], STRICT) == Judged(2, 1, 1)


def test_only_requests_of_the_embedder_in_use_last_are_set_against_each_other() -> None:
    old, new = [near(space="clip", threshold=0.95)] * 3, [near(), near()]
    look = seen([*old, exact(), *new])

    assert (look.space, look.threshold, look.other_spaces) == (SPACE, made.IN_FORCE, 3)
    assert look.observations == [exact(), *new]


def test_a_caller_who_asked_for_a_stricter_threshold_does_not_move_the_curve() -> None:
    assert seen([near(), near(), near(threshold=0.9)]).threshold == made.IN_FORCE


def test_savings_are_those_of_whole_answers_each_currency_apart() -> None:
    requests = [
        near(money=0.5, currency="EUR"),
        exact(money=0.25, currency="EUR"),
        near(money=3.0, currency="CNY"),
        near(agreement=None, unread="cut-short", tokens_in=None, tokens_out=None),
        made.seen(money=9.0, currency="EUR"),
    ]
    saved = row(requests, 0.65, STRICT).saved

    assert (saved.calls, saved.upstream_s, saved.tokens_in, saved.tokens_out) == (4, 6.0, 300, 30)
    assert saved.money == {"EUR": 0.75, "CNY": 3.0}


def test_groups_come_with_the_most_hits_first() -> None:
    requests = [near(model="b"), near(model="b"), near(model="a"), made.seen(model="c"), exact(model="a")]
    found = groups(requests, lambda one: one.model, 0.65, STRICT)

    assert [(name, one.hits, one.requests) for name, one in found] == [("a", 2, 2), ("b", 2, 2), ("c", 0, 1)]


def test_what_the_guard_refused_is_counted_by_what_it_cost_and_what_it_saved() -> None:
    def refused(*candidates: Candidate) -> Observation:
        return with_candidates(list(candidates))

    requests = [
        refused(candidate(0.99, AGREES, "small-text")),
        refused(candidate(0.99, OTHER_NUMBER, "local-change")),
        refused(candidate(0.98, OTHER_NUMBER, "local-change"), candidate(0.97, AGREES)),  # the second was served
        refused(candidate(0.98, AGREES, "small-text"), candidate(0.97, AGREES)),  # ... so nothing was lost
        refused(candidate(0.99, None, "small-text")),
        refused(candidate(0.60, AGREES, "small-text")),  # never nominated
        refused(candidate(0.99, AGREES)),
        exact(),
    ]

    assert refusals(requests, 0.65, STRICT) == {
        "local-change": Refusals(agreed=0, disagreed=2, not_compared=0),
        "small-text": Refusals(agreed=1, disagreed=0, not_compared=1),
    }


def test_an_empty_log_and_one_without_vectors_have_no_curve() -> None:
    assert curve(seen([]), STRICT) == []
    assert curve(seen([exact()]), STRICT) == []


def test_no_threshold_serves_what_the_request_itself_demands_too_much_for() -> None:
    look = seen([near(0.9, floor=0.95), near(0.9)])

    assert row(look.observations, 0.8, Judge()).near == 1
    assert refusals([made.seen(candidates=(made.candidate(0.9, doubt="tone"),), floor=0.95)], 0.8, Judge()) == {}
