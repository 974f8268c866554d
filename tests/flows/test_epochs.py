"""A model is changed through the gateway, or an operator says that it was: what a client sees before and after."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from gateway.cli import cli
from tests.fakes.pictures import card
from tests.flows.conftest import Stage
from tests.flows.test_entries import audit, outcome, send

FILE = card("48.20")


def post(stage: Stage, path: str, body: Any, fake: str = "") -> httpx.Response:
    return httpx.post(f"{stage.gateway}{path}", json=body, headers={"x-fake": fake} if fake else {})


def bump(stage: Stage, *words: str, typed: str = "") -> Any:
    return CliRunner().invoke(cli, ["epoch", "bump", *words, "--url", stage.gateway], input=typed)


def entries(stage: Stage) -> list[str]:
    listed = httpx.get(f"{stage.gateway}/cache/entries").json()["entries"]
    return sorted(one["model"] for one in listed)


def until_unchanging(stage: Stage) -> None:
    for _ in range(10_000):
        if not stage.stats()["epochs"]["changing"]:
            return
    raise AssertionError("a change never ended")


@pytest.mark.parametrize(
    ("path", "body", "left"),
    [
        ("/api/pull", {"model": "qwen3-vl-8b:latest"}, ["other"]),
        ("/api/copy", {"source": "other", "destination": "qwen3-vl-8b"}, ["other"]),
        ("/v1/load_lora_adapter", {"lora_name": "other", "lora_path": "/x"}, ["qwen3-vl-8b"]),
        ("/update_weights_from_disk", {"model_path": "/x"}, []),
        ("/load_lora_adapter", {"lora_name": "x", "lora_path": "/x"}, []),
    ],
)
def test_a_change_that_went_through_retires_the_models_answers(stage: Stage, path: str, body: Any, left: list[str]):
    send(stage, FILE)
    send(stage, FILE, model="other")
    said = post(stage, path, body)
    until_unchanging(stage)

    assert said.status_code == 200
    assert json.loads(stage.upstream.seen[-1].body) == body  # byte for byte, as it came
    assert entries(stage) == left
    assert stage.stats()["epochs"]["retired"] == 2 - len(left)
    assert outcome(send(stage, FILE)) == ("exact" if "qwen3-vl-8b" in left else "first-asked")


def test_a_change_that_the_upstream_refused_retires_nothing(stage: Stage):
    send(stage, FILE)
    assert post(stage, "/api/pull", {"model": "qwen3-vl-8b"}, fake="status=401").status_code == 401
    until_unchanging(stage)

    assert outcome(send(stage, FILE)) == "exact"


def test_while_a_change_passes_questions_pass_too_and_what_was_under_way_is_not_kept(stage: Stage):
    send(stage, FILE)
    held = stage.upstream.holding = {"/api/pull": threading.Event(), "/v1/chat/completions": threading.Event()}
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(send, stage, card("11.10"))
        while stage.upstream.calls < 2:
            pass
        pulled = pool.submit(post, stage, "/api/pull", {"model": "qwen3-vl-8b"})
        while not stage.stats()["epochs"]["changing"]:
            pass
        held["/v1/chat/completions"].set()  # an answer that began before the change
        assert outcome(asked.result()) == "local-change"
        del stage.upstream.holding["/v1/chat/completions"]
        assert outcome(send(stage, FILE)) == "model-changing"
        held["/api/pull"].set()
        pulled.result()
    until_unchanging(stage)

    assert entries(stage) == []
    assert stage.stats()["not_stored"] == {"model-changed": 1}
    assert outcome(send(stage, FILE)) == "first-asked"


def test_an_operator_bumps_a_model_and_the_audit_log_has_it(stage: Stage, tmp_path: Path):
    send(stage, FILE)
    said = bump(stage, "qwen3-vl-8b", "--yes")
    assert said.exit_code == 0, said.output
    assert "1 stored answers retired" in said.stdout
    listed = json.loads(CliRunner().invoke(cli, ["epoch", "list", "--url", stage.gateway, "--json"]).stdout)

    assert outcome(send(stage, FILE)) == "first-asked"
    assert [(one["model"], one["number"], one["why"], one["retired"]) for one in listed["models"]] == [
        ("qwen3-vl-8b", 1, "operator", 1)
    ]
    assert [(line["action"], line["model"]) for line in audit(tmp_path / "cache")] == [("epoch", "qwen3-vl-8b")]
    table = CliRunner().invoke(cli, ["epoch", "list", "--url", stage.gateway])
    assert "qwen3-vl-8b" in table.stdout


def test_all_models_are_bumped_on_request_and_one_of_the_two_must_be_said(stage: Stage):
    send(stage, FILE)
    send(stage, FILE, model="other")
    for wrong in ([], ["m", "--all"]):
        assert bump(stage, *wrong).exit_code == 2
    asked = bump(stage, "--all", typed="n\n")
    assert asked.exit_code == 3
    assert "Retire every stored answer (2)?" in asked.output
    assert entries(stage) == ["other", "qwen3-vl-8b"]
    assert bump(stage, "--all", "--yes").exit_code == 0

    assert entries(stage) == []


def test_a_bump_says_how_many_answers_it_retires_and_asks_first(stage: Stage):
    send(stage, FILE)
    send(stage, FILE, model="other")
    refused, agreed = bump(stage, "OTHER:latest", typed="n\n"), bump(stage, "OTHER:latest", typed="y\n")

    assert (refused.exit_code, agreed.exit_code) == (3, 0)
    assert "Retire every stored answer of other (1)?" in refused.output
    assert "other: 1 stored answers retired" in agreed.output
    assert entries(stage) == ["qwen3-vl-8b"]
    assert [one["number"] for one in httpx.get(f"{stage.gateway}/cache/epochs").json()["models"]] == [1]


def test_a_bump_of_a_model_that_nothing_is_stored_of_says_so_and_fails(stage: Stage):
    empty = bump(stage, "qwen3-vl")
    send(stage, FILE)
    slip = bump(stage, "qwen3-vl")
    before = httpx.get(f"{stage.gateway}/cache/epochs").json()["models"]
    forced = bump(stage, "qwen3-vl", "--yes")

    assert [said.exit_code for said in (empty, slip, forced)] == [1, 1, 1]
    assert "No answer of any model is stored. Nothing was done." in empty.stderr
    assert "Nothing is stored of the model qwen3-vl. There are answers of: qwen3-vl-8b." in slip.stderr
    assert before == []
    assert "will not be kept" in forced.stderr  # what is on its way was asked of the weights before
    assert "0 stored answers retired" in forced.stdout
    assert entries(stage) == ["qwen3-vl-8b"]


def test_an_answer_that_names_no_model_is_counted_but_does_not_make_a_name_known(stage: Stage):
    send(stage, FILE, model="")
    counted = httpx.post(f"{stage.gateway}/cache/epochs", json={"model": "m", "dry_run": True}).json()

    assert counted == {"dry_run": True, "model": "m", "retired": 1, "named": 0, "models": []}
    assert entries(stage) == [""]


@pytest.mark.parametrize("body", [{}, {"model": "m", "all": True}, {"model": ""}, {"model": ":latest"}, {"x": 1}])
def test_a_bump_that_does_not_say_which_is_refused(stage: Stage, body: Any):
    assert httpx.post(f"{stage.gateway}/cache/epochs", json=body).status_code == 400


def test_a_bump_needs_the_admin_token_where_there_is_one(build: Any):
    stage = build(near=False, admin_token="very-secret-token-of-24-digits")

    assert httpx.post(f"{stage.gateway}/cache/epochs", json={"all": True}).status_code == 401


def test_a_caller_whom_the_upstream_refuses_cannot_empty_the_cache_by_hanging_up(stage: Stage):
    send(stage, FILE)
    held = stage.upstream.holding = {"/sleep": threading.Event()}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{stage.gateway}/sleep", json={}, headers={"x-fake": "status=401"}, timeout=0.2)
    assert stage.stats()["epochs"]["changing"] == ["*"]
    held["/sleep"].set()
    until_unchanging(stage)

    assert outcome(send(stage, FILE)) == "exact"


def test_a_gateway_that_cannot_reach_the_upstream_retires_nothing(build: Any):
    stage = build(upstream="http://127.0.0.1:9")
    assert post(stage, "/api/pull", {"model": "m"}).status_code == 502

    assert stage.stats()["epochs"] == {"retired": 0, "changing": []}


@pytest.mark.parametrize("body", [b"", b"{", b"x" * (5 * 2**20)])
def test_a_change_that_nobody_can_read_passes_as_it_came_and_is_about_every_model(stage: Stage, body: bytes):
    send(stage, FILE)
    said = httpx.post(f"{stage.gateway}/api/create", content=body)
    until_unchanging(stage)

    assert said.json()["body_bytes"] == len(body)
    assert entries(stage) == []


def test_a_gateway_that_does_not_even_try_to_reach_the_upstream_retires_nothing(build: Any):
    stage = build(upstream="http://127.0.0.1:9", breaker_failures=1, breaker_open_s=60, connect_retries=0)
    assert post(stage, "/api/pull", {"model": "m"}).status_code == 502
    assert post(stage, "/api/pull", {"model": "m"}).status_code == 503  # the breaker is open

    assert stage.stats()["epochs"] == {"retired": 0, "changing": []}
