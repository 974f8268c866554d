"""A warm cache moved to another machine: `lookalike export`, `lookalike import`, and a gateway over what came."""

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result as Said
from typer.testing import CliRunner

from gateway.cli import cli
from gateway.demo import cards
from tests.fakes.pictures import card, data_url, jpeg, png, resized
from tests.fakes.upstream import FakeUpstream
from tests.flows.conftest import Stage, serving
from tests.flows.test_entries import gateway, judge, outcome, send
from tests.flows.test_openai_sdk import ask

FILE = card("48.20")
SAME_PIXELS = png(cards.draw("48.20"), compress_level=1)
RECODED = jpeg(cards.draw("48.20"), 80)
SMALLER = jpeg(resized(cards.draw("48.20"), 0.8), 88)
OTHERS = ["11.10", "22.20", "33.30"]


def lookalike(*args: str, status: int = 0, **env: str) -> Said:
    said = CliRunner().invoke(cli, args, env={"LOOKALIKE_EMBEDDER": "dct", **env})
    if said.exception is not None and not isinstance(said.exception, SystemExit):
        raise said.exception

    assert said.exit_code == status, said.output
    return said


def report(said: Said) -> dict[str, Any]:
    return json.loads(said.stdout)


@pytest.fixture(autouse=True)
def keys_are_proved(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the upstream had accepted every key a moment ago: what these tests are about comes after that."""
    if "unproved" not in request.keywords:
        monkeypatch.setattr("gateway.acceptance.Acceptances.accepted", lambda self, claim: True)
        monkeypatch.setattr("gateway.acceptance.Acceptances.vouched", lambda self, claim, ahead=True: True)


@pytest.fixture
def upstream() -> Iterator[str]:
    with serving(FakeUpstream()) as url:
        yield url


@pytest.fixture
def warm(upstream: str, tmp_path: Path) -> Path:
    """A store of four answers that no gateway runs on."""
    with gateway(upstream, tmp_path / "warm") as stage:
        for price in ("48.20", *OTHERS):
            send(stage, card(price))
    return tmp_path / "warm"


@pytest.fixture
def archive(warm: Path, tmp_path: Path) -> Path:
    lookalike("export", str(tmp_path / "cache.archive"), "--store", str(warm))
    return tmp_path / "cache.archive"


def only_cached(stage: Stage, file: bytes, key: str = "sk-one") -> str:
    reply = httpx.post(
        f"{stage.gateway}/v1/chat/completions",
        json=ask(data_url(file)),
        headers={"authorization": f"Bearer {key}", "cache-control": "only-if-cached"},
    )
    if reply.status_code == 200:
        return outcome(reply)
    return reply.json()["error"]["message"].rpartition("(")[2].rstrip(")")


def test_a_warm_cache_moves_with_exact_pixel_and_near_hits(upstream: str, warm: Path, archive: Path, tmp_path: Path):
    told = report(lookalike("import", str(archive), "--store", str(tmp_path / "new"), "--json"))

    assert (told["of"], told["taken"], told["kept"], told["without_vectors"]) == (4, 4, 0, 0)
    with gateway(upstream, tmp_path / "new") as stage:
        assert [only_cached(stage, file) for file in (FILE, SAME_PIXELS, RECODED, SMALLER)] == [
            *("exact", "pixel", "near", "near")
        ]
        assert only_cached(stage, FILE, "sk-two") == "first-asked"
        assert "prices: 48.20" in send(stage, RECODED).text
        assert httpx.get(f"{stage.gateway}/cache/health?check=store").json()["store"]["wrong"] == []
    assert stat.S_IMODE(os.stat(archive).st_mode) == 0o600
    assert (warm / "secret").read_bytes() == (tmp_path / "new" / "secret").read_bytes()


def test_a_store_that_was_only_started_once_counts_as_empty(upstream: str, archive: Path, tmp_path: Path):
    with gateway(upstream, tmp_path / "new"):
        pass
    lookalike("import", str(archive), "--store", str(tmp_path / "new"))

    with gateway(upstream, tmp_path / "new") as stage:
        assert only_cached(stage, FILE) == "exact"


def test_answers_under_another_secret_are_never_mixed(upstream: str, archive: Path, tmp_path: Path):
    with gateway(upstream, tmp_path / "other") as stage:
        send(stage, card("77.70"))
    secret = (tmp_path / "other" / "secret").read_bytes()
    said = lookalike("import", str(archive), "--store", str(tmp_path / "other"), status=2)

    assert "another secret" in said.stderr
    assert (tmp_path / "other" / "secret").read_bytes() == secret
    with gateway(upstream, tmp_path / "other") as stage:
        assert only_cached(stage, card("77.70")) == "exact"


def test_what_is_there_is_kept_unless_it_is_to_be_replaced(upstream: str, archive: Path, warm: Path):
    with gateway(upstream, warm) as stage:
        fields = {"x-fake": "text=newer", "cache-control": "no-cache"}
        body = ask(data_url(FILE))
        httpx.post(
            f"{stage.gateway}/v1/chat/completions", json=body, headers=fields | {"authorization": "Bearer sk-one"}
        ).raise_for_status()
    kept = report(lookalike("import", str(archive), "--store", str(warm), "--json"))
    with gateway(upstream, warm) as stage:
        assert "newer" in send(stage, FILE).text
    replaced = report(lookalike("import", str(archive), "--store", str(warm), "--replace", "--json"))
    with gateway(upstream, warm) as stage:
        assert "48.20" in send(stage, FILE).text

    assert (kept["taken"], kept["kept"]) == (0, 4)
    assert (replaced["taken"], replaced["kept"]) == (4, 0)


def test_pairs_judged_wrong_travel_with_the_answers(upstream: str, tmp_path: Path):
    with gateway(upstream, tmp_path / "warm") as stage:
        send(stage, FILE)
        hit = send(stage, RECODED)
        assert judge(stage, hit, "wrong")["remembered"]
        send(stage, FILE)
    lookalike("export", str(tmp_path / "a"), "--store", str(tmp_path / "warm"))
    told = report(lookalike("import", str(tmp_path / "a"), "--store", str(tmp_path / "new"), "--json"))

    assert told["apart"] == 1
    with gateway(upstream, tmp_path / "new") as stage:
        assert only_cached(stage, RECODED) == "judged-wrong"
        assert only_cached(stage, SMALLER) == "near"


@pytest.mark.parametrize("harm", ["cut", "flipped", "continued", "empty"])
def test_a_damaged_archive_is_refused_and_leaves_no_trace(archive: Path, tmp_path: Path, harm: str):
    data = bytearray(archive.read_bytes())
    match harm:
        case "cut":
            del data[len(data) // 2 :]
        case "flipped":
            data[len(data) // 2] ^= 1
        case "continued":
            data += b"x"
        case "empty":
            del data[40:]
    archive.write_bytes(data)
    said = lookalike("import", str(archive), "--store", str(tmp_path / "new"), status=2)

    assert "damaged" in said.stderr or "cut short" in said.stderr
    assert not (tmp_path / "new").exists()


def test_a_file_that_is_neither_is_refused_in_words(archive: Path, tmp_path: Path):
    archive.write_bytes(archive.read_bytes()[1:])
    said = lookalike("import", str(archive), "--store", str(tmp_path / "new"), status=2)

    assert "no archive (or its beginning is damaged)" in said.stderr
    assert not (tmp_path / "new").exists()


def test_vectors_of_another_embedder_are_refused_or_made_anew(
    upstream: str, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("embeddings.dct.VERSION", "99")
    said = lookalike("import", str(archive), "--store", str(tmp_path / "new"), status=2)

    assert "dct@v1" in said.stderr
    assert "dct@v99" in said.stderr
    assert "--recompute" in said.stderr
    assert not (tmp_path / "new").exists()

    told = report(lookalike("import", str(archive), "--store", str(tmp_path / "new"), "--recompute", "--json"))
    assert (told["taken"], told["recomputed"]) == (4, 4)
    with gateway(upstream, tmp_path / "new") as stage:
        assert [only_cached(stage, file) for file in (FILE, RECODED)] == ["exact", "near"]


def test_a_strict_store_exports_nothing_that_can_show_a_picture_and_takes_nothing_of_it(upstream: str, tmp_path: Path):
    with gateway(upstream, tmp_path / "strict", privacy="strict") as stage:
        send(stage, FILE)
    said = lookalike("export", str(tmp_path / "a"), "--store", str(tmp_path / "strict"))
    assert "strict privacy" in said.stdout
    assert (tmp_path / "strict" / "no-looks").exists()
    with gateway(upstream, tmp_path / "open") as stage:
        send(stage, FILE)
    lookalike("export", str(tmp_path / "b"), "--store", str(tmp_path / "open"))
    env = {"LOOKALIKE_PRIVACY": "strict"}
    told = report(lookalike("import", str(tmp_path / "b"), "--store", str(tmp_path / "new"), "--json", **env))

    assert (told["taken"], told["without_vectors"]) == (1, 1)
    assert (tmp_path / "new" / "no-looks").exists()
    with gateway(upstream, tmp_path / "new", privacy="strict") as stage:
        assert only_cached(stage, SAME_PIXELS) == "pixel"


def test_a_store_in_use_is_named_either_way(upstream: str, archive: Path, warm: Path, tmp_path: Path):
    with gateway(upstream, warm):
        out = lookalike("export", str(tmp_path / "b"), "--store", str(warm), status=2)
        into = lookalike("import", str(archive), "--store", str(warm), status=2)

    assert "stop the gateway" in out.stderr
    assert "stop the gateway" in into.stderr
    assert not (tmp_path / "b").exists()


def test_an_archive_is_never_written_over_and_no_store_is_made_by_exporting(archive: Path, warm: Path, tmp_path: Path):
    before = archive.read_bytes()
    said = lookalike("export", str(archive), "--store", str(warm), status=2)
    nothing = lookalike("export", str(tmp_path / "b"), "--store", str(tmp_path / "nowhere"), status=2)

    assert "is there already" in said.stderr
    assert archive.read_bytes() == before
    assert "no store" in nothing.stderr
    assert not (tmp_path / "nowhere").exists()


def test_what_is_over_or_retired_is_left_out(upstream: str, tmp_path: Path):
    with gateway(upstream, tmp_path / "warm", ttl_s=0.001) as stage:
        send(stage, FILE)
    with gateway(upstream, tmp_path / "warm") as stage:
        send(stage, card("11.10"), model="changed")
        send(stage, card("11.10"))
    told = report(lookalike("export", str(tmp_path / "a"), "--store", str(tmp_path / "warm"), "--json"))
    assert told["entries"] == 2

    lookalike("import", str(tmp_path / "a"), "--store", str(tmp_path / "new"))
    with gateway(upstream, tmp_path / "new") as stage:
        address = f"{stage.gateway}/cache/epochs"
        assert httpx.post(address, json={"model": "changed"}).json() == {"model": "changed", "retired": 1}
    again = report(lookalike("import", str(tmp_path / "a"), "--store", str(tmp_path / "new"), "--json"))

    assert (again["taken"], again["kept"], again["retired"]) == (0, 1, 1)


@pytest.mark.slow
def test_an_import_killed_anywhere_leaves_whole_entries_and_is_run_again(upstream: str, archive: Path, tmp_path: Path):
    new = tmp_path / "new"
    command = [sys.executable, "-m", "tests.flows.killed_import", str(archive), str(new)]
    for taken in (0, 1, 3):
        shutil.rmtree(new, ignore_errors=True)
        assert subprocess.run([*command, str(taken)], check=False).returncode == -9
        told = report(lookalike("import", str(archive), "--store", str(new), "--json"))
        assert (told["taken"], told["kept"]) == (4 - taken, taken)

    with gateway(upstream, new) as stage:
        assert [only_cached(stage, card(price)) for price in ("48.20", *OTHERS)] == ["exact"] * 4
        assert httpx.get(f"{stage.gateway}/cache/health?check=store").json()["store"]["wrong"] == []


@pytest.mark.unproved
def test_on_the_new_machine_a_key_is_proved_by_its_first_request(upstream: str, archive: Path, tmp_path: Path):
    lookalike("import", str(archive), "--store", str(tmp_path / "new"))
    with gateway(upstream, tmp_path / "new") as stage:
        assert only_cached(stage, FILE) == "key-unverified"
        send(stage, card(OTHERS[0]))
        assert only_cached(stage, FILE) == "exact"
