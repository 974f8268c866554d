"""Known answers through `lookalike import`, and the very requests that clients send afterwards."""

import json
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from gateway.demo import cards
from tests.fakes.pictures import jpeg, png
from tests.fakes.upstream import FakeUpstream
from tests.flows.conftest import Build, Stage, serving
from tests.flows.test_archive import lookalike, report
from tests.flows.test_entries import audit, gateway, outcome
from tests.flows.test_passthrough import question

KEY = "sk-very-secret"
ENV = {"THE_KEY": KEY}
FILE, OTHER = png(cards.draw("48.20")), png(cards.draw("17.50"))


@pytest.fixture(autouse=True)
def keys_are_proved(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the upstream had accepted every key a moment ago: what these tests are about comes after that."""
    if "unproved" not in request.keywords:
        monkeypatch.setattr("gateway.acceptance.Acceptances.accepted", lambda self, claim: True)
        monkeypatch.setattr("gateway.acceptance.Acceptances.vouched", lambda self, claim, ahead=True: True)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(FILE)
    (tmp_path / "b.png").write_bytes(OTHER)
    (tmp_path / "known.csv").write_text(
        'picture,prompt,answer,temperature\na.png,Price?,"known: 48.20",\nb.png,Price?,"known: 17.50",0.5\n'
    )
    return tmp_path


def take(stage: Stage, *args: str, file: str = "known.csv", status: int = 0, **env: str) -> dict[str, Any]:
    flags = ("--gateway", stage.gateway, "--key-env", "THE_KEY", "--model", "m", "--json")
    return report(lookalike("import", file, *flags, *args, status=status, **{**ENV, **env}))


def asked(stage: Stage, file: bytes, key: str = KEY, **more: Any) -> httpx.Response:
    fields = {"authorization": f"Bearer {key}"}
    reply = httpx.post(f"{stage.gateway}/v1/chat/completions", json=question(file) | more, headers=fields)
    stage.stats()  # waits for what is being stored
    return reply


def test_known_answers_are_found_by_the_requests_that_clients_send(stage: Stage):
    told = take(stage)

    assert told == {"of": 2, "stored": 2, "kept": 0, "refused": {}, "bad_lines": 0}
    assert stage.upstream.seen == []
    client = openai.OpenAI(base_url=f"{stage.gateway}/v1", api_key=KEY)
    reply = client.chat.completions.with_raw_response.create(**question(FILE))
    said = reply.parse()
    chunks = list(client.chat.completions.create(**question(jpeg(cards.draw("48.20"), 88)), stream=True))
    client.close()

    assert reply.headers["cache-status"].endswith("detail=exact")
    assert said.choices[0].message.content == "known: 48.20"
    assert said.choices[0].finish_reason == "stop"
    assert said.usage is None
    assert said.id.startswith("chatcmpl-")
    assert (said.model, said.system_fingerprint) == ("m", "lookalike-import")
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "known: 48.20"
    assert outcome(asked(stage, OTHER, temperature=0.5)) == "exact"
    assert outcome(asked(stage, FILE, key="sk-another")) == "first-asked"


@pytest.mark.unproved
def test_the_call_that_proves_a_key_leaves_the_known_answer(stage: Stage):
    take(stage)
    first, again = asked(stage, FILE), asked(stage, FILE)

    assert outcome(first) == "key-unverified"
    assert "known" not in first.text
    assert "known: 48.20" in again.text
    assert stage.stats()["not_stored"] == {"held-already": 1}


def test_nothing_of_it_is_counted_and_no_token_is_invented(stage: Stage, tmp_path: Path):
    take(stage)
    stats = stage.stats()

    assert (stats["requests"], stats["stored"], stats["store"]["entries"]) == (0, 0, 2)
    for entry in httpx.get(f"{stage.gateway}/cache/entries").json()["entries"]:
        assert (entry["tokens_in"], entry["tokens_out"]) == (None, None)
    lines = audit(tmp_path / "cache")
    assert [(line["action"], line["model"]) for line in lines] == [("import", "m")] * 2
    assert KEY not in (tmp_path / "cache" / "audit.jsonl").read_text()


def test_what_is_there_is_kept_unless_it_is_to_be_replaced(stage: Stage, folder: Path):
    asked(stage, FILE)
    assert take(stage)["kept"] == 1
    assert "prices: 48.20" in asked(stage, FILE).text
    assert take(stage, "--replace")["stored"] == 2

    assert "known: 48.20" in asked(stage, FILE).text


def test_a_picture_that_is_only_alike_has_an_answer_of_its_own(stage: Stage, folder: Path):
    take(stage)
    (folder / "a.png").write_bytes(jpeg(cards.draw("48.20"), 80))

    assert take(stage)["stored"] == 1


def test_straight_into_a_store_for_clients_without_a_key(folder: Path):
    with serving(FakeUpstream()) as upstream:
        flags = ("--upstream", upstream, "--store", "store", "--no-key", "--model", "m", "--json")
        assert report(lookalike("import", "known.csv", *flags))["stored"] == 2
        with gateway(upstream, folder / "store", embed_timeout_s=60) as stage:
            reply = httpx.post(f"{stage.gateway}/v1/chat/completions", json=question(jpeg(cards.draw("48.20"), 88)))
    assert outcome(reply) == "near"
    assert "known: 48.20" in reply.text


def test_rows_of_json_and_bodies_with_an_answer_beside_them(stage: Stage, folder: Path):
    rows = [{"picture": "a.png", "prompt": "Price?", "system": "Brief.", "answer": "x", "parameters": {"seed": 1}}]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    body = question(OTHER)
    (folder / "log.jsonl").write_text(json.dumps({"body": body, "answer": "from the log"}))

    assert take(stage, file="rows.jsonl")["stored"] == 1
    assert take(stage, file="log.jsonl")["stored"] == 1
    assert "from the log" in asked(stage, OTHER).text


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("picture,prompt\na.png,Price?\n", "no answer"),
        ("picture,prompt,answer\na.png,Price?,\n", "no answer"),
        ("picture,prompt,answer\nnowhere.png,Price?,x\n", "not there"),
        ("picture,answer\na.png,x\n", "no prompt"),
        ("picture,prompt,answer\n", "no row"),
    ],
)
def test_rows_that_cannot_be_used_are_named_and_nothing_is_imported(stage: Stage, folder: Path, table: str, words: str):
    (folder / "bad.csv").write_text(table)
    flags = ("--gateway", stage.gateway, "--no-key", "--model", "m")
    said = lookalike("import", "bad.csv", *flags, status=2)

    assert words in said.stderr
    assert stage.stats()["store"]["entries"] == 0


def test_bad_lines_may_be_passed_over_and_are_told(stage: Stage, folder: Path):
    (folder / "some.csv").write_text("picture,prompt,answer\na.png,Price?,x\nb.png,Price?,\n")

    assert take(stage, "--skip-bad", file="some.csv", status=1) == {
        "of": 1,
        "stored": 1,
        "kept": 0,
        "refused": {},
        "bad_lines": 1,
    }


def test_what_the_cache_would_not_take_of_a_client_it_does_not_take_of_an_import(stage: Stage, folder: Path):
    (folder / "c.png").write_bytes(b"no picture")
    row = {"picture": "c.png", "prompt": "Price?", "answer": "x"}
    several = {"picture": "a.png", "prompt": "Price?", "answer": "x", "parameters": {"n": 2}}
    (folder / "odd.jsonl").write_text(json.dumps(row) + "\n" + json.dumps(several))

    assert take(stage, file="odd.jsonl", status=1)["refused"] == {"picture-unreadable-here": 1, "bad_request": 1}


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ((), "which key"),
        (("--key-env", "NO_SUCH_KEY"), "no such variable"),
        (("--key-env", "THE_KEY", "--no-key"), "which of the two"),
        (("--no-key", "--recompute"), "archives"),
        (("--no-key", "--upstream", "http://h"), "not both"),
    ],
)
def test_flags_that_do_not_say_enough_are_refused_in_words(stage: Stage, flags: tuple[str, ...], words: str):
    said = lookalike("import", "known.csv", "--gateway", stage.gateway, *flags, status=2, **ENV)

    assert words in said.stderr


def test_an_import_needs_the_admin_token_where_there_is_one(build: Build):
    stage = build(near=False, admin_token="very-secret-token-of-24-digits")
    flags = ("--gateway", stage.gateway, "--key-env", "THE_KEY", "--model", "m")
    said = lookalike("import", "known.csv", *flags, status=2, **ENV)
    assert "it needs its admin token (set LOOKALIKE_ADMIN_TOKEN, or give --token)" in said.stderr
    wrong = lookalike("import", "known.csv", *flags, "--token", "another-token-of-24-digits", status=2, **ENV)
    assert "this is not its admin token" in wrong.stderr
    lookalike("import", "known.csv", *flags, **ENV, LOOKALIKE_ADMIN_TOKEN="very-secret-token-of-24-digits")


@pytest.mark.parametrize(
    "body",
    [
        {"body": {}, "answer": ""},
        {"body": {}},
        {"answer": "x"},
        {"body": {}, "answer": "x", "path": "/api/pull"},
        {"body": {}, "answer": "x", "headers": {"cache-control": "no-store"}},
        {"body": {}, "answer": "x", "headers": {"a b": "x"}},
        {"body": {}, "answer": "x", "headers": {"authorization": "a\nb"}},
        {"body": {}, "answer": "x", "more": 1},
    ],
)
def test_an_import_that_makes_no_sense_is_refused(stage: Stage, body: Any):
    assert httpx.post(f"{stage.gateway}/cache/import", json=body).status_code == 400


def test_a_gateway_in_shadow_mode_takes_known_answers_and_notes_none_of_it(build: Build):
    stage = build(mode="shadow", embed_timeout_s=60)
    assert take(stage)["stored"] == 2
    assert take(stage)["kept"] == 2

    assert stage.stats()["shadow"]["requests"] == stage.stats()["shadow"]["log"]["written"] == 0


def test_a_gateway_that_keeps_nothing_refuses_them_with_its_reason(build: Build):
    stage = build(mode="off")

    assert take(stage, status=1)["refused"] == {"mode-off": 2}
