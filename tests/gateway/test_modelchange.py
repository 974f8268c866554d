"""Which requests change a model, and of which name."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects import DIALECTS
from gateway.modelchange import EVERY, began, change_by, concerns, normal


def changed(path: str, body: object, method: str = "POST") -> str | None:
    change = change_by(method, path)
    return change.model(json.dumps(body).encode()) if change else None


@pytest.mark.parametrize(
    ("path", "body", "model"),
    [
        ("/api/pull", {"model": "qwen3-vl:8b"}, "qwen3-vl:8b"),
        ("/api/pull", {"name": "Qwen3-VL:latest", "stream": False}, "qwen3-vl"),
        ("/api/create", {"model": "registry.ollama.ai/library/mario", "from": "llama"}, "mario"),
        ("/api/copy", {"source": "a", "destination": "b"}, "b"),
        ("/api/delete", {"model": "b"}, "b"),
        ("/v1/load_lora_adapter", {"lora_name": "sql", "lora_path": "/x"}, "sql"),
        ("/v1/unload_lora_adapter", {"lora_name": "sql"}, "sql"),
        ("/load_lora_adapter", {"lora_name": "sql", "lora_path": "/x"}, EVERY),
        ("/unload_lora_adapter", {"lora_name": "sql"}, EVERY),
        ("/update_weights_from_disk", {"model_path": "/x"}, EVERY),
        ("/update_weights_from_tensor", {}, EVERY),
        ("/update_weights", {}, EVERY),
        ("/wake_up", {}, EVERY),
        ("/lora-adapters", [], EVERY),
        ("/models/load", {"model": "x"}, EVERY),
        ("/prefix//API/Pull/", {"model": "x"}, "x"),
        ("/api/pull", {"MODEL": "x"}, "x"),
        # In doubt, all of them.
        ("/api/pull", {"MODEL": "x", "model": "y"}, EVERY),
        ("/api/pull", {"model": 3}, EVERY),
        ("/api/pull", {"model": ""}, EVERY),
        ("/api/pull", {"model": "x" * 1000}, EVERY),
        ("/api/pull", ["x"], EVERY),
        # What changes nothing.
        ("/api/chat", {"model": "x"}, None),
        ("/api/push", {"model": "x"}, None),
        ("/v1/chat/completions", {"model": "x"}, None),
        ("/v1/models", {}, None),
    ],
)
def test_a_change_is_told_by_its_path_and_its_model_by_the_body(path: str, body: object, model: str | None) -> None:
    assert changed(path, body) == model


def test_what_only_lists_is_no_change() -> None:
    assert change_by("GET", "/lora-adapters") is None
    assert change_by("HEAD", "/api/pull") is None
    assert change_by("GET", "/resume_memory_occupation") is not None


def test_a_body_that_was_too_large_to_be_read_is_about_every_model() -> None:
    change = change_by("POST", "/api/create")

    assert change is not None
    assert change.model(None) == change.model(b"{\xff") == change.model(b'{"model":"a","model":"b"}') == EVERY


def test_no_path_of_a_dialect_is_a_change() -> None:
    paths = "/v1/chat/completions /v1/responses /v1/messages /api/chat /api/generate /x/services/y/inference".split()

    assert all(any(dialect.claims(path) for dialect in DIALECTS) for path in paths[:5])
    assert not any(change_by("POST", path) for path in paths)


@given(st.text(max_size=30))
def test_a_normal_name_stays_as_it_is_or_gets_shorter_still(name: str) -> None:
    assert concerns(EVERY, normal(name))
    assert normal(normal(name).upper().casefold()) == normal(normal(name))


def test_only_a_refusal_before_anything_was_begun_leaves_a_model_as_it_was() -> None:
    assert [status for status in (200, 202, 400, 401, 403, 404, 405, 500, 502) if not began(status)] == [
        *(401, 403, 404, 405)
    ]


def test_an_answer_that_names_no_model_may_be_of_any() -> None:
    assert concerns("a", "")
    assert concerns("a", "a")
    assert not concerns("a", "b")
