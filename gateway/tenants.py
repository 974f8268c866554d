"""Who asks, and whose answers they may have: each credential its own, or those of a group that shares. Pure.

A credential is known here by its HMAC with the store's secret, and goes no further.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from cache.keys import Scope, canonical

EVERYONE: Final = "*"
TRUST_S: Final = 3600.0
_DIGEST = re.compile(r"[0-9a-f]{12,64}")  # 12 digits are what the statistics show
_DIGITS = 32

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Shared(BaseModel):
    """Keys that share their answers. `members` are digests that `lookalike tenant` prints, or "*" for everyone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[\w-]{1,40}$")
    members: Literal["*"] | tuple[str, ...]
    accepted_s: Seconds = TRUST_S  # how long the upstream's word on a member counts

    @field_validator("members", mode="before")
    @classmethod
    def are_digests(cls, value: Any) -> Any:
        if value == EVERYONE:
            return value
        members = value if isinstance(value, list | tuple) else ()
        if not members or not all(isinstance(one, str) and _DIGEST.fullmatch(one) for one in members):
            raise ValueError(
                'give the digests that `lookalike tenant` prints (12 to 64 of 0-9a-f), or "*" for everyone; '
                "never a key itself"
            )
        return value


def _clear(groups: tuple[Shared, ...], info: ValidationInfo) -> tuple[Shared, ...]:
    """Raises ValueError where it would not be clear which group a key belongs to, now or after a restart."""
    names = [group.name for group in groups]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f'"{twice[0]}" is given twice')
    if sum(group.members == EVERYONE for group in groups) > 1:
        raise ValueError('only one group can have members = "*"')
    named = [(one, group.name) for group in groups if group.members != EVERYONE for one in group.members]
    for digest, group in named:
        for other, elsewhere in named:
            if group != elsewhere and digest.startswith(other):
                raise ValueError(f'{digest} is a member of both "{group}" and "{elsewhere}"')
    if named and info.data.get("store") == "memory":
        raise ValueError('with store = "memory" the digests of keys change at every start: members can only be "*"')
    return groups


Groups = Annotated[tuple[Shared, ...], AfterValidator(_clear)]


@dataclass(frozen=True, slots=True)
class Credential:
    """All that says who is asking. `beside` is the part that is no plain key: it may be more than a name, so that it
    keeps even those apart who share."""

    whole: bytes
    beside: bytes = b""


@dataclass(frozen=True, slots=True)
class Claim:
    """A credential's claim to the answers of one place: an upstream, a model and an account there."""

    credential: str  # keyed digest
    place: str  # digest
    trust_s: float
    shared: bool


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks (`own`) and whose answers they may have (`scope`), as keyed digests. `trust_s` says how long the
    upstream's word on the credential counts; None: there is no credential, and nothing to prove."""

    own: str
    scope: str
    trust_s: float | None
    shared: bool = False

    @property
    def credential(self) -> str:
        """By which its acceptances are kept."""
        return self.own[:_DIGITS]

    def claim(self, scope: Scope) -> Claim | None:
        """What the upstream must have accepted before an answer of this scope may be served."""
        if self.trust_s is None:
            return None
        asked = [scope.dialect, scope.upstream, scope.path, scope.model, [list(pair) for pair in scope.partitions]]
        place = hashlib.sha256(self.own.encode() + canonical(asked)).hexdigest()  # type: ignore[arg-type]
        return Claim(self.credential, place[:_DIGITS], self.trust_s, self.shared)


class Tenants:
    """Of one store. `secret` is the store's: a digest is worth nothing beside another."""

    def __init__(self, secret: bytes, groups: Sequence[Shared], trust_s: float) -> None:
        self._secret = secret
        self._groups = groups
        self._trust_s = trust_s

    @property
    def longest_trust_s(self) -> float:
        return max([self._trust_s, *(group.accepted_s for group in self._groups)])

    def caller(self, credential: Credential) -> Caller:
        own = digest(self._secret, credential)
        if (group := self._group_of(own)) is None:
            return Caller(own, own, self._trust_s if credential.whole else None)
        return Caller(own, self.scope_of(group.name, credential.beside), group.accepted_s, shared=True)

    def believed(self) -> "Tenants":
        """The same, where nobody's key needs to be proved."""
        return _Believed(self._secret, self._groups, self._trust_s)

    def scope_of(self, name: str, beside: bytes = b"") -> str:
        """The digest under which a group's answers are kept. No credential has a zero byte."""
        return self._digest(b"shared\0" + name.encode() + b"\0" + beside)

    def _group_of(self, own: str) -> Shared | None:
        named = (group for group in self._groups if group.members != EVERYONE and own.startswith(group.members))
        return next(named, None) or next((group for group in self._groups if group.members == EVERYONE), None)

    def _digest(self, what: bytes) -> str:
        return _digest(self._secret, what)


class _Believed(Tenants):
    def caller(self, credential: Credential) -> Caller:
        return replace(super().caller(credential), trust_s=None)


def digest(secret: bytes, credential: Credential) -> str:
    """Who asks, whoever shares what: `Caller.own`. That of nobody is one, too."""
    return _digest(secret, credential.whole)


def _digest(secret: bytes, what: bytes) -> str:
    return hmac.new(secret, what, hashlib.sha256).hexdigest()
