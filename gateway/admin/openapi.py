"""GET /cache/openapi.json: the endpoints of /cache/ for programs. The bodies are those that the endpoints check by."""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.admin.entries import ListQuery
from gateway.admin.epochs import Bump
from gateway.admin.events import Retry
from gateway.admin.feedback import Feedback
from gateway.admin.known import Import
from gateway.admin.purge import Purge
from gateway.names import By, Window

_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}


async def document(request: Request) -> Response:
    return JSONResponse(description(request.app.state.running.version))


def description(version: str) -> dict[str, Any]:
    """OpenAPI 3.1, whose schemas are plain JSON Schema."""
    components = {form.__name__: form.model_json_schema() for form in (Bump, Feedback, Import, Purge, Retry)}
    components["Error"] = {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
            }
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "lookalike: administration", "version": version},
        "servers": [{"url": "/cache"}],
        "security": [{"token": []}, {"session": []}, {}],
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "lookalike-session"},
            },
        },
        "paths": _paths(),
    }


def _paths() -> dict[str, Any]:
    confirm = {"name": "confirm", "in": "query", "schema": {"type": "boolean", "default": False}}
    picture = {
        kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("image/*", "application/octet-stream")
    }
    return {
        "/health": {"get": _says("Is it alive; with a credential, also how it is", open_to_all=True)},
        "/health/live": {"get": _says("Whether the process serves", open_to_all=True)},
        "/health/ready": {"get": _says("Whether requests can be served", 503, open_to_all=True)},
        "/metrics": {"get": _says("For Prometheus", kind="text/plain")},
        "/stats": {
            "get": _says("What was asked, and what was answered from the cache", 400, 503)
            | {"parameters": [_word("window", Window), _word("by", By)]}
        },
        "/stats/series": {"get": _says("The same over time", 400, 503) | {"parameters": [_word("window", Window)]}},
        "/session": {"get": _says("Who the caller is, and what a page's changes need")},
        "/entries": {"get": _says("Entries, newest first", 400) | {"parameters": _query(ListQuery)}},
        "/entries/{id}": {
            "parameters": [_ID],
            "get": _says("One entry and its answer", 404),
            "delete": _says("Delete it", 404),
        },
        "/entries/{id}/feedback": {
            "parameters": [_ID],
            "post": _says("A person says whether a hit was right", 400, 404) | _takes(Feedback),
        },
        "/epochs": {
            "get": _says("Which models were changed"),
            "post": _says("A model was changed: retire its stored answers, or with dry_run count them", 400, 503)
            | _takes(Bump),
        },
        "/feedback": {"get": _says("What people said of hits")},
        "/events": {"get": _says("What waits for the webhooks, and what nobody took")},
        "/events/retry": {"post": _says("Try again what nobody took", 400, 404) | _takes(Retry)},
        "/purge": {"post": _says("Count, or with confirm delete, by criteria", 400) | _takes(Purge)},
        "/forget": {
            "post": _says("Count, or with confirm delete, whatever is stored about a picture", 400, 413, 503)
            | {"parameters": [confirm], "requestBody": {"required": True, "content": picture}},
        },
        "/import": {"post": _says("Store an answer that is known", 400, 413, 503) | _takes(Import)},
        "/openapi.json": {"get": _says("This")},
    }


def _says(summary: str, *refusals: int, open_to_all: bool = False, kind: str = "application/json") -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    refused = refusals if open_to_all else (401, 403, 415, 421, 429, *refusals)
    replies: dict[str, Any] = {"200": {"description": summary, "content": {kind: {}}}}
    replies |= {str(status): {"description": "refused", "content": error} for status in sorted(set(refused))}
    return {"summary": summary, "responses": replies} | ({"security": [{}]} if open_to_all else {})


def _takes(form: type[BaseModel]) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{form.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _query(form: type[BaseModel]) -> list[dict[str, Any]]:
    properties: dict[str, Any] = form.model_json_schema()["properties"]
    properties["after"] = {"type": "string"}
    return [{"name": name, "in": "query", "schema": schema} for name, schema in properties.items()]


def _word(name: str, words: type[StrEnum]) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": "string", "enum": list(words)}}
