"""kill -9 at any point: nothing acknowledged is lost, nothing removed comes back, and `check` finds nothing."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cache.stores.putter import opened
from tests.contracts.store_contract import ids, unit

ROUNDS = 10
SEED = 20_240_917


def killed_after(
    directory: Path, privacy: str, round_: int, acknowledged: int, seconds: float
) -> list[tuple[str, str]]:
    """(deed, name) of everything that a process said was done before it was killed."""
    command = [sys.executable, "-m", "tests.cache.stores.putter", str(directory), str(round_), privacy]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(acknowledged)]
        time.sleep(seconds)  # so that the kill falls anywhere, not just after an answer
        process.kill()
        said += process.stdout.read().splitlines(keepends=True)
    # A line cut off by the kill was not read whole, so nobody was told.
    pairs = [line.split() for line in said if line.endswith("\n")]
    return [(deed, name) for deed, name in pairs]


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("privacy", ["standard", "strict"])
async def test_a_kill_loses_nothing_acknowledged(tmp_path: Path, privacy: str) -> None:
    chance = random.Random(SEED)
    present: set[str] = set()
    removed: set[str] = set()
    for round_ in range(ROUNDS):
        for deed, name in killed_after(tmp_path, privacy, round_, chance.randint(1, 40), chance.random() * 0.02):
            (present if deed == "put" else removed).add(name)

        store = opened(tmp_path, privacy)
        assert await store.check() == []
        for name in present - removed:
            reply = await store.reply(f"id-{name}")
            # At most the one removal that was under way may have happened unsaid.
            assert reply is not None or name == unsaid_removal(present, removed, round_), name
        for name in removed:
            assert await store.exact(f"exact-{name}") is None, name
        near = set(await ids(store, unit(1), floor=-1, most=100_000))
        found = near if privacy == "standard" else {held.entry.id for held in store._rows._index}
        assert len(found) == store.size().entries
        assert near == (found if privacy == "standard" else set())
        assert store.size().set_aside == 0
        present = {one.removeprefix("id-") for one in found}  # with what was put and not said in time
        await store.close()


def unsaid_removal(present: set[str], removed: set[str], round_: int) -> str | None:
    """The entry whose removal the killed process had begun, if it had."""
    last = max(int(name.split("-")[1]) for name in present if name.startswith(f"{round_}-"))
    name = f"{round_}-{last - 2}"
    return name if last % 4 == 3 and name not in removed else None
