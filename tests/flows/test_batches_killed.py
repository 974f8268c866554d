"""A gateway killed with a batch at work, again and again: every line has its answer, once, and none is paid for twice
but those that were in flight."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from openai import OpenAI

from tests.fakes.parrot import Parrot
from tests.flows.batches import create, over, said, say
from tests.flows.conftest import serving

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
LINES = 300
AT_ONCE = 4
KILLS = 4
WAIT_S = 240


@contextmanager
def gateway(upstream: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A gateway as a process, and its base URL."""
    command = [sys.executable, "-m", "gateway", "serve", "--upstream", upstream, "--port", "0", "--embedder", "dct"]
    command += ["--cache-dir", str(folder / "cache")]
    limits = json.dumps({"concurrency": AT_ONCE, "retries": 0})
    env = os.environ | {"COLUMNS": "200", "LOOKALIKE_BATCHES": limits}
    file = folder / "log"
    file.unlink(missing_ok=True)
    with (
        file.open("w") as log,
        subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, text=True, env=env) as child,
    ):
        try:
            yield child, address(child, file)
        finally:
            child.kill()
            child.wait(WAIT_S)

    assert "Traceback" not in file.read_text()


def address(child: subprocess.Popen[str], log: Path) -> str:
    """What it says that a client's base_url should be, once it listens."""
    for _ in range(WAIT_S * 10):
        if found := re.search(r"http://\S+/v1", log.read_text()):
            return found[0]
        assert child.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(f"no gateway in {WAIT_S} s: {log.read_text()}")


def wait_until_reached(parrot: Parrot, child: subprocess.Popen[str]) -> None:
    for _ in range(WAIT_S):
        if parrot.reached.wait(1):
            return
        assert child.poll() is None
    raise AssertionError(f"the gateway asked too little in {WAIT_S} s")


def test_killed_at_any_moment_and_started_again_it_finishes_the_rest(tmp_path: Path):
    parrot, chance, batch = Parrot(), random.Random(11), ""
    with serving(parrot) as upstream:
        for kill in range(KILLS + 1):
            parrot.after(chance.randint(1, LINES // (KILLS + 1)))
            with gateway(upstream, tmp_path) as (child, url), OpenAI(base_url=url, api_key="sk-one") as client:
                if not batch:
                    batch = create(client, *map(say, range(LINES))).id
                assert client.batches.retrieve(batch).request_counts is not None  # the owner calls
                if kill < KILLS:
                    wait_until_reached(parrot, child)
                    child.send_signal(signal.SIGKILL)
                    child.wait(WAIT_S)
                    continue
                done = over(client, batch)

                assert done.request_counts.model_dump() == {"total": LINES, "completed": LINES, "failed": 0}
                assert done.error_file_id is None
                assert said(client, done) == {f"r{number}": f"say {number}" for number in range(LINES)}

    assert len(parrot.called) == LINES
    assert parrot.called.total() <= LINES + KILLS * AT_ONCE
