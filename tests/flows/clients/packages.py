"""Clients are packages of the extra `clients`, and their first lines are in docs/dialects.md."""

import importlib
import os
import re
import warnings
from pathlib import Path
from typing import Any

import pytest

REQUIRED = "REQUIRE_CLIENTS"  # set by .ci/run: a client that is missing there is a fault, not a reason to skip
_DOCUMENT = Path(__file__).parents[3] / "docs/dialects.md"
_GATEWAY = "http://localhost:8080"  # as the document calls it


def client_package(name: str) -> Any:
    """The module, or a skip of the whole file that says how to get it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a package of others does at its import is not ours to mend
            return importlib.import_module(name)
    except ModuleNotFoundError:
        missing(name)


def missing(what: str) -> None:
    advice = f"the client {what} is not installed; run: scripts/clients"
    if os.environ.get(REQUIRED) == "required":
        pytest.fail(advice)
    pytest.skip(advice, allow_module_level=True)


def documented_lines() -> dict[str, str]:
    """By client: the line of code that points it at the gateway."""
    return dict(re.findall(r"^\| `?([^`|]+)`? \| `([^`]+[(=].+)` \|$", _DOCUMENT.read_text(), re.MULTILINE))


def line(client: str, gateway: str) -> str:
    return documented_lines()[client].replace(_GATEWAY, gateway)


def connected(client: str, gateway: str, **names: Any) -> Any:
    """What the document's line makes; `names` are those that it uses."""
    return eval(line(client, gateway), names)


def configured(client: str, gateway: str, **names: Any) -> None:
    """Runs the document's line where it sets something in place of making it."""
    exec(line(client, gateway), names)
