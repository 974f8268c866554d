import pytest

from gateway.estimate import estimate


@pytest.mark.parametrize(
    ("answer", "tokens"),
    [("", 0), ("yes", 1), ("The price is 48.20 yuan.", 6), ("价格是四十八元二角。", 8), ("\ud800", 1)],
)
def test_an_answers_tokens_are_told_from_its_bytes(answer: str, tokens: int) -> None:
    assert estimate("", answer, []).tokens_out == tokens


def test_a_questions_tokens_are_those_of_its_text_and_of_each_picture() -> None:
    assert estimate("12345678", "", [(280, 280), (28 * 4, 28)]).tokens_in == 2 + 100 + 4


def test_no_picture_counts_for_less_or_more_than_models_make_of_one() -> None:
    assert estimate("", "", [(1, 1)]).tokens_in == 4
    assert estimate("", "", [(20_000, 20_000)]).tokens_in == 1280
