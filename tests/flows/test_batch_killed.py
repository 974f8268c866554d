"""`lookalike batch` as a process, killed at any moment and run again: every line has its answer, once.

The lines have no pictures, so that nothing is answered from the cache: an answer that is asked for twice is paid twice.
"""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config import Settings
from tests.fakes.parrot import Parrot
from tests.flows.conftest import gateway_over, serving

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
LINES = 400
AT_ONCE = 5
KILLS = 4
WAIT_S = 240


@pytest.fixture
def parrot() -> Parrot:
    return Parrot()


@pytest.fixture
def gateway(parrot: Parrot, tmp_path: Path) -> Iterator[str]:
    with (
        serving(parrot) as upstream,
        gateway_over(Settings(upstream=upstream, cache_dir=tmp_path / "cache", embedder="dct")) as stage,
    ):
        yield stage.gateway


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with (tmp_path / "in.jsonl").open("w") as file:
        for number in range(LINES):
            body = {"model": "m", "messages": [{"role": "user", "content": f"say {number}"}]}
            line = {"custom_id": f"r{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}
            file.write(json.dumps(line) + "\n")
    return tmp_path


def started(folder: Path, gateway: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "gateway", "batch", str(folder / "in.jsonl"), "--out", str(folder / "out.jsonl")]
    command += ["--gateway", gateway, "--concurrency", str(AT_ONCE)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, env=os.environ | {"COLUMNS": "200"})


def wait_until_reached(parrot: Parrot, child: subprocess.Popen[str]) -> None:
    """Fails at once, with what it said, if the child has ended instead."""
    for _ in range(WAIT_S):
        if parrot.reached.wait(1):
            return
        assert child.poll() is None, child.communicate()[1]
    raise AssertionError(f"the child asked too little in {WAIT_S} s")


def every_line_has_its_own_answer(folder: Path) -> None:
    out = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    said = {line["custom_id"]: line["response"]["body"]["choices"][0]["message"]["content"] for line in out}

    assert len(out) == LINES
    assert said == {f"r{number}": f"say {number}" for number in range(LINES)}


def test_killed_at_any_moment_and_run_again_it_finishes_the_rest(folder: Path, gateway: str, parrot: Parrot):
    chance = random.Random(7)
    for _ in range(KILLS):
        parrot.after(chance.randint(1, LINES // (KILLS + 1)))
        with started(folder, gateway) as child:
            wait_until_reached(parrot, child)
            child.send_signal(signal.SIGKILL)
            child.communicate(timeout=WAIT_S)

        assert child.returncode == -signal.SIGKILL
    with started(folder, gateway) as child:
        _, said = child.communicate(timeout=WAIT_S)

    assert child.returncode == 0, said
    every_line_has_its_own_answer(folder)
    assert len(parrot.called) == LINES
    assert parrot.called.total() <= LINES + KILLS * AT_ONCE


def test_ctrl_c_keeps_what_is_in_flight_and_nothing_is_paid_twice(folder: Path, gateway: str, parrot: Parrot):
    parrot.after(LINES // 4)
    with started(folder, gateway) as child:
        wait_until_reached(parrot, child)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=WAIT_S)

    assert child.returncode == 130, said
    assert "the same command goes on" in said
    assert "Traceback" not in said
    written = len((folder / "out.jsonl").read_text().splitlines())

    assert LINES // 4 <= written == parrot.called.total() < LINES

    with started(folder, gateway) as child:
        _, said = child.communicate(timeout=WAIT_S)

    assert child.returncode == 0, said
    every_line_has_its_own_answer(folder)
    assert set(parrot.called.values()) == {1}
