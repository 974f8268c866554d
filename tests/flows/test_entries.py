"""Entries, purge, forget and feedback through a real gateway: over HTTP, from the command line, and over a restart."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from gateway import admin
from gateway.cli import cli
from gateway.config import Settings
from gateway.demo import cards
from tests.fakes.pictures import card, data_url, jpeg, png, resized
from tests.fakes.upstream import FakeUpstream
from tests.flows.conftest import Build, Stage, gateway_over, serving, wait_until_ready
from tests.flows.test_openai_sdk import ask

SAME_PIXELS = png(cards.draw("48.20"), compress_level=1)
RECODED = jpeg(cards.draw("48.20"), 80)
SMALLER = jpeg(resized(cards.draw("48.20"), 0.8), 88)
OTHER = card("12.80")
PROMPT = "What does this very private card cost?"
runner = CliRunner()


def send(stage: Stage, file: bytes, key: str = "sk-one", **asked: Any) -> httpx.Response:
    body = ask(data_url(file), **asked)
    fields = {"Authorization": f"Bearer {key}"}
    reply = httpx.post(f"{stage.gateway}/v1/chat/completions", json=body, headers=fields).raise_for_status()
    settle(stage)
    return reply


def settle(stage: Stage) -> None:
    """An answer is stored after it was delivered, on a busy machine seconds after."""
    for _ in range(10_000):
        if not stage.app.state.running.account._ending:
            return
        httpx.get(f"{stage.gateway}/cache/health")
    raise AssertionError("an answer was never stored")


def outcome(reply: httpx.Response) -> str:
    return reply.headers["cache-status"].rpartition("detail=")[2]


def listed(stage: Stage, **query: Any) -> list[dict[str, Any]]:
    return httpx.get(f"{stage.gateway}/cache/entries", params=query).raise_for_status().json()["entries"]


def purge(stage: Stage, **body: Any) -> dict[str, Any]:
    return httpx.post(f"{stage.gateway}/cache/purge", json=body).raise_for_status().json()


def forget(stage: Stage, file: bytes, confirm: bool) -> dict[str, Any]:
    address = f"{stage.gateway}/cache/forget?confirm={str(confirm).lower()}"
    return httpx.post(address, content=file, headers={"content-type": "image/png"}).raise_for_status().json()


def judge(stage: Stage, hit: httpx.Response, verdict: str) -> dict[str, Any]:
    address = f"{stage.gateway}/cache/entries/{hit.headers['x-lookalike-entry']}/feedback"
    body = {"verdict": verdict, "request": hit.headers["x-lookalike-request"]}
    return httpx.post(address, json=body).raise_for_status().json()


def audit(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()]


@contextmanager
def gateway(upstream: str, folder: Path, **settings: Any) -> Iterator[Stage]:
    chosen = Settings(**{"upstream": upstream, "cache_dir": folder, "embedder": "dct"} | settings)
    with gateway_over(chosen) as stage:
        wait_until_ready(stage)
        yield stage


@pytest.fixture
def upstream() -> Iterator[str]:
    with serving(FakeUpstream()) as url:
        yield url


# Entries


def test_entries_are_listed_filtered_paged_shown_and_deleted(stage: Stage):
    for price in ("11.10", "22.20", "33.30"):
        send(stage, card(price))
    send(stage, card("44.40"), "sk-two", question="How much?", model="other")
    everything = listed(stage)

    assert len(everything) == 4
    assert [one["model"] for one in everything] == ["other", *["qwen3-vl-8b"] * 3]
    assert len({one["tenant"] for one in everything}) == len({one["prompt"] for one in everything}) == 2
    for query in ({"model": "other"}, {"tenant": everything[0]["tenant"][:8]}, {"prompt": everything[0]["prompt"]}):
        assert [one["id"] for one in listed(stage, **query)] == [everything[0]["id"]]
    assert listed(stage, older_than_s=3600) == []
    assert len(listed(stage, newer_than_s=3600)) == 4

    pages, after = [], None
    for _ in range(4):
        query = {"limit": 1} | ({"after": after} if after else {})
        page = httpx.get(f"{stage.gateway}/cache/entries", params=query).json()
        assert page["matched"] == 4
        pages += [one["id"] for one in page["entries"]]
        after = page["next"]
    assert (pages, after) == ([one["id"] for one in everything], None)

    address = f"{stage.gateway}/cache/entries/{pages[-1]}"
    shown = httpx.get(address).json()
    assert shown["answer"] == "prices: 11.10"
    assert shown["bytes"] > 0
    assert httpx.delete(address).json()["ids"] == [pages[-1]]
    assert httpx.get(address).status_code == httpx.delete(address).status_code == 404
    assert outcome(send(stage, card("11.10"))) == "local-change"  # nominated among the others, and not one of them


@pytest.mark.parametrize(
    "query", ["limit=0", "tenant=ab", "older_than_s=-1", "after=x", "nonsense=1", "older_than_s=nan", "prompt=What"]
)
def test_a_query_that_makes_no_sense_is_refused_in_words(stage: Stage, query: str):
    said = httpx.get(f"{stage.gateway}/cache/entries?{query}")

    assert said.status_code == 400
    assert query.partition("=")[0] in said.json()["error"]["message"]


# Purge


@pytest.mark.parametrize(
    "by",
    [
        {"model": "other"},
        {"prompt": "  How\n much? "},
        {"prompt": "How much?", "newer_than_s": 3600},
    ],
)
def test_a_purge_counts_first_and_deletes_what_was_meant_when_confirmed(
    stage: Stage, tmp_path: Path, by: dict[str, Any]
):
    send(stage, OTHER)
    send(stage, OTHER, "sk-two", question="How much?", model="other")
    counted, done = purge(stage, **by), purge(stage, **by, confirm=True)

    assert (counted["dry_run"], done["dry_run"]) == (True, False)
    assert {**counted, "dry_run": False} == done
    assert done["entries"] == 1
    assert purge(stage, **by)["entries"] == 0
    assert [one["model"] for one in listed(stage)] == ["qwen3-vl-8b"]
    (line,) = audit(tmp_path / "cache")
    assert (line["who"], line["from"], line["action"], line["entries"]) == ("loopback", "127.0.0.1", "purge", 1)
    assert "much" not in json.dumps(line)


def test_a_purge_by_tenant_or_of_all(stage: Stage):
    for key in ("sk-one", "sk-two"):
        send(stage, OTHER, key)
    tenant = listed(stage)[0]["tenant"]

    assert purge(stage, tenant=tenant[:8], confirm=True)["entries"] == 1
    assert outcome(send(stage, OTHER, "sk-one")) == "exact"
    assert purge(stage, all=True, confirm=True)["entries"] == 1
    assert listed(stage) == []


def test_the_last_line_of_a_longer_prompt_finds_it(stage: Stage):
    send(stage, OTHER, question="You are careful.\nWhat is the price?")

    assert purge(stage, prompt="What is the price?")["entries"] == 1
    assert purge(stage, prompt="You are careful.")["entries"] == 0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "say what to delete"),
        ({"confirm": True}, "say what to delete"),
        ({"all": True, "model": "m"}, "say what to delete"),
        ({"modle": "m"}, "modle"),
        ({"model": 3}, "model"),
        ({"all": "yes"}, "all"),
        ({"tenant": "9f"}, "tenant"),
        ([], "must be a table"),
    ],
)
def test_a_purge_that_does_not_say_clearly_what_it_means_deletes_nothing(stage: Stage, body: Any, words: str):
    send(stage, OTHER)
    said = httpx.post(f"{stage.gateway}/cache/purge", json=body)

    assert said.status_code == 400
    assert words in said.json()["error"]["message"]
    assert len(listed(stage)) == 1


def test_nothing_is_deleted_if_the_audit_log_cannot_be_written(stage: Stage, tmp_path: Path):
    send(stage, OTHER)
    (tmp_path / "cache" / "audit.jsonl").mkdir()
    said = httpx.post(f"{stage.gateway}/cache/purge", json={"all": True, "confirm": True})

    assert said.status_code == 503
    assert said.json()["error"]["code"] == "no_audit"
    assert len(listed(stage)) == 1


# Forget


def test_a_picture_is_forgotten_in_every_question_and_for_everyone_with_its_copies(stage: Stage):
    send(stage, card("48.20"))
    send(stage, SAME_PIXELS, "sk-two")
    send(stage, RECODED, question="And in words?")
    send(stage, OTHER)
    body = ask(data_url(OTHER), data_url(SMALLER), question="Which is dearer?")
    httpx.post(f"{stage.gateway}/v1/chat/completions", json=body).raise_for_status()
    settle(stage)
    counted, done = forget(stage, card("48.20"), False), forget(stage, card("48.20"), True)

    assert counted["found"] == done["found"] == {"bytes": 1, "pixels": 1, "near": 2}
    assert (counted["dry_run"], counted["entries"], done["entries"], done["not_comparable"]) == (True, 4, 4, 0)
    assert len(listed(stage)) == 1
    assert outcome(send(stage, RECODED, question="And in words?")) == "first-asked"
    assert outcome(send(stage, OTHER)) == "exact"


def test_no_byte_of_what_was_forgotten_is_on_disk_and_the_rest_outlives_a_restart(upstream: str, tmp_path: Path):
    def written() -> bytes:
        return b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())

    with gateway(upstream, tmp_path) as stage:
        for price in ("48.20", "12.80", "77.70"):
            send(stage, card(price), question=PROMPT)
        assert b"48.20" in written()
        assert forget(stage, SMALLER, True)["entries"] == 1
        running = written()
    with gateway(upstream, tmp_path) as stage:
        assert len(listed(stage)) == 2
        assert outcome(send(stage, OTHER, question=PROMPT)) == "exact"
        assert outcome(send(stage, RECODED, question=PROMPT)) != "near"
    assert b"48.20" not in running
    assert b"12.80" in running
    assert PROMPT.encode() not in written()


def test_under_strict_privacy_it_is_said_what_cannot_be_compared(upstream: str, tmp_path: Path):
    with gateway(upstream, tmp_path, privacy="strict") as stage:
        send(stage, card("48.20"))
        assert forget(stage, RECODED, False)["found"] == {"bytes": 0, "pixels": 0, "near": 1}
    with gateway(upstream, tmp_path, privacy="strict") as stage:
        told = forget(stage, RECODED, False)
        assert (told["entries"], told["not_comparable"]) == (0, 1)
        assert "nobody can tell" in told["notes"][0]
        assert forget(stage, SAME_PIXELS, True)["found"] == {"bytes": 0, "pixels": 1, "near": 0}


def test_a_file_that_is_no_picture_is_looked_for_by_its_bytes_and_nothing_is_said_of_likeness(stage: Stage):
    send(stage, OTHER)
    told = forget(stage, b"no picture", True)

    assert (told["entries"], told["not_comparable"]) == (0, 0)
    assert told["notes"] == ["the file is not a picture that can be read here: it was looked for by its bytes only"]


# Feedback


def test_a_pair_judged_wrong_never_matches_again_whichever_is_stored_and_over_a_restart(upstream: str, tmp_path: Path):
    with gateway(upstream, tmp_path) as stage:
        send(stage, card("48.20"))
        hit = send(stage, SMALLER)
        assert outcome(hit) == "near"
        assert judge(stage, hit, "wrong") == {
            "verdict": "wrong",
            "hit": "near",
            "removed": True,
            "remembered": True,
            "counted": True,
        }
        assert outcome(send(stage, card("48.20"))) == "first-asked"  # the first of the two, stored anew
        assert outcome(send(stage, SMALLER)) == "judged-wrong"  # ... and the second, too
        assert purge(stage, all=True, confirm=True)["entries"] == 2
    with gateway(upstream, tmp_path) as stage:
        assert outcome(send(stage, SMALLER)) == "first-asked"  # the second alone
        assert outcome(send(stage, card("48.20"))) == "judged-wrong"
        assert outcome(send(stage, SMALLER)) == outcome(send(stage, card("48.20"))) == "exact"
        assert outcome(send(stage, card("48.20"), question="And in words?")) == "first-asked"
        assert outcome(send(stage, SMALLER, question="And in words?")) == "near"  # nothing was said of this question
        report = httpx.get(f"{stage.gateway}/cache/feedback").json()
    assert report["wrong"] == {"near": 1}
    assert report["pairs"] == 1


def test_the_same_pixels_in_another_file_are_judged_along(stage: Stage):
    send(stage, RECODED)
    hit = send(stage, card("48.20"))
    assert outcome(hit) == "near"
    judge(stage, hit, "wrong")
    send(stage, RECODED)

    assert outcome(send(stage, SAME_PIXELS)) == "judged-wrong"


def test_judgements_are_counted_once_and_make_a_rate(stage: Stage):
    send(stage, card("48.20"))
    near, exact = send(stage, SMALLER), send(stage, card("48.20"))
    assert judge(stage, near, "right")["counted"]
    assert not judge(stage, near, "right")["counted"]
    first = httpx.get(f"{stage.gateway}/cache/feedback").json()
    assert judge(stage, exact, "wrong") == {
        "verdict": "wrong",
        "hit": "exact",
        "removed": True,
        "remembered": False,
        "counted": True,
    }
    assert judge(stage, near, "wrong")["remembered"]  # on second thoughts, and the entry is gone already
    last = httpx.get(f"{stage.gateway}/cache/feedback").json()

    assert (first["right"], first["wrong"], first["wrong_hit_rate"]) == ({"near": 1}, {}, 0.0)
    assert (last["right"], last["wrong"], last["wrong_hit_rate"]) == ({}, {"near": 1, "exact": 1}, 1.0)
    assert last["wrong_hit_rate_95"] == [0.025, 1.0]


def test_a_hit_from_before_a_restart_can_still_be_judged_wrong(upstream: str, tmp_path: Path):
    with gateway(upstream, tmp_path) as stage:
        send(stage, card("48.20"))
        hit = send(stage, SMALLER)
    with gateway(upstream, tmp_path) as stage:
        told = judge(stage, hit, "wrong")
        send(stage, card("48.20"))
        assert outcome(send(stage, SMALLER)) == "judged-wrong"
        assert [line["action"] for line in audit(tmp_path)] == ["feedback"]
    assert told == {"verdict": "wrong", "hit": None, "removed": True, "remembered": True, "counted": True}


def test_a_double_click_counts_once(stage: Stage):
    send(stage, card("48.20"))
    hit = send(stage, SMALLER)
    with ThreadPoolExecutor(4) as clicks:
        told = list(clicks.map(lambda _: judge(stage, hit, "right"), range(8)))

    assert sum(one["counted"] for one in told) == 1
    assert httpx.get(f"{stage.gateway}/cache/feedback").json()["right"] == {"near": 1}


@pytest.mark.parametrize("body", [{}, {"verdict": "maybe", "request": "0" * 64}, {"verdict": "wrong", "request": "0"}])
def test_feedback_that_makes_no_sense_changes_nothing(stage: Stage, body: dict[str, str]):
    send(stage, card("48.20"))
    (entry,) = listed(stage)
    said = httpx.post(f"{stage.gateway}/cache/entries/{entry['id']}/feedback", json=body)

    assert said.status_code == 400
    assert len(listed(stage)) == 1


def test_feedback_on_what_never_was_is_404(stage: Stage):
    body = {"verdict": "wrong", "request": "0" * 64}

    assert httpx.post(f"{stage.gateway}/cache/entries/{'0' * 32}/feedback", json=body).status_code == 404


# The command line


def run(stage: Stage, *words: str, typed: str = "") -> Any:
    return runner.invoke(cli, [*words, "--url", stage.gateway], input=typed, env={"COLUMNS": "160"})


def test_entries_from_the_command_line(stage: Stage):
    send(stage, card("48.20"))
    found = json.loads(run(stage, "entries", "list", "--json").output)
    (entry,) = found["entries"]
    table = run(stage, "entries", "list", "--newer-than", "1h")
    shown = run(stage, "entries", "show", entry["id"])

    assert entry["id"] in table.output
    assert "1 of 1 entries" in table.output
    assert "prices: 48.20" in shown.output
    assert run(stage, "entries", "delete", entry["id"], typed="n\n").exit_code == 3
    assert "1 entries" in run(stage, "entries", "delete", entry["id"], "--yes").output
    gone = run(stage, "entries", "show", entry["id"])
    assert gone.exit_code == 1
    assert "there is no entry" in gone.output


def test_purge_and_forget_from_the_command_line_count_and_ask_first(stage: Stage, tmp_path: Path):
    file, prompt = tmp_path / "copy.jpg", tmp_path / "prompt.txt"
    file.write_bytes(RECODED)
    prompt.write_text("What is the price?\n")
    send(stage, card("48.20"))
    send(stage, OTHER)

    assert "2 entries" in (counted := run(stage, "purge", "--prompt-file", str(prompt), "--dry-run")).output
    assert "would be deleted" in counted.output
    refused = run(stage, "forget", str(file), typed="n\n")
    assert (refused.exit_code, len(listed(stage))) == (3, 2)
    assert "copies 1" in refused.output
    assert "1 entries" in run(stage, "forget", str(file), typed="y\n").output
    done = run(stage, "purge", "--older-than", "0s", "--yes", "--json")
    assert json.loads(done.output)["entries"] == 1
    assert run(stage, "purge", "--all", "--yes").output.startswith("0 entries")


def test_feedback_from_the_command_line(stage: Stage):
    send(stage, card("48.20"))
    hit = send(stage, SMALLER)
    entry, request = hit.headers["x-lookalike-entry"], hit.headers["x-lookalike-request"]
    said = run(stage, "feedback", entry, "wrong", "--request", request)

    assert said.output.strip() == "wrong: the answer is removed, the pair is remembered, counted"
    assert "1, 1 of them wrong: 100.0% (95 %: 2.5% to 100.0%)" in run(stage, "stats").output


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["purge"], 2, "Say what to delete"),
        (["purge", "--older-than", "soon"], 2, "no age"),
        (["purge", "--tenant", "9f"], 2, "tenant: must be 8 or more digits of a digest (0-9, a-f)"),
        (["entries", "list", "--tenant", "9F31C0DE"], 2, "tenant: must be 8 or more digits"),
        (["purge", "--all", "--model", "m"], 2, "--all is every entry: give it alone"),
        (["feedback", "nope", "wrong", "--request", "0" * 64], 2, "'nope' is no id"),
        (["feedback", "0" * 32, "wrong", "--request", "nope"], 2, "request: must be a digest: 64 digits (0-9, a-f)"),
        (["feedback", "0" * 32, "wrong", "--request", "0" * 64], 1, "there is no entry"),
        (["forget", "/nowhere/at/all.png"], 2, "cannot be read"),
        (["entries", "show", "../stats"], 2, "no id"),
    ],
)
def test_a_wrong_command_says_what_is_wrong(stage: Stage, words: list[str], status: int, sentence: str):
    said = run(stage, *words)

    assert said.exit_code == status
    assert sentence in said.output


@pytest.mark.parametrize("words", [["purge", "--all"], ["entries", "delete"], ["epoch", "bump", "--all"]])
def test_where_nobody_can_be_asked_nothing_is_done_and_it_is_said_what_to_give(stage: Stage, words: list[str]):
    send(stage, OTHER)
    (entry,) = listed(stage)
    said = run(stage, *words, *([entry["id"]] if words[0] == "entries" else []))  # nothing is typed, or piped in

    assert said.exit_code == 2
    assert "there is no terminal to ask at. Give --yes" in said.stderr
    assert len(listed(stage)) == 1


def test_without_a_gateway_the_command_says_so():
    said = runner.invoke(cli, ["entries", "list", "--url", "http://127.0.0.1:9"])

    assert said.exit_code == 1
    assert "Is it running?" in said.output


def test_the_api_describes_itself(build: Build):
    stage = build(near=False)
    document = httpx.get(f"{stage.gateway}/cache/openapi.json").json()

    assert document["openapi"] == "3.1.0"
    served = {path.removeprefix("/cache") for path in document["paths"]}
    for_people = ("/dashboard", "/login", "/logout", "/{rest")
    assert served == {route.path for route in admin.routes() if not route.path.startswith(for_people)}
    for path, operations in document["paths"].items():
        if "get" in operations and "{" not in path:
            assert httpx.get(f"{stage.gateway}/cache{path}").status_code == 200
