"""The upstream's word on a credential: how long it counts, what ends it, and that it outlives a restart."""

import json
from pathlib import Path

import anyio
import anyio.from_thread
import pytest

from gateway import acceptance
from gateway.acceptance import Acceptances
from gateway.question import Reply, Unstored
from gateway.tenants import Caller, Claim
from tests.contracts.store_contract import Clock

ANSWER = Reply({"id": "1"})
TRUST_S = 1_000.0


def claim(credential: str = "c", place: str = "p", trust_s: float = TRUST_S, shared: bool = False) -> Claim:
    return Claim(credential, place, trust_s, shared)


def caller(credential: str = "c") -> Caller:
    return Caller(credential, credential, TRUST_S)


def made(clock: Clock, file: Path | None = None) -> Acceptances:
    return Acceptances(file, clock, TRUST_S)


def test_a_word_counts_for_its_time_and_its_place_alone():
    clock = Clock()
    kept = made(clock)
    assert not kept.accepted(claim())
    kept.heard(claim(), ANSWER, clock.now_s)

    assert kept.accepted(claim())
    assert not kept.accepted(claim(place="another model"))
    assert not kept.accepted(claim(credential="another"))
    clock.now_s += TRUST_S - 1
    assert kept.accepted(claim())
    clock.now_s += 1
    assert not kept.accepted(claim())
    assert kept.accepted(None)  # nobody has nothing to prove


def test_a_clock_that_was_set_back_makes_no_word_last_longer():
    clock = Clock()
    kept = made(clock)
    kept.heard(claim(), ANSWER, clock.now_s)
    clock.now_s -= 10

    assert not kept.accepted(claim())


@pytest.mark.parametrize("reply", [Unstored.TRUNCATED, Unstored.TOOL_CALLS, Unstored.REFUSED])
def test_an_answer_that_is_not_kept_proves_a_key_as_well(reply: Unstored):
    kept = made(Clock())
    kept.heard(claim(), reply, 1_000.0)

    assert kept.accepted(claim())


@pytest.mark.parametrize(
    "reply",
    [
        Unstored.EMPTY,
        Unstored.UNFINISHED,
        Unstored.STATUS,
        Unstored.ERROR_IN_REPLY,
        Unstored.MALFORMED,
        Unstored.CUT_SHORT,
        Unstored.ENCODED_REPLY,
    ],
)
def test_what_may_be_an_error_proves_nothing(reply: Unstored):
    kept = made(Clock())
    kept.heard(claim(), reply, 1_000.0)

    assert not kept.accepted(claim())


def test_a_refusal_forgets_every_place_of_that_credential():
    clock = Clock()
    kept = made(clock)
    for who in (claim(), claim(place="q"), claim(credential="other")):
        kept.heard(who, ANSWER, clock.now_s)
    kept.refused(caller())

    assert not kept.accepted(claim())
    assert not kept.accepted(claim(place="q"))
    assert kept.accepted(claim(credential="other"))


def test_an_answer_that_began_before_the_refusal_proves_nothing_after_it():
    clock = Clock()
    kept = made(clock)
    began_s = clock.now_s
    clock.now_s += 5
    kept.refused(caller())
    kept.heard(claim(), ANSWER, began_s)
    assert not kept.accepted(claim())

    kept.heard(claim(), ANSWER, clock.now_s + 1)
    clock.now_s += 2
    assert kept.accepted(claim())


def test_a_busy_key_is_renewed_by_one_request_before_its_time_is_over():
    clock = Clock(1_000_000.0)
    kept = made(clock)
    kept.heard(claim(), ANSWER, clock.now_s)
    assert kept.vouched(claim())
    clock.now_s += 0.95 * TRUST_S

    assert [kept.vouched(claim()) for _ in range(3)] == [False, True, True]
    assert kept.vouched(claim(), ahead=False)
    clock.now_s += 31  # that one came to nothing: another is sent
    assert [kept.vouched(claim()) for _ in range(2)] == [False, True]
    clock.now_s += 30
    assert not kept.vouched(claim(), ahead=False)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(acceptance, "_MOST", 50)
    monkeypatch.setattr(acceptance, "_REFUSED_MOST", 50)
    monkeypatch.setattr(acceptance, "_EACH_MOST", 3)
    clock = Clock()
    kept = made(clock)
    for number in range(500):
        kept.heard(claim(f"c{number}"), ANSWER, clock.now_s)
        kept.heard(claim("busy", f"p{number}"), ANSWER, clock.now_s)
        kept.refused(caller(f"x{number}"))

    assert sum(map(len, kept._at.values())) == kept._count <= 50
    assert len(kept._refused) <= 50
    assert [number for number in range(500) if kept.accepted(claim("busy", f"p{number}"))] == [497, 498, 499]
    assert kept.accepted(claim("c499"))


def test_a_restart_forgets_neither_acceptance_nor_refusal(tmp_path: Path):
    clock, file = Clock(), tmp_path / "accepted.json"
    kept = made(clock, file)
    for who in ("c", "revoked"):
        kept.heard(claim(who), ANSWER, clock.now_s)
    kept.close()
    again = made(clock, file)
    assert again.accepted(claim("revoked"))
    again.refused(caller("revoked"))
    again.close()

    third = made(clock, file)
    assert third.accepted(claim())
    assert not third.accepted(claim("revoked"))
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.anyio
async def test_a_refusal_is_on_disk_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    clock, file = Clock(), tmp_path / "accepted.json"
    kept = made(clock, file)
    kept.heard(claim(), ANSWER, clock.now_s)
    kept.close()
    written = anyio.Event()

    def write(data: bytes | None) -> None:
        Acceptances._write(kept, data)
        anyio.from_thread.run_sync(written.set)

    monkeypatch.setattr(kept, "_write", write)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kept.run)
        kept.refused(caller())
        with anyio.fail_after(20):  # the rest waits longer
            await written.wait()
        tasks.cancel_scope.cancel()

    assert json.loads(file.read_bytes()) == {}


def test_what_is_over_is_not_written(tmp_path: Path):
    clock, file = Clock(), tmp_path / "accepted.json"
    kept = made(clock, file)
    kept.heard(claim("old"), ANSWER, clock.now_s)
    clock.now_s += TRUST_S
    kept.heard(claim("new"), ANSWER, clock.now_s)
    kept.close()

    assert list(json.loads(file.read_bytes())) == ["new"]


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"c": 5}', b'{"c": {"p": "x"}}', b"\xff\xfe"])
def test_a_damaged_file_costs_every_key_a_call_and_no_start(tmp_path: Path, damage: bytes):
    clock, file = Clock(), tmp_path / "accepted.json"
    file.write_bytes(damage)
    kept = made(clock, file)

    assert not kept.accepted(claim())
    kept.heard(claim(), ANSWER, clock.now_s)
    kept.close()
    assert made(clock, file).accepted(claim())


def test_a_disk_that_takes_nothing_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    kept = made(Clock(), tmp_path / "no such folder" / "accepted.json")
    kept.heard(claim(), ANSWER, 1_000.0)
    kept.close()

    assert "could not be written" in caplog.text
    assert kept.accepted(claim())
