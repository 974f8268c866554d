"""Every example runs, with the stand-in in a model's place, and shows what it says it shows."""

import csv
import importlib
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples import draw
from examples.stage import fields, served
from gateway.config import load_settings
from tests.fakes.upstream import FakeUpstream

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
NAMES = ("products", "parcel", "claims", "exam", "moderation")


def told(name: str, out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    run: Any = importlib.import_module(f"examples.{name}.run")

    assert run.main(["--out", str(out)]) == 0
    return capsys.readouterr().out


def table(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as rows:
        return list(csv.DictReader(rows))


def test_products_are_tagged_and_copies_cost_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    said = told("products", tmp_path, capsys)

    assert said.count("hit (near)") == 4
    assert "tags electronics" in said
    assert "tags apparel" in said
    assert said.count("tags household") == 2
    assert said.count("warranty on Apple's site") == 1
    assert "asked 4 times for 12 answers" in said
    rows = table(tmp_path / "products.csv")
    assert len(rows) == 4
    assert {row["cache"] for row in rows} == {"exact"}


def test_a_damaged_parcel_opens_one_work_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    said = told("parcel", tmp_path, capsys)

    assert "3 events came" in said
    assert said.count("hit (near)") == 1
    assert said.count("We are sorry") == 3
    orders = sorted(tmp_path.glob("work-order-*.json"))
    assert [file.name for file in orders] == ["work-order-77-1042.json", "work-order-77-1057.json"]
    assert json.loads(orders[0].read_text())["case"] == "damaged"
    assert "torn open" in json.loads(orders[0].read_text())["finding"]


def test_claims_are_assessed_and_the_severe_one_is_on_the_desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    said = told("claims", tmp_path, capsys)

    rows = {row["id"]: json.loads(row["answer"]) for row in table(tmp_path / "assessed.csv")}
    assert {name: found["severity"] for name, found in rows.items()} == {
        "claim-3001": "light",
        "claim-3002": "medium",
        "claim-3003": "severe",
    }
    assert "as the garage sent it: hit (near), tags fast-track" in said
    assert "On the adjuster's desk: BV 9046, tags severe, adjuster" in said


def test_exam_questions_are_indexed_and_another_version_is_another_question(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    said = told("exam", tmp_path, capsys)

    index = (tmp_path / "index.md").read_text()
    assert re.findall(r"^## (.+)$", index, re.MULTILINE) == [
        "Pythagoras",
        "linear functions",
        "right triangles",
        "two dice",
    ]
    assert "question 2, scanned again: hit (near), x = 3" in said
    assert "(9 in place of 7): asked, x = 4" in said


def test_what_is_flagged_is_judged_anew_and_goes_to_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    said = told("moderation", tmp_path, capsys)

    assert len(re.findall(r"(?:sunset|cat)\.png posted again by someone else: hit \(near\)\n", said)) == 2
    assert said.count("prize.png posted: asked [flagged]") == 1
    assert said.count("prize.png posted again by someone else: asked [flagged]") == 1
    assert said.count("not-allowed: blocked: it asks for card numbers") == 2
    assert said.count("(asked: You moderate posts.") == 2


def ends(name: str, *words: str) -> str:
    """The sentence with which an example gives up."""
    run: Any = importlib.import_module(f"examples.{name}.run")
    with pytest.raises(SystemExit) as end:
        run.main(list(words))
    return str(end.value)


@pytest.mark.parametrize(
    ("upstream", "words"),
    [
        ("nonsense", "The settings do not work: upstream: give a URL such as"),
        ("http://127.0.0.1:9", "No model answers at http://127.0.0.1:9: "),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_an_example_says_in_a_line_that_nothing_answers_at_an_upstream(name: str, upstream: str, words: str):
    said = ends(name, "--upstream", upstream, "--model", "m")

    assert said.startswith(words)
    assert "\n" not in said


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ((401, {"error": {"message": "no such key"}}), "HTTP 401: no such key"),
        ((404, {"detail": "Not Found"}), "HTTP 404: not as an OpenAI-compatible endpoint does"),
        ((200, {"choices": [{"message": {"content": None}}]}), "HTTP 200: not as an OpenAI-compatible"),
        ((200, ["hello"]), "HTTP 200: not as an OpenAI-compatible"),
    ],
)
def test_an_example_says_in_a_line_what_an_endpoint_refused(reply: tuple[int, Any], words: str):
    async def refuse(request: Request) -> Response:
        return JSONResponse(reply[1], reply[0])

    app = Starlette(routes=[Route("/v1/chat/completions", refuse, methods=["POST"])])
    with served(app) as upstream:
        assert words in ends("exam", "--upstream", upstream.url, "--model", "m")


@pytest.mark.parametrize(("name", "command"), [("exam", "batch"), ("products", "warm"), ("moderation", "")])
def test_an_example_says_in_a_line_that_a_model_takes_no_pictures(name: str, command: str, tmp_path: Path):
    async def answer(request: Request) -> Response:
        if b"image_url" in await request.body():
            return JSONResponse({"error": {"message": "this model takes text alone"}}, 400)
        return JSONResponse({"choices": [{"message": {"role": "assistant", "content": "ready"}}]})

    app = Starlette(routes=[Route("/v1/chat/completions", answer, methods=["POST"])])
    with served(app) as upstream:
        said = ends(name, "--upstream", upstream.url, "--model", "m", "--out", str(tmp_path))

    assert said.startswith(f"lookalike {command} failed: " if command else "http://127.0.0.1:")
    assert "this model takes text alone" in said
    assert "\n" not in said


@pytest.mark.parametrize("name", ["exam", "claims"])
def test_an_example_says_in_a_line_that_a_model_answered_in_prose(name: str, tmp_path: Path):
    with served(FakeUpstream()) as upstream:  # says "prices: …", whatever it is asked
        said = ends(name, "--upstream", f"{upstream.url}/v1", "--model", "m", "--out", str(tmp_path))

    assert said.startswith("The model did not answer with a JSON object that has ")
    assert "\n" not in said


@pytest.mark.parametrize(
    "answer", ['{"a": 1, "b": 2}', '```json\n{"a": 1, "b": 2}\n```', ' ```\n{"a": 1, "b": 2}\n``` \n']
)
def test_a_code_block_around_json_is_no_matter(answer: str):
    assert fields(answer, "a", "b") == {"a": 1, "b": 2}


@pytest.mark.parametrize("name", NAMES)
def test_the_settings_of_an_example_work_as_they_stand(name: str):
    settings = load_settings(ROOT / "examples" / name / "settings.toml")

    assert [rule.name for rule in settings.rules] == [
        rule["name"] for rule in tomllib.loads((ROOT / "examples" / name / "settings.toml").read_text())["rules"]
    ]


def test_the_pictures_are_those_that_are_drawn():
    drawn = draw.everything()
    there = {str(path.relative_to(ROOT / "examples")) for path in (ROOT / "examples").glob("*/pictures/*")}

    assert there == set(drawn)
    for place, picture in drawn.items():
        stored = Image.open(ROOT / "examples" / place).convert("RGB")
        apart = ImageChops.difference(stored, picture).convert("L").resize((72, 54))
        assert apart.getextrema()[1] < 48, place  # but for the fewer colours


def test_the_list_of_examples_names_each():
    text = (ROOT / "examples/README.md").read_text()

    assert re.findall(r"^\| `\.venv/bin/python examples/(\w+)/run\.py`", text, re.MULTILINE) == list(NAMES)
