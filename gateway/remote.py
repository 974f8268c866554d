"""The /cache/ endpoints of a running gateway, for the command line: what they say, or a sentence why they do not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

# Erasing writes the database anew, which takes as long as that.
_READ_S = 3600.0


class Refused(Exception):
    """The gateway said no, or does not answer; the message is for people. `misused`: what was asked makes no sense."""

    def __init__(self, words: str, misused: bool = False) -> None:
        super().__init__(words)
        self.misused = misused


@dataclass(frozen=True, slots=True)
class Remote:
    """`url` may end in /v1, as a client's base URL does."""

    url: str
    token: str | None = field(repr=False)

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return self._ask(
            "GET", path, params={name: value for name, value in (query or {}).items() if value is not None}
        )

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._ask("POST", path, json=body)

    def send(self, path: str, data: bytes, query: Mapping[str, Any]) -> dict[str, Any]:
        return self._ask("POST", path, content=data, params=query, headers={"content-type": "application/octet-stream"})

    def delete(self, path: str) -> dict[str, Any]:
        return self._ask("DELETE", path)

    def _ask(self, method: str, path: str, headers: Mapping[str, str] | None = None, **given: Any) -> dict[str, Any]:
        address = f"{self.url.rstrip('/').removesuffix('/v1')}/cache{path}"
        who = {"authorization": f"Bearer {self.token}"} if self.token else {}
        timeout = httpx.Timeout(10, read=_READ_S)
        if not self.url.startswith(("http://", "https://")):
            raise Refused(f"{self.url} is no URL such as http://127.0.0.1:8080: give one with --url")
        try:
            response = httpx.request(method, address, headers={**who, **(headers or {})}, timeout=timeout, **given)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            words = f"No gateway answers at {address}: {error}. Is it running? Give its address with --url."
            raise Refused(words) from error
        return _read(response, address, self.token is not None)


def _read(response: httpx.Response, address: str, had_token: bool) -> dict[str, Any]:
    strange = f"{address} answered, but not as a lookalike gateway does (HTTP {response.status_code})."
    try:
        said = response.json()
    except ValueError as error:
        raise Refused(strange) from error
    if response.status_code == 200 and isinstance(said, dict):
        return said
    if response.status_code == 401:
        raise Refused(f"The gateway refused: {not_admitted(had_token)}.")
    try:
        raise Refused(f"The gateway refused: {said['error']['message']}.", misused=response.status_code == 400)
    except (KeyError, TypeError) as error:
        raise Refused(strange) from error


def not_admitted(had_token: bool) -> str:
    """What a 401 of /cache/ means, after "the gateway refused:"."""
    why = "this is not its admin token" if had_token else "it needs its admin token"
    return f"{why} (set LOOKALIKE_ADMIN_TOKEN, or give --token)"
