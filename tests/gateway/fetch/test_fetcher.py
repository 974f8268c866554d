"""Hosts that answer well and hosts that misbehave: real ones on 127.0.0.1, reached because the operator means them."""

import gzip
from collections.abc import Sequence

import anyio
import pytest

from gateway.fetch.errors import Failed, NotFetched
from gateway.fetch.fetcher import Fetcher, direct
from gateway.fetch.rules import Host, Rules
from gateway.question import Bypass
from tests.fakes.picture_host import PictureHost, answer, picture_host, redirect, trusting
from tests.fakes.pictures import card

pytestmark = pytest.mark.anyio

PICTURE = card("48.20")
BYTES_MAX = 1_000_000


async def here(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def fetcher(*hosts: PictureHost, name: str = "pictures.test", timeout_s: float = 5, at_once_max: int = 4) -> Fetcher:
    private = tuple(Host.of(f"{name}:{host.port}") for host in hosts)
    return Fetcher(Rules((), private), here, direct(trusting()), timeout_s, BYTES_MAX, at_once_max)


async def get(host: PictureHost, path: str = "/a.png", timeout_s: float = 5, scheme: str = "http") -> bytes:
    url = f"{scheme}://pictures.test:{host.port}{path}"
    with anyio.fail_after(4):  # whatever the host does, it is over quickly
        return (await fetcher(host, timeout_s=timeout_s).fetch([url], BYTES_MAX))[url]


async def failure(host: PictureHost, timeout_s: float = 5) -> NotFetched:
    with pytest.raises(NotFetched) as failed:
        await get(host, timeout_s=timeout_s)
    return failed.value


async def test_a_picture_comes_as_it_is_and_the_path_is_asked_as_it_was_signed() -> None:
    async with picture_host(lambda _: answer(PICTURE, content_type="binary/octet-stream")) as host:
        assert await get(host, "/a%2Fb.png?X-Amz-Signature=%7E~+&e=1") == PICTURE
        assert host.paths() == ["/a%2Fb.png?X-Amz-Signature=%7E~+&e=1"]
        assert host.field("host") == f"pictures.test:{host.port}"


@pytest.mark.parametrize("sizes", [[1] * 50, [1000, 1], [3]])
async def test_a_picture_in_chunks_comes_whole(sizes: list[int]) -> None:
    chunks, rest = b"", PICTURE
    for size in [*sizes, len(PICTURE)]:
        part, rest = rest[:size], rest[size:]
        chunks += b"%x\r\n%b\r\n" % (len(part), part) if part else b""
    async with picture_host(lambda _: answer(chunks + b"0\r\n\r\n", transfer_encoding="chunked")) as host:
        assert await get(host) == PICTURE


async def test_over_tls_the_certificate_is_checked_against_the_name_and_not_the_address() -> None:
    async with picture_host(lambda _: answer(PICTURE), tls=True) as host:
        assert await get(host, scheme="https") == PICTURE
        other = fetcher(host, name="other.test")
        with pytest.raises(Failed, match="cannot be reached"):
            await other.fetch([f"https://other.test:{host.port}/"], BYTES_MAX)
        assert len(host.asked) == 1


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted() -> None:
    import httpx

    async with picture_host(lambda _: answer(PICTURE), tls=True) as host:
        private = (Host.of(f"pictures.test:{host.port}"),)
        strict = Fetcher(Rules((), private), here, direct(httpx.create_ssl_context()), 5, BYTES_MAX, 1)
        with pytest.raises(Failed):
            await strict.fetch([f"https://pictures.test:{host.port}/"], BYTES_MAX)
        assert host.asked == []


async def test_no_connection_is_used_twice() -> None:
    def say(path: str) -> bytes:
        return redirect("/b") if path == "/a" else answer(PICTURE)

    async with picture_host(say, then="stay") as host:
        url = f"http://pictures.test:{host.port}/a"
        assert await fetcher(host).fetch([url, url], BYTES_MAX) == {url: PICTURE}
        assert host.paths() == ["/a", "/b"]  # and one URL is fetched once


@pytest.mark.parametrize(
    "status", ["204 No Content", "206 Partial Content", "304 Not Modified", "403 Forbidden", "500 Oops", "302 Found"]
)
async def test_another_status_than_200_is_no_picture(status: str) -> None:
    async with picture_host(lambda _: answer(b"" if status[:3] in ("204", "304") else PICTURE, status)) as host:
        assert status[:3] in str(await failure(host))


async def test_more_than_the_limit_is_refused_by_its_length_before_it_comes() -> None:
    async with picture_host(lambda _: answer(b"", content_length=str(BYTES_MAX + 1)), then="stay") as host:
        assert (await failure(host)).why is Bypass.PICTURE_TOO_LARGE


async def test_an_endless_body_is_left_at_the_limit() -> None:
    async with picture_host(lambda _: answer(b"ffffffff\r\n", transfer_encoding="chunked"), then="go on") as host:
        assert (await failure(host)).why is Bypass.PICTURE_TOO_LARGE


async def test_a_body_longer_than_it_says_is_taken_for_as_long_as_it_says() -> None:
    async with picture_host(lambda _: answer(PICTURE, content_length=str(len(PICTURE))), then="go on") as host:
        assert await get(host) == PICTURE


@pytest.mark.parametrize("length", ["99999", "1", "-1", "1e3", "0x10", "5, 6", ""])
async def test_a_length_that_lies_gives_no_whole_picture(length: str) -> None:
    async with picture_host(lambda _: answer(PICTURE[:50], content_length=length)) as host:
        if length == "1":
            assert await get(host) == PICTURE[:1]
        else:
            assert isinstance(await failure(host), Failed)


async def test_a_body_that_ends_where_the_connection_does_is_not_trusted() -> None:
    async with picture_host(lambda _: b"HTTP/1.0 200 OK\r\n\r\n" + PICTURE) as host:
        assert "cannot be told" in str(await failure(host))


async def test_a_body_cut_in_its_chunks_is_no_picture() -> None:
    async with picture_host(lambda _: answer(b"ff\r\nabc", transfer_encoding="chunked")) as host:
        assert "broke off" in str(await failure(host))


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "identity, gzip"])
async def test_a_coded_body_is_not_decoded(coding: str) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    async with picture_host(lambda _: answer(bomb, content_encoding=coding)) as host:
        assert "coded" in str(await failure(host))


@pytest.mark.parametrize(
    "said",
    [
        b"",  # silence
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100,
    ],
)
async def test_a_host_that_stops_in_the_middle_is_left_in_time(said: bytes) -> None:
    async with picture_host(lambda _: said, then="stay") as host:
        assert "did not come within 0.1 s" in str(await failure(host, timeout_s=0.1))


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 200 OK\r\nx: ", b"junk " * 99, b"\x16\x03\x01", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 100_000]
)
async def test_a_head_that_is_none_or_never_ends_is_left(said: bytes) -> None:
    async with picture_host(lambda _: said, then="go on") as host:
        assert isinstance(await failure(host, timeout_s=2), Failed)


async def test_the_deadline_is_for_all_pictures_and_their_redirects_together() -> None:
    async with picture_host(lambda path: redirect(path + "x") if len(path) < 4 else b"", then="stay") as host:
        assert "did not come within 0.1 s" in str(await failure(host, timeout_s=0.1))
        assert host.paths()[-1] == "/a.png"


async def test_pictures_of_one_request_share_what_may_be_fetched() -> None:
    async with picture_host(lambda _: answer(bytes(BYTES_MAX * 2 // 5))) as host:
        urls = [f"http://pictures.test:{host.port}/{number}" for number in range(3)]
        assert len(await fetcher(host).fetch(urls[:2], BYTES_MAX)) == 2
        with pytest.raises(NotFetched) as refused:
            await fetcher(host).fetch(urls, BYTES_MAX)
        assert refused.value.why is Bypass.PICTURE_TOO_LARGE


async def test_one_picture_that_fails_ends_the_wait_for_the_others() -> None:
    async with picture_host(lambda path: answer(b"", "404 Not Found") if path == "/no" else b"", then="stay") as host:
        urls = [f"http://pictures.test:{host.port}/{name}" for name in ("slow", "no", "slower")]
        with anyio.fail_after(4), pytest.raises(Failed, match="404"):
            await fetcher(host, timeout_s=60).fetch(urls, BYTES_MAX)


async def test_only_so_many_are_fetched_at_once_and_waiting_counts_towards_the_deadline() -> None:
    async with picture_host(lambda _: b"", then="stay") as host:
        some = fetcher(host, timeout_s=0.2, at_once_max=2)
        urls = [f"http://pictures.test:{host.port}/{number}" for number in range(5)]
        with anyio.fail_after(4), pytest.raises(Failed, match="did not come"):
            await some.fetch(urls, BYTES_MAX)
        assert len(host.asked) == 2


async def test_the_slots_are_free_again_after_every_kind_of_end() -> None:
    def say(path: str) -> bytes:
        return {"/ok": answer(PICTURE), "/no": answer(b"", "404 No"), "/cut": b"HTTP"}.get(path, b"")

    async with picture_host(say) as host:
        one = fetcher(host, timeout_s=0.3, at_once_max=1)
        base = f"http://pictures.test:{host.port}"
        for path in ("/no", "/cut", "/silent"):
            with pytest.raises(Failed):
                await one.fetch([base + path], BYTES_MAX)
        assert await one.fetch([f"{base}/ok"], BYTES_MAX) == {f"{base}/ok": PICTURE}


async def test_a_proxy_that_the_environment_names_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with picture_host(lambda _: answer(PICTURE)) as host:
        assert await get(host) == PICTURE
