"""How long to wait, and whether to."""

import random

import pytest

from gateway.backoff import delay_s, may_retry, named_s

NOW_S = 1_700_000_000.0


class Never(random.Random):
    def random(self) -> float:
        return 0.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "7", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 GMT"}, 30.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
    ],
)
def test_what_a_server_names_is_read_as_seconds_or_as_a_date(headers: dict[str, str], seconds: float | None):
    assert named_s(headers, NOW_S) == seconds


def test_without_a_word_of_the_server_the_wait_doubles_up_to_a_minute():
    assert [delay_s(attempt, None, Never()) for attempt in (1, 2, 3, 7, 50)] == [1, 2, 4, 60, 60]


def test_what_the_server_names_counts_and_chance_only_adds():
    waits = [delay_s(1, 10.0, random.Random(seed)) for seed in range(50)]

    assert all(10 <= wait <= 12.5 for wait in waits)
    assert len(set(waits)) == 50


def test_only_what_may_pass_is_tried_again():
    assert [
        status for status in (400, 401, 403, 404, 408, 413, 422, 429, 500, 502, 503, 504, 529) if may_retry(status)
    ] == [
        408,
        429,
        500,
        502,
        503,
        504,
        529,
    ]
