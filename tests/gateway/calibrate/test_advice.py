from collections.abc import Sequence

import pytest

from gateway.calibrate.advice import Advice, advise
from gateway.calibrate.curve import Judge, seen
from gateway.question import Mode
from gateway.shadow import Observation
from tests.gateway.calibrate import made
from tests.gateway.calibrate.made import IN_FORCE, OTHER_NUMBER, REWORDED, exact, near

LOOK = seen([near()])


def advised(*requests: Sequence[Observation], at_most: float = 0.01, judge: Judge | None = None) -> Advice:
    return advise(seen([one for each in requests for one in each]), judge or Judge(), at_most)


def test_three_hundred_near_hits_without_a_disagreement_are_enough_for_one_percent() -> None:
    advice = advised([near()] * 300)

    assert (advice.mode, advice.threshold, advice.next_step) == (Mode.NEAR, IN_FORCE, None)
    assert "0 of 300" in advice.why
    assert advice.toml(LOOK) == 'mode = "near"\nthreshold = { dct = 0.65 }    # as it is'


def test_a_few_say_keep_watching_and_how_many_more_are_needed() -> None:
    advice = advised([near()] * 40, [made.seen()] * 40)

    assert (advice.mode, advice.threshold) == (Mode.SHADOW, None)
    assert advice.next_step is not None
    assert "259 more near hits" in advice.next_step  # 299 in all
    assert "about 520 requests" in advice.next_step  # every second one is a near hit
    assert advice.toml(LOOK) == 'mode = "shadow"'


def test_a_lower_threshold_is_recommended_where_it_serves_more_and_is_as_sure() -> None:
    advice = advised([near()] * 300, [near(0.6)] * 300)

    assert (advice.mode, advice.threshold) == (Mode.NEAR, 0.6)
    assert advice.toml(LOOK).endswith("# was 0.65")


def test_hits_that_a_lower_threshold_adds_must_be_sure_by_themselves() -> None:
    few, bad = [near(0.6)] * 60, [near(0.6, OTHER_NUMBER)] * 4

    assert advised([near()] * 3_000, few).threshold == IN_FORCE
    assert advised([near()] * 3_000, few * 5, bad).threshold == IN_FORCE


def test_a_threshold_is_raised_where_the_less_similar_pictures_disagree() -> None:
    advice = advised([near(0.99)] * 400, [near(0.8, OTHER_NUMBER)] * 20)

    assert (advice.mode, advice.threshold) == (Mode.NEAR, 0.99)  # nothing is known of what lies between the two


def test_where_near_hits_disagree_at_every_threshold_and_the_model_does_not_pixel_is_recommended() -> None:
    advice = advised([near(1.0)] * 150, [near(1.0, OTHER_NUMBER)] * 50, [exact()] * 300)

    assert (advice.mode, advice.threshold) == (Mode.PIXEL, None)
    assert "50 of 200" in advice.why


def test_without_repeats_nobody_knows_whether_it_was_the_model() -> None:
    advice = advised([near(1.0)] * 150, [near(1.0, OTHER_NUMBER)] * 50)

    assert advice.mode is Mode.SHADOW
    assert advice.next_step is not None
    assert "byte for byte" in advice.next_step


def test_disagreement_that_the_model_has_with_itself_is_not_held_against_near_hits() -> None:
    own = [exact()] * 1_800, [exact(OTHER_NUMBER)] * 200

    assert advised([near()] * 950, [near(agreement=OTHER_NUMBER)] * 50, *own).mode is Mode.NEAR
    assert advised([near()] * 950, [near(agreement=OTHER_NUMBER)] * 50, [exact()] * 2_000).mode is not Mode.NEAR


def test_a_model_that_never_repeats_itself_cannot_be_judged_by_its_very_words() -> None:
    requests = [near(agreement=REWORDED)] * 300, [exact(REWORDED)] * 20
    strict, loose = advised(*requests), advised(*requests, judge=Judge(0.8))

    assert strict.mode is Mode.SHADOW
    assert strict.next_step is not None
    assert "--similar-enough" in strict.next_step
    assert loose.mode is Mode.NEAR


def test_a_question_that_stands_apart_is_named_and_left_out() -> None:
    apart = [near(agreement=OTHER_NUMBER, question="f" * 12)] * 8
    advice = advised([near()] * 300, apart)

    assert advice.mode is Mode.NEAR
    [outlier] = advice.outliers
    assert (outlier.question, outlier.judged.disagreed, outlier.others.compared) == ("f" * 12, 8, 300)


def test_one_question_alone_does_not_stand_apart_from_itself() -> None:
    assert advised([near(agreement=OTHER_NUMBER)] * 20).outliers == ()


@pytest.mark.parametrize("requests", [[], [exact()] * 5, [made.seen()] * 5, [near(agreement=None)] * 5])
def test_where_nothing_was_compared_it_says_so_and_keeps_watching(requests: list[Observation]) -> None:
    advice = advised(requests)

    assert advice.mode is Mode.SHADOW
    assert advice.next_step == "Keep shadow mode on."
