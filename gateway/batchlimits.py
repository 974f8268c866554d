"""What batches may take of this machine: the settings of `[batches]`."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

_MIB: Final = 2**20


class BatchLimits(BaseModel):
    """Bounds of the batch endpoints (docs/batches.md). The defaults of bytes and lines of a file are OpenAI's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    concurrency: int = Field(4, ge=1, le=1000)  # lines that are asked at once, of all batches together
    retries: int = Field(5, ge=0, le=100)  # of a line, where another attempt may help
    lines_max: int = Field(50_000, ge=1)  # of one input file
    file_bytes_max: int = Field(200 * _MIB, ge=1)  # of one input file
    disk_bytes_max: int = Field(10 * 1024 * _MIB, ge=1)  # of all files; beyond it no more are taken in
    keep_s: int = Field(7 * 86400, ge=3600)  # files after they came, batches after they ended


def _form(value: object) -> str:
    return "[word]" if isinstance(value, str) else "[table]"


# Told apart by their form, so that a table that is wrong is told what is wrong with it.
Batches = Annotated[
    Annotated[Literal["off", "on"], Tag("[word]")] | Annotated[BatchLimits, Tag("[table]")], Discriminator(_form)
]


def limits_of(batches: Batches) -> BatchLimits | None:
    """None: there are no batches here, and their paths are the upstream's."""
    if isinstance(batches, BatchLimits):
        return batches
    return BatchLimits() if batches == "on" else None


def refuse_unfit(batches: Batches, privacy: str, store: str) -> None:
    """Raises ValueError in words where other settings forbid what batches need."""
    if batches == "off":
        return
    if privacy == "strict":
        raise ValueError(
            'batches: their files hold prompts and pictures and must be on disk, which privacy = "strict" forbids: '
            "turn one of them off"
        )
    if store == "memory":
        raise ValueError('batches: their files must be on disk, and store = "memory" writes nothing: use "embedded"')
