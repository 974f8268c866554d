"""A model's reply to a label."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.labels.reading import label_of, question

LABELS = ("technical_issue", "issue", "refund", "质量问题")


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("refund", "refund"),
        ("  Refund.\n", "refund"),
        ('"REFUND"', "refund"),
        ("ＲＥＦＵＮＤ", "refund"),
        ("Technical issue", "technical_issue"),
        ("**technical_issue**", "technical_issue"),
        ("issue", "issue"),
        ("The label is: refund", "refund"),
        ("质量问题。", "质量问题"),
        ("<think>a refund? no, a technical issue</think>\ntechnical_issue", "technical_issue"),
        ("refund or technical_issue", None),
        ("refunded", None),
        ("none of them", None),
        ("", None),
        ("I think " * 300 + "refund", None),
    ],
)
def test_a_reply_is_read(reply: str, label: str | None):
    assert label_of(reply, LABELS) == label


@given(st.text())
def test_nothing_but_a_label_ever_comes_out(reply: str):
    assert label_of(reply, LABELS) in (*LABELS, None)


@given(st.sampled_from(LABELS), st.sampled_from(["{}", " {}.", "'{}'", "Label: {}", "{}\n"]))
def test_a_label_said_plainly_is_found(label: str, form: str):
    assert label_of(form.format(label), LABELS) == label


def test_an_answer_is_not_taken_for_a_place_of_the_template():
    asked = question("{prompt}|{answer}|{labels}|{other}", ("a", "b"), "what {answer}?", "{prompt} {labels}")

    assert asked == "what {answer}?|{prompt} {labels}|a, b|{other}"
