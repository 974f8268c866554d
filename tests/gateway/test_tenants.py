"""Whose answers a credential may have, and which settings would leave that open."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.keys import Scope
from gateway.config import Settings, load_settings
from gateway.errors import ConfigError
from gateway.tenants import Caller, Claim, Credential, Shared, Tenants

SECRET = b"s" * 32
ALICE, BOB, EVE = (Credential(f"authorization:Bearer {name}".encode()) for name in ("alice", "bob", "eve"))


def digest(credential: Credential, digits: int = 16) -> str:
    return Tenants(SECRET, (), 60.0).caller(credential).own[:digits]


def team(*members: Credential, name: str = "team", accepted_s: float = 30.0) -> Shared:
    return Shared(name=name, members=tuple(digest(one) for one in members), accepted_s=accepted_s)


def test_each_credential_has_its_own_answers_unless_it_shares() -> None:
    tenants = Tenants(SECRET, (team(ALICE, BOB),), 60.0)
    alice, bob, eve = (tenants.caller(one) for one in (ALICE, BOB, EVE))

    assert alice.scope == bob.scope
    assert len({alice.own, bob.own, eve.own, alice.scope}) == 4
    assert (eve.scope, eve.shared, eve.trust_s) == (eve.own, False, 60.0)
    assert (alice.shared, alice.trust_s) == (True, 30.0)


def test_everyone_is_whoever_is_named_nowhere_else() -> None:
    groups = (Shared(name="all", members="*"), team(ALICE))
    alice, bob, eve = (Tenants(SECRET, groups, 60.0).caller(one) for one in (ALICE, BOB, EVE))

    assert bob.scope == eve.scope != alice.scope


def test_no_credential_has_nothing_to_prove_but_where_answers_are_shared() -> None:
    nobody = Credential(b"")

    assert Tenants(SECRET, (), 60.0).caller(nobody).trust_s is None
    assert Tenants(SECRET, (Shared(name="all", members="*"),), 60.0).caller(nobody).trust_s is not None


def test_what_is_no_plain_key_keeps_even_those_apart_who_share() -> None:
    tenants = Tenants(SECRET, (Shared(name="all", members="*"),), 60.0)
    one, other = (tenants.caller(Credential(b"x-token-kind:" + kind, b"x-token-kind:" + kind)) for kind in (b"1", b"2"))

    assert one.scope != other.scope


def test_another_store_knows_a_credential_by_another_digest() -> None:
    assert Tenants(b"t" * 32, (), 60.0).caller(ALICE).own != Tenants(SECRET, (), 60.0).caller(ALICE).own


@given(parts=st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), max_size=2))
def test_a_claim_is_to_one_model_of_one_account(parts: list[tuple[str, str]]) -> None:
    caller = Caller("a" * 64, "a" * 64, 60.0)
    scope = Scope("a" * 64, "openai-chat", "http://u", "/v1", "m", tuple(parts))
    claims = {
        caller.claim(scope),
        caller.claim(Scope("a" * 64, "openai-chat", "http://u", "/v1", "m2", tuple(parts))),
        caller.claim(Scope("a" * 64, "openai-chat", "http://v", "/v1", "m", tuple(parts))),
        caller.claim(Scope("a" * 64, "openai-chat", "http://u", "/v1", "m", (*parts, ("openai-organization", "o")))),
    }

    assert len(claims) == 4
    assert Caller("a" * 64, "a" * 64, None).claim(scope) is None
    assert all(isinstance(one, Claim) and len(one.place) == 32 for one in claims)


@pytest.mark.parametrize(
    "members", ["sk-a-raw-key-0123456789", ["sk-a-raw-key-0123456789"], [], "", ["abc"], [5], "**"]
)
def test_a_key_in_a_digests_place_is_refused_and_not_repeated(
    members: object, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.raises(ConfigError) as raised:
        load_settings(upstream="http://h", shared=[{"name": "team", "members": members}])

    assert "lookalike tenant" in str(raised.value)
    assert "sk-a-raw" not in str(raised.value)


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ((team(ALICE), team(BOB)), "given twice"),
        ((team(ALICE), team(ALICE, name="b")), "a member of both"),
        ((team(ALICE), Shared(name="b", members=(digest(ALICE, 12),))), "a member of both"),
        ((Shared(name="a", members="*"), Shared(name="b", members="*")), "only one group"),
    ],
)
def test_a_key_belongs_to_one_group(groups: tuple[Shared, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_settings(upstream="http://h", shared=groups)


def test_a_store_that_forgets_its_secret_knows_no_members() -> None:
    with pytest.raises(ConfigError, match="change at every start"):
        load_settings(upstream="http://h", store="memory", shared=[team(ALICE)])
    assert Settings(upstream="http://h", store="memory", shared=[Shared(name="all", members="*")]).shared


def test_what_was_said_of_a_key_is_kept_for_the_longest_time_that_it_counts() -> None:
    assert Tenants(SECRET, (), 10.0).longest_trust_s == 10
    assert Tenants(SECRET, (team(ALICE),), 10.0).longest_trust_s == 30
