"""Which URLs may be fetched, by their text, and which addresses of their hosts. Pure.

A host is judged twice: by its name before anything is looked up, and by every address that it resolves to. Only an
address that was judged is connected to.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Self

import httpx

from gateway.fetch.addresses import Reach, reach
from gateway.fetch.errors import Refused

_DEFAULT_PORTS = {"http": 80, "https": 443}
# What URL parsers disagree about: white space, control characters and the backslash.
_PLAIN = re.compile(r"https?://[^\s\\\x00-\x20\x7f]+", re.IGNORECASE)
_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# Resolvers read 2130706433, 0x7f.1 and 0177.0.0.1 as addresses: a name does not end in a number (WHATWG URL).
_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_ENTRY = re.compile(r"(?P<any>\*\.)?(?P<host>\[[0-9a-fA-F:.]+\]|[^\[\]:/@*\s]+)(?::(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Host:
    """An entry of an allow-list: `images.example.com`, `*.example.com` (what lies below it), or `host:8443`. Without
    a port it means 80 and 443."""

    name: str
    below: bool
    port: int | None

    @classmethod
    def of(cls, text: str) -> Self:
        """Raises ValueError for what is no host."""
        found = _ENTRY.fullmatch(text.strip())
        port = int(found["port"]) if found and found["port"] else None
        if found is None or (port is not None and not 0 < port <= 65535):
            raise ValueError(f'"{text}" is no host; give images.example.com, *.example.com or host:8443')
        try:
            name = _host(httpx.URL(f"http://{found['host']}/"))
        except (httpx.InvalidURL, Refused) as error:
            raise ValueError(f'"{text}" is no host: give a name, or an address written in full') from error
        return cls(name, bool(found["any"]), port)

    def covers(self, name: str, port: int) -> bool:
        right = name.endswith(f".{self.name}") if self.below else name == self.name
        return right and (port == self.port if self.port else port in _DEFAULT_PORTS.values())


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be fetched, if the addresses of its host may be connected to."""

    url: httpx.URL
    host: str  # lower case, in ASCII, without a closing dot
    port: int
    private: bool  # the operator means it, even where it is private

    @property
    def is_address(self) -> bool:
        return ":" in self.host or _NUMBER.fullmatch(self.host) is not None

    def judged(self, addresses: Sequence[str]) -> Sequence[str]:
        """The addresses, in order. Raises Refused if one of them may not be connected to: a name with a public and a
        private address is on its way to be the private one."""
        allowed = (Reach.PUBLIC, Reach.PRIVATE) if self.private else (Reach.PUBLIC,)
        if not addresses or any(reach(address) not in allowed for address in addresses):
            raise Refused(f"{self.host} has an address that is not public")
        return addresses


@dataclass(frozen=True, slots=True)
class Rules:
    """The operator's. `hosts` None: any host that is public."""

    hosts: tuple[Host, ...] | None
    private: tuple[Host, ...] = ()

    def target(self, url: str) -> Target:
        """Raises Refused."""
        if not _PLAIN.fullmatch(url):
            raise Refused("a URL that is not plainly an http or https one")
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise Refused("a URL that cannot be read") from error
        if parsed.userinfo:
            raise Refused("a URL with a user or a password")
        host, port = _host(parsed), parsed.port if parsed.port is not None else _DEFAULT_PORTS[parsed.scheme]
        private = any(entry.covers(host, port) for entry in self.private)
        if self.hosts is None:
            allowed = port in _DEFAULT_PORTS.values()
        else:
            allowed = any(entry.covers(host, port) for entry in self.hosts)
        if not (allowed or private):
            raise Refused(f"{host}:{port} is not among the hosts that may be fetched from")
        return Target(parsed, host, port, private)

    def redirected(self, target: Target, location: str) -> Target:
        """Where a redirect leads, judged like a URL of a request. Raises Refused."""
        try:
            url = target.url.join(location)
        except httpx.InvalidURL as error:
            raise Refused(f"{target.host} redirects to what is no URL") from error
        if target.url.scheme == "https" and url.scheme != "https":
            raise Refused(f"{target.host} redirects from https to something else")
        return self.target(str(url))


def _host(url: httpx.URL) -> str:
    """Of a URL, as names are compared. Raises Refused."""
    host = url.raw_host.decode("ascii").lower().removesuffix(".")
    try:
        if ":" in host and "%" not in host:
            return str(IPv6Address(host))
        if _NUMBER.fullmatch(host):
            return str(IPv4Address(host))
    except ValueError as error:
        raise Refused("a host that is an address in an unusual spelling") from error
    if len(host) > 253 or not _NAME.fullmatch(host):
        raise Refused("a host that is no name")
    return host
