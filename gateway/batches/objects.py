"""A file and a batch, as they are kept and as OpenAI's clients read them. Pure."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, Self

from gateway.question import Object

BATCH_INPUT: Final = "batch"
BATCH_OUTPUT: Final = "batch_output"
WINDOW_S: Final = 86_400  # "24h", the only one that there is


class Status(StrEnum):
    """Of a batch. The last four are final."""

    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    CANCELLING = "cancelling"
    FAILED = "failed"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def is_open(self) -> bool:
        return self in OPEN


OPEN: Final = (Status.VALIDATING, Status.IN_PROGRESS, Status.FINALIZING, Status.CANCELLING)


@dataclass(frozen=True, slots=True)
class File:
    """A file of whoever has this tenant's digest. Times are whole seconds of Unix time."""

    id: str
    tenant: str
    name: str
    purpose: str
    bytes: int
    created_s: int
    expires_s: int

    def shown(self) -> Object:
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.bytes,
            "created_at": self.created_s,
            "expires_at": self.expires_s,
            "filename": self.name,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": None,
        }


@dataclass(frozen=True, slots=True)
class Wrong:
    """Why a batch failed before anything was asked. `line` counts from 1; None: the file as a whole."""

    code: str
    message: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """Lines of a batch: all, with an answer, without one for good."""

    total: int = 0
    completed: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of whoever has this tenant's digest. `fields` are the request's header fields that every line is asked
    with; no credential is among them. `times` are those of its states, `goes_s` is when it is forgotten."""

    id: str
    tenant: str
    endpoint: str
    input_file_id: str
    created_s: int
    expires_s: int
    keep_s: int  # its results, once it is over
    metadata: dict[str, str] | None = None
    fields: tuple[tuple[str, str], ...] = ()
    status: Status = Status.VALIDATING
    times: dict[str, int] = field(default_factory=dict)
    errors: tuple[Wrong, ...] = ()
    counts: Counts = Counts()
    output_file_id: str | None = None
    error_file_id: str | None = None
    goes_s: int | None = None

    @classmethod
    def of(cls, facts: Object) -> Self:
        """From what `asdict` made of one."""
        read = {
            "status": Status(facts["status"]),
            "fields": tuple((name, value) for name, value in facts["fields"]),
            "errors": tuple(Wrong(**wrong) for wrong in facts["errors"]),
            "counts": Counts(**facts["counts"]),
        }
        return cls(**{**facts, **read})

    def moved(self, status: Status, now_s: float) -> Self:
        """In this state from now on."""
        moved = replace(self, status=status, times=self.times | {f"{status}_at": int(now_s)})
        return moved if status.is_open else replace(moved, goes_s=int(now_s) + self.keep_s)

    def shown(self, counts: Counts | None = None) -> Object:
        counts = counts or self.counts
        errors = [{"code": one.code, "message": one.message, "line": one.line, "param": None} for one in self.errors]
        times = {f"{status}_at": self.times.get(f"{status}_at") for status in Status if status != Status.VALIDATING}
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": self.endpoint,
            "errors": {"object": "list", "data": errors} if errors else None,
            "input_file_id": self.input_file_id,
            "completion_window": "24h",
            "status": self.status,
            "output_file_id": self.output_file_id,
            "error_file_id": self.error_file_id,
            "created_at": self.created_s,
            "expires_at": self.expires_s,
            **times,
            "request_counts": {"total": counts.total, "completed": counts.completed, "failed": counts.failed},
            "metadata": self.metadata,
        }
