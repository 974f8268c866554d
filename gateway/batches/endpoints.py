"""`/v1/files` and `/v1/batches`, as OpenAI's clients know them. Each caller sees what came with its own credential."""

import functools
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Final, Literal, TypeVar

import anyio
import anyio.to_thread
import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from gateway import headers
from gateway.batches.desk import Desk, NotOpen, TooMany
from gateway.batches.objects import BATCH_INPUT, WINDOW_S, Batch, File
from gateway.batches.register import NoSuchPlace
from gateway.batches.upload import Refusal, receive
from gateway.errors import CallerError
from gateway.question import Object
from gateway.tenants import digest

log = logging.getLogger("lookalike")

_JSON_BYTES_MAX: Final = 64 * 1024
_PAGE: Final = {"files": (10_000, 10_000), "batches": (20, 100)}  # default and most
_ELSEWHERE: Final = ("cross-site", "same-site")

T = TypeVar("T")
Endpoint = Callable[[Request], Awaitable[Response]]


class Expiry(BaseModel):
    """How long a client wants its results kept."""

    anchor: Literal["created_at"]
    seconds: int = Field(ge=1)


class Wanted(BaseModel):
    """The body of POST /v1/batches."""

    model_config = ConfigDict(extra="forbid")

    input_file_id: str
    # Formats whose answers come in one piece unless the body says otherwise, and whose base URL ends in /v1.
    endpoint: Literal["/v1/chat/completions", "/v1/responses", "/v1/messages"]
    completion_window: Literal["24h"]
    metadata: dict[str, str] | None = Field(None, max_length=16)
    output_expires_after: Expiry | None = None


class Endpoints:
    """`secret` is the store's: a tenant is here who it is for the cache."""

    def __init__(self, desk: Desk, secret: bytes) -> None:
        self._desk = desk
        self._secret = secret

    def routes(self) -> list[BaseRoute]:
        made: list[BaseRoute] = []
        for base in ("/v1", ""):  # a base URL may end in /v1 or not
            made += [
                self._route(f"{base}/files", {"GET": self.list_files, "POST": self.upload}),
                self._route(f"{base}/files/{{id}}", {"GET": self.show_file, "DELETE": self.delete_file}),
                self._route(f"{base}/files/{{id}}/content", {"GET": self.content}),
                self._route(f"{base}/batches", {"GET": self.list_batches, "POST": self.create}),
                self._route(f"{base}/batches/{{id}}", {"GET": self.show_batch}),
                self._route(f"{base}/batches/{{id}}/cancel", {"POST": self.cancel}),
            ]
        return made

    def _route(self, path: str, by_method: dict[str, Endpoint]) -> Route:
        async def answer(request: Request) -> Response:
            try:
                endpoint = by_method.get(request.method)
                if endpoint is None:
                    raise Refusal(405, "method_not_allowed", f"use {' or '.join(by_method)} here")
                if request.headers.get("sec-fetch-site") in _ELSEWHERE:
                    raise Refusal(403, "cross_site", "a page of another site asked for this")
                if headers.keyed_by_query(request.scope["query_string"].decode("latin-1")):
                    raise Refusal(400, "key_in_query", "send your key in a header field: it tells whose a file is")
                await self._notice(request)
                return await endpoint(request)
            except Refusal as refusal:
                return refusal.reply()
            except ClientDisconnect:
                return Response(status_code=499)  # nobody reads it
            except (OSError, sqlite3.Error) as error:
                log.error("a request for %s failed: %s", path, error)
                return Refusal(507, "no_room", f"the gateway's disk does not take it: {error}").reply()

        return Route(path, answer, methods=["GET", "POST", "DELETE", "PUT", "PATCH"])

    async def _notice(self, request: Request) -> None:
        if await _run(self._desk.seen, self._tenant(request), request.scope["headers"]):
            self._desk.wake()

    def _tenant(self, request: Request) -> str:
        return digest(self._secret, headers.credential(request.scope["headers"]))

    # Files.

    async def upload(self, request: Request) -> Response:
        desk, limits = self._desk, self._desk.limits
        async with receive(request, desk.shelf, limits) as upload:
            if (purpose := upload.fields.get("purpose")) != BATCH_INPUT:
                words = f"the purpose must be {BATCH_INPUT!r}, not {purpose!r}"
                raise Refusal(400, "invalid_purpose", words, "purpose")
            now_s = int(desk.clock())
            keep_s = _kept_s(upload.fields.get("expires_after[seconds]"), limits.keep_s)
            file = File(
                id=desk.new_id("file-"),
                tenant=self._tenant(request),
                name=upload.name,
                purpose=purpose,
                bytes=upload.writing.bytes,
                created_s=now_s,
                expires_s=now_s + keep_s,
            )
            with anyio.CancelScope(shield=True):
                await _run(desk.keep, upload.writing, file)
        return JSONResponse(file.shown())

    async def list_files(self, request: Request) -> Response:
        query, register = request.query_params, self._desk.register
        after, limit = _place(request, "files")
        which = self._tenant(request), after, limit + 1, query.get("order") != "asc", query.get("purpose")
        return await _page(functools.partial(register.files, *which), limit, File.shown)

    async def show_file(self, request: Request) -> Response:
        return JSONResponse((await self._file(request)).shown())

    async def content(self, request: Request) -> Response:
        file = await self._file(request)
        path = self._desk.shelf.path(file.id)
        if not path.exists():
            raise Refusal(404, "not_found", f"the bytes of {file.id} are gone", "id")
        return FileResponse(path, media_type="application/octet-stream")

    async def delete_file(self, request: Request) -> Response:
        file = await self._file(request)
        if needed := await _run(self._desk.register.input_of, file.id):
            raise Refusal(400, "file_in_use", f"it is the input of {needed[0]}, which is not over: cancel that first")
        await _run(self._desk.register.forget, [file.id])
        await _run(self._desk.shelf.drop, file.id)
        return JSONResponse({"id": file.id, "object": "file", "deleted": True})

    async def _file(self, request: Request) -> File:
        name = request.path_params["id"]
        file = await _run(self._desk.register.file, name, self._tenant(request))
        if file is None:
            raise Refusal(404, "not_found", f"there is no file {name} of yours", "id")
        return file

    # Batches.

    async def create(self, request: Request) -> Response:
        desk, wanted = self._desk, await _wanted(request)
        tenant, fields = self._tenant(request), request.scope["headers"]
        try:
            headers.wishes(fields)
        except CallerError as error:
            raise Refusal(400, error.code, str(error)) from error
        file = await _run(desk.register.file, wanted.input_file_id, tenant)
        if file is None:
            raise Refusal(400, "no_such_file", f"there is no file {wanted.input_file_id} of yours", "input_file_id")
        if file.purpose != BATCH_INPUT:
            raise Refusal(400, "invalid_purpose", f'the file has the purpose "{file.purpose}"', "input_file_id")
        now_s, expiry = int(desk.clock()), wanted.output_expires_after
        batch = Batch(
            id=desk.new_id("batch_"),
            tenant=tenant,
            endpoint=wanted.endpoint,
            input_file_id=file.id,
            created_s=now_s,
            expires_s=now_s + WINDOW_S,
            keep_s=min(expiry.seconds, desk.limits.keep_s) if expiry else desk.limits.keep_s,
            metadata=wanted.metadata,
            fields=headers.asked_with(fields),
        )
        try:
            await _run(desk.take, batch, fields)
        except TooMany as error:
            raise Refusal(429, "too_many_batches", str(error)) from error
        desk.wake()
        return JSONResponse(batch.shown())

    async def list_batches(self, request: Request) -> Response:
        after, limit = _place(request, "batches")
        register, tenant = self._desk.register, self._tenant(request)
        return await _page(functools.partial(register.batches, tenant, after, limit + 1), limit, self._shown)

    async def show_batch(self, request: Request) -> Response:
        return JSONResponse(self._shown(await self._batch(request)))

    async def cancel(self, request: Request) -> Response:
        batch = await self._batch(request)
        try:
            batch = await _run(self._desk.cancel, batch.id)
        except NotOpen as error:
            raise Refusal(400, "not_cancellable", str(error)) from error
        self._desk.wake(batch.id)
        return JSONResponse(self._shown(batch))

    async def _batch(self, request: Request) -> Batch:
        name = request.path_params["id"]
        batch = await _run(self._desk.register.batch, name, self._tenant(request))
        if batch is None:
            raise Refusal(404, "not_found", f"there is no batch {name} of yours", "id")
        return batch

    def _shown(self, batch: Batch) -> Object:
        return batch.shown(self._desk.counts(batch))


async def _run(function: Callable[..., T], *arguments: object) -> T:
    return await anyio.to_thread.run_sync(functools.partial(function, *arguments))


def _place(request: Request, kind: str) -> tuple[str | None, int]:
    """Where the page begins, and how long it is."""
    default, most = _PAGE[kind]
    text = request.query_params.get("limit", str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= most):
        raise Refusal(400, "invalid_limit", f"limit must be from 1 to {most}", "limit")
    return request.query_params.get("after"), int(text)


async def _page(read: Callable[[], list[T]], limit: int, shown: Callable[[T], Object]) -> Response:
    """`read` gives one more than the page may have, if there is one more."""
    try:
        found = await _run(read)
    except NoSuchPlace as error:
        raise Refusal(400, "invalid_after", f"there is no {error} of yours to go on after", "after") from error
    data = [shown(one) for one in found[:limit]]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": None, "last_id": None}
    return JSONResponse({"object": "list", "data": data, **ends, "has_more": len(found) > limit})


def _kept_s(asked: str | None, most: int) -> int:
    if asked is None:
        return most
    if not (asked.isascii() and asked.isdigit() and 0 < len(asked) < 12 and int(asked) > 0):
        raise Refusal(400, "invalid_expiry", "expires_after[seconds] must be a number of seconds", "expires_after")
    return min(int(asked), most)


async def _wanted(request: Request) -> Wanted:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal(400, "media_type", "the body must be application/json")
    taken = bytearray()
    async for chunk in request.stream():
        taken += chunk
        if len(taken) > _JSON_BYTES_MAX:
            raise Refusal(413, "too_large", f"the body must have at most {_JSON_BYTES_MAX} bytes")
    try:
        value = orjson.loads(taken)
        wanted = Wanted.model_validate(value)
    except orjson.JSONDecodeError as error:
        raise Refusal(400, "not_json", f"the body is not JSON: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or None
        raise Refusal(400, "invalid_value", f"{name or 'the body'}: {first['msg']}", name) from error
    for name, text in (wanted.metadata or {}).items():
        if len(name) > 64 or len(text) > 512:
            raise Refusal(400, "invalid_metadata", "a key has at most 64 characters, a value 512", "metadata")
    return wanted
