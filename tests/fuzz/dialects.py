"""Each dialect's reading: of requests, of replies in one piece and coded, of streams; and the JSON below them.

Nothing is raised but what is documented; one meaning has one key, and another meaning another; whatever is stored can
be rendered again, in one piece or as a stream, and says the same.
"""

import functools
import gzip
import json
import zlib
from collections.abc import Iterator
from random import Random
from typing import Any

import orjson

from cache.keys import canonical
from gateway import capture, spelling
from gateway.capture import Answered
from gateway.dialects.splice import spliced
from gateway.dialects.strict_json import as_text, read_object
from gateway.question import Bypass, NotCacheable, PictureRef, Question, Reply, Unstored
from tests.contracts.dialect_contract import FRESH, DialectContract, WholeContract, call, changed_at, leaves
from tests.fuzz.target import Check, Target
from tests.gateway.dialects.test_anthropic import TestAnthropicMessages
from tests.gateway.dialects.test_dashscope import TestDashScope
from tests.gateway.dialects.test_ollama import TestOllamaChat, TestOllamaGenerate
from tests.gateway.dialects.test_openai_chat import TestOpenAIChat
from tests.gateway.dialects.test_openai_responses import TestOpenAIResponses
from tests.gateway.dialects.test_service_inference import TestServiceInference
from tests.wire.recorded import messages, replies

_CONTRACTS: tuple[WholeContract, ...] = (
    TestOpenAIChat(),
    TestOpenAIResponses(),
    TestAnthropicMessages(),
    TestOllamaChat(),
    TestOllamaGenerate(),
    TestDashScope(),
    TestServiceInference(),
)
_REPLY_BYTES_MAX = 65_536
_ON_THE_WEB = b"data:image/png;base64,iVBORw0KGgo="


def _parsed(contract: WholeContract, body: bytes) -> Question | Bypass:
    try:
        return contract.dialect.parse(call(body, contract.path))
    except NotCacheable as refusal:
        return refusal.why


def _key(question: Question) -> bytes:
    """Everything that a lookup goes by, but for the scope and the pictures' content."""
    pictures = [
        bytes(ref.url).decode("latin-1") if isinstance(ref.url, memoryview) else ref.url for ref in question.pictures
    ]
    return canonical([question.model, question.asked, pictures])


def _loads(ref: PictureRef) -> bool:
    try:
        spelling.load(ref)
    except NotCacheable as refusal:
        return refusal.why is not Bypass.PICTURE_UNREADABLE
    return True


def a_request(contract: WholeContract, body: bytes) -> None:
    question = _parsed(contract, body)
    if isinstance(question, Bypass):
        return
    assert question.pictures
    assert isinstance(question.prompt, str)
    assert question.choices >= 1
    key = _key(question)
    if not all(map(_loads, question.pictures)):
        return  # long pictures are looked at here for the first time: what is no JSON in them is no base64 either
    _one_meaning_has_one_key(contract, body, key)
    _another_meaning_has_another(contract, body, key)
    _a_fetched_picture_takes_its_place_alone(contract, body, question)
    if question.stream and (asking := contract.dialect.asking_usage(body)) is not None:
        again = _parsed(contract, asking[0])
        assert isinstance(again, Question)
        assert _key(again) == key


def _one_meaning_has_one_key(contract: WholeContract, body: bytes, key: bytes) -> None:
    for text in _respelt(json.loads(body.decode())):
        again = _parsed(contract, text)
        assert isinstance(again, Question), again
        assert _key(again) == key


def _respelt(value: Any) -> Iterator[bytes]:
    yield json.dumps(_turned(value), indent=1).encode()
    yield json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    yield b"\r\n\t " + json.dumps(value, sort_keys=True).encode() + b" "


def _turned(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _turned(item) for name, item in reversed(value.items())}
    return [_turned(item) for item in value] if isinstance(value, list) else value


def _another_meaning_has_another(contract: WholeContract, body: bytes, key: bytes) -> None:
    value = json.loads(body.decode())
    counted = [path for path in leaves(value) if _counts(contract, value, path)]
    if not counted:
        return
    path = Random(zlib.crc32(body)).choice(counted)
    changed = changed_at(value, path)
    if canonical(changed) != canonical(value):  # 1e300 + 1 is 1e300
        after = _parsed(contract, orjson.dumps(changed))
        assert isinstance(after, Bypass) or _key(after) != key, path


def _counts(contract: WholeContract, value: Any, path: tuple[Any, ...]) -> bool:
    if path[0] in contract.not_asked or not set(contract.hints).isdisjoint(path):
        return False
    for name in path:
        value = value[name]
    return value is not None


def _a_fetched_picture_takes_its_place_alone(contract: WholeContract, body: bytes, question: Question) -> None:
    urls = [ref.url for ref in question.pictures if spelling.is_on_the_web(ref) and isinstance(ref.url, str)]
    new = spliced(body, urls, dict.fromkeys(urls, _ON_THE_WEB)) if urls else None
    if new is not None:
        again = _parsed(contract, new)
        assert isinstance(again, Question)
        assert canonical(again.asked) == canonical(question.asked)


def a_reply(contract: WholeContract, body: bytes) -> None:
    """In one piece: whatever is done with it raises nothing; what may be stored says the same in any rendering."""
    contract.assert_usable(reply := contract.dialect.whole(body))
    if isinstance(reply, Reply) and contract.dialect.unstorable(reply) is None:
        _is_the_same_from_the_store(contract, reply)
        if isinstance(contract, DialectContract):
            again = contract.assembled(contract._bytes(reply), contract.answers(reply))
            assert isinstance(again, Reply), again
            assert contract.dialect.text(again) == contract.dialect.text(reply)
            assert contract.dialect.unstorable(again) is None


def a_stream(contract: DialectContract, body: bytes) -> None:
    try:
        reply = contract.assembled(body, 1)
    except UnicodeDecodeError:
        return
    contract.assert_usable(reply)
    if isinstance(reply, Reply) and contract.dialect.unstorable(reply) is None:
        _is_the_same_from_the_store(contract, reply)
        whole = contract.dialect.whole(contract.dialect.body(reply))
        assert isinstance(whole, Reply), whole
        assert contract.dialect.text(whole) == contract.dialect.text(reply)


def _is_the_same_from_the_store(contract: WholeContract, reply: Reply) -> None:
    kept = capture.unpack(capture.pack(reply))
    assert kept == reply
    renewed = contract.dialect.renew(kept, contract._asked(), FRESH)
    assert contract.dialect.text(renewed) == contract.dialect.text(reply)


def a_coded_reply(contract: WholeContract, body: bytes) -> None:
    """With its head: the first byte chooses coding and type. What is inflated stays within its limit."""
    kind, rest = body[:1] or b"\0", body[1:]
    coding = (b"gzip", b"deflate", b"identity", b"br", b"gzip, gzip", b"zstd")[kind[0] % 6]
    media_type = contract.dialect.stream_type.encode() if kind[0] & 64 else b"application/json"
    fields = [(b"content-encoding", coding), (b"content-type", media_type)]
    answered = Answered(200, fields, rest, complete=True, too_large=False, seconds=0.1)
    reply = capture.read(contract.dialect, contract._asked(), answered, _REPLY_BYTES_MAX)
    assert isinstance(reply, Reply | Unstored)
    if isinstance(reply, Reply):
        assert len(orjson.dumps(reply.body)) <= 8 * _REPLY_BYTES_MAX


def json_is_read_in_one_way(body: bytes) -> None:
    """What is read is what everybody reads, and what anybody may read in another way is refused."""
    try:
        value = as_text(read_object(body))
    except NotCacheable:
        return

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    def no_constant(text: str) -> Any:
        raise AssertionError(text)

    plain = json.loads(body.decode(), object_pairs_hook=unique, parse_constant=no_constant)
    assert value == plain
    assert canonical(value) == canonical(plain)


def target() -> Target:
    checks: list[Check] = []
    for contract in _CONTRACTS:
        name, folder = contract.dialect.name, contract.folder
        asked = [message.body for kind in ("requests", "clients") for message in messages(folder, kind)]
        whole = [message.body for message in replies(folder) if not message.streamed]
        coded = [bytes((0,)) + gzip.compress(body, mtime=0) for body in whole[:8]]
        coded += [bytes((1,)) + zlib.compress(body) for body in whole[:8]]
        checks += [
            Check(f"{name}: request", functools.partial(a_request, contract), asked),
            Check(f"{name}: reply", functools.partial(a_reply, contract), whole),
            Check(f"{name}: coded reply", functools.partial(a_coded_reply, contract), coded),
        ]
        if isinstance(contract, DialectContract):
            streamed = [message.body for message in replies(folder) if message.streamed]
            checks.append(Check(f"{name}: stream", functools.partial(a_stream, contract), streamed))
    bodies = [message.body for message in messages("openai_chat", "requests")]
    checks.append(Check("strict JSON", json_is_read_in_one_way, bodies))
    return Target("dialects", checks)
