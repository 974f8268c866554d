"""From a rule to a verified event, through a real gateway; over a kill; and what an operator sees of it."""

import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI

from gateway.webhooks.settings import Webhook
from tests.fakes.pictures import card, data_url
from tests.fakes.receiver import KEY, Receiver, Says
from tests.fakes.upstream import FakeUpstream
from tests.flows.conftest import Build, Stage, serving
from tests.webhooks.conftest import until

ROOT = Path(__file__).parent.parent.parent
RULE = {"name": "priced", "contains": "prices", "tag": "price", "notify": "orders"}


def webhook(url: str, **settings: Any) -> Webhook:
    return Webhook(name="orders", url=url, secret=KEY.decode(), **settings)


def content(price: str) -> list[dict[str, Any]]:
    return [
        {"type": "text", "text": "What does it cost?"},
        {"type": "image_url", "image_url": {"url": data_url(card(price))}},
    ]


def ask(url: str, price: str, **more: Any) -> str:
    client = OpenAI(base_url=f"{url}/v1", api_key="sk-test", max_retries=0)
    messages: Any = [{"role": "user", "content": content(price)}]
    answer = client.chat.completions.create(model="m", messages=messages, **more)
    if not more.get("stream"):
        return str(answer.choices[0].message.content)
    return "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices)


def test_a_rule_tells_a_webhook_of_every_answer_stored_or_served_or_streamed(build: Build):
    receiver = Receiver()
    with serving(receiver) as url:
        stage = build(rules=(RULE,), webhooks=(webhook(url),))
        said = [ask(stage.gateway, "48.20"), ask(stage.gateway, "48.20"), ask(stage.gateway, "12.34", stream=True)]
        receiver.wait_for(got=3)
        until(lambda: stage.stats()["webhooks"]["orders"]["queued"] == 0)

    assert receiver.forged == 0
    told = sorted((event["data"] for event in receiver.got), key=lambda data: (data["answer"], data["hit"]))
    assert [data["answer"] for data in told] == sorted(said)
    assert [data["hit"] for data in told] == ["miss", "exact", "miss"]
    assert told[1]["entry"] == told[2]["entry"]
    assert len({data["request"] for data in told}) == 3
    for data in told:
        assert (data["rule"], data["tags"], data["prompt"], data["model"]) == ("priced", ["price"], None, "m")
    assert stage.stats()["webhooks"]["orders"]["delivered"] == 3


def test_a_label_decides_and_the_prompt_comes_where_it_may(build: Build):
    receiver = Receiver()

    class Upstream(FakeUpstream):
        async def _complete(self, body: Any, fakes: Any, receive: Any, send: Any) -> None:
            asked = body["messages"][0]["content"]
            if isinstance(asked, str):
                fakes = fakes | {"text": "Dear." if "48.20" in asked else "cheap"}
            return await super()._complete(body, fakes, receive, send)

    rule = {"name": "dear", "label": {"range": "dear"}, "notify": ["orders"]}
    classifier = {"name": "range", "model": "small", "labels": ("dear", "cheap"), "prompt": "{prompt} {answer}"}
    upstream = Upstream()
    with serving(receiver) as url, serving(upstream) as upstream_url:
        stage = build(
            upstream=upstream_url, rules=(rule,), webhooks=(webhook(url, prompt=True),), classifiers=(classifier,)
        )
        for price in ("12.34", "48.20", "48.20"):
            ask(stage.gateway, price)
        receiver.wait_for(got=2)
        until(lambda: stage.stats()["classifiers"]["range"]["cached"] == 1)

    for event in receiver.got:
        data = event["data"]
        assert (data["label"], data["prompt"], data["answer"]) == ("dear", "What does it cost?", "prices: 48.20")
    labels = stage.stats()["classifiers"]["range"]
    assert labels | {"labels": None} == {
        "asked": 2,
        "cached": 1,
        "failed": 0,
        "labels": None,
        "none": 0,
        "trouble": None,
    }
    assert labels["labels"] == {"cheap": 1, "dear": 2}


def test_what_is_purged_is_not_sent(build: Build):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        stage = build(rules=(RULE,), webhooks=(webhook(f"http://127.0.0.1:{taken.getsockname()[1]}/"),))
        ask(stage.gateway, "48.20")
        until(lambda: stage.stats()["webhooks"]["orders"]["attempts_failed"] > 0)
        assert stage.stats()["webhooks"]["orders"]["queued"] == 1

        purged = httpx.post(f"{stage.gateway}/cache/purge", json={"all": True, "confirm": True}, verify=False)

    assert purged.json()["entries"] == 1
    assert stage.stats()["webhooks"]["orders"]["queued"] == 0


def test_an_operator_sees_what_nobody_took_and_sends_it_again(build: Build):
    receiver = Receiver([Says(410)])
    with serving(receiver) as url:
        stage = build(rules=(RULE,), webhooks=(webhook(url),))
        ask(stage.gateway, "48.20")
        until(lambda: stage.stats()["webhooks"]["orders"]["set_aside"] == 1)
        listed = cli(stage, "list")
        retried = cli(stage, "retry", "orders")
        receiver.wait_for(got=1)
        unknown = cli(stage, "retry", "nobody")
        no_event = cli(stage, "retry", "orders", "--id", "msg_nope")

    assert receiver.ids[0] in listed.stdout
    assert "HTTP 410" in listed.stdout
    assert "1 events are sent again" in retried.stdout
    assert unknown.returncode == 1
    assert "no webhook 'nobody'" in unknown.stderr
    assert no_event.returncode == 1
    assert "no event 'msg_nope' is set aside for the webhook 'orders'" in no_event.stderr
    assert receiver.ids[0] == receiver.ids[1]
    shown = httpx.get(f"{stage.gateway}/cache/metrics", verify=False).text
    assert 'lookalike_webhook_failed_total{webhook="orders"} 1.0' in shown


def cli(stage: Stage, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", "events", *words, "--url", stage.gateway]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={"COLUMNS": "200", "PATH": ""})


@pytest.mark.slow
def test_what_waits_survives_a_kill_and_comes_signed(tmp_path: Path):
    upstream = FakeUpstream()
    with serving(upstream) as upstream_url, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        with gateway_process(tmp_path, upstream_url, dead) as (child, gateway):
            for number in range(10):
                ask(gateway, f"48.{10 + number}")
            waits(gateway, 10)
            child.send_signal(signal.SIGKILL)
            child.wait()
        receiver = Receiver()
        with serving(receiver) as url, gateway_process(tmp_path, upstream_url, url) as (child, gateway):
            receiver.wait_for(got=10)
            child.send_signal(signal.SIGKILL)  # some may come twice, never once too few
            child.wait()

    assert receiver.forged == 0
    assert {event["data"]["answer"] for event in receiver.got} == {f"prices: 48.{10 + number}" for number in range(10)}


def waits(gateway: str, events: int) -> None:
    def all_there() -> bool:
        shown = httpx.get(f"{gateway}/cache/events", verify=False).json()["webhooks"]["orders"]
        return bool(shown["queued"] == events and shown["unwritten"] == 0)

    until(all_there)


class gateway_process:
    """`lookalike serve` as a process of its own."""

    def __init__(self, folder: Path, upstream: str, receiver: str) -> None:
        settings = folder / "settings.toml"
        settings.write_text(
            f'upstream = "{upstream}"\nport = 0\ncache_dir = "{folder / "cache"}"\nembedder = "dct"\n'
            f'[[webhooks]]\nname = "orders"\nurl = "{receiver}"\nsecret = "{KEY.decode()}"\n'
            f'[[rules]]\nname = "priced"\ncontains = "prices"\nnotify = "orders"\n'
        )
        command = [sys.executable, "-m", "gateway", "serve", "--config", str(settings)]
        self._child = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)

    def __enter__(self) -> tuple[subprocess.Popen[str], str]:
        assert self._child.stderr is not None
        for line in self._child.stderr:
            if "base_url" in line:
                return self._child, line.split()[-1].removesuffix("/v1")
        raise AssertionError("the gateway never started")

    def __exit__(self, *error: object) -> None:
        self._child.kill()
        self._child.communicate()
