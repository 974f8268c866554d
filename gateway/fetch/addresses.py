"""Which addresses may be connected to. Pure.

Python's `is_global` differs between its patch releases, and calls addresses global that carry a private one
inside, so it is only the last of the questions asked here. In doubt an address is forbidden.
"""

from enum import Enum, auto
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_CARRIES_IPV4 = (ip_network("::ffff:0:0/96"), ip_network("64:ff9b::/96"))  # IPv4-mapped; NAT64 (RFC 6052)
_FORBIDDEN = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",  # this host
            "169.254.0.0/16",  # link-local: among them the metadata service of most clouds
            "192.0.0.0/24",  # protocol assignments; Oracle's metadata service
            "192.88.99.0/24",  # 6to4 relays
            "100.100.100.200/32",  # Alibaba Cloud's metadata service
            "168.63.129.16/32",  # Azure's; to `ipaddress` an address like any other
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
            "::/128",
            "64:ff9b:1::/48",  # NAT64 into a network of one's own (RFC 8215)
            "2001::/32",  # Teredo
            "2002::/16",  # 6to4
            "fd00:ec2::/64",  # Amazon's metadata service
            "fd20:ce::/64",  # Google's
            "fe80::/10",
            "fec0::/10",  # site-local, withdrawn
            "ff00::/8",  # multicast
        ),
    )
)
_PRIVATE = (ip_network("::1/128"), ip_network("fc00::/7"))  # of IPv6, besides what is global
_GLOBAL_UNICAST = ip_network("2000::/3")  # all of IPv6 that has been given out for the internet
_DOCUMENTATION = ip_network("3fff::/20")


class Reach(Enum):
    PUBLIC = auto()
    PRIVATE = auto()  # of this machine or its networks: only where the operator says so
    FORBIDDEN = auto()  # whatever anybody says


def reach(text: str) -> Reach:
    """Of an address as a resolver gives it."""
    try:
        address = ip_address(text)
    except ValueError:
        return Reach.FORBIDDEN
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return Reach.FORBIDDEN
        if any(address in network for network in _CARRIES_IPV4):
            address = IPv4Address(int(address) & 0xFFFF_FFFF)
    if any(address in network for network in _FORBIDDEN):
        return Reach.FORBIDDEN
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return Reach.PRIVATE if any(address in network for network in _PRIVATE) else Reach.FORBIDDEN
    return Reach.PUBLIC if address.is_global and address not in _DOCUMENTATION else Reach.PRIVATE
