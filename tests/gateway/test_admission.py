import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission import Admission
from gateway.capture import Tap
from gateway.errors import Overloaded


def test_more_requests_than_allowed_are_refused_and_told_when_to_ask_again() -> None:
    admission = Admission(2, 1000)
    with admission.entered(), admission.entered(), pytest.raises(Overloaded) as refused, admission.entered():
        pass

    assert refused.value.retry_after_s == 1
    assert (admission.requests, admission.shed) == (0, 1)


def test_a_body_that_does_not_fit_beside_the_others_is_refused() -> None:
    admission = Admission(9, 1000)
    with admission.entered() as first, admission.entered() as second:
        first.reserve(200)
        second.reserve(100)
        with pytest.raises(Overloaded, match="memory"):
            second.reserve(200)
        assert admission.held_bytes == 900


def test_a_body_is_counted_once_however_often_its_size_is_told() -> None:
    admission = Admission(9, 1000)
    with admission.entered() as hold:
        for size in (100, 100, 40, 120):
            hold.reserve(size)

        assert admission.held_bytes == 360


def test_one_alone_is_let_in_however_large() -> None:
    admission = Admission(9, 1000)
    with admission.entered() as large, admission.entered() as other:
        large.reserve(10_000)
        with pytest.raises(Overloaded):
            other.reserve(1)


def test_a_reply_that_there_is_no_room_for_is_not_held() -> None:
    admission = Admission(9, 1000)
    with admission.entered() as busy, admission.entered() as hold:
        busy.reserve(300)
        tap = Tap(10_000, hold.take)
        for _ in range(5):
            tap.feed(bytes(20))

        assert tap.too_large
        assert tap.taken() == b""
        assert admission.held_bytes == 960


@given(st.lists(st.lists(st.integers(0, 500), max_size=5), max_size=12))
def test_what_is_held_stays_within_bounds_and_is_given_back(requests: list[list[int]]) -> None:
    admission = Admission(1000, 2000)

    def nested(rest: list[list[int]]) -> None:
        if not rest:
            return
        with admission.entered() as hold:
            for size in rest[0]:
                before, alone = admission.held_bytes, admission.held_bytes == hold.bytes
                try:
                    hold.reserve(size)
                except Overloaded:
                    assert not alone
                hold.take(size // 2)
                assert alone or admission.held_bytes in (before, *range(2001))
            nested(rest[1:])

    nested(requests)

    assert (admission.requests, admission.held_bytes) == (0, 0)
