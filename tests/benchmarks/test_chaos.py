"""The chaos of benchmarks/chaos, in little: docs/reliability.md has the figures of the long runs."""

import asyncio
import os
from pathlib import Path

import pytest

from benchmarks.chaos import disks
from benchmarks.chaos.client import Came, Verdict, judge
from benchmarks.chaos.gateway import Gateway
from benchmarks.chaos.killing import killed
from benchmarks.chaos.storm import Tale, storm
from benchmarks.chaos.streams import streamed
from benchmarks.chaos.upstream import INTACT, Upstream
from benchmarks.chaos.world import DIALECTS, Ask, Key, World

KEY = Key("tenant0", "openai-chat", "qwen3-vl-8b", "Question-0", "11.11")
ONE = Ask(0, KEY, "png", stream=False, wishes={})
HIT, MISS = "lookalike; hit; ttl=1; detail=near", "lookalike; fwd=miss; detail=first-asked"


def said(key: Key, version: int = 1) -> bytes:
    return b'{"text": "%b"}' % key.token(version).encode()


def verdict(body: bytes, cache: str = MISS, did: str | None = INTACT, ended: bool = True, status: int = 200) -> Verdict:
    upstream = Upstream(World(1, prices=1, tenants=1, prompts=1), 1, 0.0)
    upstream.given[KEY].add(KEY.token(1))
    if did is not None:
        upstream.did[0].append(did)
    return judge(ONE, Came(status, body, ended, cache), upstream)


def test_the_judge_knows_right_from_wrong() -> None:
    other_price = Key("tenant0", "openai-chat", "qwen3-vl-8b", "Question-0", "11.12")
    other_tenant = Key("tenant1", "openai-chat", "qwen3-vl-8b", "Question-0", "11.11")

    assert verdict(said(KEY)) is Verdict.RIGHT
    assert verdict(said(KEY), HIT, None) is Verdict.RIGHT
    assert verdict(said(other_price), HIT, None) is Verdict.WRONG
    assert verdict(said(other_tenant), HIT, None) is Verdict.FOREIGN
    assert verdict(said(KEY, version=2), HIT, None) is Verdict.INVENTED  # never given whole
    assert verdict(said(KEY)[:-2], HIT, None) is Verdict.INVENTED
    assert verdict(said(KEY)[:-2]) is Verdict.IN_THE_WAY
    assert verdict(b'{"error": "ours"}', status=500) is Verdict.IN_THE_WAY
    assert verdict(b'{"error": "theirs"}', did="error-500", status=500) is Verdict.UPSTREAMS_ERROR
    assert verdict(b'{"error": "ours"}', did="error-400", status=500) is Verdict.UNEXPLAINED
    assert verdict(said(KEY)[:-2], did="cut", ended=False) is Verdict.BROKEN
    assert [each for each in Verdict if not each.is_legal] == list(Verdict)[6:]


def stormed(folder: Path, faults: float, trouble: float) -> Tale:
    async def run() -> Tale:
        world = World(3, prices=4, prompts=1, tenants=2)
        upstream = Upstream(world, 4, trouble)
        with Gateway(await upstream.start(), folder, 5, faults, read_timeout_s=2.0) as gateway:
            tale = await storm(world.asks(150), world, upstream, gateway, clients=6)
            assert gateway.wrong() == []
        await upstream.stop()
        return tale

    return asyncio.run(run())


@pytest.mark.slow
def test_a_storm_with_faults_everywhere_gives_nobody_a_wrong_answer(tmp_path: Path) -> None:
    tale = stormed(tmp_path, faults=0.01, trouble=0.2)

    assert tale.illegal == []
    assert tale.verdicts[Verdict.RIGHT] > 60
    assert sum(tale.after["faults"].values()) > 0
    assert tale.after["tasks"] <= tale.before["tasks"]
    assert tale.after["connections"] == 0


@pytest.mark.slow
def test_in_calm_weather_everybody_who_stays_gets_his_answer_and_many_get_it_from_the_cache(tmp_path: Path) -> None:
    tale = stormed(tmp_path, faults=0.0, trouble=0.0)

    assert set(tale.verdicts) <= {Verdict.RIGHT, Verdict.LEFT}
    assert tale.hits["exact"] + tale.hits["pixel"] + tale.hits["near"] > 5


@pytest.mark.slow
def test_what_was_acknowledged_outlives_a_kill(tmp_path: Path) -> None:
    async def run() -> None:
        world = World(6, prices=8, prompts=8, tenants=0, leaving=0.0)
        upstream = Upstream(world, 7, trouble=0.0, delay_s=0.0)
        toll = await killed(world, upstream, await upstream.start(), tmp_path, times=2, seed=8, clients=4)
        await upstream.stop()
        assert toll.wrong == []
        assert toll.answers > 0

    asyncio.run(run())


@pytest.mark.slow
def test_many_streams_at_once_are_all_right(tmp_path: Path) -> None:
    async def run() -> None:
        world = World(9, prices=2, tenants=20, prompts=20, leaving=0.0)
        upstream = Upstream(world, 10, trouble=0.0, delay_s=0.2)
        with Gateway(await upstream.start(), tmp_path) as gateway:
            crowd = await streamed(world, upstream, gateway, 40)
        await upstream.stop()
        assert (crowd.right, crowd.illegal) == (40, [])

    asyncio.run(run())


@pytest.mark.slow
def test_where_nothing_can_be_written_everybody_is_answered(tmp_path: Path) -> None:
    async def run() -> disks.Report:
        world = World(11, prices=8, prompts=8, leaving=0.0)
        upstream = Upstream(world, 12, trouble=0.0, delay_s=0.0)
        report = await disks.unwritable(world, upstream, await upstream.start(), tmp_path, 60)
        await upstream.stop()
        return report

    report = asyncio.run(run())

    assert (report.illegal, report.wrong) == ([], [])
    assert report.answered == 60


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_on_a_full_disk_everybody_is_answered(tmp_path: Path) -> None:
    async def run() -> disks.Report:
        world = World(13, prices=8, prompts=8, leaving=0.0)
        upstream = Upstream(world, 14, trouble=0.0, delay_s=0.0)
        report = await disks.full(world, upstream, await upstream.start(), tmp_path, 60)
        await upstream.stop()
        return report

    report = asyncio.run(run())

    assert (report.illegal, report.wrong) == ([], [])
    assert report.answered == 60


def test_every_format_is_asked() -> None:
    assert {one.key.dialect for one in World(1, prices=1).asks(500)} == set(DIALECTS)
