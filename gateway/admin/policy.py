"""Who may use /cache/ at all, from the settings: the token, and the names that this gateway goes by.

Read once, when the gateway starts; it does not start where the settings leave open what is meant.
"""

import hashlib
import hmac
import ipaddress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gateway.config import Settings
from gateway.errors import ConfigError

_TOKEN_CHARS_LEAST = 16
_HOW_TO = "LOOKALIKE_ADMIN_TOKEN, admin_token_file, or admin_token in the TOML file"


@dataclass(frozen=True, slots=True)
class Policy:
    """`token` None: none is needed. `loopback`: the gateway listens there alone. `origins` are host and port."""

    token: bytes | None = field(repr=False)
    loopback: bool
    off: bool
    origins: frozenset[str]

    def is_token(self, given: str) -> bool:
        """In a time that tells nothing of the token, not even its length."""
        return self.token is not None and hmac.compare_digest(_digest(given.encode()), _digest(self.token))

    def goes_by(self, host: str) -> bool:
        """Whether a Host may be this gateway's. Names that someone's DNS could point here count only where a token is
        needed anyway: a page of theirs has none."""
        name = _name(host)
        if host.lower() in self.origins:
            return True
        if self.loopback:
            return name == "localhost" or _is_loopback(name)
        return self.token is not None or _is_address(name) or "." not in name.rstrip(".")

    def is_own(self, origin: str, host: str) -> bool:
        """Whether a page of this origin is one of ours, which the browser reached at `host`."""
        where = urlsplit(origin).netloc.lower()
        return bool(where) and (where == host.lower() or where in self.origins)


def policy(settings: Settings) -> Policy:
    """Raises ConfigError in words."""
    token, loopback = _token(settings), settings.host == "localhost" or _is_loopback(settings.host)
    access = settings.admin_access
    if token is not None and access != "token":
        raise ConfigError(f'admin_access = "{access}" and an admin token contradict each other: give one of them')
    if token is None and access == "token" and not loopback:
        raise ConfigError(
            f"on {settings.host}, whoever reaches the port could read and delete all that is stored (/cache/): set "
            f"an admin token ({_HOW_TO}), or say what is meant with admin_access: "
            '"off" (of /cache/ only liveness answers) or "open" (let them)'
        )
    return Policy(token, loopback, access == "off", frozenset(map(_origin, settings.admin_origins)))


def _token(settings: Settings) -> bytes | None:
    given = settings.admin_token.get_secret_value() if settings.admin_token is not None else None
    file = settings.admin_token_file
    if file is not None:
        if given is not None:
            raise ConfigError("admin_token and admin_token_file are both given: give one of them")
        try:
            given = file.read_text().partition("\n")[0]
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"admin_token_file: {file} cannot be read: {error}") from error
    if given is None:
        return None
    token = given.strip()
    if len(token) < _TOKEN_CHARS_LEAST or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(
            f"the admin token must have at least {_TOKEN_CHARS_LEAST} characters of ASCII without spaces: "
            "`openssl rand -hex 24` makes a good one"
        )
    return token.encode()


def _origin(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/") or parts.query:
        raise ConfigError(f"admin_origins: {text!r} is not an origin such as https://cache.example.org")
    return parts.netloc.lower()


def _name(host: str) -> str:
    """The name in a Host field, without its port."""
    bare = host[1:].partition("]")[0] if host.startswith("[") else host.rpartition(":")[0] or host
    return bare.lower()


def _is_loopback(name: str) -> bool:
    return _is_address(name) and ipaddress.ip_address(name).is_loopback


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
