"""Signatures as the Standard Webhooks specification has them, made and verified. Pure.

webhook-id           of the event, the same at every attempt: by it a receiver knows what it has had
webhook-timestamp    of this attempt, in Unix seconds
webhook-signature    "v1," and the base64 of HMAC-SHA256 over `id.timestamp.body`; several stand apart by spaces
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"
TOLERANCE_S: Final = 300  # by which the clocks of sender and receiver may differ, and how late a replay is refused


class NotGenuine(Exception):
    """What came is not what was signed, or not now. The message says which."""


def headers(key: bytes, event_id: str, now_s: float, body: bytes) -> dict[str, str]:
    """The fields that go with this body at this moment (Unix time)."""
    timestamp = str(int(now_s))
    return {ID: event_id, TIMESTAMP: timestamp, SIGNATURE: _signature(key, event_id, timestamp, body)}


def verify(key: bytes, fields: Mapping[str, str], body: bytes, now_s: float) -> str:
    """The id of a genuine event. `fields` are by lower-case names, `body` are the bytes as they came. Raises
    NotGenuine."""
    event_id, timestamp = fields.get(ID, ""), fields.get(TIMESTAMP, "")
    if not event_id or not (timestamp.isascii() and timestamp.isdigit()) or len(timestamp) > 15:
        raise NotGenuine("it carries no id and time")
    expected = _signature(key, event_id, timestamp, body).encode()
    given = [one.encode() for one in fields.get(SIGNATURE, "").split(" ")]
    if not any(hmac.compare_digest(one, expected) for one in given):
        raise NotGenuine("its signature is not ours")
    if abs(now_s - int(timestamp)) > TOLERANCE_S:
        raise NotGenuine("it was signed too long ago, or in the future")
    return event_id


def _signature(key: bytes, event_id: str, timestamp: str, body: bytes) -> str:
    signed = hmac.new(key, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(signed.digest()).decode()
