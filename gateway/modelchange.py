"""Requests by which a server of models is told to change one: which, and of what. Pure.

Such a request passes through like any other. What it may have changed is not answered from the cache any more
(epochs.py). In doubt it changed something, and in doubt every model.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.dialects.strict_json import read_object
from gateway.question import NotCacheable, Object

EVERY: Final = "*"  # in place of a model's name: whatever model
# A body that names a model is short; Ollama's /api/create may hold a template and a list of files.
BODY_BYTES_MAX: Final = 4 * 2**20
_NAME_MOST: Final = 300

# Refused before anything was begun: the server does not know the path or the model, or the caller may not.
_NOTHING_BEGUN: Final = frozenset((401, 403, 404, 405, 407, 415, 429))
_HOSTS = ("registry.ollama.ai/", "https://registry.ollama.ai/", "http://registry.ollama.ai/")


def normal(name: str) -> str:
    """One spelling of a model's name. Ollama takes names in any case, with and without what it would add to them; two
    models that get one name here are retired together, which costs calls and nothing else."""
    name = name.strip().casefold()
    for host in _HOSTS:
        name = name.removeprefix(host)
    return name.removeprefix("library/").removesuffix(":latest")


@dataclass(frozen=True, slots=True)
class Change:
    """What a request asks for. `of` says from the body which model it is about; None: about all, whatever it says."""

    path: str
    of: Callable[[Object], object] | None = None
    returns_early: bool = False  # the reply comes before the change is over

    def model(self, body: bytes | None) -> str:
        """The normal name of the model, or EVERY. None for a body that could not be read whole."""
        if self.of is None or body is None:
            return EVERY
        try:
            given = read_object(body)
        except NotCacheable:
            return EVERY
        known = {key.casefold(): value for key, value in given.items()}  # as Go reads names of fields
        name = self.of(known) if len(known) == len(given) else None
        return (normal(name) or EVERY) if isinstance(name, str) and len(name) <= _NAME_MOST else EVERY


def concerns(changed: str, model: str) -> bool:
    """Whether a change of this (a normal name, or EVERY) is one of that model. An answer that names no model may be of
    any."""
    return changed == EVERY or model == changed or not model


def change_by(method: str, path: str) -> Change | None:
    """What a request to this path, percent-decoded, changes."""
    if method in ("HEAD", "OPTIONS"):
        return None
    clean = "/" + "/".join(part for part in path.casefold().split("/") if part)
    for change in _CHANGES:
        if clean.endswith(change.path) and not (method == "GET" and change.path in _READ_BY_GET):
            return change
    return None


def began(status: int) -> bool:
    """Whether a reply with this status leaves it possible that something was changed."""
    return status not in _NOTHING_BEGUN


def _named(body: Object) -> object:
    """Ollama's `model`, which was `name` before."""
    return body.get("model") or body.get("name")


# Ollama. A pull or a create may give a name other weights, a copy gives its destination those of another.
_OLLAMA = (
    Change("/api/pull", _named),
    Change("/api/create", _named),
    Change("/api/delete", _named),
    Change("/api/copy", lambda body: body.get("destination")),
)
# vLLM's adapters are models of their own, by the name that they are loaded under.
_VLLM = (
    Change("/v1/load_lora_adapter", lambda body: body.get("lora_name")),
    Change("/v1/unload_lora_adapter", lambda body: body.get("lora_name")),
)
# SGLang's adapters are asked for in a field beside the model (`lora_path`), llama.cpp's apply to whatever is loaded,
# and weights are those of whichever model is served.
_OF_EVERY = tuple(
    Change(f"/{path}")
    for path in """
    load_lora_adapter load_lora_adapter_from_tensors unload_lora_adapter
    update_weights update_weights_from_disk update_weights_from_tensor update_weights_from_distributed
    update_weights_from_ipc update_weight_version release_memory_occupation resume_memory_occupation
    start_weight_update finish_weight_update collective_rpc sleep wake_up wakeup
    lora-adapters
    """.split()
)
_LLAMA_ROUTER = (Change("/models/load", returns_early=True), Change("/models/unload", returns_early=True))
_READ_BY_GET = frozenset(("/lora-adapters",))
_CHANGES: Final = (*_OLLAMA, *_VLLM, *_OF_EVERY, *_LLAMA_ROUTER)
