"""Whatever is given for a setting, what is wrong with it is said without the words of a library."""

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.config import Settings, load_settings
from gateway.errors import ConfigError
from gateway.plainly import place, plainly

# What a file or a variable can hold.
VALUES = (-1, 0, 0.5, 10**30, float("nan"), float("inf"), True, "", "x", "inf", [], [5], ["x"], {}, {"x": 5}, date.min)
ENTRIES = ([{}], [{"name": ""}], [{"name": "two words"}], [5], [[]], {"m": {"x": 1}}, {"m": []})


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_no_setting_is_refused_in_a_librarys_words(name: str) -> None:
    for value in (*VALUES, *ENTRIES):
        for words in refused(name, value):
            assert not any(word in words for word in ("should", "valid ", "instance", "parse", "Literal", "type=")), (
                words
            )


def refused(name: str, value: Any) -> list[str]:
    try:
        Settings(**{"upstream": "http://localhost"} | {name: value})
    except ValidationError as error:
        return [plainly(problem) for problem in error.errors() if problem["type"] != "extra_forbidden"]
    return []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"port": "http"}, "port: must be a whole number (got 'http')"),
        ({"port": 1.5}, "port: must be a whole number (got 1.5)"),
        ({"port": 65536}, "port: must be at most 65535 (got 65536)"),
        ({"ttl_s": 0}, "ttl_s: must be above 0 (got 0)"),
        ({"ttl_s": "inf"}, "ttl_s: must be a finite number (got 'inf')"),
        ({"guard_limit": 1}, "guard_limit: must be at most 0.95 (got 1)"),
        ({"store": "redis"}, "store: must be 'embedded' or 'memory' (got 'redis')"),
        ({"dashboard_pictures": "maybe"}, "dashboard_pictures: must be true or false (got 'maybe')"),
        ({"threshold": {"blip": 1}}, "threshold.blip: must be 'clip' or 'dct' (got 'blip')"),
        ({"admin_origins": "http://x"}, "admin_origins: must be a list (got 'http://x')"),
        ({"prices": 1}, "prices: must be a table (in JSON, an object) (got 1)"),
        ({"webhooks": 5}, "webhooks: must be a list"),  # it may hold a secret
        (
            {"fetch_pictures": 5},
            'fetch_pictures: give "off", "public", or a list of hosts such as ["images.example.com"]',
        ),
        (
            {"questions": [{"name": "two words", "pattern": "a"}]},
            'questions.0.name: must be 1 to 40 letters, digits, "-" or "_" (got \'two words\')',
        ),
    ],
)
def test_a_setting_that_cannot_work_is_refused_plainly(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_settings(**{"upstream": "http://localhost"} | given)

    assert str(error.value) == words


def test_what_it_has_no_words_for_keeps_those_of_its_finder() -> None:
    problem = {"type": "value_error", "loc": ("a", 0, "[key]"), "msg": "Value error, give another"}

    assert (place(problem), plainly(problem)) == ("a.0", "give another")
