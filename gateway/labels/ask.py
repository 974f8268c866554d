"""The labels of answers: each asked of a model once. How many at a time is up to who asks (labelling.py).

What goes wrong here is counted, and the answer has no label.
"""

import hashlib
import hmac
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx
import orjson

from gateway.labels.reading import label_of, question
from gateway.labels.settings import Classifier
from gateway.labels.table import Table
from gateway.routing import Base

log = logging.getLogger("lookalike")

_REPLY_BYTES_MOST = 256 * 1024
_TEXT_MOST = 100_000  # characters of an answer or a prompt that a model is shown


class Labels:
    """Behind `Classifier` of gateway/events.py. `file` None: what was said is remembered in memory."""

    def __init__(self, classifiers: Sequence[Classifier], upstream: str, file: Path | None, secret: bytes) -> None:
        self._all = {one.name: _Asked(one, upstream, secret) for one in classifiers}
        self._table = Table(file) if classifiers else None
        trusted = httpx.create_ssl_context(trust_env=True) if classifiers else False
        self._http = httpx.AsyncClient(verify=trusted, trust_env=False, follow_redirects=False, timeout=None)

    async def label(self, classifier: str, prompt: str | None, answer: str) -> str | None:
        """The label that this classifier gives; None if it gives none, or cannot be asked. Never raises."""
        asked = self._all.get(classifier)
        if asked is None or self._table is None:
            return None
        try:
            return await asked.label(self._http, self._table, (prompt or "")[:_TEXT_MOST], answer[:_TEXT_MOST])
        except Exception:
            asked.counts["failed"] += 1
            log.exception("the classifier %s failed", classifier)
            return None

    def report(self) -> dict[str, Any]:
        """Since the start, by classifier."""
        return {name: asked.report() for name, asked in self._all.items()}

    async def close(self) -> None:
        await self._http.aclose()
        if self._table is not None:
            self._table.close()


class _Asked:
    """One classifier at work."""

    def __init__(self, classifier: Classifier, upstream: str, secret: bytes) -> None:
        self.counts: Counter[str] = Counter()  # asked, cached, failed
        self._given: Counter[str] = Counter()  # by label; "" for none
        self._classifier = classifier
        self._template = classifier.template()
        self._url = _address(classifier.base_url or upstream)
        self._headers = {"authorization": f"Bearer {key}"} if (key := classifier.key()) else {}
        self._secret = secret
        self._under_way: dict[bytes, anyio.Event] = {}
        self._trouble: str | None = None

    def report(self) -> dict[str, Any]:
        given = {label: count for label, count in self._given.items() if label}
        counts = {name: self.counts[name] for name in ("asked", "cached", "failed")}
        return {**counts, "labels": given, "none": self._given[""], "trouble": self._trouble}

    async def label(self, http: httpx.AsyncClient, table: Table, prompt: str, answer: str) -> str | None:
        asked = question(self._template, self._classifier.labels, prompt, answer)
        key = self._key(asked)
        while (before := self._under_way.get(key)) is not None:
            await before.wait()
        self._under_way[key] = over = anyio.Event()
        try:
            known = await anyio.to_thread.run_sync(table.get, key)
            if known is not None:
                self.counts["cached"] += 1
                return self._said(known[0])
            reply = await self._reply(http, asked)
            if reply is None:
                self.counts["failed"] += 1
                return None
            label = label_of(reply, self._classifier.labels)
            await anyio.to_thread.run_sync(table.put, key, label)
            return self._said(label)
        finally:
            del self._under_way[key]
            over.set()

    def _said(self, label: str | None) -> str | None:
        self._given[label or ""] += 1
        return label

    def _key(self, asked: str) -> bytes:
        classifier = self._classifier
        what = orjson.dumps([self._url, classifier.model, classifier.labels, asked.encode(errors="replace").hex()])
        return hmac.new(self._secret, b"label:" + what, hashlib.sha256).digest()

    async def _reply(self, http: httpx.AsyncClient, asked: str) -> str | None:
        """The model's words; None if it gave none in time."""
        self.counts["asked"] += 1
        try:
            with anyio.fail_after(self._classifier.timeout_s):
                text = await self._completion(http, asked)
        except TimeoutError:
            why = "timeout"
        except (httpx.HTTPError, OSError) as error:
            why = type(error).__name__
        except (ValueError, LookupError, TypeError) as error:
            why = str(error) if isinstance(error, _Refused) else "it is no chat completion"
        else:
            self._trouble = None
            return text
        self._failed(why)
        return None

    async def _completion(self, http: httpx.AsyncClient, asked: str) -> str:
        said = asked.encode(errors="replace").decode()
        body = {"model": self._classifier.model, "messages": [{"role": "user", "content": said}], "temperature": 0}
        taken = bytearray()
        async with http.stream("POST", self._url, json=body, headers=self._headers) as response:
            if response.status_code != 200:
                raise _Refused(f"HTTP {response.status_code}")
            async for chunk in response.aiter_bytes():
                taken += chunk
                if len(taken) > _REPLY_BYTES_MOST:
                    raise _Refused("its reply is too large")
        text = orjson.loads(bytes(taken))["choices"][0]["message"]["content"]
        if not isinstance(text, str):
            raise _Refused("its reply is no text")
        return text

    def _failed(self, why: str) -> None:
        if self._trouble is None:
            log.warning("the classifier %s gives no labels: %s", self._classifier.name, why)
        self._trouble = why


class _Refused(ValueError):
    pass


def _address(base_url: str) -> str:
    base = httpx.URL(base_url)
    path = Base.of(base.raw_path.decode("ascii").partition("?")[0]).target("/v1/chat/completions")
    return str(base.copy_with(raw_path=path.encode("ascii")))
