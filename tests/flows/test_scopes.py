"""Nobody gets an answer that is another's: another key's, another deployment's, another account's."""

from typing import Any

import httpx
import pytest

from tests.fakes.pictures import card
from tests.flows.conftest import Stage
from tests.flows.test_passthrough import question

PATH = "/v1/chat/completions"


def status(stage: Stage, path: str = PATH, **headers: str) -> str:
    body = {key: value for key, value in question(card("48.20")).items() if key != "model"}
    reply = httpx.post(stage.gateway + path, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})
    return reply.headers["cache-status"].removeprefix("lookalike; ").partition(";")[0]


def test_a_deployment_named_in_the_path_alone_has_its_own_answers(stage: Stage):
    first, second = ("/openai/deployments/a/chat/completions", "/openai/deployments/b/chat/completions")

    assert [status(stage, path) for path in (first, first, second)] == ["fwd=miss", "hit", "fwd=miss"]


def test_with_or_without_v1_the_question_is_one(stage: Stage):
    assert [status(stage, path) for path in (PATH, "/chat/completions")] == ["fwd=miss", "hit"]


@pytest.mark.parametrize(
    "name",
    ["authorization", "x-api-key", "api-key", "x-auth-token", "ocp-apim-subscription-key", "cookie", "x-my-secret"],
)
def test_whatever_field_says_who_asks_keeps_answers_apart(stage: Stage, name: str):
    alice, mallory = ({name: "alice"}, {name: "mallory"})

    assert [status(stage, **who) for who in (alice, alice, mallory)] == ["fwd=miss", "hit", "fwd=miss"]
    assert status(stage) == "fwd=miss"


@pytest.mark.parametrize("name", ["openai-organization", "openai-project", "x-dashscope-workspace", "anthropic-beta"])
def test_another_account_or_version_is_another_scope(stage: Stage, name: str):
    assert [status(stage, **{name: value}) for value in ("a", "a", "b")] == ["fwd=miss", "hit", "fwd=miss"]


def test_a_query_is_part_of_the_scope(stage: Stage):
    paths = [f"{PATH}?api-version=1", f"{PATH}?api-version=1", f"{PATH}?api-version=2"]

    assert [status(stage, path) for path in paths] == ["fwd=miss", "hit", "fwd=miss"]


@pytest.mark.parametrize("name", ["x-request-id", "x-stainless-retry-count", "user-agent", "traceparent", "cookie"])
def test_what_changes_with_every_call_does_not_keep_answers_apart(stage: Stage, name: str):
    found = [status(stage, authorization="Bearer sk", **{name: value}) for value in ("a", "b")]

    assert found == ["fwd=miss", "hit"]


def test_a_models_name_cannot_write_lines_into_the_log(stage: Stage, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO", "lookalike.access")
    body: dict[str, Any] = question(card("48.20")) | {"model": "m\n12:00:00 INFO forged \x1b[31m"}
    httpx.post(stage.gateway + PATH, json=body)
    stage.stats()
    models = [record.facts["model"] for record in caplog.records if "model" in getattr(record, "facts", {})]

    assert models == ["m?12:00:00?INFO?forged??[31m"]
