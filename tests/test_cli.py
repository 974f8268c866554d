"""The `lookalike` command as people meet it."""

import json
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from gateway.cli import cli
from tests.fakes.pictures import card
from tests.flows.conftest import Build, build  # noqa: F401 - a fixture
from tests.flows.test_passthrough import question

runner = CliRunner()


@pytest.mark.parametrize("command", [[], ["serve"], ["demo"], ["check"], ["stats"], ["compare"], ["evaluate"]])
def test_every_command_explains_itself(command: list[str]):
    said = runner.invoke(cli, [*command, "--help"])

    assert said.exit_code == 0
    assert "Usage:" in said.output


def test_serve_without_an_upstream_says_how_to_give_one():
    said = runner.invoke(cli, ["serve"])

    assert said.exit_code == 2
    assert "--upstream" in said.output
    assert "LOOKALIKE_UPSTREAM" in said.output


@pytest.mark.slow
def test_the_demo_tells_its_story_and_every_answer_is_right():
    said = runner.invoke(cli, ["demo", "--json"])
    told = json.loads(said.output)

    assert said.exit_code == 0
    assert [outcome["cache"].rpartition("detail=")[2] for outcome in told["outcomes"]][:5] == [
        "first-asked",
        "exact",
        "pixel",
        "near",
        "near",
    ]
    assert all(outcome["right"] for outcome in told["outcomes"])
    assert told["stats"]["hits"]["total"] == 4


def test_check_finds_nothing_wrong_with_what_works(build: Build, tmp_path: Path):  # noqa: F811
    stage = build()
    httpx.post(f"{stage.gateway}/v1/chat/completions", json=question(card("48.20")))
    other = str(tmp_path / "other")
    said = runner.invoke(cli, ["check", "--upstream", stage.upstream_url, "--cache-dir", other], env=DCT)

    assert said.exit_code == 0
    assert "WRONG" not in said.output


def test_check_says_what_is_wrong_and_goes_on(tmp_path: Path):
    said = runner.invoke(cli, ["check", "--upstream", "http://127.0.0.1:9", "--cache-dir", str(tmp_path)], env=DCT)

    assert said.exit_code == 1
    assert "cannot be reached" in said.output
    assert "embedder" in said.output


def test_check_names_a_misspelt_setting(tmp_path: Path):
    file = tmp_path / "lookalike.toml"
    file.write_text('upstrem = "http://localhost:8000"\n')
    said = runner.invoke(cli, ["check", "--config", str(file)])

    assert said.exit_code == 2
    assert "upstrem: is no setting" in said.output


def test_stats_shows_a_running_gateways_savings(build: Build):  # noqa: F811
    stage = build()
    for _ in range(2):
        httpx.post(f"{stage.gateway}/v1/chat/completions", json=question(card("48.20")))
    table = runner.invoke(cli, ["stats", "--url", stage.gateway])
    raw = runner.invoke(cli, ["stats", "--url", f"{stage.gateway}/v1", "--json"])

    assert table.exit_code == 0
    assert "50.0%" in table.output
    assert "unknown: set" in table.output
    assert json.loads(raw.output)["hits"]["exact"] == 1


def test_stats_without_a_gateway_says_so():
    said = runner.invoke(cli, ["stats", "--url", "http://127.0.0.1:9"])

    assert said.exit_code == 1
    assert "Is it running?" in said.output


DCT = {"LOOKALIKE_EMBEDDER": "dct"}
