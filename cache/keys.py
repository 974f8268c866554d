"""What is part of a key, and how it becomes a digest. Pure.

Keys are full 256-bit digests over length-prefixed parts, so that no part can slide into the next.
`canonical` is the one spelling of a JSON value: two requests that differ only in key order or in
how a number is written have one key; any other difference is another key.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields

import orjson

JSON = None | bool | int | float | str | list["JSON"] | dict[str, "JSON"]

# Beyond this a float no longer tells neighbouring integers apart, so 1e300 stays a float.
_EXACT_INTEGER_MAX = 2**53


@dataclass(frozen=True, slots=True)
class Scope:
    """Who asks whom: no entry is ever found from another scope."""

    tenant: str  # digest of the credential, never the credential
    dialect: str
    upstream: str  # the upstream's base URL
    path: str  # ... and the path asked there: a deployment's name may stand in it, and nowhere else
    model: str
    partitions: tuple[tuple[str, str], ...]  # headers and query that choose another answer, sorted


@dataclass(frozen=True, slots=True)
class Asked:
    """The keys under which one request is looked up and stored (hex SHA-256).

    `root` is never stored. It rests on the tenant's digest, which is keyed with the store's secret, and the keys
    below rest on it: whoever has the rows but not the secret cannot test whether a picture or a prompt was asked.
    """

    partition: str  # scope and question: everything but the pictures
    exact: str  # ... and the digests of the picture files, in order
    root: str = field(repr=False)

    def pixel(self, pixels: Sequence[str]) -> str:
        """The key over the decoded pixels' digests, in order."""
        return _digest("pixel", self.root, *pixels)


def ask(scope: Scope, question: JSON, files: Sequence[str]) -> Asked:
    """Keys of `question` (the request without its pictures) about the picture files with these digests."""
    # Walking the dataclass means that a field added to Scope cannot be forgotten here.
    scope_json: JSON = {each.name: _listed(getattr(scope, each.name)) for each in fields(scope)}
    root = _digest("root", canonical(scope_json), canonical(question))
    return Asked(_digest("partition", root), _digest("exact", root, *files), root)


def canonical(value: JSON) -> bytes:
    """One byte string per JSON value: keys sorted, 0 = 0.0 = 0e0, UTF-8, no white space."""
    return orjson.dumps(_normal(value), option=orjson.OPT_SORT_KEYS)


def digest_bytes(data: bytes | bytearray | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


def _normal(value: JSON) -> JSON:
    if isinstance(value, dict):
        return {key: _normal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_normal(item) for item in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("NaN and infinities are not JSON")  # orjson would write null, and two keys would be one
        if value.is_integer() and abs(value) < _EXACT_INTEGER_MAX:
            return int(value)
    return value


def _listed(value: object) -> JSON:
    if isinstance(value, tuple):
        return [_listed(item) for item in value]
    assert isinstance(value, str)
    return value


def _digest(label: str, *parts: str | bytes) -> str:
    sha = hashlib.sha256()
    for part in _encoded((label, *parts)):
        sha.update(len(part).to_bytes(8, "big"))
        sha.update(part)
    return sha.hexdigest()


def _encoded(parts: Iterable[str | bytes]) -> Iterable[bytes]:
    return (part.encode() if isinstance(part, str) else part for part in parts)
