import re
from enum import StrEnum

import pytest

from cache.verdict import Different, Doubt, Same
from gateway.question import Bypass, Unstored

REASONS: tuple[type[StrEnum], ...] = (Bypass, Doubt, Unstored)


def test_every_reason_is_one_word_of_its_own() -> None:
    words = [reason.value for kind in REASONS for reason in kind]

    assert sorted(set(words)) == sorted(words)


@pytest.mark.parametrize("kind", REASONS)
def test_every_reason_can_stand_in_a_header_a_log_line_and_a_label(kind: type[StrEnum]) -> None:
    for reason in kind:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", reason.value)
        assert reason.value == f"{reason}"


def test_no_reason_is_taken_for_a_wish_of_the_callers() -> None:
    # These stand in the same place of the header and the statistics, see gateway.account.Trail.requested.
    words = {reason.value for kind in (Bypass, Doubt) for reason in kind}

    assert words.isdisjoint({"no-cache", "only-if-cached", "exact", "pixel", "near"})


def test_verdicts_are_values() -> None:
    assert Same(0.5) == Same(0.5) != Same(0.6)
    assert Different(Doubt.TONE) == Different(Doubt.TONE, None) != Different(Doubt.NOISE)
