import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fetch.errors import Refused
from gateway.fetch.rules import Host, Rules
from tests.examples import examples

ANY = Rules(None)


def rules(*hosts: str, private: tuple[str, ...] = ()) -> Rules:
    return Rules(tuple(map(Host.of, hosts)), tuple(map(Host.of, private)))


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://example.com/a.png", "example.com", 443),
        ("HTTP://EXAMPLE.com.:80/x%2Fy?sig=%2f#part", "example.com", 80),
        ("https://例え.jp/画.png", "xn--r8jz45g.jp", 443),
        ("http://93.184.216.34/a", "93.184.216.34", 80),
        ("http://[2606:4700:0::1111]/a", "2606:4700::1111", 80),
        ("http://my_bucket.s3.example.com:443/a", "my_bucket.s3.example.com", 443),
    ],
)
def test_a_plain_url_is_a_target(url: str, host: str, port: int) -> None:
    target = ANY.target(url)

    assert (target.host, target.port, target.private) == (host, port, False)


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "ftp://h/a", "gopher://h/", "//h/a", "h/a", "", "data:image/png;base64,AAAA", "http:"),
        *(
            "http:///a",
            "http://user@h/",
            "http://user:pw@h/",
            "http://:@h/a" + "@",
            "http://h\\@evil/",
            "http://h\\.evil/",
        ),
        *("http://h/a b", " http://h/a", "http://h/\n", "http://h\t/", "http://h/\x00", "http://h\u3000/"),
        *(
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://0/",
        ),
        *("http://017700000001/", "http://127.0.0.1.1/", "http://1.2.3.256/", "http://a.0x1/", "http://127.0.0.01/"),
        *(
            "http://%31%32%37.0.0.1/",
            "http://１２７.0.0.1/",
            "http://[fe80::1%25eth0]/",
            "http://[::1/",
            "http://h%00/",
        ),
        *("http://h:22/", "http://h:8080/", "https://h:0/", "https://h:6379/", "http://h:99999/", "http://a..b/"),
        *("http://-h/", f"http://{'a.' * 130}com/", f"http://{'a' * 64}.com/", f"http://h/{'a' * 70_000}"),
    ],
)
def test_a_url_that_is_not_plain_is_refused_by_its_text(url: str) -> None:
    with pytest.raises(Refused):
        ANY.target(url)


def test_an_allow_list_means_its_hosts_and_no_other() -> None:
    listed = rules(
        "images.example.com", "*.cdn.example.com", "store.example.com:8443", "[2606:4700::1111]", "BÜCHER.example"
    )

    for url in (
        *("https://images.example.com/a", "http://images.example.com:443/a", "https://IMAGES.example.com./a"),
        *("https://a.cdn.example.com/", "https://b.a.cdn.example.com/", "https://store.example.com:8443/"),
        *("https://[2606:4700:0:0::1111]/", "https://bücher.example/", "https://xn--bcher-kva.example/"),
    ):
        assert listed.target(url)
    for url in (
        *(
            "https://example.com/",
            "https://cdn.example.com/",
            "https://xcdn.example.com/",
            "https://evilimages.example.com/",
        ),
        *("https://images.example.com.evil.test/", "https://store.example.com/", "https://store.example.com:443/"),
        *("https://images.example.com:8443/", "https://a.images.example.com/", "https://93.184.216.34/"),
    ):
        with pytest.raises(Refused, match="not among the hosts"):
            listed.target(url)


def test_an_empty_allow_list_allows_nothing() -> None:
    with pytest.raises(Refused):
        rules().target("https://example.com/")


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00:ec2::254", "::ffff:10.0.0.1"]
)
def test_a_listed_host_with_a_private_address_is_refused_all_the_same(address: str) -> None:
    target = rules("images.example.com").target("https://images.example.com/")

    with pytest.raises(Refused, match="not public"):
        target.judged([address])


def test_only_a_host_that_the_operator_calls_private_may_be_it() -> None:
    own = rules("images.example.com", private=("minio.internal:9000",))
    target = own.target("http://minio.internal:9000/a")

    assert target.judged(["10.0.0.5", "::1"]) == ["10.0.0.5", "::1"]
    with pytest.raises(Refused):
        own.target("http://minio.internal/a")


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "0.0.0.0", "ff02::1", "fe80::1"]
)
def test_what_is_forbidden_stays_so_for_a_private_host(address: str) -> None:
    with pytest.raises(Refused):
        rules(private=("h",)).target("http://h/").judged([address])


def test_one_address_that_is_not_public_refuses_the_host() -> None:
    for addresses in (["93.184.216.34", "127.0.0.1"], ["10.0.0.1", "93.184.216.34"], []):
        with pytest.raises(Refused):
            ANY.target("http://h/").judged(addresses)


@pytest.mark.parametrize(
    ("location", "leads"),
    [
        ("/b.png", "https://h/b.png"),
        ("b.png?x=1", "https://h/a/b.png?x=1"),
        ("https://other/c", "https://other/c"),
        ("//other/c", "https://other/c"),
    ],
)
def test_a_redirect_is_read_like_a_link(location: str, leads: str) -> None:
    assert str(ANY.redirected(ANY.target("https://h/a/"), location).url) == leads


@pytest.mark.parametrize(
    "location",
    [
        *(
            "file:///etc/passwd",
            "http://h/",
            "http://other/",
            "https://h:22/",
            "https://u:p@h/",
            "https://0x7f.1/",
            "data:,a",
        ),
        *("//u@h/", "https://[::1", "https://h\\@evil/", "ftp://h/", "javascript:1"),
    ],
)
def test_a_redirect_is_judged_like_a_url_and_never_leaves_https(location: str) -> None:
    with pytest.raises(Refused):
        ANY.redirected(ANY.target("https://h/a/"), location)


def test_a_redirect_from_http_may_go_up_to_https() -> None:
    assert ANY.redirected(ANY.target("http://h/"), "https://h/").port == 443


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "https://h",
        "h/a",
        "u@h",
        "h:0",
        "h:99999",
        "h:",
        "*",
        "*.",
        "h h",
        "0x7f.1",
        "127.1",
        "[::1",
        "::1",
        "a.*.b",
    ],
)
def test_an_entry_that_is_no_host_is_told(entry: str) -> None:
    with pytest.raises(ValueError, match="no host"):
        Host.of(entry)


@examples(150)
@given(st.text(max_size=30), st.sampled_from(["http://", "https://", "http://127.0.0.1", "http://h@", "http://h/"]))
def test_any_text_is_a_target_or_refused_and_nothing_else_is_raised(text: str, before: str) -> None:
    try:
        target = ANY.target(before + text)
    except Refused:
        return

    assert target.port in (80, 443)
    assert target.url.userinfo == b""
    assert httpx.URL(str(target.url)).raw_host == target.url.raw_host
