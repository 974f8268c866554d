import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.config import load_settings
from gateway.errors import ConfigError
from gateway.outcome import HitClass
from gateway.rules.lines import line_of
from gateway.rules.settings import HIT_WORDS, Rule

TRICKY = '''
upstream = "http://h"
note = """
[[rules]]
"""
# [[rules]]
[[ "rules" ]]  # the first
contains = "a"
append = \'\'\'
[[rules]]
\'\'\'
  [['rules']]
tag = "b"
[prices."*"]
per_upstream_hour = 1
currency = "EUR"
[[rules]]
tag = "c"
'''


def test_the_hit_words_are_the_hit_classes_that_have_an_answer():
    assert set(HIT_WORDS) == set(HitClass) - {HitClass.UNREAD}


@pytest.mark.parametrize(("number", "line"), [(0, 7), (1, 12), (2, 17), (3, None)])
def test_the_line_of_a_rule_is_found_in_any_spelling(number: int, line: int | None):
    assert line_of(TRICKY, number) == line
    assert line_of(TRICKY.replace("\n", "\r\n"), number) == line


def test_rules_in_an_array_are_on_the_line_of_the_array():
    text = 'upstream = "http://h"\nrules = [\n  { tag = "a" },\n  { tag = "b" },\n]\n[x]\nrules = [1]\n'

    assert line_of(text, 1) == 2
    assert line_of("[x]\nrules = [1]\n", 0) is None


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ('contains = "a"', "rule 2: does nothing: give append, prepend, replace, tag, keep = false or notify"),
        ("matches = '('\ntag = 'a'", "rule 2, matches: the pattern does not compile: missing ), unterminated"),
        ("replace = [{ pattern = 'a', with = '\\2' }]", 'rule 2, replace.0: "with" is no text for this pattern'),
        ("tag = 'a b'", 'rule 2, tag: "a b" is no tag: up to 40 of the letters a to z'),
        ("tag = 'a'\nhit = 'exat'", 'rule 2, hit: "exat" is no hit class: exact, pixel, near, miss'),
        ("tag = 'a'\ndialect = 'x'", 'rule 2, dialect: "x" is no dialect: openai-chat, '),
        ("tag = 'a'\ntenant = 'me'", 'rule 2, tenant: "me" is no tenant: give the 12 digits'),
        ("tag = 'a'\ncontain = 'me'", "rule 2, contain: is no setting"),
        ("append = 'a'\nlabel = { intent = 'x' }", "rule 2: a label is known only once the answer was delivered"),
        ("keep = false\nlabel = { intent = 'x' }", "rule 2: a label is known only once the answer was delivered"),
        ("tag = 'a'\nlabel = { intent = 'x', mood = 'y' }", "rule 2, label: name one classifier"),
        ("keep = false\nhit = 'exact'", "rule 2: keep = false: an answer of hit exact is not stored anyway"),
        ("keep = true", "rule 2, keep: "),
    ],
)
def test_a_rule_that_cannot_be_meant_is_an_error_that_names_its_line(tmp_path: Path, rule: str, words: str):
    file = tmp_path / "lookalike.toml"
    file.write_text(f'upstream = "http://h"\n[[rules]]\ntag = "fine"\n\n[[rules]]\n{rule}\n')

    with pytest.raises(ConfigError, match=re.escape(f"{file}, line 5: {words}")):
        load_settings(file)


def test_rules_from_the_environment_have_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "lookalike.toml"
    file.write_text('upstream = "http://h"\n[[rules]]\ntag = "fine"\n')
    monkeypatch.setenv("LOOKALIKE_RULES", '[{"tag": "fine"}, {"contains": "a"}]')

    with pytest.raises(ConfigError, match=r"^rule 2: does nothing"):
        load_settings(file)


@pytest.mark.parametrize("fields", [{"contains": []}, {"contains": ""}, {"append": ""}, {"replace": []}, {"tag": [""]}])
def test_an_empty_condition_or_action_is_refused(fields: dict[str, Any]):
    with pytest.raises(ValidationError):
        Rule(**({"tag": "a"} | fields))
