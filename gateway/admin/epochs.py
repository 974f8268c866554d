"""/cache/epochs: which models were changed, and an operator's word that one was."""

from collections import Counter
from dataclasses import asdict
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.admin.replies import read
from gateway.epochs import Epochs
from gateway.modelchange import EVERY, concerns, normal

_MODELS_SHOWN: Final = 20


class Bump(BaseModel):
    """The body of POST /cache/epochs."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str | None = Field(None, min_length=1, max_length=300)
    all: bool = False
    dry_run: bool = False

    @model_validator(mode="after")
    def says_which(self) -> "Bump":
        if (self.model is not None) == self.all or (self.model is not None and not normal(self.model)):
            raise ValueError('say which model was changed, or "all": true')
        return self


async def list_epochs(request: Request) -> Response:
    running = request.app.state.running
    models = [{"model": name, **asdict(epoch)} for name, epoch in running.epochs.models().items()]
    return JSONResponse({"models": models, **running.epochs.report()})


async def bump(request: Request) -> Response:
    running, wanted = request.app.state.running, await read(request, Bump)
    name = EVERY if wanted.model is None else normal(wanted.model)
    if wanted.dry_run:
        return JSONResponse(await _count(running.epochs, name))
    await running.audit.note(request, "epoch", model=name)
    return JSONResponse({"model": name, "retired": await running.epochs.bump(name, "operator")})


async def _count(epochs: Epochs, name: str) -> dict[str, Any]:
    """What a bump would retire; how much of that names this model, for what names none goes with any; and the models
    that most answers are of, for whoever mistyped one."""
    stored = Counter(normal(entry.model) for entry in await epochs.concerned(EVERY))
    concerned = {model: number for model, number in stored.items() if concerns(name, model)}
    retired = sum(concerned.values())
    named = retired if name == EVERY else stored[name]
    models = [model for model, _ in stored.most_common(_MODELS_SHOWN) if model]
    return {"dry_run": True, "model": name, "retired": retired, "named": named, "models": models}
