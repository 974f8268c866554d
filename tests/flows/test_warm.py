"""`lookalike warm` and `lookalike batch` as people run them: fake upstream, real gateway, real clients afterwards."""

import csv
import json
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from click.testing import Result as Said
from typer.testing import CliRunner

from gateway.cli import cli
from gateway.config import Settings
from gateway.demo import cards
from tests.fakes.flaky import Flaky, first
from tests.fakes.pictures import data_url, jpeg, png
from tests.fakes.upstream import FakeUpstream
from tests.flows.conftest import Build, Stage, build, gateway_over, serving, wait_until_ready  # noqa: F401
from tests.flows.test_passthrough import question

PRICES = ["48.20", "17.50", "99.90", "12.34"]
MODEL = ("--model", "m", "--prompt", "Price?")
KEY = "sk-very-secret"
TOML = '[prices."*"]\ninput_per_million = 1000\noutput_per_million = 1000\ncurrency = "CNY"\n'


@pytest.fixture
def stage(build: Build) -> Stage:  # noqa: F811
    """A gateway that does not ask the model because this machine is busy."""
    return build(embed_timeout_s=60)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command runs, with a folder of pictures in it: four distinct ones, two of them a second time."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos" / "more").mkdir(parents=True)
    for price in PRICES:
        (tmp_path / "photos" / f"{price}.png").write_bytes(png(cards.draw(price)))
    for price in PRICES[:2]:
        (tmp_path / "photos" / "more" / f"{price}.jpg").write_bytes(jpeg(cards.draw(price), 90))
    (tmp_path / "photos" / "notes.txt").write_text("no picture")
    return tmp_path


def lookalike(*args: str, status: int = 0, **env: str) -> Said:
    said = CliRunner().invoke(cli, args, env={"LOOKALIKE_EMBEDDER": "dct", **env})
    if said.exception is not None and not isinstance(said.exception, SystemExit):
        raise said.exception

    assert said.exit_code == status, said.output
    return said


def came(said: Said) -> dict[str, Any]:
    """The JSON at the end of what was said."""
    return json.loads(said.stdout)


def unbroken(text: str) -> str:
    """What was said, on one line."""
    return " ".join(text.split())


def answers(file: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(file).read_text().splitlines()]


def batch_line(name: str, price: str) -> str:
    body = question(png(cards.draw(price)))
    return json.dumps({"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body})


# Warm.


def test_a_folder_is_warmed_and_a_client_with_the_same_key_then_hits(stage: Stage):
    said = lookalike("warm", "photos", *MODEL, "--gateway", f"{stage.gateway}/v1", "--json", OPENAI_API_KEY=KEY)

    assert stage.upstream.calls == 4
    assert came(said)["misses"]["total"] == 4
    assert came(said)["hits"] == {"total": 2, "near": 2}
    assert came(said)["near_duplicates_put_off"] == 2

    client = openai.OpenAI(base_url=f"{stage.gateway}/v1", api_key=KEY)
    for price in PRICES:
        asked = question(jpeg(cards.draw(price), 88))
        reply = client.chat.completions.with_raw_response.create(**asked)
        assert "hit" in reply.headers["cache-status"]
        assert price in str(reply.parse().choices[0].message.content)
    client.close()

    assert stage.upstream.calls == 4


def test_straight_into_a_store_gives_a_later_gateway_its_hits(folder: Path):
    with serving(FakeUpstream()) as upstream:
        lookalike("warm", "photos/*.png", *MODEL, "--upstream", upstream, "--store", "store")
        settings = Settings(upstream=upstream, cache_dir=folder / "store", embedder="dct", embed_timeout_s=60)
        with gateway_over(settings) as stage:
            wait_until_ready(stage)
            body = question(jpeg(cards.draw("48.20"), 88))
            reply = httpx.post(f"{stage.gateway}/v1/chat/completions", json=body)

    assert "detail=near" in reply.headers["cache-status"]
    assert not Path("lookalike-warm.journal").exists()


def test_a_store_in_use_is_refused_with_the_way_out(build: Build, folder: Path):  # noqa: F811
    stage = build(near=False)
    store = str(folder / "cache")
    said = lookalike("warm", "photos", *MODEL, "--upstream", stage.upstream_url, "--store", store, status=2)

    assert "--gateway" in said.stderr


def test_a_dry_run_asks_no_model_and_changes_nothing(stage: Stage, folder: Path):
    (folder / "prices.toml").write_text(TOML)
    flags = ("photos", *MODEL, "--gateway", stage.gateway, "--dry-run", "--config", "prices.toml", "--json")
    before = came(lookalike("warm", *flags))

    assert stage.upstream.calls == 0
    assert before["cached"]["total"] == 0
    assert before["alike"] == {"total": 2, "near": 2}
    assert before["calls"] == 4
    assert before["money"]["CNY"] > 0
    assert not Path("lookalike-warm.journal").exists()

    lookalike("warm", "photos", *MODEL, "--gateway", stage.gateway)
    after = came(lookalike("warm", *flags))

    assert after["cached"] == {"total": 6, "exact": 4, "near": 2}
    assert (after["calls"], after["money"]) == (0, {})


def test_several_prompts_are_asked_of_each_picture(stage: Stage, folder: Path):
    (folder / "prompts.txt").write_text("Price?\n\nColour?\n")
    lookalike("warm", "photos/48.20.png", "--model", "m", "--prompts", "prompts.txt", "--gateway", stage.gateway)

    assert stage.upstream.calls == 2


def test_a_table_names_pictures_beside_it(stage: Stage, folder: Path):
    (folder / "photos" / "list.csv").write_text("path,prompt,system\n48.20.png,Price?,Be brief.\n17.50.png,Price?,\n")
    said = lookalike("warm", "photos/list.csv", "--model", "m", "--gateway", stage.gateway, "--json")

    assert came(said)["misses"]["total"] == 2
    assert b"Be brief." in stage.upstream.seen[0].body + stage.upstream.seen[1].body


def test_a_log_of_requests_is_asked_again_in_one_piece(stage: Stage, folder: Path):
    body = question(png(cards.draw("48.20"))) | {"stream": True, "stream_options": {"include_usage": True}}
    (folder / "log.jsonl").write_text(json.dumps(body) + "\n")
    lookalike("warm", "log.jsonl", "--gateway", stage.gateway)
    reply = httpx.post(f"{stage.gateway}/v1/chat/completions", json=body)

    assert "hit" in reply.headers["cache-status"]
    assert reply.headers["content-type"].startswith("text/event-stream")


def test_to_warm_what_is_not_kept_ends_early(stage: Stage, folder: Path):
    row = {"picture": "https://example.invalid/a.png", "prompt": "Price?"}
    (folder / "rows.jsonl").write_text((json.dumps(row) + "\n") * 40)
    said = lookalike("warm", "rows.jsonl", "--model", "m", "--gateway", stage.gateway, "--concurrency", "2", status=3)

    assert "picture-by-reference" in said.stderr
    assert stage.upstream.calls < 14


FAKE = ("--header", "x-fake: text=It is a price.")


@pytest.mark.parametrize("guarded", [{}, {"admin_token": "a-token-of-the-operators"}])
def test_an_answer_that_is_not_kept_is_told_as_such_and_fails_a_script(build: Build, folder: Path, guarded: Any):  # noqa: F811
    stage = build(embed_timeout_s=60, near=False, **guarded)
    (folder / "photos" / "broken.png").write_bytes(b"no picture")
    said = lookalike(
        "warm", "photos", *MODEL, *FAKE, "--gateway", stage.gateway, "--json", status=1, OPENAI_API_KEY=KEY
    )

    assert came(said)["not_kept"] == {"total": 1, "by_reason": {"picture-unreadable": 1}}
    assert (came(said)["failed"]["total"], came(said)["exit_status"]) == (0, 1)
    assert "not kept, to be given as an input again: lookalike-warm.failures.jsonl" in unbroken(said.stderr)
    (failure,) = answers("lookalike-warm.failures.jsonl")
    assert failure["pictures"] == [str(folder / "photos" / "broken.png")]
    assert failure["error"] == "not-kept: picture-unreadable"

    (folder / "photos" / "broken.png").write_bytes(png(cards.draw("77.70")))
    calls = stage.upstream.calls
    again = ("lookalike-warm.failures.jsonl", "--model", "m", *FAKE)
    lookalike("warm", *again, "--gateway", stage.gateway, OPENAI_API_KEY=KEY)

    assert stage.upstream.calls == calls + 1


def test_a_question_that_the_cache_is_not_asked_is_not_kept(stage: Stage, folder: Path):
    row = {"picture": "https://example.invalid/a.png", "prompt": "Price?"}
    (folder / "rows.jsonl").write_text(json.dumps(row) + "\n")
    for _ in range(2):  # the second resumes the first
        said = lookalike("warm", "rows.jsonl", "--model", "m", "--gateway", stage.gateway, status=1)

        assert "answered, but not kept" in said.stdout
        assert "picture-by-reference 1" in said.stdout
    lookalike("batch", "rows.jsonl", "--out", "out.jsonl", "--model", "m", "--gateway", stage.gateway)


def test_an_answer_that_the_gateway_refuses_to_keep_is_told_by_its_reason(stage: Stage):
    flags = ("--header", "x-fake: finish=length", "--gateway", stage.gateway, "--json")
    said = lookalike("warm", "photos/*.png", *MODEL, *flags, status=1)

    assert came(said)["not_kept"] == {"total": 4, "by_reason": {"truncated-answer": 4}}
    assert stage.upstream.calls == 4


def test_a_check_that_is_stopped_is_made_by_the_next_run(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    flags = ("photos/*.png", *MODEL, "--header", "x-fake: finish=length", "--gateway", stage.gateway)

    def stopped(reply: object) -> bool:
        os.kill(os.getpid(), signal.SIGINT)  # the other lookups are still to come
        return False

    with monkeypatch.context() as patched:
        patched.setattr("gateway.warm.kept.is_missing", stopped)
        lookalike("warm", *flags, "--concurrency", "1", status=130)
    assert Path("lookalike-warm.journal").exists()
    said = lookalike("warm", *flags, "--json", status=1)

    assert came(said)["done_before"] == came(said)["not_kept"]["total"] == 4
    assert stage.upstream.calls == 4


def test_where_all_is_stored_nothing_is_looked_up(stage: Stage):
    lookalike("warm", "photos/*.png", *MODEL, "--gateway", stage.gateway)

    assert stage.stats()["hits"]["total"] == 0
    assert stage.stats()["errors"] == {}


@pytest.mark.parametrize("mode", ["off", "shadow"])
@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_gateway_that_serves_nothing_is_not_warmed(build: Build, mode: str, more: tuple[str, ...]):  # noqa: F811
    stage = build(mode=mode, near=False)
    for _ in range(2):
        said = lookalike("warm", "photos", *MODEL, "--gateway", stage.gateway, *more, status=2)

        assert f'the mode of the gateway is "{mode}"' in unbroken(said.stderr)
        assert 'mode = "near"' in unbroken(said.stderr)
    assert stage.upstream.calls == 0


def test_a_gateway_that_does_not_tell_of_its_shadow_mode_is_asked_no_more_than_once_by_each_worker(build: Build):  # noqa: F811
    stage = build(mode="shadow", near=False, admin_token="a-token-of-the-operators")
    flags = ("--gateway", stage.gateway, "--concurrency", "1", "--no-find-alike")
    said = lookalike("warm", "photos", *MODEL, *flags, status=3)

    assert "shadow mode" in said.stderr
    assert stage.upstream.calls == 1


@pytest.mark.parametrize(
    "header", ["Cache-Control: no-store", "Cache-Control: only-if-cached", "X-Lookalike-Mode: off"]
)
def test_headers_with_which_nothing_is_kept_are_refused(header: str):
    said = lookalike("warm", "photos", *MODEL, "--gateway", "http://h", "--header", header, status=2)

    assert "leave that header out" in unbroken(said.stderr)


def test_a_store_in_memory_is_not_warmed():
    flags = ("--upstream", "http://h", "--store", "store")
    said = lookalike("warm", "photos", *MODEL, *flags, status=2, LOOKALIKE_STORE="memory")

    assert "gone with this command" in unbroken(said.stderr)


def test_a_gateway_with_an_admin_token_is_warmed_without_it(build: Build):  # noqa: F811
    stage = build(embed_timeout_s=60, near=False, admin_token="a-token-of-the-operators")
    said = lookalike("warm", "photos", *MODEL, "--gateway", stage.gateway, "--json", OPENAI_API_KEY=KEY)

    assert came(said)["misses"]["total"] == stage.upstream.calls >= 4  # it does not tell when an answer is stored


def test_a_mistyped_gateway_does_not_stand_in_the_way_of_the_right_one(stage: Stage):
    lookalike("warm", "photos", *MODEL, "--gateway", "http://127.0.0.1:9", status=2)

    assert came(lookalike("warm", "photos", *MODEL, "--gateway", stage.gateway, "--json"))["misses"]["total"] == 4


def test_what_is_no_gateway_is_told_before_anything_is_asked():
    with serving(FakeUpstream()) as upstream:
        said = lookalike("warm", "photos", *MODEL, "--gateway", upstream, status=2)

    assert "no lookalike gateway" in said.stderr


def test_nobody_at_the_address_is_told_before_anything_is_asked():
    assert (
        "there is no gateway" in lookalike("warm", "photos", *MODEL, "--gateway", "http://127.0.0.1:9", status=2).stderr
    )


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("photos", *MODEL), "--gateway URL"),
        (("photos", *MODEL, "--gateway", "http://h", "--store", "s"), "not both"),
        (("photos", "--model", "m", "--gateway", "http://h"), "--prompt"),
        (("photos", "--prompt", "Price?", "--gateway", "http://h"), "--model"),
        (("nowhere", *MODEL, "--gateway", "http://h"), "there is no file or folder nowhere"),
        (("nothing*.png", *MODEL, "--gateway", "http://h"), "no file is called nothing*.png"),
        (("empty", *MODEL, "--gateway", "http://h"), "no picture in empty or below"),
        (("none.jsonl", "--model", "m", "--gateway", "http://h"), "no line with a question in none.jsonl"),
        (("photos", *MODEL, "--gateway", "http://h", "--journal", "no/such.journal"), "there is no folder no; make it"),
        (("photos", *MODEL, "--gateway", "http://h", "--journal", "photos"), "--journal photos is a folder"),
        (("photos", *MODEL, "--gateway", "http://h", "--failures", "no/f.jsonl"), "--failures no/f.jsonl: there is no"),
        (("photos", "rows.csv", *MODEL, "--gateway", "http://h"), "give it alone"),
        (("photos", *MODEL, "--store", "s"), "LOOKALIKE_UPSTREAM"),
        (("photos", *MODEL, "--gateway", "h"), "--gateway"),
        (("photos", *MODEL, "--gateway", "http://h", "--header", "secret"), "Name: value"),
        (("photos", *MODEL, "--gateway", "http://h", "--api-key", "sk-\u201c"), "the key has signs"),
        (("photos", *MODEL, "--gateway", "http://h", "--form", "xml"), "one of csv, rows, openai, log"),
    ],
)
def test_bad_input_is_told_in_words_and_nothing_is_asked(flags: tuple[str, ...], said: str, folder: Path):
    (folder / "empty").mkdir()
    (folder / "none.jsonl").touch()
    told = lookalike("warm", *flags, status=2)

    assert said in unbroken(told.stderr)
    assert "Traceback" not in told.output


@pytest.mark.parametrize("template", [None, '{"a": "{picture}", "b": "{prompt}", "c": "{system}"}'])
def test_what_every_picture_of_a_folder_lacks_is_told_once(folder: Path, template: str | None):
    flags = ["--prompt", "Price?", "--gateway", "http://h"]
    if template:
        (folder / "template.json").write_text(template)
        flags += ["--template", "template.json"]
    told = lookalike("warm", "photos", *flags, status=2)

    assert len(told.stderr.splitlines()) == 1
    assert "line" not in told.stderr


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--out", "photos"), "--out photos is a folder: name a file in it, such as photos/answers.jsonl"),
        (("--out", "in.jsonl"), "--out in.jsonl is the input itself, which stays as it is"),
        (("--out", "link.jsonl"), "--out link.jsonl is the input itself"),
        (("--out", "no/out.jsonl"), "--out no/out.jsonl: there is no folder no; make it first"),
        (("--out", "out.jsonl", "--journal", "out.jsonl"), "--journal and --out are one file"),
        (("--out", "out.jsonl", "--journal", "in.jsonl"), "--journal in.jsonl is the input itself"),
        (("--out", "out.xlsx"), "answers are not written as .xlsx; name a file that ends in .jsonl or .csv"),
    ],
)
def test_a_place_where_nothing_can_be_written_is_told_before_anything_is_asked(
    folder: Path, flags: tuple[str, ...], said: str
):
    (folder / "in.jsonl").write_text(batch_line("a", "48.20"))
    (folder / "link.jsonl").symlink_to("in.jsonl")
    before = sorted(folder.iterdir())
    told = lookalike("batch", "in.jsonl", *flags, "--gateway", "http://h", status=2)

    assert said in unbroken(told.stderr)
    assert "delete" not in told.stderr
    assert (sorted(folder.iterdir()), (folder / "in.jsonl").read_text()) == (before, batch_line("a", "48.20"))


def test_a_form_that_is_named_may_have_any_suffix(stage: Stage, folder: Path):
    (folder / "in.jsonl").write_text(batch_line("a", "48.20"))
    lookalike("batch", "in.jsonl", "--out", "out.txt", "--out-form", "csv", "--gateway", stage.gateway)

    assert Path("out.txt").read_text().startswith("id,picture,prompt")


# Batch.


def test_batch_lines_come_back_as_openais_output_lines(stage: Stage, folder: Path):
    lines = [batch_line(f"r{number}", price) for number, price in enumerate(PRICES)]
    (folder / "in.jsonl").write_text("\n".join(lines) + "\n")
    lookalike("batch", "in.jsonl", "--out", "out.jsonl", "--gateway", stage.gateway)
    out = answers("out.jsonl")

    assert [line["custom_id"] for line in out] == ["r0", "r1", "r2", "r3"]
    assert all(line["error"] is None and line["response"]["status_code"] == 200 for line in out)
    for line, price in zip(out, PRICES, strict=True):
        assert price in line["response"]["body"]["choices"][0]["message"]["content"]


def test_a_folder_comes_back_as_a_table(stage: Stage):
    lookalike("batch", "photos", *MODEL, "--out", "out.csv", "--gateway", stage.gateway, "--find-alike")
    with Path("out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert len(rows) == 6
    for row in rows:
        assert row["answer"] == f"prices: {Path(row['picture']).stem}"
    assert [row["cache"] for row in rows if row["picture"].endswith(".jpg")] == ["near", "near"]


def test_run_again_it_asks_nothing_and_writes_the_same(stage: Stage, folder: Path):
    flags = ("batch", "photos", *MODEL, "--out", "out.jsonl", "--gateway", stage.gateway)
    lookalike(*flags)
    once = Path("out.jsonl").read_bytes()
    Path("out.jsonl").unlink()
    again = came(lookalike(*flags, "--json"))

    assert (again["done_before"], again["asked"]) == (6, 0)
    assert Path("out.jsonl").read_bytes() == once


def test_another_question_under_an_id_that_has_an_answer_is_refused(stage: Stage):
    flags = ("--model", "m", "--out", "out.jsonl", "--gateway", stage.gateway)
    lookalike("batch", "photos", "--prompt", "Price?", *flags)
    said = lookalike("batch", "photos", "--prompt", "Colour?", *flags, status=2)

    assert "to another question" in said.stderr


def test_a_file_of_answers_is_not_written_over_by_another_input(stage: Stage, folder: Path):
    (folder / "in.jsonl").write_text(batch_line("a", "48.20"))
    (folder / "other.jsonl").write_text(batch_line("b", "17.50"))
    lookalike("batch", "in.jsonl", "--out", "out.jsonl", "--gateway", stage.gateway)
    once = Path("out.jsonl").read_bytes()
    said = lookalike("batch", "other.jsonl", "--out", "out.jsonl", "--gateway", stage.gateway, status=2)

    assert "another input" in said.stderr

    Path("out.jsonl.journal").unlink()
    said = lookalike("batch", "in.jsonl", "--out", "out.jsonl", "--gateway", stage.gateway, status=2)

    assert "move that file away" in unbroken(said.stderr)
    assert Path("out.jsonl").read_bytes() == once


def test_failures_are_rows_of_the_answers_and_an_input_to_ask_them_again(folder: Path):
    flaky = Flaky(FakeUpstream(), lambda number: (400, {}) if number in (1, 2) else None)
    (folder / "in.jsonl").write_text("\n".join(batch_line(price, price) for price in PRICES))
    with serving(flaky) as upstream:
        flags = ("--upstream", upstream, "--store", "store", "--concurrency", "1")
        lookalike("batch", "in.jsonl", "--out", "out.jsonl", *flags, status=1)
        out = answers("out.jsonl")
        lookalike("batch", "out.jsonl.failures.jsonl", "--out", "second.jsonl", *flags)

        assert [line["response"]["status_code"] for line in out] == [200, 400, 400, 200]
        assert [line["custom_id"] for line in answers("second.jsonl")] == PRICES[1:3]
        assert flaky.calls == 6

        lookalike("batch", "in.jsonl", "--out", "out.jsonl", *flags)  # run again, it asks what failed
        assert [line["response"]["status_code"] for line in answers("out.jsonl")] == [200] * 4
        assert not Path("out.jsonl.failures.jsonl").exists()
        assert flaky.calls == 6


def test_failed_pictures_are_rows_to_ask_again_with_the_reason(folder: Path):
    flaky = Flaky(FakeUpstream(), first([(400, {})]))
    with serving(flaky) as upstream:
        flags = ("--model", "m", "--upstream", upstream, "--store", "store", "--concurrency", "1")
        lookalike("warm", "photos/48.20.png", "--prompt", "Price?", *flags, status=1)
        [row] = answers("lookalike-warm.failures.jsonl")

        assert row["prompt"] == "Price?"
        assert row["error"] == "flaky: the fake is flaky"
        lookalike("warm", "lookalike-warm.failures.jsonl", *flags)

    assert flaky.calls == 2


def test_an_upstream_that_fails_for_all_is_not_asked_to_the_end(folder: Path):
    (folder / "in.jsonl").write_text("\n".join(batch_line(str(number), "48.20") for number in range(60)))
    flaky = Flaky(FakeUpstream(), lambda number: (400, {}))
    with serving(flaky) as upstream:
        flags = ("--upstream", upstream, "--store", "store", "--concurrency", "2")
        said = lookalike("batch", "in.jsonl", "--out", "out.jsonl", *flags, status=3)

    assert "one after the other failed" in said.stderr
    assert 20 <= flaky.calls <= 22


def test_lines_that_cannot_be_used_stop_it_before_anything_is_asked_or_are_left_out(stage: Stage, folder: Path):
    (folder / "in.jsonl").write_text("\n".join([batch_line("a", "48.20"), "{", batch_line("b", "17.50")]))
    flags = ("batch", "in.jsonl", "--out", "out.jsonl", "--gateway", stage.gateway)
    said = lookalike(*flags, status=2)

    assert "line 2 is not JSON" in said.stderr
    assert stage.upstream.calls == 0

    lookalike(*flags, "--skip-bad", status=1)
    out = answers("out.jsonl")

    assert [line["custom_id"] for line in out] == ["a", "line-2", "b"]
    assert out[1]["error"]["code"] == "bad-line"


def test_no_key_and_no_prompt_are_in_what_is_left_on_disk_or_said(stage: Stage, folder: Path):
    flags = ("--gateway", stage.gateway, "--header", "x-api-key: header-secret", "--json")
    said = lookalike("batch", "photos", *MODEL, "--out", "out.jsonl", *flags, OPENAI_API_KEY=KEY)
    sent = dict(stage.upstream.seen[0].headers)

    assert sent["authorization"] == f"Bearer {KEY}"
    assert sent["x-api-key"] == "header-secret"
    journal = b"".join(file.read_bytes() for file in folder.glob("out.jsonl.journal*"))
    assert journal
    for secret in (KEY.encode(), b"header-secret"):
        assert secret not in journal + Path("out.jsonl").read_bytes() + said.output.encode()
    assert b"Price?" not in journal


def test_another_dialect_is_asked_by_its_path(stage: Stage, folder: Path):
    picture = data_url(png(cards.draw("48.20")))
    (folder / "template.json").write_text(json.dumps({"image": "{picture}", "text": "{prompt}"}))
    flags = ("--template", "template.json", "--path", "/v1/echo", "--gateway", stage.gateway, "--prompt", "Price?")
    lookalike("batch", "photos/48.20.png", *flags, "--out", "out.jsonl", "--model", "m")

    assert json.loads(stage.upstream.seen[-1].body) == {"image": picture, "text": "Price?", "model": "m"}
