"""Sessions of browsers: a cookie that says until when, and a signature that only this gateway can make.

The key rests on the store's secret and on the admin token, so another token ends every session. Nothing is kept but
the numbers of sessions that were logged out, until they would have ended anyway.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

LASTS_S = 12 * 3600
# Log-outs that are remembered. Each needed a log-in with the token, so only its owner could make as many.
_ENDED_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Session:
    number: str  # 128 random bits, as hex
    expires_s: int  # Unix time

    @property
    def name(self) -> str:
        """For logs: not enough of the number to make a cookie of."""
        return f"session:{self.number[:8]}"


class Sessions:
    def __init__(self, secret: bytes, token: bytes) -> None:
        self._key = hmac.new(secret, b"admin session:" + hashlib.sha256(token).digest(), hashlib.sha256).digest()
        self._ended: dict[str, int] = {}

    def begin(self, now_s: float) -> Session:
        return Session(secrets.token_hex(16), int(now_s) + LASTS_S)

    def end(self, session: Session, now_s: float) -> None:
        self._ended = {number: until for number, until in self._ended.items() if until > now_s}
        if len(self._ended) >= _ENDED_MOST:
            self._ended.pop(next(iter(self._ended)))
        self._ended[session.number] = session.expires_s

    def cookie(self, session: Session) -> str:
        said = f"{session.expires_s}.{session.number}"
        return f"{said}.{self._signature('cookie', said)}"

    def read(self, cookie: str, now_s: float) -> Session | None:
        """The session of a cookie that this gateway made, and that is neither over nor logged out."""
        said, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature("cookie", said).encode()):
            return None
        expires, _, number = said.partition(".")  # ours, so it is as `cookie` made it
        session = Session(number, int(expires))
        return session if now_s < session.expires_s and number not in self._ended else None

    def csrf(self, session: Session) -> str:
        """What a page of this session sends along with whatever changes something."""
        return self._signature("csrf", session.number)

    def is_csrf(self, session: Session, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.csrf(session).encode())

    def _signature(self, label: str, said: str) -> str:
        return hmac.new(self._key, f"{label}:{said}".encode(), hashlib.sha256).hexdigest()
