"""The queue against a plain model of it, whatever is done in whatever order, and reopened at any time."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.webhooks.message import Message
from gateway.webhooks.queue import Held, Queue
from tests.examples import examples

NAMES = ("orders", "engineers")
names = st.sampled_from(NAMES)


@dataclass
class Known:
    """What the model knows of an event."""

    bytes: int
    entry: str
    due_s: float
    withheld: dict[str, str]
    aside: bool = False


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.file = Path(self.folder.name) / "webhooks.sqlite"
        self.queue = Queue(self.file)
        self.known: dict[tuple[str, str], Known] = {}
        self.now_s = 0.0

    def teardown(self) -> None:
        self.queue.close()
        self.folder.cleanup()

    @rule(webhook=names, entry=st.sampled_from("abc"), prompt=st.sampled_from(["", "what?"]))
    def add(self, webhook: str, entry: str, prompt: str) -> None:
        self.now_s += 1
        one = Message(f"evt{self.now_s}", webhook, entry, self.now_s, b"{}", {"prompt": prompt} if prompt else {})
        self.queue.add([one])
        self.known[webhook, one.id] = Known(one.bytes, entry, self.now_s, one.withheld)

    @rule(webhook=names, end=st.sampled_from(["delivered", "again", "aside"]))
    def attempt(self, webhook: str, end: str) -> None:
        self.now_s += 1
        for row in self.queue.next(webhook, 1):
            key = (webhook, row.id)
            assert self.queue.withheld(row) == self.known[key].withheld
            if end == "delivered":
                assert self.queue.delivered(row)
                assert not self.queue.delivered(row)
                del self.known[key]
            elif end == "again":
                self.queue.again(row, self.now_s, "HTTP 500")
                self.known[key].due_s = self.now_s
            else:
                assert self.queue.set_aside(row, self.now_s, "HTTP 410")
                self.known[key].aside = True

    @rule(webhook=names)
    def retry(self, webhook: str) -> None:
        self.now_s += 1
        again = [one for (name, _), one in self.known.items() if name == webhook and one.aside]
        assert self.queue.retry(webhook, None, self.now_s) == len(again)
        for one in again:
            one.aside, one.due_s = False, self.now_s

    @rule(entries=st.frozensets(st.sampled_from("abc"), min_size=1))
    def forget(self, entries: frozenset[str]) -> None:
        gone = [key for key, one in self.known.items() if one.entry in entries]
        assert self.queue.forget(entries) == len(gone)
        for key in gone:
            del self.known[key]

    @precondition(lambda self: self.known)
    @rule()
    def reopen(self) -> None:
        self.queue.close()
        self.queue = Queue(self.file)
        for one in self.known.values():
            one.withheld = {}

    @invariant()
    def they_agree(self) -> None:
        for webhook in NAMES:
            waiting = [one for (name, _), one in self.known.items() if name == webhook and not one.aside]
            assert self.queue.held(webhook) == Held(len(waiting), sum(one.bytes for one in waiting))
            assert [row.due_s for row in self.queue.next(webhook, 99)] == sorted(one.due_s for one in waiting)
            aside = [key for key, one in self.known.items() if key[0] == webhook and one.aside]
            assert self.queue.count_aside(webhook) == len(aside)


TestQueue = Machine.TestCase
TestQueue.settings = examples(10)


def test_only_the_last_that_were_set_aside_are_kept(tmp_path: Path):
    queue = Queue(tmp_path / "webhooks.sqlite")
    for number in range(5):
        queue.add([Message(f"evt{number}", "orders", None, number, b"{}", {})])
    for row in queue.next("orders", 5):
        queue.set_aside(row, 100 + row.time_s, "timeout")

    queue.trim_aside("orders", 3)
    assert [one["id"] for one in queue.aside(10)] == ["evt4", "evt3", "evt2"]
    queue.expire(103.5)
    assert [one["id"] for one in queue.aside(10)] == ["evt4"]
    queue.close()
