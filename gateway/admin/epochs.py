"""/cache/epochs: which models were changed, and an operator's word that one was."""

from dataclasses import asdict

from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.admin.replies import read
from gateway.modelchange import EVERY, normal


class Bump(BaseModel):
    """The body of POST /cache/epochs."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str | None = Field(None, min_length=1, max_length=300)
    all: bool = False

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
    await running.audit.note(request, "epoch", model=name)
    return JSONResponse({"model": name, "retired": await running.epochs.bump(name, "operator")})
