"""`lookalike tenant`: the digest by which a key, or a group that shares, is known beside one store.

The key is read where no other user of the machine sees it, and is written nowhere.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

import typer

from cache.errors import StoreFault
from cache.stores.directory import secret_of
from gateway import headers
from gateway.tenants import Credential, Shared, Tenants

DIGITS: Final = 16  # as an entry keeps them


class Unnamed(Exception):
    """There is no digest to show, and why."""


def digest(cache_dir: Path, credential: Credential) -> str:
    """Of a key's tenant. Raises Unnamed where there is no store."""
    return _tenants(cache_dir).caller(credential).own[:DIGITS]


def group_digest(cache_dir: Path, name: str, groups: Sequence[Shared]) -> str:
    """Under which the answers of a group are listed and purged. Raises Unnamed where `groups` have none of that name:
    any name has a digest, and that of a slip finds nothing."""
    if name not in (known := [group.name for group in groups]):
        there = f"there are: {', '.join(known)}" if known else "there is none: give the gateway's with --config"
        raise Unnamed(f"the settings have no group {name!r} in shared; {there}")
    return _tenants(cache_dir).scope_of(name)[:DIGITS]


def sent(key: str, header: str, query: str | None) -> Credential:
    """The key as a request carries it: in a query, in a header, or, in Authorization, as a Bearer token."""
    if query is not None:
        found = headers.credential([], f"{query}={quote(key, safe='')}")
        if not found.whole:
            raise Unnamed(f"the gateway takes no parameter {query!r} for a key")
        return found
    name = header.lower()
    value = f"Bearer {key}" if name == "authorization" and " " not in key else key
    found = headers.credential([(name.encode(), value.encode())])
    if not found.whole:
        raise Unnamed(f"the gateway takes no header {header!r} for a key")
    return found


def read_key() -> str:
    """From standard input or, at a terminal, a prompt that shows nothing."""
    asked = sys.stdin.isatty()
    key = str(typer.prompt("Key", hide_input=True, err=True) if asked else sys.stdin.readline()).strip()
    if not key:
        raise Unnamed("there is no key in the first line of standard input")
    return key


def _tenants(cache_dir: Path) -> Tenants:
    try:
        return Tenants(secret_of(cache_dir), (), 1.0)
    except StoreFault as fault:
        raise Unnamed(str(fault)) from fault
