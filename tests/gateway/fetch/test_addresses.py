from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fetch.addresses import Reach, reach
from tests.examples import examples

LOCAL = ["127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "198.18.0.1", "::1"]
CLOUDS = ["169.254.169.254", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"]
PUBLIC = ["8.8.8.8", "93.184.216.34", "192.0.1.1", "2606:4700::1111", "2001:4860:4860::8888"]


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert reach(address) is Reach.PUBLIC


@pytest.mark.parametrize(
    "address", [*LOCAL, "fc00::1", "fd12:3456::1", "2001:db8::1", "3fff::1", "192.0.2.1", "203.0.113.9"]
)
def test_an_address_of_a_network_of_ones_own_is_private(address: str) -> None:
    assert reach(address) is Reach.PRIVATE


@pytest.mark.parametrize(
    "address",
    [
        *CLOUDS,
        *("0.0.0.0", "0.1.2.3", "169.254.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "192.88.99.1"),
        *(
            "::",
            "fe80::1",
            "fe80::1%eth0",
            "2606:4700::1111%eth0",
            "fec0::1",
            "ff02::1",
            "ff0e::1",
            "100::1",
            "5f00::1",
        ),
        *("::7f00:1", "::8.8.8.8", "4000::1", "64:ff9b:1::7f00:1", "::ffff:0:127.0.0.1"),
    ],
)
def test_an_address_that_no_picture_is_at_is_forbidden(address: str) -> None:
    assert reach(address) is Reach.FORBIDDEN


@pytest.mark.parametrize("carried", [*LOCAL[:-1], *CLOUDS[:1], *PUBLIC[:3]])
def test_an_ipv4_address_inside_an_ipv6_one_counts_as_what_it_is(carried: str) -> None:
    number = int(IPv4Address(carried))

    assert reach(f"::ffff:{carried}") is reach(carried)
    assert reach(str(IPv6Address((0x64FF9B << 96) | number))) is reach(carried)


@pytest.mark.parametrize("carried", [*LOCAL[:-1], *PUBLIC[:3]])
def test_tunnels_are_forbidden_wherever_they_lead(carried: str) -> None:
    number = int(IPv4Address(carried))

    assert reach(str(IPv6Address((0x2002 << 112) | (number << 80) | 1))) is Reach.FORBIDDEN  # 6to4
    assert reach(str(IPv6Address((0x20010000 << 96) | (number ^ 0xFFFFFFFF)))) is Reach.FORBIDDEN  # Teredo


@pytest.mark.parametrize(
    "text", ["", "localhost", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "1.2.3.4/8", "[::1]"]
)
def test_what_is_no_address_is_forbidden(text: str) -> None:
    assert reach(text) is Reach.FORBIDDEN


@examples(200)
@given(st.ip_addresses())
def test_nothing_that_python_calls_private_or_multicast_is_ever_public(address: IPv4Address | IPv6Address) -> None:
    if address.is_private or address.is_multicast or not address.is_global:
        assert reach(str(address)) is not Reach.PUBLIC
