"""docs/rules.md is true: its examples are settings that do what the tables beside them say."""

import re
import tomllib
from pathlib import Path

import orjson
import pytest

from gateway.dialects.openai_chat import OpenAIChat
from gateway.rules.book import Facts, LeftAlone, Rulebook
from gateway.rules.edit import Report, edited
from gateway.rules.settings import Rule

DOCUMENT = (Path(__file__).parent.parent / "docs/rules.md").read_text()
SHOWN = r"^```toml\n(.*?)^```\n\n\| the model says [^\n]*\n\|[^\n]*\n((?:\|[^\n]*\n)+)"
EXAMPLES = re.findall(SHOWN, DOCUMENT, re.MULTILINE | re.DOTALL)
CASES = [
    (rules, *(cell.replace("\\n", "\n") for cell in re.findall(r"`([^`]+)`", row)))
    for rules, rows in EXAMPLES
    for row in rows.splitlines()
]


@pytest.mark.parametrize(("rules", "said", "got"), CASES)
def test_an_example_does_what_its_table_says(rules: str, said: str, got: str):
    facing = Rulebook([Rule(**rule) for rule in tomllib.loads(rules)["rules"]]).facing(
        Facts("openai-chat", "miss", "qwen3-vl")
    )
    assert facing is not None
    body = orjson.dumps({"choices": [{"index": 0, "message": {"content": said}, "finish_reason": "stop"}]})
    made = edited(OpenAIChat(), facing, body, False, Report())

    assert orjson.loads(made)["choices"][0]["message"]["content"] == got


def test_the_document_names_every_field_of_a_rule_and_every_reason():
    fields = set(re.findall(r"^\| `(\w+) = ", DOCUMENT, re.MULTILINE)) | {"name"}
    reasons = re.findall(r"^\| `([a-z-]+)` \|", DOCUMENT, re.MULTILINE)

    assert len(CASES) == 6
    assert fields == set(Rule.model_fields)
    assert reasons == list(LeftAlone)
