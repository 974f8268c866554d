"""Clients in a process of their own: those for Node, and a Python one that cannot be installed beside the others.

A driver in `apart/` reads a question as a line of JSON and writes what its client held as another. It is started once
for all tests of a file.
"""

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest

from tests.contracts.client_contract import ClientContract
from tests.contracts.heard import Heard
from tests.flows.clients.packages import missing

APART = Path(__file__).parent / "apart"


class Refused(Exception):
    """The client raised its own exception `kind`, which tells the upstream's status."""

    def __init__(self, kind: str, status: int) -> None:
        super().__init__(f"{kind}: {status}")
        self.kind = kind
        self.status_code = status


class Broken(Exception):
    """The client raised something else."""


class Driver:
    def __init__(self, command: Sequence[str | Path]) -> None:
        self._command = command

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()  # some clients take seconds over their farewell
        self._process.communicate()

    def ask(self, **question: Any) -> Heard:
        """Raises Refused or Broken, as the client did."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        told = self._process.stdout.readline()
        assert told, f"{self._command} ended without an answer; what it said stands among the test's output"
        answer = json.loads(told)
        if refused := answer.get("refused"):
            raise Refused(**refused)
        if broken := answer.get("broken"):
            raise Broken(broken)
        return Heard(answer["text"], answer["held"])


class ClientElsewhere(ClientContract):
    """`command` starts the driver; the path `installed` is there if its packages are."""

    command: ClassVar[Sequence[str | Path]]
    installed: ClassVar[Path]
    refusal = Refused
    refusal_kind: ClassVar[str]  # the client's own class
    cut = Broken
    driver: ClassVar[Driver]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def started(cls) -> Iterator[None]:
        if not cls.installed.exists():
            missing(cls.__name__.removeprefix("Test"))
        with Driver(cls.command) as cls.driver:
            yield

    def status(self, refusal: Refused) -> int:
        assert refusal.kind == self.refusal_kind
        return refusal.status_code
