"""The `lookalike` command as people meet it."""

import json
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from gateway.cli import cli
from gateway.config import Settings
from gateway.demo import cards
from tests.fakes.pictures import card, jpeg
from tests.fakes.upstream import FakeUpstream
from tests.flows.conftest import Build, build, gateway_over, serving, wait_until_noted  # noqa: F401 - a fixture
from tests.flows.test_passthrough import question

runner = CliRunner()


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["serve"],
        ["demo"],
        ["check"],
        ["stats"],
        ["calibrate"],
        ["compare"],
        ["evaluate"],
        ["purge"],
        ["forget"],
        ["feedback"],
        ["warm"],
        ["batch"],
    ],
)
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


def test_check_prints_the_kinds_of_question_in_force_and_what_is_doubtful(tmp_path: Path):
    file = tmp_path / "lookalike.toml"
    file.write_text(
        f'upstream = "http://127.0.0.1:9"\ncache_dir = "{tmp_path}/store"\nprivacy = "strict"\nthreshold = 0.5\n'
        '[[questions]]\nname = "reading"\nmode = "pixel"\nguard = "strict"\nthreshold = 0.9\n'
    )
    said = runner.invoke(cli, ["check", "--config", str(file)], env=DCT).output

    assert "reading: mode pixel, guard limit 0.8, threshold 0.9 or the embedder's, if higher" in said
    assert "counting: mode near, guard limit 0.95" in said
    assert "strict: near hits reach only pictures answered since the gateway started" in said
    assert "threshold 0.5 is below dct's calibrated 0.65" in said


def test_check_erases_nothing_and_says_what_a_strict_start_will(tmp_path: Path):
    with serving(FakeUpstream()) as upstream:
        settings = Settings(upstream=upstream, cache_dir=tmp_path / "store", embedder="dct")
        with gateway_over(settings) as stage:
            httpx.post(f"{stage.gateway}/v1/chat/completions", json=question(card("48.20")))
        before = b"".join(sorted(file.read_bytes() for file in (tmp_path / "store").rglob("*.db")))
        command = ["check", "--upstream", upstream, "--cache-dir", str(tmp_path / "store")]
        said = runner.invoke(cli, command, env=DCT | {"LOOKALIKE_PRIVACY": "strict"})

    assert said.exit_code == 0
    assert "erases them when it starts under strict privacy" in said.output
    assert b"LKE2" in before
    assert b"LKE2" in b"".join(sorted(file.read_bytes() for file in (tmp_path / "store").rglob("*.db")))


def test_check_names_the_kind_whose_pattern_does_not_compile(tmp_path: Path):
    file = tmp_path / "lookalike.toml"
    file.write_text('upstream = "http://127.0.0.1:9"\n[[questions]]\nname = "labels"\npattern = "(label"\n')
    said = runner.invoke(cli, ["check", "--config", str(file)], env=DCT)

    assert said.exit_code == 2
    assert '"labels": the pattern does not compile' in said.output


def test_check_names_a_misspelt_setting(tmp_path: Path):
    file = tmp_path / "lookalike.toml"
    file.write_text('upstrem = "http://localhost:8000"\n')
    said = runner.invoke(cli, ["check", "--config", str(file)])

    assert said.exit_code == 2
    assert "upstrem: is no setting" in said.output


def test_stats_shows_a_running_gateways_savings(build: Build):  # noqa: F811
    stage = build()
    for _ in range(2):
        httpx.post(f"{stage.gateway}/v1/chat/completions", json=question(card("48.20")))  # "Price?"
    table = runner.invoke(cli, ["stats", "--url", stage.gateway])
    raw = runner.invoke(cli, ["stats", "--url", f"{stage.gateway}/v1", "--json"])

    assert table.exit_code == 0
    assert "50.0%" in table.output
    assert "unknown: set [prices] for" in table.output
    assert "bytes at the median" in table.output
    assert "reading" in table.output
    assert json.loads(raw.output)["hits"]["exact"] == 1


def test_stats_can_be_of_a_window_and_by_model(build: Build):  # noqa: F811
    stage = build(near=False)
    for _ in range(2):
        httpx.post(f"{stage.gateway}/v1/chat/completions", json=question(card("48.20")) | {"stream": True})
    told = runner.invoke(cli, ["stats", "--url", stage.gateway, "--window", "24h", "--by", "model"])
    refused = runner.invoke(cli, ["stats", "--by", "price"])

    assert told.exit_code == 0
    assert "last 24h" in told.output
    assert "estimated: " in told.output
    assert "(medians)" in told.output
    assert "hit rate" in told.output
    assert refused.exit_code == 2
    assert "hit_class" in refused.output


def test_stats_without_a_gateway_says_so():
    said = runner.invoke(cli, ["stats", "--url", "http://127.0.0.1:9"])

    assert said.exit_code == 1
    assert "Is it running?" in said.output


def test_calibrate_without_a_log_says_how_to_get_one(tmp_path: Path):
    said = runner.invoke(cli, ["calibrate", "--cache-dir", str(tmp_path)])

    assert said.exit_code == 1
    assert f"{tmp_path / 'shadow.jsonl'}" in said.output
    assert "--mode shadow" in said.output


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 1, "No request is in"),
        (b"not a line of ours\n", 2, "is no shadow log of this version: none of its 1 lines is a request"),
        (b"\x89PNG\r\n\xff\xfe\n", 2, "is no shadow log of this version"),
        (None, 2, "There is no shadow log to read at"),
    ],
)
def test_calibrate_tells_a_log_without_a_request_from_a_file_that_is_none(
    tmp_path: Path, content: bytes | None, status: int, words: str
):
    log = tmp_path / "copied.jsonl"
    if content is not None:
        log.write_bytes(content)
    said = runner.invoke(cli, ["calibrate", "--log", str(log)])

    assert said.exit_code == status
    assert words in said.output


def test_calibrate_reads_what_a_gateway_in_shadow_mode_noted(build: Build, tmp_path: Path):  # noqa: F811
    stage = build(mode="shadow")
    for price in ("48.20", "48.20", "48.26"):
        httpx.post(f"{stage.gateway}/v1/chat/completions", json=question(card(price)))
    picture = jpeg(cards.draw("48.20"), 85)
    httpx.post(f"{stage.gateway}/v1/chat/completions", json=question(picture))
    wait_until_noted(stage)
    told = runner.invoke(cli, ["calibrate", "--cache-dir", str(tmp_path / "cache")], env={"COLUMNS": "100"})
    raw = runner.invoke(cli, ["calibrate", "--json"], env={"LOOKALIKE_CACHE_DIR": str(tmp_path / "cache")})
    shown = runner.invoke(cli, ["stats", "--url", stage.gateway])

    assert told.exit_code == 0
    assert "Keep shadow mode on: 298 more near hits" in told.output
    assert 'mode = "shadow"' in told.output
    found = json.loads(raw.output)
    assert found["requests"] == 4
    assert found["would_be"] == {"miss": 2, "exact": 1, "near": 1}
    assert found["misses"] == {"first-asked": 1, "local-change": 1}
    assert found["refused"] == {"local-change": {"agreed": 0, "disagreed": 1, "not_compared": 0}}
    assert found["model_with_itself"]["compared"] == 1
    assert found["advice"]["toml"] == 'mode = "shadow"'
    assert "would-be hits" in shown.output
    assert "2  (exact 1, pixel 0, near 1)" in shown.output


DCT = {"LOOKALIKE_EMBEDDER": "dct"}


def test_check_says_whom_the_gateway_may_be_made_to_connect_to(tmp_path: Path):
    file = tmp_path / "lookalike.toml"
    file.write_text(
        f'upstream = "http://127.0.0.1:9"\ncache_dir = "{tmp_path}/store"\n'
        'fetch_pictures = ["images.example.com"]\nfetch_private_hosts = ["[::1]:9000"]\n'
    )
    said = runner.invoke(cli, ["check", "--config", str(file)], env=DCT).output

    assert "pictures of images.example.com; private: [::1]:9000; the upstream gets each inline" in said
