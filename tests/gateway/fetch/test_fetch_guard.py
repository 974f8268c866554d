"""What must never be connected to, whatever a URL, a name or a redirect says. The transport notes who was asked."""

from collections.abc import Callable, Sequence

import anyio
import httpx
import pytest

from gateway.fetch.errors import Failed, NotFetched, Refused
from gateway.fetch.fetcher import Fetcher
from gateway.fetch.rules import Host, Rules
from tests.fakes.pictures import card

pytestmark = pytest.mark.anyio

PUBLIC, OTHER = "93.184.216.34", "151.101.1.69"
PICTURE = card("48.20")
ANY = Rules(None)

Answer = Callable[[httpx.Request], httpx.Response]


def picture(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, headers={"content-length": str(len(PICTURE))}, stream=httpx.ByteStream(PICTURE))


def moved_to(location: str) -> Answer:
    return lambda _: httpx.Response(302, headers={"location": location})


class Names:
    """A resolver: the answers for each name, one after the other, the last one for ever."""

    def __init__(self, **names: Sequence[Sequence[str]]) -> None:
        self._names = {name.replace("_", "."): list(answers) for name, answers in names.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answers = self._names.get(host)
        if not answers:
            raise Failed(f"{host} has no address")
        return answers.pop(0) if len(answers) > 1 else answers[0]


class Asked:
    """A fetcher, and every request that would have left the machine."""

    def __init__(self, names: Names, answer: Answer = picture, rules: Rules = ANY, **limits: int) -> None:
        self.requests: list[httpx.Request] = []

        def handle(request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            return answer(request)

        given = {"bytes_max": 10**6, "at_once_max": 8} | limits
        self.fetcher = Fetcher(rules, names, httpx.MockTransport(handle), timeout_s=5, **given)

    async def get(self, url: str) -> bytes:
        return (await self.fetcher.fetch([url], 10**7))[url]

    async def refused(self, url: str) -> NotFetched:
        with anyio.fail_after(2), pytest.raises(NotFetched) as refusal:
            await self.get(url)
        return refusal.value

    def addresses(self) -> list[str]:
        return [request.url.host for request in self.requests]


INSIDE = [
    *("127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "0.0.0.0", "255.255.255.255"),
    *("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "224.0.0.1", "198.18.0.1"),
    *("::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254"),
    *(
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::1",
        "2001:0:a:b:c:d:80ff:fffe",
        "::7f00:1",
    ),
]


@pytest.mark.parametrize("address", INSIDE)
async def test_an_inner_address_is_not_connected_to_by_its_url(address: str) -> None:
    asked = Asked(Names())
    host = f"[{address}]" if ":" in address else address

    assert isinstance(await asked.refused(f"http://{host}/latest/meta-data/"), Refused)
    assert asked.requests == []


@pytest.mark.parametrize("address", INSIDE)
async def test_an_inner_address_is_not_connected_to_by_a_name(address: str) -> None:
    asked = Asked(Names(h_test=[[address]]))

    assert isinstance(await asked.refused("https://h.test/a.png"), Refused)
    assert asked.requests == []


@pytest.mark.parametrize("address", INSIDE)
async def test_an_inner_address_is_not_connected_to_by_a_redirect(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    for location in (f"http://{host}/", "http://inner.test/"):
        asked = Asked(
            Names(h_test=[[PUBLIC]], inner_test=[[address]]),
            moved_to(location),
        )

        assert isinstance(await asked.refused("http://h.test/a.png"), Refused)
        assert asked.addresses() == [PUBLIC]


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "127.1", "127.0.1", "017700000001"]
)
async def test_an_address_in_an_odd_spelling_is_not_even_looked_up(host: str) -> None:
    names = Names(**{host.replace(".", "_"): [["127.0.0.1"]]})
    asked = Asked(names)

    assert isinstance(await asked.refused(f"http://{host}/"), Refused)
    assert names.asked == []


@pytest.mark.parametrize(
    "name", ["localhost", "LOCALHOST", "localhost.", "metadata.google.internal", "127.0.0.1.nip.io"]
)
async def test_a_name_for_an_inner_address_is_a_name_like_any(name: str) -> None:
    asked = Asked(
        Names(
            localhost=[["127.0.0.1", "::1"]],
            metadata_google_internal=[["169.254.169.254"]],
            **{"127_0_0_1_nip_io": [["127.0.0.1"]]},
        )
    )

    assert isinstance(await asked.refused(f"http://{name}/"), Refused)
    assert asked.requests == []


@pytest.mark.parametrize("addresses", [[PUBLIC, "10.0.0.1"], ["10.0.0.1", PUBLIC], ["2606:4700::1111", "::1"]])
async def test_a_name_with_one_inner_address_is_refused_for_all(addresses: list[str]) -> None:
    asked = Asked(Names(h_test=[addresses]))

    assert isinstance(await asked.refused("https://h.test/"), Refused)
    assert asked.requests == []


async def test_what_was_checked_is_what_is_connected_to_however_the_name_changes() -> None:
    names = Names(h_test=[[PUBLIC], ["127.0.0.1"]])
    asked = Asked(names)

    assert await asked.get("https://h.test/a.png?sig=%2F") == PICTURE
    assert names.asked == ["h.test"]
    request = asked.requests[0]
    assert (request.url.host, request.headers["host"]) == (PUBLIC, "h.test")
    assert request.extensions["sni_hostname"] == "h.test"
    assert request.extensions["target"] == b"/a.png?sig=%2F"
    assert isinstance(await asked.refused("https://h.test/a.png"), Refused)
    assert asked.addresses() == [PUBLIC]


async def test_a_name_that_changes_between_redirects_is_judged_anew_each_time() -> None:
    asked = Asked(
        Names(h_test=[[PUBLIC], ["127.0.0.1"]]), lambda _: httpx.Response(307, headers={"location": "/again"})
    )

    assert isinstance(await asked.refused("https://h.test/"), Refused)
    assert asked.addresses() == [PUBLIC]


async def test_a_redirect_to_a_public_host_is_followed_and_its_host_is_told() -> None:
    def moved(request: httpx.Request) -> httpx.Response:
        if request.headers["host"] == "h.test":
            return httpx.Response(301, headers={"location": "https://other.test/b.png"})
        return picture(request)

    asked = Asked(Names(h_test=[[PUBLIC]], other_test=[[OTHER]]), moved)

    assert await asked.get("http://h.test/a.png") == PICTURE
    assert asked.addresses() == [PUBLIC, OTHER]
    assert [request.extensions["sni_hostname"] for request in asked.requests] == ["h.test", "other.test"]


@pytest.mark.parametrize(
    "location",
    [
        *(
            "file:///etc/passwd",
            "ftp://h.test/a",
            "gopher://h.test/",
            "data:image/png;base64,AAAA",
            "http://h.test/down",
        ),
        *(
            "https://h.test:22/",
            "https://user:pw@h.test/",
            "https://2130706433/",
            "https://h.test\\@127.0.0.1/",
            "//127.0.0.1/",
        ),
    ],
)
async def test_a_redirect_is_held_to_every_rule(location: str) -> None:
    asked = Asked(Names(h_test=[[PUBLIC]]), moved_to(location))

    assert isinstance(await asked.refused("https://h.test/"), Refused)
    assert len(asked.requests) == 1


async def test_a_loop_of_redirects_ends() -> None:
    asked = Asked(Names(h_test=[[PUBLIC]]), moved_to("/"))

    assert isinstance(await asked.refused("https://h.test/"), Refused)
    assert len(asked.requests) == 4


async def test_a_redirect_off_the_allow_list_is_refused() -> None:
    listed = Rules((Host.of("h.test"),))
    asked = Asked(
        Names(h_test=[[PUBLIC]], other_test=[[OTHER]]),
        moved_to("https://other.test/"),
        listed,
    )

    assert isinstance(await asked.refused("https://h.test/"), Refused)
    assert asked.addresses() == [PUBLIC]


async def test_a_redirect_to_a_private_host_is_followed_where_the_operator_means_that_name() -> None:
    own = Rules((Host.of("h.test"),), (Host.of("minio.internal:9000"),))

    def asked(location: str) -> Asked:
        def moved(request: httpx.Request) -> httpx.Response:
            return picture(request) if request.url.port == 9000 else moved_to(location)(request)

        return Asked(Names(h_test=[[PUBLIC]], minio_internal=[["10.0.0.5"]]), moved, own)

    assert await asked("http://minio.internal:9000/a").get("http://h.test/") == PICTURE
    assert isinstance(await asked("http://10.0.0.5:9000/a").refused("http://h.test/"), Refused)


async def test_nothing_of_the_caller_is_sent_and_no_cookie_is_kept() -> None:
    def sets(request: httpx.Request) -> httpx.Response:
        if request.extensions["target"] == b"/":
            return httpx.Response(302, headers={"location": "/b", "set-cookie": "a=1"})
        return picture(request)

    asked = Asked(Names(h_test=[[PUBLIC]]), sets)
    await asked.get("https://h.test/#secret")

    for request in asked.requests:
        assert request.method == "GET"
        assert dict(request.headers) == {
            "host": "h.test",
            "accept": "*/*",
            "accept-encoding": "identity",
            "user-agent": "lookalike",
        }


async def test_the_next_address_is_tried_where_one_takes_no_connection() -> None:
    def only_other(request: httpx.Request) -> httpx.Response:
        if request.url.host != OTHER:
            raise httpx.ConnectError("refused")
        return picture(request)

    asked = Asked(Names(h_test=[["2606:4700::1111", PUBLIC, OTHER, "8.8.8.8"]]), only_other)

    assert await asked.get("http://h.test/") == PICTURE
    assert asked.addresses() == ["2606:4700::1111", PUBLIC, OTHER]


async def test_an_unknown_name_and_a_silent_host_are_told() -> None:
    def silent(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("nothing")

    assert "has no address" in str(await Asked(Names()).refused("https://unknown.test/"))
    assert "cannot be reached" in str(await Asked(Names(h_test=[[PUBLIC]]), silent).refused("https://h.test/"))


async def test_too_many_urls_in_one_request_are_refused_before_the_first() -> None:
    asked = Asked(Names(h_test=[[PUBLIC]]))
    with pytest.raises(Refused):
        await asked.fetcher.fetch([f"https://h.test/{number}" for number in range(33)], 10**9)

    assert asked.requests == []


async def test_one_url_that_is_refused_keeps_all_from_being_fetched() -> None:
    asked = Asked(Names(h_test=[[PUBLIC]]))
    with pytest.raises(Refused):
        await asked.fetcher.fetch(["https://h.test/", "https://h.test:22/"], 10**9)

    assert asked.requests == []


async def test_no_word_for_the_operator_holds_more_of_a_url_than_its_host() -> None:
    asked = Asked(Names(h_test=[[PUBLIC]]), lambda _: httpx.Response(403))
    for url in ("https://h.test/a?sig=SECRET", "https://user:SECRET@h.test/", "https://x/SECRET", "ftp://SECRET/"):
        assert "SECRET" not in str(await asked.refused(url))
