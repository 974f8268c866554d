"""Rules that name what the settings do not have are start-up errors, with their line."""

from pathlib import Path

import pytest

from gateway.config import load_settings
from gateway.errors import ConfigError

HEAD = """upstream = "http://h"
[[webhooks]]
name = "orders"
url = "https://h/x"
secret = "sixteen characters"
[[classifiers]]
name = "case"
model = "m"
labels = ["damaged", "whole"]
prompt = "{answer}"
"""


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ('notify = "engineers"', 'notify: there is no webhook "engineers": orders'),
        ('tag = "x"\nlabel = { kind = "a" }', 'label: there is no classifier "kind": case'),
        ('tag = "x"\nlabel = { case = ["whole", "torn"] }', 'label: "torn" is none of case: damaged, whole'),
    ],
)
def test_a_name_that_is_not_there(rule: str, words: str, tmp_path: Path):
    file = tmp_path / "settings.toml"
    file.write_text(f"{HEAD}[[rules]]\nkeep = false\n[[rules]]\n{rule}\n")

    with pytest.raises(ConfigError) as caught:
        load_settings(file)
    assert str(caught.value) == f"{file}, line 13: rule 2: {words}"


def test_names_that_are_there(tmp_path: Path):
    file = tmp_path / "settings.toml"
    file.write_text(f'{HEAD}[[rules]]\nlabel = {{ case = "whole" }}\nnotify = "orders"\n')

    assert load_settings(file).rules[0].notify == ("orders",)
