"""Tenants, end to end: who shares, who was accepted, who is told nothing, and what one's flood leaves of another's."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from gateway.cli import cli
from gateway.config import Settings
from gateway.demo import cards
from tests.contracts.store_contract import Clock
from tests.fakes.pictures import card, data_url, jpeg
from tests.fakes.upstream import FakeUpstream
from tests.flows.conftest import Build, Stage, gateway_over, serving, wait_until_ready
from tests.flows.test_openai_sdk import ask

PATH = "/v1/chat/completions"
NOW_S = 1_800_000_000.0
ALICE, BOB, EVE = ({"authorization": f"Bearer sk-{name}"} for name in ("alice", "bob", "eve"))
RECODED = data_url(jpeg(cards.draw("48.20"), 70), "image/jpeg")


def send(
    stage: Stage, who: dict[str, str], url: str = data_url(card("48.20")), path: str = PATH, **body: Any
) -> httpx.Response:
    reply = httpx.post(stage.gateway + path, json=ask(url, **body), headers=who)
    stage.stats()  # waits for what is being stored
    return reply


def told(reply: httpx.Response) -> str:
    """hit, or why not."""
    status = reply.headers["cache-status"].removeprefix("lookalike; ")
    return status.partition(";")[0] if status.startswith("hit") else status.rpartition("detail=")[2]


@contextmanager
def gateway(upstream: str, folder: Path, clock: Clock, **settings: Any) -> Iterator[Stage]:
    chosen = Settings(**{"upstream": upstream, "cache_dir": folder, "embedder": "dct"} | settings)
    with gateway_over(chosen, clock=clock) as stage:
        wait_until_ready(stage)
        yield stage


@pytest.fixture
def upstream() -> Iterator[str]:
    with serving(FakeUpstream()) as url:
        yield url


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW_S)


def tenant(folder: Path, *flags: str, key: str | None = None) -> str:
    """What `lookalike tenant` prints."""
    ran = CliRunner().invoke(cli, ["tenant", "--cache-dir", str(folder), *flags], input=key)
    assert ran.exit_code == 0, ran.output
    return ran.stdout.strip()


# A key that the upstream does not know


def test_a_revoked_key_gets_no_answer_from_the_moment_that_the_upstream_says_so(
    upstream: str, tmp_path: Path, clock: Clock
):
    with gateway(upstream, tmp_path, clock) as stage:
        assert [told(send(stage, ALICE)) for _ in range(2)] == ["first-asked", "hit"]
        refused = send(stage, ALICE | {"x-fake": "status=401"}, model="another")
        assert refused.status_code == 401
        assert told(send(stage, ALICE | {"x-fake": "status=401"})) == "key-unverified"
        only = send(stage, ALICE | {"cache-control": "only-if-cached"})
        assert (only.status_code, "key-unverified" in only.text) == (504, True)

        clock.now_s += 1
        assert [told(send(stage, ALICE)) for _ in range(2)] == ["key-unverified", "hit"]  # taken back


def test_a_refusal_on_any_path_counts(upstream: str, tmp_path: Path, clock: Clock):
    with gateway(upstream, tmp_path, clock) as stage:
        send(stage, ALICE)
        httpx.get(f"{stage.gateway}/v1/models", headers=ALICE | {"x-fake": "status=403"})

        assert told(send(stage, ALICE)) == "key-unverified"


def test_the_upstreams_word_counts_for_an_hour_and_outlives_a_restart(upstream: str, tmp_path: Path, clock: Clock):
    with gateway(upstream, tmp_path, clock) as stage:
        send(stage, ALICE)
    clock.now_s += 3_000
    with gateway(upstream, tmp_path, clock) as stage:
        assert told(send(stage, ALICE)) == "hit"
        clock.now_s += 600
        assert [told(send(stage, ALICE)) for _ in range(2)] == ["key-unverified", "hit"]


def test_proving_a_busy_key_ahead_of_time_loses_no_hit_where_the_upstream_fails(
    upstream: str, tmp_path: Path, clock: Clock
):
    with gateway(upstream, tmp_path, clock) as stage:
        assert "48.20" in send(stage, ALICE).text
        clock.now_s += 3_500  # of 3,600: now and then one is sent ahead
        failing = ALICE | {"x-fake": "status=503"}
        assert [told(send(stage, failing)) for _ in range(2)] == ["hit", "hit"]

        clock.now_s += 200
        assert send(stage, failing).status_code == 503  # a key that is not proved gets nothing


def test_who_has_no_key_has_nothing_to_prove(upstream: str, tmp_path: Path, clock: Clock):
    with gateway(upstream, tmp_path, clock) as stage:
        send(stage, {})
        clock.now_s += 100_000

        assert told(send(stage, {})) == "hit"


@pytest.mark.parametrize("name", ["key", "api_key", "API-Key", "apikey", "access_token", "k%65y", "token", "sig"])
def test_a_key_in_the_query_is_a_credential(upstream: str, tmp_path: Path, clock: Clock, name: str):
    with gateway(upstream, tmp_path, clock) as stage:
        mine, others = (f"{PATH}?v=1&{name}={who}" for who in ("mine", "others"))
        assert [told(send(stage, {}, path=path)) for path in (mine, mine, others)] == [
            *("first-asked", "hit", "first-asked")
        ]
        clock.now_s += 3_600
        assert told(send(stage, {}, path=mine)) == "key-unverified"
        assert len(stage_tenants(stage)) == 2


def stage_tenants(stage: Stage) -> list[str]:
    report = httpx.get(f"{stage.gateway}/cache/stats", params={"by": "tenant"}).json()
    names = [group["name"] for group in report["groups"]["values"]]
    return [name for name in names if name not in ("none", "other")]


# Groups


def test_members_named_by_their_digests_share_and_others_do_not(upstream: str, tmp_path: Path, clock: Clock):
    with gateway(upstream, tmp_path, clock):
        pass  # a store, and its secret
    members = [tenant(tmp_path, key="sk-alice\n"), tenant(tmp_path, "--header", "x-api-key", key="sk-bob")]
    bob = {"x-api-key": "sk-bob"}
    with gateway(upstream, tmp_path, clock, shared=[{"name": "team", "members": members}]) as stage:
        assert [told(send(stage, ALICE)) for _ in range(2)] == ["key-unverified", "hit"]
        # Bob's key is not known to be good before the upstream took it; and then he has what Alice asked.
        assert told(send(stage, bob)) == "key-unverified"
        assert told(send(stage, bob)) == "hit"
        assert told(send(stage, bob, RECODED)) == "hit"
        assert [told(send(stage, EVE)) for _ in range(2)] == ["first-asked", "hit"]  # her own
        # Whose the answers are, and who asked, can both be seen.
        kept = {entry["tenant"] for entry in httpx.get(f"{stage.gateway}/cache/entries").json()["entries"]}
        file = tmp_path / "lookalike.toml"
        file.write_text(f'[[shared]]\nname = "team"\nmembers = ["{members[0]}"]\n')
        assert tenant(tmp_path, "--group", "team", "--config", str(file)) in kept
        assert {member[:12] for member in members} <= set(stage_tenants(stage))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ('[[shared]]\nname = "team"\nmembers = "*"\n', "no group 'teem' in shared; there are: team"),
        ("", "no group 'teem' in shared; there is none: give the gateway's with --config"),
    ],
)
def test_a_group_that_is_not_in_the_settings_has_no_digest(tmp_path: Path, settings: str, words: str):
    file = tmp_path / "lookalike.toml"
    file.write_text(settings)
    said = CliRunner().invoke(
        cli, ["tenant", "--group", "teem", "--config", str(file), "--cache-dir", str(tmp_path)], input="sk-alice"
    )

    assert said.exit_code == 1
    assert words in said.stderr
    assert said.stdout == ""


def test_a_members_key_is_accepted_for_each_model_and_account_by_itself(upstream: str, tmp_path: Path, clock: Clock):
    with gateway(upstream, tmp_path, clock, shared=[{"name": "all", "members": "*"}]) as stage:
        rich = ALICE | {"openai-organization": "rich"}
        for who, model in ((ALICE, "dear"), (rich, "cheap"), (BOB, "cheap")):
            send(stage, who, model=model)

        assert told(send(stage, BOB, model="cheap")) == "hit"
        assert told(send(stage, BOB, model="dear")) == "key-unverified"
        assert told(send(stage, BOB | {"openai-organization": "rich"}, model="cheap")) == "key-unverified"


def test_a_wrong_key_learns_nothing_of_what_a_group_has(upstream: str, tmp_path: Path, clock: Clock):
    with gateway(upstream, tmp_path, clock, shared=[{"name": "all", "members": "*"}]) as stage:
        send(stage, ALICE)
        wrong = EVE | {"x-fake": "status=401"}
        there, absent = send(stage, wrong), send(stage, wrong, data_url(card("99.99")), model="never asked")

        assert (there.status_code, absent.status_code) == (401, 401)
        assert seen(there) == seen(absent)
        assert told(there) == "key-unverified"
        only = [
            send(stage, EVE | {"cache-control": "only-if-cached"}, url) for url in (RECODED, data_url(card("11.11")))
        ]
        assert seen(only[0]) == seen(only[1])
        assert only[0].text == only[1].text


def test_a_group_says_how_long_the_upstreams_word_counts_in_it(upstream: str, tmp_path: Path, clock: Clock):
    group = {"name": "all", "members": "*", "accepted_s": 60}
    with gateway(upstream, tmp_path, clock, shared=[group]) as stage:
        send(stage, ALICE)
        assert told(send(stage, ALICE)) == "hit"
        clock.now_s += 60

        assert told(send(stage, ALICE)) == "key-unverified"


def test_keys_in_a_query_do_not_keep_members_apart_and_all_else_in_it_does(upstream: str, tmp_path: Path, clock: Clock):
    with gateway(upstream, tmp_path, clock, shared=[{"name": "all", "members": "*"}]) as stage:
        for who in ("a", "b"):
            send(stage, {}, path=f"{PATH}?key={who}&v=1")

        assert told(send(stage, {}, path=f"{PATH}?v=1&key=b")) == "hit"
        assert told(send(stage, {}, path=f"{PATH}?v=2&key=b")) == "key-unverified"


# Nothing is inferred


_FRESH = frozenset(("date", "age", "content-length", "cache-status", "x-request-id"))


def seen(reply: httpx.Response) -> tuple[Any, ...]:
    """What a client sees of a reply but for its body: fields that must be the same, and the names of all."""
    status = reply.headers["cache-status"]
    fields = {name: value for name, value in reply.headers.items() if name not in _FRESH}
    return reply.status_code, sorted(reply.headers), fields, status


@pytest.mark.parametrize("url", [data_url(card("48.20")), RECODED])
@pytest.mark.parametrize("stream", [True, False])
def test_anothers_picture_and_question_are_first_asked_like_any_other(build: Build, url: str, stream: bool):
    stage = build()
    for _ in range(3):
        send(stage, ALICE)
    asked_by_alice = send(stage, BOB, url, stream=stream)
    asked_by_nobody = send(stage, EVE, data_url(card("77.77")), stream=stream)

    assert seen(asked_by_alice) == seen(asked_by_nobody)
    assert told(asked_by_alice) == "first-asked"
    assert "x-lookalike-similarity" not in asked_by_alice.headers
    assert stage.upstream.calls == 3


def test_no_tenant_plants_an_answer_for_another(build: Build):
    stage = build()
    send(stage, EVE | {"x-fake": "text=planted"})
    assert "planted" in send(stage, EVE).text

    assert "48.20" in send(stage, ALICE).text
    assert "48.20" in send(stage, ALICE, RECODED).text
    assert "48.20" in send(stage, ALICE).text


def test_one_tenants_flood_leaves_anothers_answers(build: Build):
    stage = build(cache_bytes_max=2**20)
    send(stage, ALICE)
    for number in range(40):
        send(stage, EVE | {"x-fake": f"text={'long' * 8_000}"}, temperature=number / 100)

    assert stage.stats()["store"]["evicted"] > 0
    assert told(send(stage, ALICE)) == "hit"


# The command


def test_a_key_is_read_from_a_prompt_or_standard_input_and_never_from_the_command_line(tmp_path: Path):
    assert CliRunner().invoke(cli, ["tenant", "sk-alice", "--cache-dir", str(tmp_path)]).exit_code == 2


def test_without_a_store_or_a_key_the_command_says_what_to_do(tmp_path: Path, upstream: str, clock: Clock):
    nothing = CliRunner().invoke(cli, ["tenant", "--cache-dir", str(tmp_path / "none")], input="sk-a\n")
    assert nothing.exit_code == 1
    assert "start the gateway once" in nothing.stderr
    with gateway(upstream, tmp_path, clock):
        pass
    for given, flags in (("\n", []), ("sk-a\n", ["--header", "x-colour"]), ("sk-a\n", ["--query", "colour"])):
        ran = CliRunner().invoke(cli, ["tenant", "--cache-dir", str(tmp_path), *flags], input=given)
        assert (ran.exit_code, "key" in ran.stderr, "sk-a" in ran.output) == (1, True, False)


def test_a_digest_is_that_of_the_statistics(upstream: str, tmp_path: Path, clock: Clock):
    with gateway(upstream, tmp_path, clock) as stage:
        send(stage, ALICE)
        send(stage, {}, path=f"{PATH}?api_key=a%20b")

        named = {tenant(tmp_path, key="sk-alice"), tenant(tmp_path, "--query", "api_key", key="a b")}
        assert {one[:12] for one in named} == set(stage_tenants(stage))
