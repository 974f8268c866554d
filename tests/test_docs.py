"""The documents are true: every setting and every reason is in them, every file is on the map, and the reverse."""

import re
import tomllib
from pathlib import Path

from cache.verdict import Doubt
from gateway.config import Settings
from gateway.question import Alone, Bypass, Unstored
from gateway.strictness import DEFAULT_KINDS, Kind

ROOT = Path(__file__).parent.parent


def table_words(document: str) -> list[str]:
    """The first cell of each table row, where it is a code word."""
    return re.findall(r"^\| `([^`]+)` \|", (ROOT / document).read_text(), re.MULTILINE)


def test_every_setting_is_documented_and_no_other():
    documented = table_words("docs/configuration.md")

    assert sorted(word for word in documented if word.isidentifier() and word.islower()) == sorted(
        Settings.model_fields
    )


def test_the_documented_defaults_are_the_defaults():
    rows = dict(
        re.findall(r"^\| `([a-z_]+)` \| `([^`]+)` \|", (ROOT / "docs/configuration.md").read_text(), re.MULTILINE)
    )
    plain = {name: field.default for name, field in Settings.model_fields.items() if name in rows}

    assert {name: str(default) for name, default in plain.items()} == rows


def test_the_documented_kinds_of_question_are_those_that_ship():
    blocks = re.findall(r"^```toml\n(.*?)^```", (ROOT / "docs/configuration.md").read_text(), re.MULTILINE | re.DOTALL)
    shown = [tomllib.loads(block).get("questions", []) for block in blocks]

    assert [Kind(**kind) for kind in shown[1]] == list(DEFAULT_KINDS)
    assert Settings(upstream="http://h", questions=shown[2]).questions[-1].name == "pathology"


def test_every_reason_is_documented_and_no_other():
    words = table_words("docs/reasons.md")

    assert sorted(words) == sorted([*Bypass, *Doubt, *Unstored, *Alone])


def test_the_map_in_architecture_names_every_file_and_no_other():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"^\| `([a-z_/]+\.py)`", text, re.MULTILINE))
    there = {
        str(path.relative_to(ROOT))
        for package in ("gateway", "cache", "embeddings")
        for path in (ROOT / package).rglob("*.py")
    }

    assert {path for path in there if not path.endswith("__init__.py")} == {
        path for path in named if not path.endswith("__init__.py")
    }


def test_no_file_outgrows_its_idea():
    sizes = {
        path: len(path.read_text().splitlines())
        for package in ("gateway", "cache", "embeddings")
        for path in (ROOT / package).rglob("*.py")
    }

    assert {str(path): lines for path, lines in sizes.items() if lines > 350} == {}


def test_every_test_that_a_promise_of_security_names_is_there():
    named = re.findall(r"`(tests/[a-z_/]+\.py)::(\w+)`", (ROOT / "SECURITY.md").read_text())
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / path).is_file() or not re.search(rf"def {name}\(", (ROOT / path).read_text())
    ]

    assert missing == []
    assert len(named) > 30
