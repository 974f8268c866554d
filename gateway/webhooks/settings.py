"""`[[webhooks]]` in the settings: who is told of an answer, how it is signed, and how much may wait for them."""

import base64
import binascii
import ipaddress
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

import httpx
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from gateway.fetch.addresses import Reach, reach
from gateway.named import each_once

_SECRET_LEAST: Final = 16
_IN_BASE64: Final = "whsec_"  # as the libraries of Standard Webhooks write a secret
# Names that only a network of one's own resolves.
_OWN_ENDINGS: Final = (".local", ".internal", ".localhost", ".home.arpa")


class Webhook(BaseModel):
    """A receiver of events. `prompt`: whether the question may be sent with the answer. `give_up_after_s`: the age at
    which an event that was not taken is set aside. `queue_…_max`: what may wait for this receiver; beyond it, events
    are dropped."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[\w-]{1,40}$")  # it stands in rules, statistics and log lines
    url: str
    secret: SecretStr | None = None
    secret_file: Path | None = None
    prompt: bool = False
    timeout_s: float = Field(10, gt=0, le=120)
    give_up_after_s: float = Field(24 * 3600, ge=1, le=30 * 86_400)
    queue_events_max: int = Field(10_000, ge=1, le=1_000_000)
    queue_bytes_max: int = Field(64 * 1024 * 1024, ge=1024)

    @field_validator("url")
    @classmethod
    def can_be_posted_to(cls, value: str) -> str:
        # What was given is not repeated: a URL may hold a token.
        try:
            httpx.URL(value)
            parts = urlsplit(value)
            host, _ = parts.hostname or "", parts.port  # which raises where it is none
        except (ValueError, httpx.InvalidURL) as error:
            raise ValueError("not a URL") from error
        if parts.scheme not in ("http", "https") or not host or not value.isprintable() or " " in value:
            raise ValueError("give a URL such as https://orders.example.com/hooks")
        if parts.username or parts.password or parts.fragment:
            raise ValueError("give a URL without password or fragment: events are signed")
        if parts.scheme == "http" and not _is_own(host):
            raise ValueError(
                "plain http would show every answer on the way: use https (http is for this machine, "
                "private addresses, and names such as orders or orders.internal)"
            )
        return value

    @model_validator(mode="after")
    def has_one_secret(self) -> Self:
        if (self.secret is None) == (self.secret_file is None):
            raise ValueError(f'"{self.name}": give secret or secret_file (`openssl rand -hex 24` makes a good secret)')
        self.key()
        return self

    def key(self) -> bytes:
        """What events are signed with. Raises ValueError, which does not repeat it."""
        text = self._secret()
        try:
            key = text.encode()
            if text.startswith(_IN_BASE64):
                key = base64.b64decode(text.removeprefix(_IN_BASE64), validate=True)
        except (binascii.Error, UnicodeEncodeError) as error:
            raise ValueError(f'"{self.name}": what follows {_IN_BASE64} in the secret is not base64') from error
        if len(key) < _SECRET_LEAST:
            raise ValueError(f'"{self.name}": the secret needs at least {_SECRET_LEAST} characters')
        return key

    def _secret(self) -> str:
        if self.secret_file is None:
            assert self.secret is not None
            return self.secret.get_secret_value().strip()
        try:
            return self.secret_file.read_text().partition("\n")[0].strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f'"{self.name}": secret_file {self.secret_file} cannot be read') from error


Webhooks = Annotated[tuple[Webhook, ...], AfterValidator(each_once)]


def _is_own(host: str) -> bool:
    """Whether what is sent there stays on this machine or in a private network, as far as its name tells."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.lower().rstrip(".").endswith(_OWN_ENDINGS)
    return reach(host) is Reach.PRIVATE
