"""Both languages say everything, and numbers and times are said as people read them."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.verdict import Doubt
from gateway.admin.dashboard import reasons
from gateway.admin.dashboard.words import _WORDS, Lang, Words, chosen
from gateway.question import Bypass

EN, ZH = Words(Lang.EN), Words(Lang.ZH)


def test_every_word_is_there_in_both_languages_with_the_same_values():
    def values(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    assert [key for key, (en, zh) in _WORDS.items() if not en or not zh] == []
    assert [key for key, (en, zh) in _WORDS.items() if values(en) != values(zh)] == []


@pytest.mark.parametrize("reason", [*Doubt, *Bypass, "no-cache"])
@pytest.mark.parametrize("lang", list(Lang))
def test_every_reason_has_words_in_both_languages(reason: str, lang: Lang):
    assert reasons.sentence(reason, lang)
    assert reasons.short(reason, Lang.ZH) != reasons.short(reason, Lang.EN)


def test_a_reason_that_is_newer_than_its_words_is_still_readable():
    assert reasons.short("some-new-reason", Lang.ZH) == "some new reason"
    assert reasons.sentence("some-new-reason", Lang.EN) == ""


@pytest.mark.parametrize(
    ("named", "accept", "lang"),
    [
        (None, "", Lang.EN),
        (None, "zh-CN,zh;q=0.9,en;q=0.8", Lang.ZH),
        (None, "fr, en;q=0.3, zh;q=0.7", Lang.ZH),
        (None, "en, zh", Lang.EN),
        (None, "zh;q=0, en;q=0.1", Lang.EN),
        ("en", "zh", Lang.EN),
        ("klingon", "zh-TW", Lang.ZH),
    ],
)
def test_the_language_is_the_one_chosen_or_else_the_browsers_first(named: str | None, accept: str, lang: Lang):
    assert chosen(named, accept) is lang


@given(st.text(), st.text())
def test_any_header_gives_a_language(named: str, accept: str):
    assert chosen(named, accept) in list(Lang)


@pytest.mark.parametrize(
    ("seconds", "en", "zh"),
    [
        (0, "0 ms", "0 ms"),
        (0.0012, "1.2 ms", "1.2 ms"),
        (0.105, "105 ms", "105 ms"),
        (1.25, "1.2 s", "1.2 s"),
        (90, "1 min 30 s", "1 分 30 秒"),
        (3600, "1 h", "1 小时"),
        (86400 * 3 + 7200 + 5, "3 d 2 h", "3 天 2 小时"),
    ],
)
def test_a_time_is_said_in_the_units_that_say_something(seconds: float, en: str, zh: str):
    assert (EN.seconds(seconds), ZH.seconds(seconds)) == (en, zh)


@pytest.mark.parametrize(
    ("seconds", "en", "zh"),
    [
        (-5, "just now", "刚刚"),
        (1, "just now", "刚刚"),
        (59, "59 s ago", "59 秒前"),
        (119, "1 min ago", "1 分前"),
        (7300, "2 h ago", "2 小时前"),
        (86400 * 40, "40 d ago", "40 天前"),
    ],
)
def test_how_long_ago_is_said_in_one_unit(seconds: float, en: str, zh: str):
    assert (EN.ago(seconds), ZH.ago(seconds)) == (en, zh)


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0.00 USD"), (1234.5, "1,234.50 USD"), (0.0637, "0.0637 USD"), (0.000637, "0.000637 USD"), (-3, "-3.00 USD")],
)
def test_a_small_sum_is_not_said_to_be_nothing(value: float, said: str):
    assert EN.money(value, "USD") == said


def test_shares_and_bytes():
    assert (EN.percent(0.5184), ZH.percent(0.5184), EN.percent(None)) == ("51.8 %", "51.8%", "–")
    assert [EN.bytes(count) for count in (0, 999, 964_000, 10_700_000_000)] == ["0 B", "999 B", "964 KB", "10.7 GB"]
