"""Pictures that a request names by URL: the official SDK through a real gateway, and a host of pictures on loopback."""

import base64
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import httpx
import pytest
from openai import OpenAI
from PIL import Image

from gateway.demo import cards
from gateway.fetch.errors import Failed
from tests.fakes.pictures import card, data_url, jpeg, png
from tests.flows.conftest import Build, Stage, serving
from tests.flows.test_openai_sdk import ask
from tests.gateway.test_pictures_broken import png_of


@dataclass
class Pictures:
    """A host that serves files, whatever the signature in the query."""

    files: dict[str, bytes] = field(default_factory=dict)
    seen: list[dict[str, str]] = field(default_factory=list)  # header fields of each request
    url: str = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        self.seen.append({name.decode(): value.decode() for name, value in scope["headers"]})
        file = self.files.get(scope["path"])
        fields = [(b"content-length", str(len(file or b"")).encode()), (b"set-cookie", b"a=1")]
        if scope["path"].startswith("/to/"):
            fields.append((b"location", scope["query_string"]))
        status = 200 if file is not None else 302 if scope["path"].startswith("/to/") else 404
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": file or b""})

    @property
    def address(self) -> str:
        return self.url.removeprefix("http://")


@pytest.fixture
def host() -> Iterator[Pictures]:
    pictures = Pictures({"/a.png": card("48.20"), "/b.jpg": jpeg(cards.draw("48.20"), 85), "/c.png": card("17.50")})
    with serving(pictures) as pictures.url:
        yield pictures


@pytest.fixture
def stage(build: Build, host: Pictures) -> Stage:
    return build(fetch_pictures=[], fetch_private_hosts=[host.address])


def became(stage: Stage, *urls: str, key: str = "sk-one", **more: Any) -> tuple[str, str | None]:
    """(the Cache-Status in one word, the answer) of a question through the SDK."""
    with OpenAI(base_url=f"{stage.gateway}/v1", api_key=key, max_retries=0) as client:
        reply = client.chat.completions.with_raw_response.create(**ask(*urls, **more))
    return reply.headers["cache-status"].rpartition("detail=")[2], reply.parse().choices[0].message.content


def urls_sent(stage: Stage) -> list[str]:
    """Of the pictures in the last request that the upstream got."""
    parts = json.loads(stage.upstream.seen[-1].body)["messages"][0]["content"]
    return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]


def test_a_signature_that_changes_on_every_call_makes_no_other_picture(stage: Stage, host: Pictures) -> None:
    first = became(stage, f"{host.url}/a.png?Expires=1&Signature=a%2Fb")
    second = became(stage, f"{host.url}/a.png?Expires=2&Signature=c%2Fd")

    assert [first, second] == [("first-asked", "prices: 48.20"), ("exact", "prices: 48.20")]
    assert stage.upstream.calls == 1
    assert len(host.seen) == 2


def test_a_url_whose_content_changes_is_another_picture(stage: Stage, host: Pictures) -> None:
    became(stage, f"{host.url}/a.png")
    host.files["/a.png"] = card("48.26")

    assert became(stage, f"{host.url}/a.png")[1] == "prices: 48.26"
    assert stage.upstream.calls == 2


def test_one_picture_is_one_however_it_is_sent(stage: Stage, host: Pictures) -> None:
    became(stage, f"{host.url}/a.png")

    assert became(stage, data_url(card("48.20"))) == ("exact", "prices: 48.20")
    assert became(stage, data_url(png(cards.draw("48.20"), compress_level=1))) == ("pixel", "prices: 48.20")
    assert became(stage, f"{host.url}/b.jpg") == ("near", "prices: 48.20")
    assert became(stage, f"{host.url}/c.png")[1] == "prices: 17.50"


def test_the_upstream_gets_the_very_file_and_every_other_byte_as_it_came(stage: Stage, host: Pictures) -> None:
    url, other = f"{host.url}/b.jpg?sig=1", data_url(card("17.50"))
    body = f"""{{ "model":"m" ,"temperature": 0.0, "x-new":[1e2, "\\u00e9"],
      "messages":[{{"role":"user","content":[
        {{"type":"image_url","image_url":{{"url":"{other}"}}}},
        {{"type":"image_url","image_url":{{"detail":"low","url": "{url.replace("/", chr(92) + "/")}"}}}},
        {{"type":"text","text":"See {url} , and é?"}} ]}}] }}\n""".encode()
    reply = httpx.post(f"{stage.gateway}/v1/chat/completions", content=body).raise_for_status()
    inline = data_url(host.files["/b.jpg"], "image/jpeg").encode()

    assert reply.json()["choices"][0]["message"]["content"] == "prices: 17.50, 48.20"
    seen = stage.upstream.seen[-1]
    assert seen.body == body.replace(url.replace("/", "\\/").encode(), inline)
    assert seen.header("content-length") == str(len(seen.body))


def test_four_pictures_keep_their_order(stage: Stage, host: Pictures) -> None:
    urls = [f"{host.url}/a.png?1", data_url(card("99.90")), f"{host.url}/c.png", f"{host.url}/a.png?1"]

    assert became(stage, *urls) == ("first-asked", "prices: 48.20, 99.90, 17.50, 48.20")
    assert len(host.seen) == 2  # one URL is fetched once
    assert became(stage, *urls)[0] == "exact"
    assert became(stage, *reversed(urls))[1] == "prices: 48.20, 17.50, 99.90, 48.20"


def test_left_as_a_url_it_is_known_by_content_all_the_same(build: Build, host: Pictures) -> None:
    stage = build(fetch_pictures=[], fetch_private_hosts=[host.address], fetched_pictures="url")
    url = f"{host.url}/a.png?sig=1"

    assert became(stage, url)[0] == "first-asked"
    assert urls_sent(stage) == [url]
    assert became(stage, f"{host.url}/a.png?sig=2")[0] == "exact"


def test_a_stream_is_asked_for_its_usage_and_sent_its_pictures(build: Build, host: Pictures) -> None:
    stage = build(fetch_pictures=[], fetch_private_hosts=[host.address], stream_usage="always")
    asked = ask(f"{host.url}/a.png", stream=True)
    with OpenAI(base_url=f"{stage.gateway}/v1", api_key="sk-one", max_retries=0) as client:
        first, second = (
            [chunk.choices[0].delta.content for chunk in client.chat.completions.create(**asked)] for _ in "12"
        )

    assert first == second == ["", "prices:", " 48.20", None]
    assert json.loads(stage.upstream.seen[-1].body)["stream_options"] == {"include_usage": True}
    assert became(stage, f"{host.url}/a.png")[0] == "exact"


def test_a_redirect_is_followed_among_the_hosts_that_are_allowed(stage: Stage, host: Pictures) -> None:
    assert became(stage, f"{host.url}/to/?/a.png") == ("first-asked", "prices: 48.20")
    assert became(stage, f"{host.url}/to/?http://127.0.0.1:1/")[0] == "picture-fetch-refused"


def test_the_host_of_a_picture_learns_nothing_of_the_caller(stage: Stage, host: Pictures) -> None:
    became(stage, f"{host.url}/a.png", extra_headers={"Cookie": "c=1", "X-Api-Key": "sk-two"})
    became(stage, f"{host.url}/a.png")

    for fields in host.seen:
        assert sorted(fields) == ["accept", "accept-encoding", "host", "user-agent"]


def test_no_key_gets_an_answer_of_another_keys_url(stage: Stage, host: Pictures) -> None:
    became(stage, f"{host.url}/a.png", key="sk-one")

    assert became(stage, f"{host.url}/a.png", key="sk-two")[0] == "first-asked"


def test_nothing_is_fetched_where_the_cache_is_not_asked(build: Build, host: Pictures) -> None:
    off = [{"name": "reading", "mode": "off"}]
    stage = build(fetch_pictures=[], fetch_private_hosts=[host.address], questions=off)
    url = f"{host.url}/a.png"

    assert became(stage, url, question="Read it.")[0] == "mode-off"
    assert became(stage, url, extra_headers={"X-Lookalike-Mode": "off"})[0] == "mode-off"
    assert host.seen == []


def test_in_shadow_mode_a_fetched_picture_is_looked_up_too(build: Build, host: Pictures) -> None:
    stage = build(fetch_pictures=[], fetch_private_hosts=[host.address], mode="shadow")
    became(stage, f"{host.url}/a.png?1")

    assert became(stage, f"{host.url}/a.png?2") == ("shadow", "prices: 48.20")
    assert stage.stats()["shadow"]["would_be_hits"]["exact"] == 1


def test_a_log_line_holds_no_more_of_a_url_than_its_host(
    stage: Stage, host: Pictures, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "lookalike"), caplog.at_level(logging.INFO):
        became(stage, f"{host.url}/a.png?sig=SECRET")
        became(stage, f"{host.url}/none.png?sig=SECRET")
        became(stage, "http://user:SECRET@127.0.0.1/")
        stage.stats()

    # All but the servers of this test, of which the host of pictures logs what it is asked.
    ours = [str(vars(record)) for record in caplog.records if record.name != "uvicorn.access"]
    assert "a picture was not fetched: 127.0.0.1 answered with the status 404" in caplog.text
    assert not any("SECRET" in line for line in ours)


# What is refused: the upstream gets the request as it came, and nothing is stored


def refused(stage: Stage, why: str, *urls: str) -> None:
    """Each asked twice: an answer that was kept would be served."""
    with httpx.Client(verify=False, timeout=4) as client:
        for url in (*urls, *urls):
            body = json.dumps(ask(url)).encode()
            reply = client.post(f"{stage.gateway}/v1/chat/completions", content=body).raise_for_status()
            assert reply.headers["cache-status"] == f"lookalike; fwd=bypass; detail={why}", url
            assert stage.upstream.seen[-1].body == body
    assert stage.stats()["stored"] == stage.health()["store"]["entries"] == 0


def test_fetching_is_off_until_it_is_turned_on(build: Build, host: Pictures) -> None:
    refused(build(near=False), "picture-by-reference", f"{host.url}/a.png")

    assert host.seen == []


async def inside(name: str, port: int) -> Sequence[str]:
    found = {
        "loopback.test": ["127.0.0.1"],
        "loopback6.test": ["::1"],
        "private.test": ["10.0.0.1"],
        "metadata.test": ["169.254.169.254"],
        "metadata6.test": ["fd00:ec2::254"],
        "both.test": ["93.184.216.34", "127.0.0.1"],
        "mapped.test": ["::ffff:127.0.0.1"],
        "nat64.test": ["64:ff9b::7f00:1"],
    }
    if name not in found:
        raise Failed(f"{name} has no address")
    return found[name]


INSIDE = [
    *(
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://0/",
    ),
    *(
        "http://[fd00:ec2::254]/",
        "http://[::ffff:7f00:1]/",
        "http://2130706433/",
        "http://0177.0.0.1/",
        "http://0x7f.1/",
    ),
    *("http://loopback.test/", "http://loopback6.test/", "https://private.test/", "http://metadata.test/"),
    *("http://metadata6.test/", "http://both.test/", "http://mapped.test/", "http://nat64.test/"),
    *("http://user:pw@loopback.test/", "http://loopback.test:8080/"),
]


def test_no_url_leads_inside(build: Build) -> None:
    stage = build(near=False, fetch_pictures="public", resolve=inside)
    refused(stage, "picture-fetch-refused", *INSIDE)

    assert stage.stats()["bypasses"]["by_reason"] == {"picture-fetch-refused": 2 * len(INSIDE)}


def test_no_url_leads_to_the_gateways_own_machine_where_any_public_host_is_allowed(
    build: Build, host: Pictures
) -> None:
    refused(build(near=False, fetch_pictures="public"), "picture-fetch-refused", f"{host.url}/a.png")

    assert host.seen == []


def test_a_listed_host_that_is_private_is_refused_until_it_is_said_in_words(build: Build, host: Pictures) -> None:
    refused(build(near=False, fetch_pictures=[host.address]), "picture-fetch-refused", f"{host.url}/a.png")

    assert host.seen == []


def test_what_is_no_web_address_is_a_reference_as_ever(build: Build) -> None:
    stage = build(near=False, fetch_pictures="public")
    urls = ("file:///etc/passwd", "ftp://h/a.png", "gopher://h/", "oss://b/a.png", "a.png", "//h/a.png")
    refused(stage, "picture-by-reference", *urls)


def moving() -> bytes:
    file = BytesIO()
    Image.new("L", (9, 9)).save(file, "GIF", save_all=True, append_images=[Image.new("L", (9, 9), 255)])
    return file.getvalue()


ODD = {
    "empty": (b"", "picture-unreadable"),
    "page": (b"<html>secret</html>", "picture-unreadable"),
    "cut": (card("48.20")[:40], "picture-unreadable"),
    "bomb": (png_of(60_000, 60_000, b""), "picture-too-large"),
    "large": (bytes(2_000_000), "picture-too-large"),
    "moving": (moving(), "picture-animated"),
}


def test_what_comes_is_a_picture_within_the_limits_or_goes_nowhere(build: Build, host: Pictures) -> None:
    stage = build(fetch_pictures=[], fetch_private_hosts=[host.address], fetch_bytes_max=1_000_000, mode="exact")
    refused(stage, "picture-fetch-failed", f"{host.url}/none")
    for name, (file, why) in ODD.items():
        host.files[f"/{name}"] = file
        refused(stage, why, f"{host.url}/{name}")


def test_a_picture_that_cannot_stand_in_the_place_of_its_url_is_not_cached(build: Build, host: Pictures) -> None:
    stage = build(near=False, fetch_pictures=[], fetch_private_hosts=[host.address], fetched_pictures="inline")
    url = f"{host.url}/a.png"
    body = json.dumps(ask(url, question=url)).encode()  # which of the two is the picture, the bytes do not say
    reply = httpx.post(f"{stage.gateway}/v1/chat/completions", content=body).raise_for_status()

    assert reply.headers["cache-status"].endswith("picture-by-reference")
    assert stage.upstream.seen[-1].body == body


def test_a_request_that_would_outgrow_the_limit_goes_as_it_came(build: Build, host: Pictures) -> None:
    noise = base64.b64encode(card("48.20"))
    stage = build(near=False, fetch_pictures=[], fetch_private_hosts=[host.address], body_bytes_max=len(noise))

    refused(stage, "picture-too-large", f"{host.url}/a.png")


async def stuck(name: str, port: int) -> Sequence[str]:
    import anyio

    await anyio.sleep_forever()
    return []


def test_a_name_that_is_never_found_holds_a_request_up_no_longer_than_allowed(build: Build) -> None:
    stage = build(near=False, fetch_pictures="public", fetch_timeout_s=0.1, resolve=stuck)

    refused(stage, "picture-fetch-failed", "https://slow.test/a.png")


async def broken(name: str, port: int) -> Sequence[str]:
    raise RuntimeError("a fault of ours")


def test_a_fault_of_ours_at_fetching_is_a_miss_like_any(build: Build, caplog: pytest.LogCaptureFixture) -> None:
    refused(build(near=False, fetch_pictures="public", resolve=broken), "cache-fault", "https://h.test/a.png")

    assert "the cache failed at a lookup" in caplog.text
