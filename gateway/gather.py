"""The pictures of a question, wherever they are, and the body that the upstream is sent.

Pictures in the request are read from it. Those behind an http(s) URL are fetched where the operator allows it, and
then, as a rule, sent to the upstream in place of their URL: what it sees is what was looked up. In doubt
NotCacheable is raised, and the request is forwarded as it came.
"""

import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pybase64

from gateway import pictures, spelling
from gateway.config import Settings
from gateway.dialects.splice import spliced
from gateway.fetch.errors import NotFetched
from gateway.fetch.fetcher import Fetcher
from gateway.fingerprint import Workers
from gateway.pictures import Picture
from gateway.question import Bypass, NotCacheable, PictureRef

log = logging.getLogger("lookalike")

# Below this, parsing and hashing take less than handing them to another thread.
ON_LOOP_BYTES = 1_000_000

Refs = tuple[PictureRef, ...]


@dataclass(frozen=True, slots=True)
class Gathered:
    """The pictures, in order, and the body with the fetched ones in it; None: the client's own is right."""

    pictures: tuple[Picture, ...]
    body: bytes | None = None


class Gatherer:
    """`fetcher` None: nothing is fetched."""

    def __init__(self, settings: Settings, workers: Workers, fetcher: Fetcher | None) -> None:
        self._workers = workers
        self._fetcher = fetcher
        self._inline = settings.fetched_pictures == "inline"
        self._pictures_max = settings.request_pictures_max
        self._pixels_max = settings.pixels_max
        self._body_bytes_max = settings.body_bytes_max

    async def gather(self, refs: Refs, body: bytes) -> Gathered:
        """Raises NotCacheable."""
        if len(refs) > self._pictures_max:
            raise NotCacheable(Bypass.PICTURES_TOO_MANY)
        read = functools.partial(self._read, refs)
        here = read() if len(body) <= ON_LOOP_BYTES else await self._workers.run(read)
        elsewhere = [ref for ref, picture in zip(refs, here, strict=True) if picture is None]
        if self._fetcher is None or not elsewhere:
            return Gathered(tuple(picture for picture in here if picture is not None))
        if self._inline and not all(ref.inlines for ref in elsewhere):
            raise NotCacheable(Bypass.PICTURE_BY_REFERENCE)
        try:
            files = await self._fetcher.fetch([str(ref.url) for ref in elsewhere], self._body_bytes_max)
        except NotFetched as error:
            log.info("a picture was not fetched: %s", error.words)
            raise
        return await self._workers.run(lambda: self._joined(refs, here, files, body))

    def _read(self, refs: Refs) -> tuple[Picture | None, ...]:
        """None for each picture that is to be fetched."""
        fetches = self._fetcher is not None
        return tuple(None if fetches and spelling.is_on_the_web(ref) else spelling.load(ref) for ref in refs)

    def _joined(self, refs: Refs, here: Sequence[Picture | None], files: Mapping[str, bytes], body: bytes) -> Gathered:
        fetched = {url: Picture.of(file) for url, file in files.items()}
        for picture in fetched.values():  # whatever came is a picture, or it goes nowhere
            pictures.size(picture, self._pixels_max)
        found = tuple(picture or fetched[str(ref.url)] for ref, picture in zip(refs, here, strict=True))
        if not self._inline:
            return Gathered(found)
        data_urls = {url: _data_url(picture) for url, picture in fetched.items()}
        inlined = spliced(body, [ref.url for ref in refs if isinstance(ref.url, str)], data_urls)
        if inlined is None:
            raise NotCacheable(Bypass.PICTURE_BY_REFERENCE)
        if len(inlined) > self._body_bytes_max:
            raise NotCacheable(Bypass.PICTURE_TOO_LARGE)
        return Gathered(found, inlined)


def _data_url(picture: Picture) -> bytes:
    return f"data:{pictures.media_type(picture)};base64,".encode() + pybase64.b64encode(picture.data)
