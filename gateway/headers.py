"""Every rule about HTTP header fields has its home here. Pure.

Raw headers are lists of (name, value) bytes, names in lower case, as ASGI gives them.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import unquote_to_bytes

from gateway.errors import CallerError
from gateway.question import Bypass, Mode, Scrutiny, Wishes
from gateway.tenants import Credential

Raw = Sequence[tuple[bytes, bytes]]

MODE_HEADER = b"x-lookalike-mode"
GUARD_HEADER = b"x-lookalike-guard"
THRESHOLD_HEADER = b"x-lookalike-threshold"
TAGS_HEADER = b"x-lookalike-tags"
_OURS = frozenset((MODE_HEADER, GUARD_HEADER, THRESHOLD_HEADER))
VIA = (b"via", b"1.1 lookalike")  # what a gateway adds on the way in: RFC 9110, section 7.6.3

# RFC 9110, section 7.6.1, with the two that RFC 2616 named and some software still sends.
_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    b"transfer-encoding upgrade".split()
)
# Any field that may say who is asking: every provider and API manager has a name of its own.
_CREDENTIAL = re.compile(
    rb".*(authorization|api[-_]?key|access-?key|auth-?key|functions-?key|token|subscription-?key|secret|credential|password)"
    rb"|x-forwarded-(user|email|preferred-username)$|(x-)?remote-user$"
)
# In a query, also Google's and Azure's short names, and signatures.
_QUERY_CREDENTIAL = re.compile(_CREDENTIAL.pattern + rb"|(key|code|sig|.*signature)$")
# Of these, plain keys: nothing else hangs on their value. What is not among them may, and those who share answers
# are kept apart by it all the same.
_KEYS = frozenset(b"authorization x-api-key api-key x-goog-api-key x-auth-token ocp-apim-subscription-key".split())
_QUERY_KEYS = frozenset(b"key api_key api-key apikey access_token subscription-key".split())
# Another value may mean another account, project, API version or moderation setting: another answer.
_PARTITIONS = frozenset(
    b"openai-beta x-dashscope-datainspection x-ark-moderation-scene anthropic-version anthropic-beta "
    b"extra-parameters".split()
)
_ACCOUNT = re.compile(rb".*(organi[sz]ation|project|workspace|tenant|account|deployment)")
# The upstream keeps state for these, or the body is not what it seems.
_STATEFUL = frozenset(b"x-dashscope-async x-conversation-id".split())
_ENCRYPTED = frozenset(b"x-dashscope-encryptionkey x-is-encrypted x-encrypt-info x-session-token".split())
# By these the caller vouches for the very bytes of the body: it must not be changed on the way.
_OF_THE_BODY = frozenset("content-md5 digest content-digest x-content-sha256 x-amz-content-sha256".split())
# By these a server vouches for the very bytes of a reply.
_OF_A_REPLYS_BODY = frozenset(b"etag content-md5 digest content-digest repr-digest".split())
# Coded bodies that capture.py can read back; others are not asked for, so that answers can be kept.
_READABLE_CODINGS = frozenset((b"gzip", b"deflate", b"identity"))
_DECIMAL = re.compile(r"[0-9]+\.?[0-9]*|\.[0-9]+")


def end_to_end(headers: Raw) -> list[tuple[bytes, bytes]]:
    """Without the fields that belong to one connection, among them those that Connection names."""
    dropped = set(_HOP_BY_HOP)
    for name, value in headers:
        if name.lower() == b"connection":
            dropped.update(token.strip().lower() for token in value.split(b","))
    return [(name.lower(), value) for name, value in headers if name.lower() not in dropped]


def to_upstream(headers: Raw, readable: bool) -> list[tuple[bytes, bytes]]:
    """What travels on. Host becomes the upstream's; Expect was answered here; our own fields stay here.
    With `readable`, only content codings are accepted that the reply can be kept from."""
    kept = []
    for name, value in end_to_end(headers):
        if name in (b"host", b"expect") or name in _OURS:
            continue
        kept.append((name, _readable_codings(value) if readable and name == b"accept-encoding" else value))
    return kept


def seals_body(fields: Mapping[str, str]) -> bool:
    return not _OF_THE_BODY.isdisjoint(fields)


def fitting(headers: Raw, body_bytes: int) -> list[tuple[bytes, bytes]]:
    """Without a Content-Length that is not that of a body which was changed here; httpx then gives the right one."""
    return [field for field in headers if field[0] != b"content-length" or field[1] == str(body_bytes).encode()]


def uncoded(headers: Raw) -> list[tuple[bytes, bytes]]:
    """Asking for a reply that is not compressed, so that it can be changed as it comes."""
    return [*(field for field in headers if field[0] != b"accept-encoding"), (b"accept-encoding", b"identity")]


def of_changed_body(headers: Raw, body_bytes: int | None) -> list[tuple[bytes, bytes]]:
    """The fields of a reply whose body was changed here; `body_bytes` None: nobody knows yet how long it will be."""
    kept = [field for field in headers if field[0] != b"content-length" and field[0] not in _OF_A_REPLYS_BODY]
    return kept if body_bytes is None else [*kept, (b"content-length", str(body_bytes).encode())]


def tagged(tags: Sequence[str]) -> list[tuple[bytes, bytes]]:
    """What the rules say of an answer, for its client."""
    return [(TAGS_HEADER, ", ".join(tags).encode())] if tags else []


def value(headers: Raw, wanted: bytes) -> str:
    """The first field of this name, in lower case; empty where there is none."""
    return next((value.decode("latin-1").strip().lower() for name, value in headers if name.lower() == wanted), "")


def is_plain_stream(headers: Raw) -> bool:
    """Whether a reply is an event stream whose bytes may become more or fewer on their way."""
    streams = value(headers, b"content-type").startswith("text/event-stream")
    return streams and not is_coded(headers) and not value(headers, b"content-length")


def is_coded(headers: Raw) -> bool:
    return value(headers, b"content-encoding") not in ("", "identity")


def to_client(headers: Raw, status: int) -> list[tuple[bytes, bytes]]:
    # A 304 may tell the length of what it does not send; our server would wait for that many bytes.
    return [field for field in end_to_end(headers) if not (status == 304 and field[0] == b"content-length")]


def credential(headers: Raw, query: str = "") -> Credential:
    """Everything that says who is asking. Never stored: it is digested."""
    asked = [pair for pair in query.split("&") if _QUERY_CREDENTIAL.match(_named(pair))]
    fields = credentials(headers, alone=not asked)
    beside = [field for field in fields if field[0] not in _KEYS]
    return Credential(_lines(fields, asked), _lines(beside, (pair for pair in asked if not _is_key(pair))))


def credentials(headers: Raw, alone: bool = True) -> list[tuple[bytes, bytes]]:
    """The fields that say who is asking. `alone`: nothing else does. Never stored."""
    found = [field for field in headers if _CREDENTIAL.match(field[0])]
    # No model API takes cookies, and they change from call to call; but where nothing else is sent, they are all
    # there is, and in doubt it is a miss.
    return found or [field for field in headers if alone and field[0] == b"cookie"]


def with_key(headers: Raw, key: str) -> list[tuple[bytes, bytes]]:
    """With this credential in place of whatever says who is asking, under the name that the client's had."""
    kept = [field for field in headers if not _CREDENTIAL.match(field[0]) and field[0] != b"cookie"]
    plain = [name for name, _ in headers if name in (b"x-api-key", b"api-key")]
    bare = key.encode()
    return [*kept, (plain[0], bare) if plain else (b"authorization", b"Bearer " + bare)]


def partitions(headers: Raw, query: str) -> tuple[tuple[str, str], ...]:
    """Header fields and query that may lead to another answer, for the key. A key in the query is the credential's."""
    found = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers if _parts(name)]
    query = without_keys(query)
    return tuple(sorted([*found, *([("?", query)] if query else [])]))


def without_keys(query: str) -> str:
    return "&".join(pair for pair in query.split("&") if not _is_key(pair))


def _is_key(pair: str) -> bool:
    return _named(pair) in _QUERY_KEYS


def _named(pair: str) -> bytes:
    """The name of a parameter of a query, whatever its case and coding."""
    return unquote_to_bytes(pair.partition("=")[0]).lower()


def _lines(fields: Raw, asked: Iterable[str]) -> bytes:
    # As they came: nothing that is decoded can pass for a line of its own.
    lines = [name + b":" + value for name, value in fields] + [b"?" + pair.encode("latin-1") for pair in asked]
    return b"\n".join(sorted(lines))


def keyed_by_query(query: str) -> bool:
    """Whether a parameter looks like a key: who is asking is then not told by the fields alone."""
    return bool(credential([], query).whole)


def asked_with(headers: Raw) -> tuple[tuple[str, str], ...]:
    """What of a batch's own request holds for each of its lines: account, project and wishes. No credential."""
    return tuple(
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in headers
        if name in _OURS or name == b"cache-control" or _parts(name)
    )


def _parts(name: bytes) -> bool:
    """Whether another value of this field may mean another answer."""
    return (name in _PARTITIONS or bool(_ACCOUNT.match(name))) and not _CREDENTIAL.match(name)


def readable(headers: Raw) -> dict[str, str]:
    """What a dialect may see: no credentials; repeated fields joined as RFC 9110 says."""
    seen: dict[str, str] = {}
    for name, value in headers:
        if name != b"cookie" and not _CREDENTIAL.match(name):
            key, text = name.decode("latin-1"), value.decode("latin-1")
            seen[key] = f"{seen[key]}, {text}" if key in seen else text
    return seen


def bypass(headers: Raw) -> Bypass | None:
    """A reason in the headers not to ask the cache at all."""
    for name, value in headers:
        # An offer of HTTP/2 (h2c), which some clients make on every request, is simply not taken up.
        if name == b"range" or (name == b"upgrade" and b"websocket" in value.lower()):
            return Bypass.RANGE_OR_UPGRADE
        if name in _STATEFUL:
            return Bypass.STATEFUL
        coded = name in (b"content-encoding", b"x-body-compressed") and value.strip().lower() != b"identity"
        if coded or name in _ENCRYPTED:
            return Bypass.ENCODED_BODY
    return None


def wishes(headers: Raw) -> Wishes:
    """The caller's wishes. Raises CallerError for a word or number of ours that does not exist."""
    directives: dict[str, str] = {}
    for directive, argument in _directives(value for name, value in headers if name == b"cache-control"):
        directives.setdefault(directive, argument)  # RFC 9111, section 4.2.1: of a repeated one the first counts
    pragma = any(name == b"pragma" and b"no-cache" in value.lower() for name, value in headers)
    return Wishes(
        mode=_mode(headers),
        scrutiny=_scrutiny(headers),
        threshold=_threshold(headers),
        no_cache="no-cache" in directives or (pragma and not directives),
        no_store="no-store" in directives,
        only_if_cached="only-if-cached" in directives,
        max_age_s=_seconds(directives["max-age"]) if "max-age" in directives else None,
        min_fresh_s=_seconds(directives["min-fresh"], unreadable=math.inf) if "min-fresh" in directives else 0.0,
        stale_if_error_s=_seconds(directives["stale-if-error"]) if "stale-if-error" in directives else math.inf,
    )


def _mode(headers: Raw) -> Mode:
    mode = Mode.NEAR
    for text in _said(headers, MODE_HEADER):
        if text.lower() not in Mode.callers():
            raise CallerError(f"X-Lookalike-Mode: {text!r} is not one of {', '.join(Mode.callers())}")
        mode = mode.stricter(Mode(text.lower()))
    return mode


def _scrutiny(headers: Raw) -> Scrutiny:
    scrutiny = Scrutiny.NORMAL
    for text in _said(headers, GUARD_HEADER):
        if text.lower() not in list(Scrutiny):
            raise CallerError(f"X-Lookalike-Guard: {text!r} is not one of {', '.join(Scrutiny)}")
        scrutiny = scrutiny.stricter(Scrutiny(text.lower()))
    return scrutiny


def _threshold(headers: Raw) -> float:
    """The highest cosine asked for; 0 where none is."""
    threshold = 0.0
    for text in _said(headers, THRESHOLD_HEADER):
        cosine = float(text) if _DECIMAL.fullmatch(text) else 0.0
        if not 0 < cosine <= 1:
            raise CallerError(f"X-Lookalike-Threshold: {text!r} is not a cosine above 0 and up to 1, such as 0.97")
        threshold = max(threshold, cosine)
    return threshold


def _said(headers: Raw, wanted: bytes) -> Iterable[str]:
    return (value.decode("latin-1").strip() for name, value in headers if name == wanted)


def _directives(values: Iterable[bytes]) -> Iterable[tuple[str, str]]:
    for value in values:
        for part in value.decode("latin-1").split(","):
            name, _, argument = part.partition("=")
            yield name.strip().lower(), argument.strip().strip('"')


def _seconds(text: str, unreadable: float = 0.0) -> float:
    # RFC 9111, section 4.2.1: what cannot be read counts as the strictest there is.
    return float(text) if text.isascii() and text.isdigit() else unreadable


def _readable_codings(value: bytes) -> bytes:
    kept = [item.strip() for item in value.split(b",") if item.split(b";")[0].strip().lower() in _READABLE_CODINGS]
    return b", ".join(kept) or b"identity"
