"""Signatures as Standard Webhooks has them."""

import base64
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.webhooks.settings import Webhook
from gateway.webhooks.signature import NotGenuine, headers, verify

ROOT = Path(__file__).parent.parent.parent
KEY = b"a secret of the tests"
NOW_S = 1_700_000_000.9


def test_a_known_signature():
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    # As `openssl dgst -sha256 -mac HMAC` has it, over msg_1.1614265330.{"test": 2432232314}
    fields = headers(key, "msg_1", 1614265330, b'{"test": 2432232314}')

    assert fields == {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,9o7UeFkn1GjVbcY4emAJruJCYqgH2EIf8u/slvVRBZI=",
    }


@given(st.binary(), st.text(st.characters(codec="ascii", exclude_characters="."), min_size=1), st.binary(min_size=16))
def test_what_was_signed_is_genuine_and_nothing_else_is(body: bytes, event_id: str, key: bytes):
    fields = headers(key, event_id, NOW_S, body)

    assert verify(key, fields, body, NOW_S + 299) == event_id
    for other_key, other_body, other in (
        (key + b"x", body, {}),
        (key, body + b"x", {}),
        (key, body, {"webhook-id": event_id + "x"}),
        (key, body, {"webhook-timestamp": "1700000001"}),
        (key, body, {"webhook-signature": "v1,AAAA"}),
        (key, body, {"webhook-signature": ""}),
        (key, body, {"webhook-timestamp": "now"}),
    ):
        with pytest.raises(NotGenuine):
            verify(other_key, fields | other, other_body, NOW_S)


@pytest.mark.parametrize("later_s", [301, -301, 1e9])
def test_what_is_replayed_later_is_refused(later_s: float):
    fields = headers(KEY, "evt_1", NOW_S, b"{}")

    with pytest.raises(NotGenuine, match="too long ago"):
        verify(KEY, fields, b"{}", NOW_S + later_s)


def test_of_several_signatures_one_must_be_ours():
    fields = headers(KEY, "evt_1", NOW_S, b"{}")
    fields["webhook-signature"] = f"v1a,xyz {fields['webhook-signature']} v1,bogus"

    assert verify(KEY, fields, b"{}", NOW_S) == "evt_1"


def test_the_way_that_the_document_shows_agrees(monkeypatch: pytest.MonkeyPatch):
    text = (ROOT / "docs/webhooks.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    shown: dict[str, object] = {}
    exec(code, shown)
    monkeypatch.setattr("time.time", lambda: NOW_S)
    genuine = shown["genuine"]
    assert callable(genuine)
    fields = headers(KEY, "evt_1", NOW_S, b"{}")

    assert genuine(KEY, fields, b"{}")
    assert not genuine(KEY, fields, b"{} ")
    assert not genuine(KEY + b"x", fields, b"{}")


def test_a_secret_in_base64_is_decoded_and_any_other_is_the_key_itself():
    plain = Webhook(name="w", url="https://h/x", secret="sixteen or more!")
    coded = Webhook(name="w", url="https://h/x", secret="whsec_" + base64.b64encode(KEY).decode())

    assert (plain.key(), coded.key()) == (b"sixteen or more!", KEY)
