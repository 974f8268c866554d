import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.verdict import Doubt
from gateway.shadow import (
    Agreement,
    Candidate,
    Kind,
    Observation,
    WouldServe,
    agree,
    from_line,
    numbers,
    to_line,
)
from tests.examples import examples

TEXTS = st.text(max_size=60)
AGREEMENTS = st.builds(
    Agreement, st.booleans(), st.floats(0, 1), st.booleans(), st.integers(0, 10**6), st.integers(0, 10**6)
)
FLOATS = st.floats(0, 1e9)
CANDIDATES = st.builds(
    Candidate, st.floats(-1, 1), st.none() | st.sampled_from(Doubt), st.none() | FLOATS, st.none() | AGREEMENTS
)
OBSERVATIONS = st.builds(
    Observation,
    time_s=FLOATS,
    model=st.text(max_size=20),
    dialect=st.just("openai-chat"),
    question=st.text("0123456789abcdef", min_size=12, max_size=12),
    pictures=st.integers(1, 9),
    would_be=st.sampled_from(Kind),
    doubt=st.none() | st.sampled_from(Doubt),
    similarity=st.none() | st.floats(-1, 1),
    score=st.none() | FLOATS,
    space=st.none() | st.just("dct@v1/163"),
    threshold=st.none() | st.floats(0, 1),
    tokens_in=st.none() | st.integers(0, 10**6),
    tokens_out=st.none() | st.integers(0, 10**6),
    upstream_s=FLOATS,
    money=st.none() | FLOATS,
    currency=st.none() | st.just("EUR"),
    unread=st.none() | st.just("cut-short"),
    agreement=st.none() | AGREEMENTS,
    candidates=st.lists(CANDIDATES, max_size=2).map(tuple),
)


@pytest.mark.parametrize(
    ("stored", "fresh"),
    [
        ("It costs 48.20.", "it costs  48.20.\n"),
        ("价格：４８", "价格:48"),
        ("−5 °C", "-5 °C"),
        ("", "  "),
    ],
)
def test_width_case_white_space_and_the_kind_of_minus_make_no_other_text(stored: str, fresh: str) -> None:
    found = agree(stored, fresh)

    assert (found.same, found.similarity, found.numbers_agree) == (True, 1.0, True)
    assert (found.stored_chars, found.fresh_chars) == (len(stored), len(fresh))


@pytest.mark.parametrize(
    ("stored", "fresh"),
    [
        ("Total 1,234.50", "The total is 1234.5"),
        ("5 of 10", "of 10, 5"),
        ("48.20 EUR", "EUR 48.2"),
        ("012", "number 12"),
        ("3 and 3", "3"),
        ("no number", "none at all"),
    ],
)
def test_the_same_numbers_in_other_words_agree_in_their_numbers(stored: str, fresh: str) -> None:
    found = agree(stored, fresh)

    assert not found.same
    assert found.similarity < 1
    assert found.numbers_agree


@pytest.mark.parametrize(
    ("stored", "fresh"),
    [
        ("It costs 48.20.", "It costs 48.26."),
        ("It costs 48.20.", "It costs 4820."),
        ("-5 °C", "5 °C"),
        ("2 vases", "vases"),
        ("1,234", "1.234"),
        ("1.2.3", "1.2.4"),
        ("数量 3", "数量 8"),
        ("9" * 60, "9" * 59 + "8"),
    ],
)
def test_another_digit_point_or_sign_is_another_number(stored: str, fresh: str) -> None:
    assert not agree(stored, fresh).numbers_agree


def test_a_hyphen_in_a_date_or_a_word_is_no_minus_sign() -> None:
    assert numbers("2024-05-06, covid-19") == {"2024", "5", "6", "19"}


@examples(100)
@given(TEXTS, TEXTS)
def test_agreement_has_no_direction_and_stays_between_nothing_and_one(stored: str, fresh: str) -> None:
    there, back = agree(stored, fresh), agree(fresh, stored)

    assert (there.same, there.similarity, there.numbers_agree) == (back.same, back.similarity, back.numbers_agree)
    assert 0 <= there.similarity <= 1
    assert there.similarity == 1 or not there.same
    assert agree(stored, stored).same


def test_an_answer_of_megabytes_is_compared_in_no_time_and_a_change_at_its_end_is_seen() -> None:
    long = "word " * 400_000
    found = agree(long + "1", long + "2")

    assert not found.same
    assert found.similarity == 1.0  # of what is compared
    assert not found.numbers_agree


@examples(60)
@given(OBSERVATIONS)
def test_a_line_is_read_back_as_it_was_written(observation: Observation) -> None:
    line = to_line(observation)

    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert observation == from_line(line)


@examples(60)
@given(OBSERVATIONS, st.data())
def test_a_damaged_line_is_a_value_error_and_nothing_else(observation: Observation, data: st.DataObject) -> None:
    line = to_line(observation)
    cut = line[: data.draw(st.integers(0, len(line) - 2))]

    for broken in (cut, b"\x00" + line, line.replace(b'"version":1', b'"version":2'), b"[]", b"null", b"\xff"):
        with pytest.raises(ValueError):
            from_line(broken)


def test_the_header_says_what_it_would_have_been_why_not_and_for_which_question() -> None:
    hit = WouldServe(Kind.NEAR, "3fa1c0de99b2", similarity=0.99, score=0.4)
    miss = WouldServe(Kind.MISS, "3fa1c0de99b2", Doubt.LOCAL_CHANGE, 0.98)

    assert hit.header() == 'near; question="3fa1c0de99b2"'
    assert miss.header() == 'miss; detail=local-change; question="3fa1c0de99b2"'
