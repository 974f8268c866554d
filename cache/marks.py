"""Keyed digests by which an operator finds stored answers again: by a picture, or by a prompt. Pure.

The keys that lookups go by (keys.py) rest on who asked what, so they cannot be made from a picture alone. Marks can,
but only with the store's secret: whoever has the rows without it can test nothing.
"""

import hashlib
import hmac

# 128 bits: nothing is ever served by a mark, so that a collision could only delete one answer too many.
_DIGITS = 32
TENANT_DIGITS = 16


class Marks:
    """Of one store."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def file(self, digest: str) -> str:
        """Of a picture file, from the digest of its bytes."""
        return self._mark("file", digest)

    def pixels(self, digest: str) -> str:
        """Of a picture, from the digest of its pixels."""
        return self._mark("pixels", digest)

    def prompt(self, text: str) -> str:
        """Of a text; white space does not matter."""
        return self._mark("prompt", " ".join(text.split()))

    def prompts(self, text: str) -> tuple[str, ...]:
        """Of a whole prompt and, if it has several lines, of the last one, which is often all that was typed."""
        lines = [line for line in text.splitlines() if line.strip()]
        return (self.prompt(text), *([self.prompt(lines[-1])] if len(lines) > 1 else []))

    def _mark(self, label: str, text: str) -> str:
        return hmac.new(self._secret, f"{label}:{text}".encode(), hashlib.sha256).hexdigest()[:_DIGITS]


def tenant_of(digest: str) -> str:
    """What is kept of a credential's keyed digest, to tell one tenant's entries from another's."""
    return digest[:TENANT_DIGITS]
