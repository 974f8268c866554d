"""An outbox's process killed at any moment: what it had written comes, at least once, and never half."""

import random
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fakes.receiver import Receiver, Says
from tests.flows.conftest import serving
from tests.webhooks.conftest import Post, until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
EVENTS = 120
KILLS = 4

# Publishes in small groups, and says after each how many events are on disk; then stays, sending.
CHILD = """
import sys, threading
from pathlib import Path
from tests.webhooks.conftest import Post, event, until
from contextlib import ExitStack
folder, url, first, last = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
with ExitStack() as stack:
    post = Post(folder, stack)
    outbox = post.outbox(post.webhook(url))
    for number in range(first, last):
        outbox.publish(event(number))
        until(lambda: outbox.report()["orders"]["unwritten"] == 0)
        print(number, flush=True)
    threading.Event().wait()
"""


def test_whatever_was_written_comes(tmp_path: Path):
    chance = random.Random(5)
    receiver = Receiver([chance.choice((Says(204), Says(204), Says(500))) for _ in range(EVENTS)])
    written: set[int] = set()
    with serving(receiver) as url:
        for part in range(KILLS):
            first, last = EVENTS * part // KILLS, EVENTS * (part + 1) // KILLS
            command = [sys.executable, "-c", CHILD, str(tmp_path), url, str(first), str(last)]
            with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
                assert child.stdout is not None
                stop = chance.randrange(first, last)
                for line in child.stdout:
                    written.add(int(line))
                    if int(line) >= stop:
                        break
                child.send_signal(signal.SIGKILL)
                written |= {int(line) for line in child.stdout}
        with ExitStack() as stack:
            post = Post(tmp_path, stack)
            outbox = post.outbox(post.webhook(url))
            until(lambda: outbox.report()["orders"]["queued"] == 0)

    assert receiver.forged == 0
    assert len(written) >= KILLS
    assert {f"answer {number}" for number in written} <= set(receiver.answers)
    assert len({event["id"] for event in receiver.got}) == len(set(receiver.answers))
