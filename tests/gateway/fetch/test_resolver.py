import socket
import threading
from typing import Any

import anyio
import anyio.to_thread
import pytest

from gateway.fetch.errors import Failed
from gateway.fetch.resolver import SystemResolver

pytestmark = pytest.mark.anyio


async def test_a_name_of_this_machine_has_its_addresses_once_each() -> None:
    found = await SystemResolver()("localhost", 80)

    assert set(found) <= {"127.0.0.1", "::1"}
    assert len(set(found)) == len(found) > 0


@pytest.mark.parametrize("host", ["a" * 64 + ".test", "no..dots", ""])
async def test_a_name_that_cannot_be_is_told(host: str) -> None:
    with pytest.raises(Failed, match="has no address"):
        await SystemResolver()(host or "\udc80", 80)


async def test_lookups_that_hang_are_left_and_never_more_than_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, go_on = [], threading.Event()

    def hangs(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        go_on.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    resolver = SystemResolver()
    refused = []

    async def look_up(host: str) -> None:
        try:
            await resolver(host, 80)
        except Failed as error:
            refused.append(str(error))

    try:
        with anyio.move_on_after(0.3):
            async with anyio.create_task_group() as tasks:
                for number in range(12):
                    tasks.start_soon(look_up, f"{number}.test")
        assert len(asked) == 8
        assert refused == ["too many names are being looked up at once"] * 4
    finally:
        go_on.set()
    for _ in range(8):  # the slots come back when the lookups end
        await anyio.to_thread.run_sync(resolver._slots.acquire, abandon_on_cancel=True)
    for _ in range(8):
        resolver._slots.release()
    assert await resolver("later.test", 80) == []
