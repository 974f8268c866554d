"""What becomes of batches when they are cancelled, expire, or the gateway, the upstream or the disk goes away."""

import errno
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import APIStatusError, BadRequestError, NotFoundError, OpenAI

from gateway.config import Settings
from tests.fakes.parrot import Parrot
from tests.fakes.turnstile import Failing, Turnstile
from tests.flows.batches import create, jsonl, over, results, said, say, upload
from tests.flows.conftest import Stage, gateway_over, serving

AT_ONCE = 3
LINES = 20
KEY = "sk-nobody-may-find-this-4711"


@dataclass
class Clock:
    now_s: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


Open = Callable[[Any], Any]


@pytest.fixture
def opened(tmp_path: Path, clock: Clock) -> Open:
    """A gateway over one store, as often as it is wanted, and a client of it."""

    @contextmanager
    def open_gateway(upstream: Any, **limits: Any) -> Iterator[tuple[Stage, OpenAI]]:
        with ExitStack() as stack:
            url = upstream if isinstance(upstream, str) else stack.enter_context(serving(upstream))
            batches = {"concurrency": AT_ONCE, "retries": 0} | limits
            settings = Settings(upstream=url, cache_dir=tmp_path / "cache", embedder="dct", batches=batches)
            stage = stack.enter_context(gateway_over(settings, clock=clock))
            with OpenAI(base_url=f"{stage.gateway}/v1", api_key=KEY, max_retries=0) as client:
                yield stage, client

    return open_gateway


@pytest.fixture
def turnstile() -> Iterator[Turnstile]:
    found = Turnstile(lets=AT_ONCE)
    yield found
    found.gate.set()


def until(true: Callable[[], bool]) -> None:
    for _ in range(100_000):
        if true():
            return
        threading.Event().wait(0.001)
    raise AssertionError("that never came true")


def lines() -> list[dict[str, Any]]:
    return [say(number) for number in range(LINES)]


def test_cancelling_stops_soon_and_keeps_what_came(opened: Open, turnstile: Turnstile):
    with opened(turnstile) as (_, client):
        batch = create(client, *lines())
        until(lambda: turnstile.holding == AT_ONCE)
        counts = client.batches.retrieve(batch.id).request_counts

        assert (counts.total, counts.completed) == (LINES, AT_ONCE)
        with pytest.raises(BadRequestError, match="cancel that first"):
            client.files.delete(batch.input_file_id)
        assert client.batches.cancel(batch.id).status == "cancelling"

        turnstile.gate.set()
        batch = over(client, batch)

        assert batch.status == "cancelled"
        assert batch.cancelling_at <= batch.cancelled_at
        assert turnstile.asked == 2 * AT_ONCE == len(said(client, batch)) == batch.request_counts.completed
        rest = results(client, batch.error_file_id)
        assert len(rest) == LINES - 2 * AT_ONCE == batch.request_counts.failed
        assert {line["error"]["code"] for line in rest} == {"batch_cancelled"}
        assert client.batches.cancel(batch.id).status == "cancelled"


def test_many_batches_ask_no_more_lines_at_once_than_one(opened: Open, turnstile: Turnstile):
    with opened(turnstile) as (stage, client):
        batches = [create(client, *lines()) for _ in range(3)]
        until(lambda: stage.stats()["batches"]["by_status"] == {"in_progress": 3})
        until(lambda: turnstile.holding == AT_ONCE)

        assert turnstile.asked == 2 * AT_ONCE
        turnstile.gate.set()
        assert [len(said(client, over(client, batch))) for batch in batches] == [LINES] * 3
    assert turnstile.called.total() == 3 * LINES


def test_one_that_is_over_is_not_cancelled(opened: Open):
    with opened(Parrot()) as (_, client):
        batch = over(client, create(client, say(1)))
        with pytest.raises(BadRequestError, match="the batch is completed"):
            client.batches.cancel(batch.id)


def test_after_its_24_hours_it_expires_with_what_came(opened: Open, turnstile: Turnstile, clock: Clock):
    with opened(turnstile) as (_, client):
        batch = create(client, *lines())
        until(lambda: turnstile.holding == AT_ONCE)
        clock.now_s = batch.expires_at
        turnstile.gate.set()
        batch = over(client, batch)

        assert batch.status == "expired"
        assert batch.expired_at == batch.expires_at
        assert len(said(client, batch)) == 2 * AT_ONCE
        assert {line["error"]["code"] for line in results(client, batch.error_file_id)} == {"batch_expired"}


def test_what_has_had_its_time_is_gone_from_list_and_disk(opened: Open, clock: Clock, tmp_path: Path):
    with opened(Parrot(), keep_s=7200) as (_, client):
        batch = over(client, create(client, say(1)))
        clock.now_s += 7199
        client.files.retrieve(batch.input_file_id)
        clock.now_s += 1
        last = over(client, create(client, say(2)))

        for call in (lambda: client.batches.retrieve(batch.id), lambda: client.files.retrieve(batch.output_file_id)):
            with pytest.raises(NotFoundError):
                call()
        there = {path.name for path in (tmp_path / "cache/batches/files").iterdir()}
        assert there == {last.input_file_id, last.output_file_id}
        # A batch is over for its client before its journal is removed.
        until(lambda: not any((tmp_path / "cache/batches/runs").iterdir()))


def test_a_stopped_gateway_keeps_what_is_in_flight_and_goes_on_when_the_owner_calls(
    opened: Open, turnstile: Turnstile, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    with serving(turnstile) as url:
        with ExitStack() as first:
            stage, client = first.enter_context(opened(url))
            batch = create(client, *lines())
            until(lambda: turnstile.holding == AT_ONCE)
            leaving = threading.Thread(target=first.pop_all().close)
            leaving.start()
            until(lambda: stage.app.state.running.batches.closing)
            turnstile.gate.set()
            leaving.join()

        assert turnstile.asked == 2 * AT_ONCE
        on_disk = b"".join(path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file())
        assert b"say 19" in on_disk  # that much was read
        assert KEY.encode() not in on_disk

        with opened(url) as (stage, client):
            known = stage.stats()["batches"]

            assert (known["by_status"], known["waiting_for_key"]) == ({"in_progress": 1}, 1)
            assert turnstile.asked == 2 * AT_ONCE

            client.files.list()  # any call with its key
            batch = over(client, batch)

            assert said(client, batch) == {f"r{number}": f"say {number}" for number in range(LINES)}
            assert set(turnstile.called.values()) == {1}
    assert KEY not in caplog.text


def test_without_a_key_there_is_nothing_to_wait_for(opened: Open, turnstile: Turnstile):
    with serving(turnstile) as url:
        with opened(url) as (stage, _), httpx.Client(base_url=f"{stage.gateway}/v1", timeout=60) as nobody:
            data = {"purpose": "batch"}
            file = nobody.post("/files", data=data, files={"file": jsonl(*lines())}).raise_for_status().json()["id"]
            wanted = {"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
            nobody.post("/batches", json=wanted).raise_for_status()
            until(lambda: turnstile.holding == AT_ONCE)
            turnstile.gate.set()
        with opened(url) as (stage, _):
            until(lambda: stage.stats()["batches"]["by_status"] == {"completed": 1})

    assert len(turnstile.called) == LINES


@pytest.mark.parametrize(
    ("status", "code"), [(502, "upstream_unreachable"), (503, "upstream_down"), (503, "upstream_busy")]
)
def test_while_the_upstream_cannot_be_reached_a_batch_waits(
    opened: Open, monkeypatch: pytest.MonkeyPatch, status: int, code: str
):
    monkeypatch.setattr("gateway.batches.run._PAUSE_S", 0.001)
    monkeypatch.setattr("gateway.backoff._BASE_S", 0.001)
    down = Failing(status=status, error={"code": code, "message": "down"}, failures=5 if status == 502 else 15)
    with opened(down) as (_, client):
        batch = over(client, create(client, *lines()))

        assert batch.request_counts.model_dump() == {"total": LINES, "completed": LINES, "failed": 0}
        assert set(down.called.values()) == {1}


def test_a_key_that_is_refused_is_not_tried_with_every_line(opened: Open):
    refusing = Failing(status=401, error={"code": "invalid_api_key", "message": "no"})
    with opened(refusing) as (_, client):
        batch = over(client, create(client, *lines()))
        failed = results(client, batch.error_file_id)

        assert (batch.status, batch.output_file_id) == ("completed", None)
        assert [line["response"]["status_code"] for line in failed] == [401] * LINES
        assert refusing.asked <= AT_ONCE


def test_what_the_upstream_refuses_is_in_the_error_file_and_the_rest_is_not(opened: Open):
    with opened(Failing(status=400, error={"code": "bad", "message": "no"}, failures=2)) as (_, client):
        batch = over(client, create(client, *lines()))

        assert batch.status == "completed"
        assert batch.request_counts.model_dump() == {"total": LINES, "completed": LINES - 2, "failed": 2}
        failed, good = results(client, batch.error_file_id), results(client, batch.output_file_id)
        assert [line["response"]["body"]["error"]["message"] for line in failed] == ["no", "no"]
        assert {line["custom_id"] for line in failed + good} == {f"r{number}" for number in range(LINES)}


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_refuses_an_upload_and_leaves_nothing(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with opened(Parrot()) as (_, client):
        with monkeypatch.context() as patched:
            patched.setattr("gateway.batches.shelf.Writing.write", full)
            with pytest.raises(APIStatusError, match="No space left on device") as refused:
                upload(client, jsonl(say(1)))

        assert refused.value.status_code == 507
        assert list((tmp_path / "cache/batches/files").iterdir()) == list(client.files.list()) == []
        assert over(client, create(client, say(1))).status == "completed"


def test_results_that_have_no_room_are_written_once_there_is_some(
    opened: Open, turnstile: Turnstile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr("gateway.batches.desk._ASIDE_S", 0.01)
    monkeypatch.setattr("gateway.batches.desk._LOOK_EVERY_S", 0.02)
    with opened(turnstile) as (_, client):
        batch = create(client, *lines())
        until(lambda: turnstile.holding == AT_ONCE)
        with monkeypatch.context() as patched:
            patched.setattr("gateway.batches.shelf.Writing.write", full)
            turnstile.gate.set()
            until(lambda: "could not go on" in caplog.text)
            assert client.batches.retrieve(batch.id).status == "finalizing"

        assert len(said(client, over(client, batch))) == LINES
    assert set(turnstile.called.values()) == {1}


def test_a_client_that_leaves_in_mid_upload_leaves_nothing_behind(opened: Open, tmp_path: Path):
    files = tmp_path / "cache/batches/files"
    with opened(Parrot()) as (stage, client):

        def half() -> Iterator[bytes]:
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + b"x" * 100_000
            until(lambda: len(list(files.iterdir())) == 1)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            httpx.post(
                f"{stage.gateway}/v1/files",
                content=half(),
                headers={"Content-Type": "multipart/form-data; boundary=b"},
            )
        until(lambda: not list(files.iterdir()))
        assert list(client.files.list()) == []


def test_what_a_kill_left_is_taken_away_at_the_next_start(opened: Open, tmp_path: Path):
    with opened(Parrot()) as (_, client):
        kept = upload(client, jsonl(say(1)))
    batches = tmp_path / "cache/batches"
    for name in ("files/0123.part", "files/file-unknown", "runs/batch_unknown", "runs/batch_unknown-wal"):
        (batches / name).write_bytes(b"left")

    with opened(Parrot()) as (stage, _):
        assert [path.name for path in (batches / "files").iterdir()] == [kept]
        assert list((batches / "runs").iterdir()) == []
        assert stage.stats()["batches"]["file_bytes"] == len(jsonl(say(1)))


def test_only_the_owner_of_the_process_may_read_the_files(opened: Open, turnstile: Turnstile, tmp_path: Path):
    with opened(turnstile) as (_, client):
        create(client, *lines())
        until(lambda: turnstile.holding == AT_ONCE)
        there = list((tmp_path / "cache/batches").rglob("*"))

        assert {path.name for path in there if path.is_dir()} == {"files", "runs"}
        assert [path for path in there if path.stat().st_mode & 0o077] == []
        turnstile.gate.set()
